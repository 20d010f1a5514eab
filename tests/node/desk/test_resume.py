"""Coming back: everything that was missed, once and in order, or an explicit gap."""

import pytest

from cluster.state.commands import SYSTEM
from cluster.state.events import Event, Tail
from cluster.state.model import Conversation
from node.desk.resume import owed
from node.protocol import catalogue as ops
from node.protocol.catalogue import Caught, Ev, Gap, OfferPush
from tests.node.desk.office import Client, Office, office


def conversation(first: int, last: int) -> Conversation:
    """One that keeps the events `first` to `last`."""
    tail = Tail.of(Event(seq, "msg", SYSTEM, seq) for seq in range(first, last + 1))
    return Conversation("c", "v", "", "web", "", "", {}, {}, 0, seq=last, tail=tail)


@pytest.mark.parametrize(
    ("first", "last", "have", "gap", "sent"),
    [
        (1, 5, 0, None, [1, 2, 3, 4, 5]),
        (1, 5, 3, None, [4, 5]),
        (1, 5, 5, None, []),
        (3, 5, 2, None, [3, 4, 5]),
        (3, 5, 1, (1, 3, 5), [3, 4, 5]),
        (3, 5, 0, (0, 3, 5), [3, 4, 5]),
        (1, 5, 6, (6, 1, 5), []),
        (1, 5, -7, None, [1, 2, 3, 4, 5]),
        (1, 0, 0, None, []),
    ],
)
def test_what_is_owed(
    first: int, last: int, have: int, gap: tuple[int, int, int] | None, sent: list[int]
) -> None:
    found, events = owed(conversation(first, last), have)
    assert [event.seq for event in events] == sent
    assert (None if found is None else (found.have, found.first, found.last)) == gap


async def said(desk: Office, visitor: Client, count: int) -> str:
    """Open a conversation and say `count` things; it has `count + 2` events."""
    cv = await desk.opened(visitor)
    for number in range(count):
        await visitor.ok(ops.MsgSend(cv=cv, key=f"said{number}", body=str(number)))
    return cv


async def test_a_visitor_whose_node_died_goes_on_at_another_without_loss_or_repetition() -> None:
    async with office() as desk:
        visitor = await desk.visitor(node="n1")
        cv = await said(desk, visitor, 3)
        before = visitor.seqs(cv)
        visitor.leave(1006)
        colleague = await desk.visitor(node="n1")
        await colleague.ok(ops.MsgSend(cv=cv, key="meanwhile", body="from another tab"))

        back = desk.client("n2")
        resume = ops.Resume(epoch="demo", cvs=[(cv, before[-1])])
        welcome = await back.hello("visitor", "v1", resume=resume)
        await back.ok(ops.MsgSend(cv=cv, key="after", body="back again"))

        assert welcome.resumed
        assert before + back.seqs(cv) == list(range(1, 8))
        assert [(caught.cv, caught.seq) for caught in back.heard(Caught)] == [(cv, 6)]
        assert back.heard(Gap) == []


async def test_a_resume_waits_until_the_node_has_what_others_acknowledged() -> None:
    async with office() as desk:
        visitor = await desk.visitor(node="n1")
        cv = await desk.opened(visitor)
        desk.port("n2").held = True
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="n2 has not applied this"))
        back = desk.client("n2")
        await back.hello("visitor", "v1", resume=ops.Resume(cvs=[(cv, 2)]))
        assert back.seqs(cv) == [3]
        assert [caught.seq for caught in back.heard(Caught)] == [3]


async def test_open_conversations_come_without_being_named() -> None:
    async with office() as desk:
        visitor = await desk.visitor(node="n1")
        open_, closed = await said(desk, visitor, 1), await desk.opened(visitor)
        await visitor.ok(ops.CvClose(cv=closed, key="c"))
        back = await desk.visitor(node="n2")
        assert back.seqs(open_) == [1, 2, 3]
        assert back.events(closed) == []
        named = desk.client("n2")
        await named.hello("visitor", "v1", resume=ops.Resume(cvs=[(closed, 0)]))
        assert [event.type for event in named.events(closed)][-1] == "closed"


async def test_another_epoch_means_that_nothing_the_client_has_counts() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        back = desk.client()
        welcome = await back.hello(
            "visitor", "v1", resume=ops.Resume(epoch="a former life", cvs=[(cv, 2)])
        )
        assert not welcome.resumed
        assert welcome.epoch == "demo"
        assert back.seqs(cv) == [1, 2]


async def test_a_client_that_knows_more_than_the_cluster_is_told_so() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        back = desk.client()
        await back.hello("visitor", "v1", resume=ops.Resume(cvs=[(cv, 40)]))
        assert [(gap.have, gap.first, gap.last) for gap in back.heard(Gap)] == [(40, 1, 2)]
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="x"))
        assert back.seqs(cv) == [3]


@pytest.mark.parametrize("foreign", [True, False], ids=["somebody else's", "unknown"])
async def test_what_is_gone_and_what_is_not_yours_look_the_same(foreign: bool) -> None:
    async with office() as desk:
        other = await desk.visitor("v2")
        cv = await desk.opened(other) if foreign else "01ARZ3NDEKTSV4RRFFQ69G5FAV"
        back = desk.client()
        await back.hello("visitor", "v1", resume=ops.Resume(cvs=[(cv, 1)]))
        assert [(gap.cv, gap.first, gap.last) for gap in back.heard(Gap)] == [(cv, 0, 0)]
        assert back.heard(Ev) == []


async def test_events_that_are_no_longer_kept_are_an_explicit_gap() -> None:
    async with office() as desk:
        visitor, service = await desk.visitor(), await desk.staff("service")
        cv = await desk.opened(visitor)
        for number in range(600):
            service.say(ops.MsgSend(cv=cv, key=f"m{number}", body="x"))
        kept = desk.port().state.conversations[cv]
        first, last = kept.tail[0].seq, kept.seq
        assert first > 1, "the tail was meant to be trimmed"
        back = desk.client("n2")
        await back.hello("visitor", "v1", resume=ops.Resume(cvs=[(cv, 2)]))
        assert [(gap.have, gap.first, gap.last) for gap in back.heard(Gap)] == [(2, first, last)]
        assert back.seqs(cv) == list(range(first, last + 1))
        assert [caught.seq for caught in back.heard(Caught)] == [last]
        page = await back.ok(ops.CvHistory(cv=cv, after=2, limit=1))
        assert (page["gap"], page["first"]) == (True, first)


async def test_an_agent_who_comes_back_gets_their_conversations_and_pending_offers() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent()
        cv, waiting = await desk.opened(visitor), await desk.opened(visitor)
        fence = await desk.assigned(cv, agent)
        have = agent.seqs(cv)[-1]
        sid = agent.session.sid
        agent.leave()
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="are you there?"))

        back = desk.client("n2")
        resume = ops.Resume(sid=sid, cvs=[(cv, have)])
        welcome = await back.hello("agent", "a1", resume=resume, capacity=5)
        desk.routed(waiting)
        oid = desk.offered(waiting)
        third = desk.client("n1")
        await third.hello("agent", "a1", capacity=5)

        assert welcome.snap is not None
        assert welcome.snap["cvs"] == [{"cv": cv, "seq": have + 1, "fence": fence}]
        assert back.seqs(cv) == [have + 1]
        assert third.seqs(cv) == list(range(1, have + 2))
        for device in (back, third):
            assert [offer.oid for offer in device.heard(OfferPush)] == [oid]


async def test_an_agent_is_not_told_of_what_was_taken_from_them_meanwhile() -> None:
    async with office() as desk:
        visitor, agent, boss = (
            await desk.visitor(),
            await desk.agent(),
            await desk.staff("supervisor"),
        )
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        have, sid = agent.seqs(cv)[-1], agent.session.sid
        agent.leave()
        await boss.ok(ops.CvTransfer(cv=cv, key="t", to={"queue": "vip"}))
        back = desk.client()
        welcome = await back.hello("agent", "a1", resume=ops.Resume(sid=sid, cvs=[(cv, have)]))
        assert welcome.snap is not None
        assert welcome.snap["cvs"] == []
        assert back.events(cv) == []
        assert [(gap.first, gap.last) for gap in back.heard(Gap)] == [(0, 0)]


async def test_a_supervisor_follows_from_where_they_ask_to() -> None:
    async with office() as desk:
        visitor, boss = await desk.visitor(), await desk.staff("supervisor", "n2")
        cv = await said(desk, visitor, 3)
        assert boss.heard(Ev) == []
        result = await boss.ok(ops.CvSub(cv=cv, from_=4))
        assert result["seq"] == 5
        assert boss.seqs(cv) == [4, 5]
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="x"))
        assert boss.seqs(cv) == [4, 5, 6]
        await boss.ok(ops.CvUnsub(cv=cv))
        await visitor.ok(ops.MsgSend(cv=cv, key="n", body="x"))
        assert boss.seqs(cv) == [4, 5, 6]


async def test_a_subscription_ahead_of_a_lagging_node_waits_for_it() -> None:
    async with office() as desk:
        visitor, boss = await desk.visitor(), await desk.staff("supervisor", "n2")
        cv = await desk.opened(visitor)
        desk.port("n2").held = True
        await visitor.ok(ops.MsgSend(cv=cv, key="m", body="3"))
        await boss.ok(ops.CvSub(cv=cv, from_=4))
        assert boss.seqs(cv) == []
        desk.port("n2").release()
        await visitor.ok(ops.MsgSend(cv=cv, key="n", body="4"))
        assert boss.seqs(cv) == [4]
        assert boss.heard(Gap) == []


async def test_a_long_resume_pauses_for_a_client_that_is_still_reading() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await said(desk, visitor, 10)
        slow = desk.client("n2")
        slow.wire.outbox_bytes = 1_000_000
        await slow.hello("visitor", "v1")
        assert slow.seqs(cv) == []
        await visitor.ok(ops.MsgSend(cv=cv, key="live", body="x"))
        assert slow.seqs(cv) == [], "live events wait behind the resume"
        slow.wire.outbox_bytes = 0
        desk.desks["n2"]._hub.following.advance_lagging()
        assert slow.seqs(cv) == list(range(1, 14))
        assert [caught.seq for caught in slow.heard(Caught)] == [13]
        await visitor.ok(ops.MsgSend(cv=cv, key="live2", body="x"))
        assert slow.seqs(cv)[-1] == 14


async def test_after_a_snapshot_sessions_are_told_what_no_entry_told_them() -> None:
    async with office() as desk:
        here, agent = await desk.visitor(node="n2"), await desk.agent(node="n2")
        elsewhere = await desk.visitor(node="n1")
        cv = await desk.opened(here)
        far = desk.port("n2")
        far.held = True
        await elsewhere.ok(ops.MsgSend(cv=cv, key="m", body="missed"))
        other = await desk.opened(elsewhere)
        desk.routed(other)
        oid = desk.offered(other)
        far.install_snapshot_of(desk.port("n1"))
        far.held = False

        assert here.seqs(cv) == [1, 2, 3]
        assert here.seqs(other)[:2] == [1, 2]
        assert [offer.oid for offer in agent.heard(OfferPush)] == [oid]
        far.install_snapshot_of(desk.port("n1"))
        assert len(agent.heard(OfferPush)) == 1, "told twice"
        await elsewhere.ok(ops.MsgSend(cv=cv, key="n", body="next"))
        assert here.seqs(cv) == [1, 2, 3, 4]


async def test_who_lost_a_conversation_over_a_jump_to_a_snapshot_hears_so() -> None:
    async with office() as desk:
        visitor, agent = await desk.visitor(), await desk.agent(node="n2")
        cv = await desk.opened(visitor)
        await desk.assigned(cv, agent)
        agent.forget()
        far = desk.port("n2")
        far.held = True
        boss = await desk.staff("supervisor")
        await boss.ok(ops.CvTransfer(cv=cv, key="t", to={"queue": "vip"}))
        far.install_snapshot_of(desk.port("n1"))
        (gap,) = agent.heard(Gap)
        assert (gap.cv, gap.first, gap.last) == (cv, 0, 0)
