"""Tags, corrections, reopening, statuses and silence; as those concerned hear it."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from node.config import DeskConfig
from node.edge.http import Request, Response
from node.protocol import catalogue as ops
from node.protocol.catalogue import Inbox, OfferPush, PresencePush
from tests.node.desk.office import Client, Office, office, token
from tests.node.desk.port import START_MS

AWAY = DeskConfig(away_after_s=60)


async def talking(desk: Office) -> tuple[Client, Client, str]:
    visitor, agent = await desk.visitor(node="n1"), await desk.agent("a1", node="n2")
    cv = await desk.opened(visitor)
    await desk.assigned(cv, agent)
    return visitor, agent, cv


async def test_what_an_agent_tags_colleagues_see_and_visitors_do_not() -> None:
    async with office() as desk:
        visitor, agent, cv = await talking(desk)
        await agent.ok(ops.CvTag(cv=cv, set={"topic": "refund"}, unset=["arpu"]))
        await agent.ok(ops.CvAttr(cv=cv, set={"order": 4711}))
        assert [event.type for event in agent.events(cv)][-2:] == ["tagged", "tagged"]
        assert [event.type for event in visitor.events(cv)][-2:] == ["hidden", "hidden"]
        view = (await agent.ok(ops.CvGet(cv=cv)))["conv"]
        assert (view["tags"], view["attrs"]) == ({"topic": "refund"}, {"order": 4711})


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("bad_request", {}),
        ("bad_request", {"set": {"a": {"b": 1}}}),
        ("too_large", {"set": {"a": "x" * 5_000}}),
        ("too_large", {"unset": ["x"] * 65}),
        ("too_large", {"unset": ["x" * 300]}),
        ("too_large", {"set": {str(n): n for n in range(64)}}),
    ],
)
async def test_tags_out_of_bounds_are_refused(code: str, fields: Any) -> None:
    async with office() as desk:
        _, agent, cv = await talking(desk)
        assert (await agent.err(ops.CvTag(cv=cv, **fields))).code == code


async def test_a_visitor_takes_a_message_back_and_nobody_reads_it_any_more() -> None:
    async with office() as desk:
        visitor, agent, cv = await talking(desk)
        said = await visitor.ok(ops.MsgSend(cv=cv, key="m", body="my card is 4711"))
        await visitor.ok(ops.MsgEdit(cv=cv, mid=said["mid"], key="e", body="my card"))
        edit = agent.events(cv)[-1]
        assert (edit.type, edit.mid, edit.data) == (
            "edit",
            said["mid"],
            {"seq": said["seq"], "body": "my card"},
        )
        assert (await visitor.ok(ops.MsgDel(cv=cv, mid=said["mid"], key="d")))["seq"]
        late = await desk.agent("a1", node="n1")
        seqs = late.seqs(cv)
        assert seqs == list(range(1, seqs[-1] + 1))
        about = [event.data for event in late.events(cv) if event.mid == said["mid"]]
        assert "deleted" in about[0]
        assert not any("body" in data for data in about)
        again = await visitor.err(ops.MsgEdit(cv=cv, mid=said["mid"], key="e2", body="x"))
        assert again.code == "not_found"


async def test_nobody_corrects_what_somebody_else_said_but_a_supervisor() -> None:
    async with office() as desk:
        visitor, agent, cv = await talking(desk)
        said = await visitor.ok(ops.MsgSend(cv=cv, key="m", body="you fool"))
        for request in (
            ops.MsgEdit(cv=cv, mid=said["mid"], key="e", body="you genius"),
            ops.MsgDel(cv=cv, mid=said["mid"], key="d"),
        ):
            reply = await agent.err(request)
            assert (reply.code, reply.data) == ("forbidden", {"rule": "message.not_yours"})
        boss = await desk.staff("supervisor")
        await boss.ok(ops.MsgDel(cv=cv, mid=said["mid"], key="d"))
        assert desk.port().state.audit[-1].what == "message.del"
        assert [event.type for event in visitor.events(cv)][-1] == "del"


async def test_the_same_key_edits_once() -> None:
    async with office() as desk:
        visitor, _, cv = await talking(desk)
        said = await visitor.ok(ops.MsgSend(cv=cv, key="m", body="one"))
        first = await visitor.ok(ops.MsgEdit(cv=cv, mid=said["mid"], key="e", body="two"))
        again = await visitor.ok(ops.MsgEdit(cv=cv, mid=said["mid"], key="e", body="two"))
        assert again == {**first, "dup": True}


async def test_a_closed_conversation_goes_on_with_its_last_agent() -> None:
    async with office() as desk:
        visitor, agent, cv = await talking(desk)
        await agent.ok(ops.CvClose(cv=cv, key="c"))
        result = await visitor.ok(ops.CvReopen(cv=cv, key="r"))
        assert result["state"] == "waiting"
        desk.offered(cv)
        assert [one.cv for one in agent.heard(OfferPush)] == [cv, cv]
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="one more thing"))
        seqs = visitor.seqs(cv)
        assert seqs == list(range(1, seqs[-1] + 1))
        assert "reopened" in [event.type for event in visitor.events(cv)]


async def test_a_visitor_who_came_back_since_follows_what_is_reopened() -> None:
    async with office() as desk:
        visitor, agent, cv = await talking(desk)
        await agent.ok(ops.CvClose(cv=cv, key="c"))
        visitor.leave()
        back = await desk.visitor(node="n2")
        assert back.events(cv) == []
        await agent.ok(ops.CvReopen(cv=cv, key="r"))
        assert back.seqs(cv)[0] == 1
        assert (await agent.err(ops.CvReopen(cv=cv, key="r2"))).code == "conflict"


# -- the stale guard


async def test_with_the_stale_guard_an_agent_says_what_they_have_seen() -> None:
    async with office(desk=DeskConfig(stale_guard=True)) as desk:
        visitor, agent, cv = await talking(desk)
        refused = await agent.err(ops.MsgSend(cv=cv, key="m", body="hello"))
        assert (refused.code, "after" in refused.msg) == ("bad_request", True)
        seen = agent.seqs(cv)[-1]
        boss = await desk.staff("supervisor")
        await boss.ok(ops.MsgSend(cv=cv, key="b", body="I have told them"))
        stale = await agent.err(ops.MsgSend(cv=cv, key="m2", body="hello", after=seen))
        assert stale.code == "stale"
        assert [event["data"]["body"] for event in stale.data["events"]] == ["I have told them"]
        await agent.ok(ops.MsgSend(cv=cv, key="m3", body="so it is", after=seen + 1))
        await agent.ok(ops.MsgSend(cv=cv, key="n", body="a note", vis="agents"))
        await visitor.ok(ops.MsgSend(cv=cv, key="v", body="thanks"))


# -- statuses


async def test_supervisors_and_colleagues_hear_what_an_agent_is_and_by_whose_doing() -> None:
    async with office() as desk:
        agent, colleague = await desk.agent("a1"), await desk.agent("a2", node="n2")
        boss, visitor = await desk.staff("supervisor", "n2"), await desk.visitor()
        until = START_MS + 3_600_000
        result = await agent.ok(ops.StatusSet(status="away", reason="lunch", until=until))
        assert result == {"status": "away", "until": until}
        for client in (colleague, boss):
            push = client.heard(PresencePush)[-1]
            assert (push.who, push.status, push.reason) == ("a1", "away", "lunch")
            assert (push.src, push.until) == ("user", until)
        await boss.ok(ops.StatusSet(status="busy", agent="a1"))
        assert colleague.heard(PresencePush)[-1].src == "admin"
        assert agent.heard(Inbox)[-1].status == "busy"
        assert not [push for push in agent.heard(PresencePush) if push.who == "a1"]
        assert visitor.heard(PresencePush) == []
        line = desk.port().state.audit[-1]
        assert (line.by.kind, line.what, line.detail["agent"]) == ("supervisor", "status", "a1")


async def test_what_is_no_status_of_theirs_to_set_is_refused() -> None:
    async with office() as desk:
        agent, _ = await desk.agent("a1"), await desk.agent("a2")
        boss = await desk.staff("supervisor")
        reply = await agent.err(ops.StatusSet(status="away", agent="a2"))
        assert (reply.code, reply.data) == ("forbidden", {"rule": "status.not_yours"})
        assert (await boss.err(ops.StatusSet(status="away"))).code == "bad_request"
        assert (await boss.err(ops.StatusSet(status="away", agent="who"))).code == "not_found"
        assert (await agent.err(ops.StatusSet(status="away", until=1))).code == "bad_request"


async def test_load_that_changes_is_no_news_of_presence() -> None:
    async with office() as desk:
        boss = await desk.staff("supervisor")
        _, _, _ = await talking(desk)
        assert [push.status for push in boss.heard(PresencePush)] == ["offline", "online"]


async def test_an_agent_is_away_when_all_devices_at_all_nodes_are_silent(
    autojump_clock: MockClock,
) -> None:
    async with office(desk=AWAY) as desk:
        phone, laptop = await desk.agent("a1", node="n1"), await desk.agent("a1", node="n2")
        entries = len(desk.cluster.entries)
        await trio.sleep(40)
        phone.say(ops.Typing(cv="x", on=True))
        laptop.say(ops.Pong())
        await trio.sleep(30)
        assert desk.port().state.agents["a1"].status == "online"
        await trio.sleep(32)
        agent = desk.port().state.agents["a1"]
        assert (agent.status, agent.reason, agent.status_src) == ("away", "idle", "idle")
        assert len(desk.cluster.entries) == entries + 2, "once for each device"
        laptop.say(ops.Ack(cv="x", seq=1), ops.Pong())
        await trio.sleep(5)
        assert desk.port().state.agents["a1"].status == "away"
        await laptop.ok(ops.CvUnsub(cv="x"))
        assert desk.port().state.agents["a1"].status == "online"
        assert phone.heard(Inbox)[-1].status == "online"


async def test_nobody_is_set_away_where_it_is_not_asked_for(autojump_clock: MockClock) -> None:
    async with office() as desk:
        await desk.agent("a1")
        entries = len(desk.cluster.entries)
        await trio.sleep(3 * 3600 / 60)
        assert len(desk.cluster.entries) == entries


async def by_http(desk: Office, node: str, agent: str) -> None:
    """Let an agent ask something without a session."""
    bearer = (b"authorization", f"Bearer {token('agent', agent)}".encode())
    asked = desk.desks[node].on_request(
        Request("POST", "/v1/op/cv.list", "", (bearer,), b"{}", "x:1")
    )
    assert callable(asked)
    answer = await asked()
    assert isinstance(answer, Response)
    assert answer.status == 200


def status(desk: Office, agent: str = "a1") -> tuple[str, str]:
    known = desk.port().state.agents[agent]
    return known.status, known.status_src


async def test_who_asks_by_http_is_back_and_away_again_when_silent_again(
    autojump_clock: MockClock,
) -> None:
    """At another node, or another process, than the one that has the silent socket."""
    async with office(desk=AWAY) as desk:
        await desk.agent("a1", node="n1")
        await trio.sleep(62)
        assert status(desk) == ("away", "idle")
        await by_http(desk, "n2", "a1")
        assert status(desk) == ("online", "user")
        await trio.sleep(50)
        assert status(desk) == ("online", "user")
        await trio.sleep(12)
        assert status(desk) == ("away", "idle")


async def test_a_program_that_renews_its_token_is_nobody_who_does_something(
    autojump_clock: MockClock,
) -> None:
    async with office(desk=AWAY) as desk:
        agent = await desk.agent("a1")
        await trio.sleep(40)
        await agent.ok(ops.Auth(token=token("agent", "a1")))
        await trio.sleep(22)
        assert status(desk) == ("away", "idle")
        await agent.ok(ops.Auth(token=token("agent", "a1")))
        assert status(desk) == ("away", "idle")


async def test_who_chose_to_be_away_stays_away_whatever_they_do(
    autojump_clock: MockClock,
) -> None:
    async with office(desk=AWAY) as desk:
        phone, laptop = await desk.agent("a1", node="n1"), await desk.agent("a1", node="n2")
        await trio.sleep(62)
        assert status(desk) == ("away", "idle")
        await phone.ok(ops.StatusSet(status="away", reason="lunch"))
        for _ in range(2):
            await laptop.ok(ops.CvUnsub(cv="x"))
            await by_http(desk, "n1", "a1")
            await trio.sleep(62)
            assert status(desk) == ("away", "user")
        await laptop.ok(ops.StatusSet(status="online"))
        await trio.sleep(62)
        assert status(desk) == ("away", "idle")
        await phone.ok(ops.CvUnsub(cv="x"))
        assert status(desk) == ("online", "user")
