"""When a node may no longer serve: it says so, promises nothing, and sends everybody elsewhere."""

from typing import get_args

import trio
from trio.testing import MockClock

from node.edge.http import Request, Response
from node.edge.pressure import Level
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, ClusterPush, Err, Ok, Role
from tests.node.desk.office import Client, office, token


def bye_of(client: Client) -> Bye:
    (bye,) = client.heard(Bye)
    assert client.wire.closed is not None
    return bye


async def test_a_fenced_node_closes_everybody_within_a_second_naming_the_other_nodes(
    autojump_clock: MockClock,
) -> None:
    async with office("n1", "n2", "n3") as desk:
        clients = [await desk.visitor(f"v{n}") for n in range(10)]
        clients.append(await desk.agent())
        silent = desk.client()
        desk.port().stand("fenced")
        await trio.sleep(1.5)
        for client in clients:
            assert client.heard(ClusterPush)[-1].state == "minority"
            bye = bye_of(client)
            assert (bye.code, bye.resume) == (4009, True)
            assert [node.id for node in bye.nodes] == ["n2", "n3"]
        assert bye_of(silent).code == 4009


async def test_goodbyes_are_spread_so_that_the_others_are_not_met_by_all_at_once(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        clients = [await desk.visitor(f"v{n}") for n in range(40)]
        desk.port().stand("fenced")
        waves = []
        for _ in range(6):
            await trio.sleep(0.25)
            waves.append(sum(not client.wire.open for client in clients))
        assert waves[-1] == 40
        assert 0 < waves[2] < 40


async def test_a_fenced_node_acknowledges_nothing(autojump_clock: MockClock) -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        desk.port().deaf = True
        pending = visitor.ask(ops.MsgSend(cv=cv, key="pending", body="x"))
        desk.port().stand("fenced")
        late = visitor.ask(ops.MsgSend(cv=cv, key="late", body="x"))
        await trio.sleep(1.5)
        first, second = visitor.answer(pending), visitor.answer(late)
        assert isinstance(first, Err)
        assert (first.code, first.retry) == ("timeout", True)
        assert isinstance(second, Err)
        assert (second.code, second.retry) == ("minority", True)
        assert second.data["nodes"] == [{"id": "n2", "url": "ws://n2/v1/ws"}]
        kinds = [type(message) for message in visitor.all()]
        assert kinds.index(Bye) > max(n for n, kind in enumerate(kinds) if kind is Err)
        assert kinds[-1] is Bye


async def test_a_request_still_without_outcome_hears_its_error_before_the_goodbye(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitor = await desk.visitor(ttl_s=100)
        cv = await desk.opened(visitor)
        await trio.sleep(95)
        desk.port().deaf = True
        number = visitor.ask(ops.MsgSend(cv=cv, key="m", body="x"))
        await trio.sleep(10)
        reply = visitor.answer(number)
        assert isinstance(reply, Err)
        assert (reply.code, reply.retry) == ("timeout", True)
        assert bye_of(visitor).code == 4102


async def test_what_a_fenced_node_did_not_acknowledge_is_done_once_at_another() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        desk.port().stand("fenced")
        request = ops.MsgSend(cv=cv, key="m", body="important")
        assert (await visitor.err(request)).retry
        elsewhere = await desk.visitor(node="n2")
        result = await elsewhere.ok(ops.MsgSend(cv=cv, key="m", body="important"))
        assert "dup" not in result
        assert elsewhere.seqs(cv) == [1, 2, 3]


async def test_a_drain_says_4001_and_lets_nobody_in(autojump_clock: MockClock) -> None:
    async with office() as desk:
        clients = [await desk.visitor(f"v{n}") for n in range(5)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.desks["n1"].drain, 2.0)
            await trio.sleep(0.01)
            late = desk.client()
            late.say(ops.Hello(ver="1", token="any"))
            while any(not client.left for client in clients):
                await trio.sleep(0.1)
                for client in clients:
                    if not client.wire.open and not client.left:
                        client.hang_up()
        assert all(bye_of(client).code == 4001 for client in clients)
        assert all(bye_of(client).resume for client in clients)


async def test_a_drain_does_not_wait_longer_than_it_was_given(autojump_clock: MockClock) -> None:
    async with office() as desk:
        await desk.visitor()
        began = trio.current_time()
        await desk.desks["n1"].drain(2.0)
        assert trio.current_time() - began <= 2.5


async def test_a_lost_peer_and_a_new_leader_are_told_to_those_who_work_here(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitor, boss = await desk.visitor(), await desk.staff("supervisor")
        await trio.sleep(1.5)
        visitor.forget()
        boss.forget()
        desk.port().leader = "n2"
        await trio.sleep(1.5)
        assert [push.leader for push in boss.heard(ClusterPush)] == ["n2"]
        assert visitor.heard(ClusterPush) == []


async def test_a_fault_of_the_desk_ends_one_connection_and_not_the_node() -> None:
    async with office() as desk:
        visitor, other = await desk.visitor("v1"), await desk.visitor("v2")

        async def broken() -> None:
            raise RuntimeError("a bug")

        desk.port().barrier = broken  # type: ignore[method-assign]
        visitor.ask(ops.CvGet(cv="01ARZ3NDEKTSV4RRFFQ69G5FAV"))
        await trio.testing.wait_all_tasks_blocked()
        assert bye_of(visitor).code == 4000
        assert isinstance((await other.answered(ops.CvOpen(key="k"))), Ok)


async def test_a_client_that_reads_too_slowly_is_told_that_it_may_come_back() -> None:
    async with office() as desk:
        visitor = await desk.visitor()
        frame = desk.desks["n1"].on_overflow(visitor.connection)
        assert frame is not None
        visitor.forget()
        visitor.wire.frames.append(frame)
        (bye,) = visitor.heard(Bye)
        assert (bye.code, bye.resume) == (4003, True)


async def test_without_memory_visitors_are_sent_away_little_by_little(
    autojump_clock: MockClock,
) -> None:
    level = Level.CRITICAL
    async with office() as desk:
        visitors = [await desk.visitor(f"v{number}") for number in range(40)]
        agent = await desk.agent()
        n1 = desk.desks["n1"]
        n1.pressure = lambda: level

        def admits(role: Role) -> bool:
            bearer = (b"authorization", b"Bearer " + token(role, "somebody").encode())
            body = b'{"cv": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}'
            request = Request("POST", "/v1/op/cv.get", "", (bearer,), body, "127.0.0.1:9")
            answer = n1.on_request(request)
            if isinstance(answer, Response):
                assert answer.status == 503
                assert b'"overloaded"' in answer.body
            return not isinstance(answer, Response)

        await trio.sleep(1.1)
        first = [visitor for visitor in visitors if visitor.wire.closed]
        assert first == visitors[-2:]
        assert {bye_of(visitor).code for visitor in first} == {4005}
        assert bye_of(first[0]).nodes[0].id == "n2"
        assert [role for role in get_args(Role) if admits(role)] == [
            "agent",
            "supervisor",
            "operator",
        ]
        level = Level.CALM
        await trio.sleep(5)
        gone = [visitor for visitor in visitors if visitor.wire.closed]
        assert len(gone) < 10
        assert agent.wire.open
        assert admits("visitor")


async def test_the_goodbyes_of_a_full_node_take_their_time(autojump_clock: MockClock) -> None:
    async with office() as desk:
        visitors = [await desk.visitor(f"v{number}") for number in range(3_000)]
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.desks["n1"].drain, 10.0)
            await trio.sleep(1.5)
            left = [visitor for visitor in visitors if visitor.wire.open]
            assert 1_000 < len(left) < 2_000
            while any(visitor.wire.open for visitor in visitors):
                await trio.sleep(0.1)
            assert 2.0 < trio.current_time() - began < 4.0
            for visitor in visitors:
                visitor.hang_up()


async def test_visitors_are_not_told_of_a_peer_that_is_away(autojump_clock: MockClock) -> None:
    async with office() as desk:
        visitor, boss = await desk.visitor(), await desk.staff("supervisor")
        desk.port().disconnected.add("n2")
        await trio.sleep(1.5)
        assert [push.state for push in boss.heard(ClusterPush)] == ["degraded"]
        assert visitor.heard(ClusterPush) == []
