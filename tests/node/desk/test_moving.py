"""Sessions that go on at another desk of the same node: told everything once, ended by nobody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import msgspec
import trio
from trio.testing import MockClock

from cluster.port import Unavailable
from cluster.state.commands import CloseSession, LoseSession
from node.desk.application import Desk
from node.desk.parcel import SessionParcel
from node.edge.channel import Channel
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Caught, Err, Gap, Inbox, OfferPush, TokenExpiring
from node.protocol.codes import Close
from tests.node.desk.office import Client, Office, config_of, office, settle


@asynccontextmanager
async def next_desk(at: Office) -> AsyncIterator[Desk]:
    """A second desk of n1, over the same port: what another process has a copy of."""
    async with trio.open_nursery() as nursery:
        desk = Desk(at.port(), config_of("n1", at.cluster.node_ids))
        await nursery.start(desk.run)
        yield desk
        nursery.cancel_scope.cancel()


def move(client: Client, to: Desk) -> SessionParcel:
    """Let the client's session go on at another desk; the client notices nothing."""
    channel = cast("Channel", client.wire)
    assert client.desk.moving.is_at_rest(channel)
    parcel = client.desk.moving.give(channel)
    sent = msgspec.msgpack.encode(parcel)
    to.moving.take(channel, msgspec.msgpack.decode(sent, type=SessionParcel))
    client.desk = to
    return parcel


async def test_events_go_on_where_they_stopped() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        visitor = await at.visitor()
        cv = await at.opened(visitor)
        await visitor.ok(ops.MsgSend(cv=cv, key=at.key(), body="before"))
        move(visitor, desk)
        await visitor.ok(ops.MsgSend(cv=cv, key=at.key(), body="after"))
        assert visitor.seqs(cv) == [1, 2, 3, 4][: len(visitor.seqs(cv))]
        assert len(visitor.seqs(cv)) == at.port().state.conversations[cv].seq
        assert len(visitor.heard(Caught)) == 1
        assert not visitor.heard(Gap)


async def test_no_end_of_an_agents_session_is_proposed() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        agent, visitor = await at.agent(), await at.visitor()
        cv = await at.opened(visitor)
        at.routed(cv)
        oid = at.offered(cv)
        assert [one.oid for one in agent.heard(OfferPush)] == [oid]
        at.port().submitted.clear()
        move(agent, desk)
        await trio.sleep(3)  # several sweeps of both desks
        assert not [c for c in at.port().submitted if isinstance(c, LoseSession | CloseSession)]
        assert oid in at.port().state.offers
        await agent.ok(ops.OfferAccept(oid=oid, key=at.key()))
        assert [one.oid for one in agent.heard(OfferPush)] == [oid]
        assert cv in agent.session.subscriptions
        assert agent.heard(Inbox)
        agent.leave()
        await settle()
        (end,) = [c for c in at.port().submitted if isinstance(c, LoseSession)]
        assert end.sid == agent.session.sid


async def test_a_successor_that_died_has_its_agents_sessions_ended() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        agent = await at.agent()
        sid = move(agent, desk).sid
        assert not at.port().state.sessions[sid].lost_ms
        at.desks["n1"].presence.give_up([sid])
        assert at.port().state.sessions[sid].lost_ms


async def joined_from_the_next_process(at: Office, desk: Desk) -> tuple[Client, str]:
    """A supervisor who joined a conversation, and whose session then moved."""
    visitor, boss = await at.visitor(), await at.staff("supervisor")
    cv = await at.opened(visitor)
    await boss.ok(ops.SupJoin(cv=cv, mode="monitor"))
    move(boss, desk)
    return boss, cv


async def test_what_a_supervisor_joined_goes_on_there_and_ends_there() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        boss, cv = await joined_from_the_next_process(at, desk)
        await trio.sleep(2)  # sweeps of both desks
        assert at.port().state.conversations[cv].overseers
        boss.leave()
        assert not at.port().state.conversations[cv].overseers


async def test_a_successor_that_died_has_ended_what_its_supervisors_joined() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        boss, cv = await joined_from_the_next_process(at, desk)
        at.desks["n1"].supervising.give_up([boss.session.sid])
        assert not at.port().state.conversations[cv].overseers


async def test_the_successor_ends_what_supervisors_joined_who_left_before_it_came() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        boss, cv = await at.staff("supervisor"), await at.opened(await at.visitor())
        await boss.ok(ops.SupJoin(cv=cv, mode="monitor"))
        at.port().unavailable = Unavailable("timeout", "no outcome in time")
        boss.leave()
        ended = at.desks["n1"].supervising.ended()
        assert ended == [boss.session.sid]
        at.port().unavailable = None
        desk.supervising.give_up(ended)
        assert not at.port().state.conversations[cv].overseers


async def test_ends_without_an_outcome_are_proposed_by_the_successor() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        agent = await at.agent()
        sid = agent.session.sid
        at.port().unavailable = Unavailable("timeout", "no outcome in time")
        agent.leave()
        ends = at.desks["n1"].presence.ends()
        assert [one.sid for one in ends] == [sid]
        at.port().unavailable = None
        desk.presence.go_on_with(ends)
        desk.presence.sweep()
        assert at.port().state.sessions[sid].lost_ms


async def test_a_session_with_something_under_way_is_not_at_rest() -> None:
    async with office("n1") as at:
        visitor = await at.visitor()
        channel, desk = cast("Channel", visitor.wire), at.desks["n1"]
        assert desk.moving.is_at_rest(channel)
        at.port().deaf = True
        visitor.ask(ops.CvOpen(key=at.key(), text="?"))
        assert not desk.moving.is_at_rest(channel)
        at.port().deaf = False
        late = at.client()
        assert desk.moving.is_at_rest(cast("Channel", late.wire))  # its hello can be said anywhere


async def test_a_client_without_hello_says_it_at_the_other_desk() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        client = at.client()
        move(client, desk)
        await client.hello("visitor", "late")


async def test_a_hello_that_is_late_is_late_there(autojump_clock: MockClock) -> None:
    async with office("n1") as at, next_desk(at) as desk:
        client = at.client()
        await trio.sleep(3)
        move(client, desk)
        began = trio.current_time()
        while not client.heard(Bye):
            await trio.sleep(0.1)
        assert trio.current_time() - began < 2.5


async def test_a_token_ends_there_when_it_ends(autojump_clock: MockClock) -> None:
    async with office("n1") as at, next_desk(at) as desk:
        visitor = await at.visitor(ttl_s=100)
        await trio.sleep(30)
        move(visitor, desk)
        await trio.sleep(15)
        assert len(visitor.heard(TokenExpiring)) == 1
        await trio.sleep(60)
        assert [bye.code for bye in visitor.heard(Bye)] == [Close.TOKEN_EXPIRED]


async def test_a_resume_that_pauses_goes_on_there() -> None:
    async with office("n1") as at, next_desk(at) as desk:
        visitor, service = await at.visitor(), await at.staff("supervisor")
        cv = await at.opened(visitor)
        for _ in range(20):
            await visitor.ok(ops.MsgSend(cv=cv, key=at.key(), body="x" * 100))
        service.wire.outbox_bytes = 10**6  # it does not read
        await service.ok(ops.CvSub(cv=cv, from_=1))
        assert not service.seqs(cv)
        move(service, desk)
        service.wire.outbox_bytes = 0
        with trio.fail_after(30):
            while not service.heard(Caught):
                await trio.sleep(0.02)
        last = at.port().state.conversations[cv].seq
        assert service.seqs(cv) == list(range(1, last + 1))
        assert not service.heard(Err)
