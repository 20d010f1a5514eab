"""What is hidden stays hidden, whichever way it is asked for.

One conversation in which everything happens that concerns the desk alone: each such thing has
SECRET in its text, name or id.  Then those whom it does not concern look, by every way there is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from cluster.state import commands as c
from cluster.state.commands import SYSTEM
from cluster.state.route import Queue, Route, ServiceLevel, Step
from node.protocol import catalogue as ops
from node.protocol.catalogue import ConversationFilter
from tests.node.desk.office import MSGPACK, Client, Office, office, token
from tests.node.desk.test_calls import Caller as HttpCaller
from tests.node.desk.test_event_stream import listener
from tests.node.desk.test_lists import answered
from tests.node.desk.test_over_sockets import listening
from tests.node.rpc.caller import Caller as RpcCaller
from tests.node.rpc.caller import Refusal, channel_to, speaking

SECRET = "zebra"
HIDDEN = ("note", "whisper", "sla", "tagged", "invited", "uninvited", "queued", "left", "joined")
"""Types of events that the visitor must have heard nothing of but that there were some."""


@dataclass
class Played:
    desk: Office
    cv: str
    visitor: Client
    """There all the time."""
    owner: Client
    seq: int
    """Of the last event."""


@asynccontextmanager
async def played() -> AsyncIterator[Played]:
    """Let it all happen."""
    async with office() as desk:
        visitor = await desk.visitor("v1")
        owner, helper = await desk.agent("a1"), await desk.agent(f"{SECRET}-2", node="n2")
        cv = await desk.opened(visitor, "hello")
        _route(desk, cv)
        oid = desk.offered(cv, f"{SECRET}-2")
        await helper.ok(ops.OfferDecline(oid=oid, reason=f"{SECRET} declines"))
        desk.cluster.now_ms += 61_000
        desk.cluster.do(c.SlaDue(cv))
        fence = await desk.assigned(cv, owner)
        await _among_colleagues(cv, owner, helper)
        await _supervised(desk, cv)
        await owner.ok(ops.MsgSend(cv=cv, key="m", body="what can I do?", fence=fence))
        other = await desk.visitor("v2")
        theirs = await desk.opened(other, SECRET)
        await desk.assigned(theirs, owner)
        await other.ok(ops.CvRate(cv=theirs, key="r", score=1, text=SECRET))
        seq = desk.port().state.conversations[cv].seq
        yield Played(desk, cv, visitor, owner, seq)


def _route(desk: Office, cv: str) -> None:
    """A way of steps in one queue, some of them skipped, under a level of service."""
    gold = {SECRET: ServiceLevel(first_response_ms=60_000)}
    rules = c.ApplyRules(SYSTEM, {"main.toml": ""}, {"general": Queue()}, slas=gold)
    desk.cluster.do(rules)
    steps = (Step("general", 77), Step("general", 78, for_ms=1), Step("general"), Step("general"))
    route = Route(steps, f"{SECRET}-rule", 1, sla=SECRET)
    desk.cluster.do(c.RouteConversation(cv, route, 1, ((0, f"{SECRET} skips"),)))
    desk.cluster.now_ms += 5
    desk.cluster.do(c.AdvanceStep(cv, 1, 3, ((2, f"{SECRET} skips, too"),)))


async def _among_colleagues(cv: str, owner: Client, helper: Client) -> None:
    await owner.ok(ops.CvTag(cv=cv, set={f"{SECRET}-tag": f"{SECRET} value"}))
    await owner.ok(ops.CvAttr(cv=cv, set={f"{SECRET}-attr": f"{SECRET} value"}))
    note = await owner.ok(ops.MsgSend(cv=cv, key="n", body=f"{SECRET} note", vis="agents"))
    await owner.ok(ops.MsgEdit(cv=cv, mid=note["mid"], key="ne", body=f"{SECRET} otherwise"))
    gone = await owner.ok(ops.MsgSend(cv=cv, key="d", body=f"{SECRET} gone", vis="agents"))
    await owner.ok(ops.MsgDel(cv=cv, mid=gone["mid"], key="dd"))
    invited = await owner.ok(ops.CvInvite(cv=cv, agent=f"{SECRET}-2", note=f"{SECRET} come"))
    await helper.ok(ops.OfferDecline(oid=invited["oid"], reason=SECRET))
    owner.say(ops.Typing(cv=cv, on=True, text=f"{SECRET} is typed"))


async def _supervised(desk: Office, cv: str) -> None:
    boss = desk.client("n2")
    await boss.hello("supervisor", f"{SECRET}-boss", name=SECRET)
    for mode in ("monitor", "whisper", "monitor"):
        await boss.ok(ops.SupJoin(cv=cv, mode=mode))
        if mode == "whisper":
            body = f"{SECRET} whispers"
            await boss.ok(ops.MsgSend(cv=cv, key="w", body=body, vis="agents"))
        boss.say(ops.Read(cv=cv, seq=3), ops.Typing(cv=cv, on=True, text=SECRET))
    await boss.ok(ops.SupLeave(cv=cv))


def check(seen: object, *, seqs: list[int] | None = None, upto: int = 0) -> None:
    """Nothing secret is in it, and no event is missing."""
    text = msgspec.json.encode(seen).decode()
    at = text.find(SECRET)
    assert at < 0, text[max(0, at - 300) : at + 100]
    for word in ('"prio', '"skipped"', '"missed"', '"fence"', '"rule"', '"choices"'):
        assert word not in text, word
    if seqs is not None:
        assert seqs == list(range(1, upto + 1))


# -- the visitor


Way = Callable[[Played], Awaitable[None]]


async def live(at: Played) -> None:
    check(at.visitor.all(), seqs=at.visitor.seqs(at.cv), upto=at.seq)
    hidden = {one.type for one in at.owner.events(at.cv)} & set(HIDDEN)
    assert hidden >= set(HIDDEN) - {"queued", "left", "joined"}, hidden  # it did happen
    told = {one.type for one in at.visitor.events(at.cv)}
    assert told <= {"opened", "msg", "queued", "offered", "assigned", "hidden"}, told


async def resumed(at: Played) -> None:
    for subprotocol in ("unidesk.v1+json", MSGPACK):
        client = at.desk.client("n2", subprotocol)
        await client.hello("visitor", "v1", resume=ops.Resume(cvs=[(at.cv, 0)]))
        check(client.all(), seqs=client.seqs(at.cv), upto=at.seq)


async def read(at: Played) -> None:
    check(await at.visitor.ok(ops.CvGet(cv=at.cv)))
    page = await at.visitor.ok(ops.CvHistory(cv=at.cv))
    check(page, seqs=[one["seq"] for one in page["events"]], upto=at.seq)
    again = await at.visitor.ok(ops.CvSub(cv=at.cv))
    check(again)
    check(at.visitor.all())


async def listed(at: Played) -> None:
    page = await at.visitor.ok(ops.CvList())
    assert [one["cv"] for one in page["items"]] == [at.cv]
    check(page)


async def searched(at: Played) -> None:
    for words in (SECRET, f"{SECRET} note", f"hello {SECRET}", "otherwise", "gone", "v1"):
        request = ops.CvList(filter=ConversationFilter(q=words))
        assert (await answered(at.visitor, request))["items"] == [], words
    found = await answered(at.visitor, ops.CvList(filter=ConversationFilter(q="hello")))
    assert len(found["items"]) == 1
    check(found)


async def filtered(at: Played) -> None:
    """What a visitor is not shown cannot be guessed by filters either."""
    for wanted in (
        ConversationFilter(tags={f"{SECRET}-tag": f"{SECRET} value"}),
        ConversationFilter(tags={"no-tag": ""}),
        ConversationFilter(missed=True),
    ):
        refused = await at.visitor.err(ops.CvList(filter=wanted))
        assert (refused.code, refused.data) == ("forbidden", {"rule": "role"})


async def by_event_stream(at: Played) -> None:
    async with (
        listening(at.desk.desks["n1"]) as port,
        listener(port, "visitor", "v1") as ear,
    ):
        told = [one.data for one in await ear.until("caught")]
        seqs = [one["seq"] for one in told if "seq" in one and "type" in one]
        check(told, seqs=seqs, upto=at.seq)


async def by_http(at: Played) -> None:
    async with listening(at.desk.desks["n2"]) as port:
        caller = HttpCaller(port, "visitor", "v1")
        page = (await caller.call("cv.history", {"cv": at.cv})).body
        check(page, seqs=[one["seq"] for one in page["events"]], upto=at.seq)
        check((await caller.call("cv.get", {"cv": at.cv})).body)
        check((await caller.call("cv.list")).body)
        check((await caller.call("cv.list", {"filter": {"q": "hello"}})).body)
        for op in ("why", "cv.missed", "cv.ratings", "canned.find", "agent.list", "queue.list"):
            refused = await caller.call(op, {"cv": at.cv} if op == "why" else {})
            assert (refused.status, refused.body["data"]) == (403, {"rule": "role"}), op


async def by_grpc(at: Played) -> None:
    async with speaking(at.desk.desks["n1"]) as server:
        caller = RpcCaller(channel_to(f"127.0.0.1:{server.port}"), token("visitor", "v1"))
        told = await caller.listen(at.cv).until("caught")
        seqs = [said["seq"] for name, said in told if name == "ev"]
        check([said["data"] for name, said in told if name == "ev"], seqs=seqs, upto=at.seq)
        page = await caller.call("cv.history", cv=at.cv)
        check([one["data"] for one in page["events"]])
        assert SECRET not in str([told, page, await caller.call("cv.get", cv=at.cv)])
        assert SECRET not in str(await caller.call("cv.list"))
        with pytest.raises(Refusal) as refused:
            await caller.call("why", cv=at.cv)
        assert refused.value.err["data"] == {"rule": "role"}


WAYS = (live, resumed, read, listed, searched, filtered, by_event_stream, by_http, by_grpc)


async def test_a_visitor_sees_nothing_hidden_by_any_way() -> None:
    async with played() as at:
        for way in WAYS:
            await way(at)


# -- agents who have no part in it, or no more


async def _find(client: Client, cv: str, words: str) -> bool:
    page = await answered(client, ops.CvList(filter=ConversationFilter(q=words)))
    assert "zebra" not in msgspec.json.encode(page).decode()
    return cv in [one["cv"] for one in page["items"]]


async def _closed_to(client: Client, cv: str) -> None:
    """Nothing of it can be read, or followed, or asked about; the refusal says why."""
    for request in (
        *(ops.CvGet(cv=cv), ops.CvHistory(cv=cv), ops.CvSub(cv=cv), ops.Why(cv=cv)),
        ops.CannedFind(q="", cv=cv),
    ):
        refused = await client.err(request)
        assert (refused.code, refused.data) == ("forbidden", {"rule": "conversation.not_yours"})


async def test_an_agent_who_passed_it_on_does_not_hear_or_find_what_is_said_later() -> None:
    async with office() as desk:
        visitor = await desk.visitor("v1")
        first, second = await desk.agent("a1"), await desk.agent("a2")
        cv = await desk.opened(visitor, "hello")
        fence = await desk.assigned(cv, first)
        await first.ok(ops.CvTransfer(cv=cv, key="t", to={"agent": "a2"}, fence=fence))
        oid = desk.offered(cv, "a2")
        await second.ok(ops.OfferAccept(oid=oid, key="a"))
        first.forget()
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="zebra stripes"))
        await second.ok(ops.MsgSend(cv=cv, key="n", body="zebra note", vis="agents"))
        assert await _find_as_owner(second, cv)
        for words in ("zebra", "zebra stripes", "note", "hello"):
            assert not await _find(first, cv, words), words
        assert await _find(first, cv, "vera"), "by what a list shows of it, it is found"
        await _closed_to(first, cv)
        assert not first.events(cv)


async def _find_as_owner(client: Client, cv: str) -> bool:
    page = await answered(client, ops.CvList(filter=ConversationFilter(q="zebra")))
    return [one["cv"] for one in page["items"]] == [cv]


async def test_who_serves_its_queue_does_not_find_what_was_said_before_it_is_offered() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor("v1"), await desk.agent("a1")
        boss = await desk.staff("supervisor")
        cv = await desk.opened(visitor, "zebra stripes")
        desk.routed(cv)
        await boss.ok(ops.MsgSend(cv=cv, key="n", body="zebra note", vis="agents"))
        for words in ("zebra", "stripes", "note"):
            assert not await _find(agent, cv, words), words
        assert await _find(agent, cv, "vera")
        assert await _find(agent, cv, "arpu 1")  # a tag, as the list shows
        await _closed_to(agent, cv)


async def test_a_member_who_left_and_one_who_was_only_asked_hear_no_more() -> None:
    async with office() as desk:
        visitor = await desk.visitor("v1")
        owner, member = await desk.agent("a1"), await desk.agent("a2")
        asked = await desk.agent("a3")
        cv = await desk.opened(visitor, "hello")
        await desk.assigned(cv, owner)
        oid = (await owner.ok(ops.CvInvite(cv=cv, agent="a2")))["oid"]
        await member.ok(ops.OfferAccept(oid=oid, key="a"))
        oid = (await owner.ok(ops.CvInvite(cv=cv, agent="a3")))["oid"]
        await asked.ok(ops.CvSub(cv=cv))
        await member.ok(ops.CvLeave(cv=cv))
        await asked.ok(ops.OfferDecline(oid=oid))
        for one in (member, asked):
            one.forget()
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="zebra"))
        await owner.ok(ops.MsgSend(cv=cv, key="n", body="zebra", vis="agents"))
        for one in (member, asked):
            assert not one.events(cv)
            assert not await _find(one, cv, "zebra")
            await _closed_to(one, cv)
        page = await asked.ok(ops.CvList())
        assert cv not in [item["cv"] for item in page["items"]]


async def test_a_supervisor_who_left_hears_no_more_until_they_look_again() -> None:
    async with office() as desk:
        visitor, boss = await desk.visitor("v1"), await desk.staff("supervisor")
        phone = await desk.staff("supervisor", "n2")
        cv = await desk.opened(visitor, "hello")
        await boss.ok(ops.SupJoin(cv=cv, mode="monitor"))
        assert boss.seqs(cv) == [1, 2]
        assert not phone.events(cv), "who joined is the session, not the person"
        await boss.ok(ops.SupLeave(cv=cv))
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="zebra"))
        assert boss.seqs(cv) == [1, 2]


async def test_a_service_is_not_the_visitor_of_the_same_id() -> None:
    """A service reads any conversation, and is told unasked of what it opened alone."""
    async with office() as desk:
        visitor, service = await desk.visitor("crm"), desk.client()
        await service.hello("service", "crm")
        cv = await desk.opened(visitor, "hello")
        assert not service.events(cv)
        refused = await service.err(ops.CvRate(cv=cv, key="r", score=1))
        assert (refused.code, refused.data) == ("forbidden", {"rule": "conversation.not_yours"})
        assert (await service.ok(ops.CvGet(cv=cv)))["conv"]["cv"] == cv
