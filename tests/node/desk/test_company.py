"""Colleagues in a conversation, and supervisors: as each of those concerned hears it."""

from collections import Counter

import msgspec
import pytest
import trio
from trio.testing import MockClock

from cluster.participant import WHISPER_BYTES_MAX
from cluster.state import commands as c
from cluster.state.route import Queue
from node.desk import viewing
from node.protocol import catalogue as ops
from node.protocol.catalogue import OfferGonePush, OfferPush, TypingPush, ViewersPush
from tests.node.desk.office import Client, Office, office, settle

RULES = """
[ruleset]
version = 1
[queue.general]
[rule.all]
when = 'true'
route = "general"
[fallback]
route = "general"
"""


async def talking(desk: Office) -> tuple[Client, Client, Client, str]:
    """A visitor with their agent `a1`, and a colleague `a2` at another node."""
    visitor, agent = await desk.visitor(node="n1"), await desk.agent("a1", node="n1")
    colleague = await desk.agent("a2", node="n2")
    cv = await desk.opened(visitor)
    await desk.assigned(cv, agent)
    return visitor, agent, colleague, cv


async def asked_of_a_thread(client: Client, request: ops.Request) -> ops.Ok | ops.Err:
    """Ask what has to wait for the rules to be compiled."""
    number = client.ask(request)
    with trio.fail_after(30):
        while client.session.busy:
            await trio.sleep(0.01)
    await settle()
    return client.answer(number)


def types(client: Client, cv: str) -> list[str]:
    return [event.type for event in client.events(cv)]


async def test_who_accepts_an_invitation_hears_everything_and_speaks() -> None:
    async with office() as desk:
        visitor, agent, colleague, cv = await talking(desk)
        asked = await agent.ok(ops.CvInvite(cv=cv, agent="a2", note="you know the till"))
        (offer,) = colleague.heard(OfferPush)
        assert (offer.oid, offer.asks, offer.note) == (asked["oid"], "join", "you know the till")
        assert offer.preview == "hi"
        await colleague.ok(ops.CvHistory(cv=cv))  # a preview, as with any offer
        await colleague.ok(ops.OfferAccept(oid=offer.oid, key="a"))
        assert colleague.seqs(cv) == list(range(1, colleague.seqs(cv)[-1] + 1))
        await colleague.ok(ops.MsgSend(cv=cv, key="m", body="hello, I am new here"))
        said = visitor.events(cv)[-1].by
        assert said is not None
        assert said.id == "a2"
        assert types(visitor, cv)[-4:] == ["assigned", "hidden", "joined", "msg"]
        joined = visitor.events(cv)[-2]
        assert joined.data == {"agent": "a2", "name": "Ann"}
        seen = (await agent.ok(ops.CvGet(cv=cv)))["conv"]
        assert [one["agent"] for one in seen["members"]] == ["a2"]
        assert "members" not in (await visitor.ok(ops.CvGet(cv=cv)))["conv"]


async def test_who_leaves_hears_that_and_no_more() -> None:
    async with office() as desk:
        visitor, agent, colleague, cv = await talking(desk)
        oid = (await agent.ok(ops.CvInvite(cv=cv, agent="a2")))["oid"]
        await colleague.ok(ops.OfferAccept(oid=oid, key="a"))
        await colleague.ok(ops.CvLeave(cv=cv))
        assert types(colleague, cv)[-1] == "left"
        last = colleague.seqs(cv)[-1]
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="still there?"))
        assert colleague.seqs(cv)[-1] == last
        assert (await colleague.err(ops.CvHistory(cv=cv))).code == "forbidden"


async def test_an_invitation_that_is_declined_is_gone_from_every_device() -> None:
    async with office() as desk:
        _, agent, colleague, cv = await talking(desk)
        phone = await desk.agent("a2", node="n1")
        oid = (await agent.ok(ops.CvInvite(cv=cv, agent="a2")))["oid"]
        await phone.ok(ops.OfferDecline(oid=oid, reason="lunch"))
        for device in (phone, colleague):
            assert [(one.oid, one.why) for one in device.heard(OfferGonePush)] == [
                (oid, "declined")
            ]
        assert types(agent, cv)[-1] == "uninvited"
        assert (await colleague.err(ops.CvHistory(cv=cv))).code == "forbidden"


async def test_a_device_that_comes_later_is_told_of_invitations_and_memberships() -> None:
    async with office() as desk:
        _, agent, colleague, cv = await talking(desk)
        oid = (await agent.ok(ops.CvInvite(cv=cv, agent="a2")))["oid"]
        phone = await desk.agent("a2", node="n1")
        assert [one.oid for one in phone.heard(OfferPush)] == [oid]
        await colleague.ok(ops.OfferAccept(oid=oid, key="a"))
        tablet = desk.client()
        welcome = await tablet.hello("agent", "a2")
        assert welcome.snap is not None
        assert [one["cv"] for one in welcome.snap["helps"]] == [cv]
        assert tablet.seqs(cv)[-1] == phone.seqs(cv)[-1]


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("bad_request", ops.CvInvite(cv="", agent="")),
        ("not_found", ops.CvInvite(cv="", agent="nobody")),
        ("too_large", ops.CvInvite(cv="", agent="x" * 300)),
        ("too_large", ops.CvInvite(cv="", agent="a2", note="x" * 17_000)),
        ("conflict", ops.CvLeave(cv="")),
        ("forbidden", ops.CvLeave(cv="", agent="a2")),
        ("bad_request", ops.CvTransfer(cv="", key="t", to={"agent": "a2"}, keep=True)),
        ("bad_request", ops.CvTransfer(cv="", key="t", to={"rule": ""}, warm=True)),
        ("not_found", ops.CvTransfer(cv="", key="t", to={"rule": "nothing"})),
    ],
)
async def test_what_cannot_be_asked_says_why(code: str, request_: ops.Request) -> None:
    async with office() as desk:
        _, agent, _, cv = await talking(desk)
        request_.cv = cv  # type: ignore[attr-defined]
        reply = await asked_of_a_thread(agent, request_)
        assert isinstance(reply, ops.Err)
        assert reply.code == code
        assert reply.msg


# -- warm transfers


async def test_a_warm_transfer_moves_it_once_the_colleague_has_accepted() -> None:
    async with office() as desk:
        visitor, agent, colleague, cv = await talking(desk)
        asked = await agent.ok(
            ops.CvTransfer(
                cv=cv, key="t", to={"agent": "a2"}, warm=True, keep=True, note="angry", fence=1
            )
        )
        await agent.ok(ops.MsgSend(cv=cv, key="m1", body="one moment", fence=1))
        (offer,) = colleague.heard(OfferPush)
        assert (offer.oid, offer.asks) == (asked["oid"], "take")
        result = await colleague.ok(ops.OfferAccept(oid=offer.oid, key="a"))
        assert result["fence"] == 2
        await colleague.ok(ops.MsgSend(cv=cv, key="m2", body="hello", fence=2))
        await agent.ok(ops.MsgSend(cv=cv, key="m3", body="I am still here"))
        assert types(agent, cv)[-5:] == ["joined", "transferred", "assigned", "msg", "msg"]
        seqs = visitor.seqs(cv)
        assert seqs == list(range(1, seqs[-1] + 1))


async def test_without_keep_the_former_owner_hears_no_more() -> None:
    async with office() as desk:
        visitor, agent, colleague, cv = await talking(desk)
        await agent.ok(ops.CvTransfer(cv=cv, key="t", to={"agent": "a2"}, warm=True))
        (offer,) = colleague.heard(OfferPush)
        await colleague.ok(ops.OfferAccept(oid=offer.oid, key="a"))
        last = agent.seqs(cv)[-1]
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="who is it now?"))
        assert agent.seqs(cv)[-1] == last
        assert types(colleague, cv)[-1] == "msg"


async def test_to_a_rule_by_name_or_to_all_of_them() -> None:
    async with office() as desk:
        _, agent, _, cv = await talking(desk)
        desk.cluster.do(c.ApplyRules(c.SYSTEM, {"main.toml": RULES}, {"general": Queue()}))
        transfer = ops.CvTransfer(cv=cv, key="t", to={"rule": "vip"})
        reply = await asked_of_a_thread(agent, transfer)
        assert isinstance(reply, ops.Err)
        assert (reply.code, "all" in reply.msg) == ("not_found", True)
        transfer = ops.CvTransfer(cv=cv, key="t2", to={"rule": "all"})
        assert isinstance(await asked_of_a_thread(agent, transfer), ops.Ok)
        conversation = desk.port().state.conversations[cv]
        assert (conversation.state, conversation.wanted_rule) == ("new", "all")
        assert types(agent, cv)[-1] == "transferred"
        boss = await desk.staff("supervisor")
        await boss.ok(ops.CvTransfer(cv=cv, key="t3", to={"rule": ""}))
        assert desk.port().state.conversations[cv].wanted_rule == ""


# -- supervisors


async def test_a_supervisor_who_monitors_hears_all_and_is_noticed_by_nobody() -> None:
    async with office() as desk:
        visitor, agent, _, cv = await talking(desk)
        boss = await desk.staff("supervisor", "n2")
        visitor.forget()
        agent.forget()
        await boss.ok(ops.SupJoin(cv=cv, mode="monitor"))
        assert boss.seqs(cv)[0] == 1
        boss.say(ops.Typing(cv=cv, on=True), ops.Read(cv=cv, seq=2))
        assert (visitor.all(), agent.all()) == ([], [])
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="is anybody there?"))
        assert types(boss, cv)[-1] == "msg"
        refused = await boss.err(ops.MsgSend(cv=cv, key="b", body="I am"))
        assert (refused.code, refused.data) == ("forbidden", {"rule": "supervision.mode"})
        line = desk.port().state.audit[-1]
        assert (line.what, line.detail["mode"]) == ("supervise", "monitor")


async def test_agents_hear_a_whisper_and_visitors_that_something_is_hidden() -> None:
    async with office() as desk:
        visitor, agent, _, cv = await talking(desk)
        boss = await desk.staff("supervisor", "n2")
        await boss.ok(ops.SupJoin(cv=cv, mode="whisper"))
        await boss.ok(ops.MsgSend(cv=cv, key="w", body="offer ten percent", vis="agents"))
        assert types(agent, cv)[-2:] == ["joined", "whisper"]
        assert types(visitor, cv)[-2:] == ["hidden", "hidden"]
        assert all(b"ten percent" not in frame for frame in visitor.wire.frames)
        await boss.ok(ops.SupJoin(cv=cv, mode="barge"))
        await boss.ok(ops.MsgSend(cv=cv, key="b", body="let me help"))
        assert types(visitor, cv)[-3:] == ["hidden", "joined", "msg"]
        assert visitor.events(cv)[-2].data == {"supervisor": "supervisor-1", "name": "Supervisor"}
        boss.say(ops.Typing(cv=cv, on=True))
        assert [push.who for push in visitor.heard(TypingPush)] == ["supervisor-1"]


async def test_a_supervisor_who_leaves_hears_that_and_no_more() -> None:
    async with office() as desk:
        visitor, _, _, cv = await talking(desk)
        boss = await desk.staff("supervisor")
        await boss.ok(ops.SupJoin(cv=cv, mode="barge"))
        await boss.ok(ops.SupLeave(cv=cv))
        assert types(boss, cv)[-1] == "left"
        last = boss.seqs(cv)[-1]
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="gone?"))
        assert boss.seqs(cv)[-1] == last
        assert (await boss.err(ops.SupLeave(cv=cv))).code == "conflict"


@pytest.mark.parametrize("code", [1000, 1006])
async def test_what_a_supervisor_joined_ends_with_their_connection(code: int) -> None:
    async with office() as desk:
        visitor, _, _, cv = await talking(desk)
        boss = await desk.staff("supervisor", "n2")
        await boss.ok(ops.SupJoin(cv=cv, mode="barge"))
        boss.leave(code)
        assert types(visitor, cv)[-1] == "left"
        assert desk.port().state.conversations[cv].overseers == ()


async def test_a_join_that_was_on_its_way_when_the_connection_ended_ends_as_well(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitor, _, _, cv = await talking(desk)
        boss = await desk.staff("supervisor", "n2")
        desk.port("n2").held = True
        boss.ask(ops.SupJoin(cv=cv, mode="barge"))
        boss.leave()
        desk.port("n2").release()
        assert types(visitor, cv)[-1] == "joined"
        await trio.sleep(1.5)
        assert types(visitor, cv)[-1] == "left"


# -- viewers


async def test_agents_see_who_has_it_open_across_nodes_and_no_monitor(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitor, agent, colleague, cv = await talking(desk)
        boss = await desk.staff("supervisor", "n2")
        await boss.ok(ops.SupJoin(cv=cv, mode="monitor"))
        await trio.sleep(1.5)
        assert [one.id for one in agent.heard(ViewersPush)[-1].list_] == ["a1"]
        oid = (await agent.ok(ops.CvInvite(cv=cv, agent="a2")))["oid"]
        await colleague.ok(ops.OfferAccept(oid=oid, key="a"))
        await trio.sleep(2.5)
        for client in (agent, colleague, boss):
            last = client.heard(ViewersPush)[-1]
            assert [(one.kind, one.id) for one in last.list_] == [("agent", "a1"), ("agent", "a2")]
        assert visitor.heard(ViewersPush) == []
        await boss.ok(ops.SupJoin(cv=cv, mode="whisper"))
        await trio.sleep(2.5)
        assert [one.id for one in agent.heard(ViewersPush)[-1].list_][-1] == "supervisor-1"
        colleague.leave(1000)
        await trio.sleep(2.5)
        assert "a2" not in [one.id for one in agent.heard(ViewersPush)[-1].list_]


async def test_viewers_of_a_process_that_is_silent_are_forgotten(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        _, agent, colleague, cv = await talking(desk)
        oid = (await agent.ok(ops.CvInvite(cv=cv, agent="a2")))["oid"]
        await colleague.ok(ops.OfferAccept(oid=oid, key="a"))
        await trio.sleep(2.5)
        assert len(agent.heard(ViewersPush)[-1].list_) == 2
        desk.port("n2").whisper = lambda payload: None  # type: ignore[method-assign]
        desk.desks["n2"]._viewers._whisper = lambda payload: None
        await trio.sleep(90)
        assert [one.id for one in agent.heard(ViewersPush)[-1].list_] == ["a1"]
        await settle()


async def test_what_is_said_again_of_viewers_is_spread_over_time(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        boss, other = await desk.staff("service", "n1"), await desk.agent("a1", node="n1")
        said: list[float] = []
        desk.port("n2").watch_whispers(lambda _, __: said.append(trio.current_time()))
        for number in range(40):
            cv = await desk.opened(visitor)
            await boss.ok(ops.CvSub(cv=cv))
            if number < 5:
                await desk.assigned(cv, other)
        await trio.sleep(2)
        said.clear()
        await trio.sleep(40)
        assert 8 <= len(said) <= 12, "each of those that an agent views, twice"
        assert max(Counter(map(int, said)).values()) <= 3


def test_of_many_with_long_names_as_many_are_told_as_fit() -> None:
    who = [("agent", f"{number:03}" + "x" * 250, "名" * 80) for number in range(60)]
    told = viewing.each_once([*who, *[(kind, one, "") for kind, one, _ in who]])
    assert [one for _, one, _ in told] == [one for _, one, _ in who][: len(told)]
    assert all(name for _, _, name in told)
    payload = msgspec.msgpack.encode(viewing.Viewing("x" * 26, "y" * 300, told))
    assert 8_000 < len(payload) <= WHISPER_BYTES_MAX
    assert len(viewing.each_once([("agent", str(number), "") for number in range(60)])) == 50
