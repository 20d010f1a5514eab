"""Conversations listed and searched at a desk: who sees which, and what is fresh."""

from typing import Any

import pytest
import trio

from cluster.state import commands
from cluster.state.commands import SYSTEM, ApplyRules
from cluster.state.route import Queue
from node.edge.http import Request, Response
from node.finding import search
from node.protocol import catalogue as ops
from node.protocol.catalogue import ConversationFilter
from tests.node.desk.office import Client, Office, office, settle


async def listed(client: Client, **wanted: Any) -> list[str]:
    """The ids that one page holds, the newest first."""
    reply = await answered(client, ops.CvList(filter=ConversationFilter(**wanted)))
    assert reply["complete"]
    return [item["cv"] for item in reply["items"]]


async def answered(client: Client, request: ops.CvList) -> dict[str, Any]:
    """The answer, which may have to wait for the index's thread."""
    number = client.ask(request)
    with trio.fail_after(30):
        while True:
            await settle()
            if any(reply.id == number for reply in client.heard(ops.Ok)):
                break
            if any(reply.id == number for reply in client.heard(ops.Err)):
                break
            await trio.sleep(0.005)
    reply = client.answer(number)
    assert isinstance(reply, ops.Ok), reply
    return reply.r


async def queued(desk: Office, visitor: Client, text: str, queue: str = "general") -> str:
    cv = await desk.opened(visitor, text)
    desk.routed(cv, queue)
    return cv


async def test_everybody_lists_what_is_theirs_to_see() -> None:
    async with office() as desk:
        desk.cluster.do(
            ApplyRules(SYSTEM, {"m": ""}, {"general": Queue(), "vip": Queue(skills={"vip": 1})})
        )
        vera, bob = await desk.visitor("v1"), await desk.visitor("v2")
        ann, gold = await desk.agent("a1"), await desk.agent("a2", skills={"vip": 1})
        sue, robot = await desk.staff("supervisor"), await desk.staff("service")
        plain, special = await queued(desk, vera, "one"), await queued(desk, bob, "two", "vip")
        anns = await queued(desk, bob, "three")
        await desk.assigned(anns, ann)
        given = await queued(desk, bob, "four", "vip")
        desk.offered(given, "a1")

        assert await listed(vera) == [plain]
        assert await listed(bob) == [given, anns, special]
        assert await listed(ann) == [given, anns, plain]
        assert await listed(gold) == [special, plain]
        for everybody in (sue, robot):
            assert await listed(everybody) == [given, anns, special, plain]


async def test_an_agent_reads_what_they_had_once_it_is_closed_and_not_before() -> None:
    async with office() as desk:
        vera, ann, bea = await desk.visitor(), await desk.agent("a1"), await desk.agent("a2")
        cv = await desk.opened(vera, "hi")
        await desk.assigned(cv, ann)
        await ann.ok(ops.CvTransfer(cv=cv, key="t", to={"agent": "a2"}))
        await desk.assigned(cv, bea, "a2")
        assert await listed(ann) == [cv]
        assert (await ann.err(ops.CvHistory(cv=cv))).code == "forbidden"
        await bea.ok(ops.CvClose(cv=cv, key="c"))
        for agent in (ann, bea):
            assert await listed(agent, state="closed") == [cv]
            assert (await agent.ok(ops.CvHistory(cv=cv)))["last"] > 5
            assert (await agent.ok(ops.CvGet(cv=cv)))["conv"]["state"] == "closed"
        other = await desk.agent("a3")
        assert await listed(other) == []
        assert (await other.err(ops.CvGet(cv=cv))).code == "forbidden"


async def test_filters_say_which_and_all_of_them_count() -> None:
    async with office() as desk:
        vera, bob, sue = (
            await desk.visitor("v1"),
            await desk.visitor("v2"),
            await desk.staff("supervisor"),
        )
        ann = await desk.agent("a1")
        one, two = await queued(desk, vera, "one"), await queued(desk, bob, "two", "vip")
        three = await desk.opened(bob, "three")
        opened = desk.port().state.conversations[two].opened_ms
        await desk.assigned(one, ann)
        for wanted, found in (
            ({"state": "waiting"}, [two]),
            ({"state": "open"}, [three, two, one]),
            ({"state": "assigned", "agent": "a1"}, [one]),
            ({"queue": "vip"}, [two]),
            ({"queue": "vip", "state": "closed"}, []),
            ({"visitor": "v2"}, [three, two]),
            ({"channel": "web"}, [three, two, one]),
            ({"channel": "mail"}, []),
            ({"tags": {"arpu": 1}}, [three, two, one]),
            ({"tags": {"arpu": 2}}, []),
            ({"since": opened}, [three, two]),
            ({"until": opened}, [one]),
            ({"missed": True}, []),
        ):
            assert await listed(sue, **wanted) == found, wanted
        reply = await answered(sue, ops.CvList(limit=2, order="oldest"))
        assert [item["cv"] for item in reply["items"]] == [one, two]
        assert reply["more"]
        reply = await answered(sue, ops.CvList(cursor=reply["cursor"], order="oldest"))
        assert [item["cv"] for item in reply["items"]] == [three]
        assert not reply["more"]


async def test_the_first_page_holds_what_another_node_acknowledged_before() -> None:
    async with office() as desk:
        vera, sue = await desk.visitor(node="n1"), await desk.staff("supervisor", "n2")
        desk.port("n2").held = True
        cv = await desk.opened(vera, "退款")
        assert await listed(sue) == [cv]
        desk.port("n2").held = True
        other = await desk.opened(vera, "退款")
        assert await listed(sue, q="退款") == [other, cv]


async def test_what_was_said_is_found_with_the_piece_that_shows_it() -> None:
    async with office() as desk:
        vera, bob = await desk.visitor("v1"), await desk.visitor("v2")
        sue, ann = await desk.staff("supervisor"), await desk.agent("a1")
        one, two = (
            await desk.opened(vera, "你好，我要退款"),
            await desk.opened(bob, "Refund please"),
        )
        await desk.assigned(one, ann)
        note = await ann.ok(ops.MsgSend(cv=one, key="n", body="很生气 angry", vis="agents"))

        assert await listed(sue, q="退款") == [one]
        assert await listed(sue, q="refund") == [two]
        assert await listed(sue, q="vera") == [two, one]  # both are called so
        assert await listed(sue, q="angry 退款") == [one]
        assert await listed(sue, q="refund", visitor="v1") == []
        assert await listed(ann, q="退款") == [one]
        assert await listed(ann, q="refund") == []
        assert await listed(vera, q="退款") == [one]
        assert await listed(vera, q="refund") == []
        assert await listed(vera, q="angry") == []
        reply = await answered(sue, ops.CvList(filter=ConversationFilter(q="生气")))
        hit = reply["items"][0]["hit"]
        assert hit == {"seq": note["seq"], "before": "很", "found": "生气", "after": " angry"}


async def test_a_node_that_jumped_to_a_snapshot_lists_and_finds_what_is_there_now() -> None:
    async with office() as desk:
        vera = await desk.visitor(node="n1")
        desk.port("n2").held = True
        cv = await desk.opened(vera, "parcel")
        desk.port("n2").held = False
        desk.port("n2").install_snapshot_of(desk.port("n1"))
        sue = await desk.staff("supervisor", "n2")
        assert await listed(sue) == [cv]
        with trio.fail_after(30):  # it is read in the background, and said not to be complete
            while desk.desks["n2"].overview.search.to_read:
                await trio.sleep(0.01)
        assert await listed(sue, q="parcel") == [cv]


async def test_what_is_purged_is_listed_and_found_no_more() -> None:
    async with office() as desk:
        vera, sue = await desk.visitor(), await desk.staff("supervisor")
        cv = await desk.opened(vera, "parcel")
        await vera.ok(ops.CvClose(cv=cv, key="c"))
        assert await listed(sue, q="parcel") == [cv]
        desk.cluster.pass_ms(8 * 24 * 3600 * 1000)
        desk.cluster.do(commands.PurgeConversations((cv,)))
        assert await listed(sue) == []
        assert await listed(sue, q="parcel") == []


@pytest.mark.parametrize(
    ("request_", "code", "where"),
    [
        (ops.CvList(cursor="nonsense"), "bad_request", "cursor:"),
        (ops.CvList(cursor="5.01ARZ3NDEKTSV4RRFFQ69G5FA!"), "bad_request", "cursor:"),
        (ops.CvList(filter=ConversationFilter(q="?!")), "bad_request", "filter.q:"),
        (ops.CvList(filter=ConversationFilter(q="x" * 300)), "too_large", "filter.q:"),
        (ops.CvList(filter=ConversationFilter(q="a " * 9)), "too_large", "filter.q: over 8 words"),
        (ops.CvList(filter=ConversationFilter(since=-1)), "bad_request", "filter.since:"),
        (ops.CvList(filter=ConversationFilter(queue="x" * 300)), "too_large", "filter.queue:"),
        (ops.CvList(filter=ConversationFilter(tags={"a": {}})), "bad_request", "filter.tags.a:"),
        (ops.QueueList(queues=["x" * 300]), "too_large", "queues:"),
    ],
)
async def test_a_bad_question_is_refused_with_the_place(
    request_: ops.Request, code: str, where: str
) -> None:
    async with office() as desk:
        sue = await desk.staff("supervisor")
        reply = await sue.err(request_)
        assert (reply.code, reply.msg[: len(where)]) == (code, where)


async def test_a_state_that_is_none_is_refused() -> None:
    async with office() as desk:
        sue = await desk.staff("supervisor")
        sue.say({"op": "cv.list", "id": 1, "filter": {"state": "asleep"}})
        await settle()
        (reply,) = sue.heard(ops.Err)
        assert reply.code == "bad_request"
        assert "filter.state" in reply.msg


async def test_more_searches_than_may_wait_are_refused_and_may_be_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "QUESTIONS_MAX", 0)
    async with office() as desk:
        sue = await desk.staff("supervisor")
        reply = await sue.err(ops.CvList(filter=ConversationFilter(q="parcel")))
        assert (reply.code, reply.retry) == ("overloaded", True)


async def test_a_fault_in_what_is_derived_is_mended_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with office() as desk:
        vera, sue = await desk.visitor(), await desk.staff("supervisor")
        overview = desk.desks["n1"].overview
        monkeypatch.setattr(overview.times, "note", None)  # whatever it may be
        cv = await desk.opened(vera, "parcel")
        monkeypatch.undo()
        assert [event.type for event in vera.events(cv)] == ["opened", "msg"]
        await desk.opened(vera, "another")
        assert cv in await listed(sue)
        with trio.fail_after(30):  # it is read anew in the background
            while not overview.search.complete:
                await trio.sleep(0.01)
        assert await listed(sue, q="parcel") == [cv]


async def test_what_lists_know_is_in_the_figures() -> None:
    async with office() as desk:
        vera, sue = await desk.visitor(), await desk.staff("supervisor")
        await desk.opened(vera, "parcel")
        await sue.ok(ops.QueueWatch())
        assert await listed(sue, q="parcel")
        answer = desk.desks["n1"].pages.answer(Request("GET", "/metrics", "", (), b"", "x:1"))
        assert isinstance(answer, Response)
        for line in (
            "unidesk_lists_conversations 1.0",
            "unidesk_lists_missing 0.0",
            "unidesk_queue_watchers 1.0",
            "unidesk_search_texts 2.0",
            "unidesk_search_to_read 0.0",
            "unidesk_search_questions_total 1.0",
        ):
            assert line in answer.body.decode()
