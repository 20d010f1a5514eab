"""Queues as supervisors see them, agents, and the places of visitors who wait."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from cluster.state.commands import SYSTEM, ApplyRules
from cluster.state.route import Queue, Route, Step
from node.desk import overview, positions
from node.desk.estimate import SAMPLES_MIN
from node.protocol import catalogue as ops
from node.protocol.catalogue import QueuePush, QueueRowsPush
from tests.node.desk.office import Client, Office, office


async def queued(desk: Office, visitor: Client, queue: str = "general") -> str:
    cv = await desk.opened(visitor, "hi")
    desk.routed(cv, queue)
    return cv


async def served(desk: Office, visitor: Client, agent: Client, ms: int) -> None:
    """Let a conversation be served for so long."""
    cv = await queued(desk, visitor)
    await desk.assigned(cv, agent)
    desk.cluster.pass_ms(ms)
    await agent.ok(ops.CvClose(cv=cv, key=desk.key()))


def places(client: Client) -> list[tuple[int, int]]:
    return [(push.pos, push.of) for push in client.heard(QueuePush)]


async def test_rows_say_who_waits_and_who_works_by_queue() -> None:
    async with office() as desk:
        desk.cluster.do(
            ApplyRules(SYSTEM, {"m": ""}, {"general": Queue(), "vip": Queue(skills={"vip": 1})})
        )
        vera, sue = await desk.visitor(), await desk.staff("supervisor")
        ann, bea = await desk.agent("a1"), await desk.agent("a2", skills={"vip": 3})
        first, second = await queued(desk, vera), await queued(desk, vera)
        await desk.assigned(await queued(desk, vera, "vip"), bea, "a2")
        desk.offered(second)
        await ann.ok(ops.StatusSet(status="away", reason="lunch"))

        reply = await sue.ok(ops.QueueList())
        rows = {row["queue"]: row for row in reply["rows"]}
        opened = desk.port().state.conversations[first].opened_ms
        expected: dict[str, dict[str, Any]] = {
            "general": {"waiting": 1, "oldest": opened, "offered": 1, "assigned": 0},
            "vip": {"waiting": 0, "oldest": 0, "offered": 0, "assigned": 1, "answered": 1},
        }
        for queue, wanted in expected.items():
            assert {name: rows[queue][name] for name in wanted} == wanted
        assert (rows["general"]["available"], rows["general"]["away"]) == (1, 1)
        assert (rows["vip"]["available"], rows["vip"]["away"]) == (1, 0)
        assert rows["vip"]["in_time"] == 100

        agents = (await sue.ok(ops.AgentList()))["agents"]
        assert [(row["agent"], row["status"], row["reason"]) for row in agents] == [
            ("a1", "away", "lunch"),
            ("a2", "online", ""),
        ]
        assert [len(row["conversations"]) for row in agents] == [0, 1]
        assert agents[0]["devices"][0]["node"] == "n1"
        assert agents[0]["since"] > 0
        only = (await sue.ok(ops.AgentList(queue="vip")))["agents"]
        assert [row["agent"] for row in only] == ["a2"]
        paged = await sue.ok(ops.AgentList(limit=1))
        assert paged["more"]
        assert (await sue.ok(ops.AgentList(after="a1")))["agents"][0]["agent"] == "a2"


async def test_who_watches_hears_what_changed_once_a_second_and_nothing_else(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        vera, sue = await desk.visitor(), await desk.staff("supervisor", "n2")
        await sue.ok(ops.QueueWatch(queues=["general"]))
        await trio.sleep(5)
        assert sue.heard(QueueRowsPush) == []
        began = trio.current_time()
        for _ in range(20):
            await queued(desk, vera)
            await trio.sleep(0.1)
        await trio.sleep(2)
        pushes = sue.heard(QueueRowsPush)
        assert 1 <= len(pushes) <= trio.current_time() - began + 1
        assert [row.waiting for row in pushes[-1].rows] == [20]
        sue.forget()
        await queued(desk, vera, "vip")
        await trio.sleep(2)
        assert sue.heard(QueueRowsPush) == []  # another queue
        await sue.ok(ops.QueueWatch(off=True))
        await queued(desk, vera)
        await trio.sleep(2)
        assert sue.heard(QueueRowsPush) == []


async def test_figures_are_true_also_while_a_node_that_jumped_counts_anew(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "TAKE_IN_AT_ONCE", 1)
    monkeypatch.setattr(overview, "TAKE_IN", 1)
    monkeypatch.setattr(overview, "REST_S", 0.5)
    async with office("n1") as desk:
        vera, sue = await desk.visitor(), await desk.staff("supervisor")
        for _ in range(8):
            await queued(desk, vera)
        await sue.ok(ops.QueueWatch(queues=["general"]))
        desk.desks["n1"].overview.restart()
        number = sue.ask(ops.QueueList(queues=["general"]))
        await trio.sleep(10)
        assert sue.heard(QueueRowsPush) == []
        reply = sue.answer(number)
        assert isinstance(reply, ops.Ok)
        assert reply.r["rows"][0]["waiting"] == 8


async def test_many_rows_come_in_several_pushes_and_a_slow_reader_is_not_drowned(
    autojump_clock: MockClock,
) -> None:
    async with office("n1") as desk:
        queues = {f"q{number:03}": Queue() for number in range(450)}
        desk.cluster.do(ApplyRules(SYSTEM, {"main.toml": ""}, queues))
        sue = await desk.staff("supervisor")
        rows = (await sue.ok(ops.QueueWatch(queues=["q001", *queues])))["rows"]
        assert [row["queue"] for row in rows] == [
            "q001",
            *(name for name in queues if name != "q001"),
        ]
        await sue.ok(ops.QueueWatch())
        sue.wire.outbox_bytes = 10**6
        await desk.agent("a1")
        await trio.sleep(3)
        assert sue.heard(QueueRowsPush) == []
        sue.wire.outbox_bytes = 0
        await trio.sleep(2)
        assert [len(push.rows) for push in sue.heard(QueueRowsPush)] == [200, 200, 51]


async def test_a_visitor_hears_their_place_by_the_true_order_and_only_news(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        ann = await desk.agent()
        vera, bob, late = [await desk.visitor(name) for name in ("v1", "v2", "v3")]
        first, second = await queued(desk, vera), await queued(desk, bob)
        third = await queued(desk, late)
        await trio.sleep(1)
        assert (places(vera), places(bob), places(late)) == ([(1, 3)], [(2, 3)], [(3, 3)])
        await trio.sleep(20)
        assert len(places(late)) == 1  # nothing new
        desk.cluster.do(desk_route(desk, third, priority=90))
        await trio.sleep(6)
        assert (places(late)[-1], places(vera)[-1], places(bob)[-1]) == ((1, 3), (2, 3), (3, 3))
        await desk.assigned(third, ann)
        await trio.sleep(6)
        assert (places(vera)[-1], places(bob)[-1]) == ((1, 2), (2, 2))
        assert all(push.eta_s is None for push in vera.heard(QueuePush))
        await vera.ok(ops.CvClose(cv=first, key="c"))
        await bob.ok(ops.CvClose(cv=second, key="c"))
        await trio.sleep(12)
        assert len(desk.desks["n1"].overview.positions) == 0


def desk_route(desk: Office, cv: str, *, priority: int) -> Any:
    from cluster.state import commands

    rules = desk.port().state.rules
    assert rules is not None
    return commands.RouteConversation(
        cv, Route((Step("general", priority=priority),), rule="everything", rev=rules.rev)
    )


async def test_places_are_told_no_more_than_once_in_five_seconds(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        vera, last = await desk.visitor("v1"), await desk.visitor("v2")
        cvs = [await queued(desk, vera) for _ in range(20)]
        await queued(desk, last)
        began = trio.current_time()
        for cv in cvs:
            await trio.sleep(1)
            await vera.ok(ops.CvClose(cv=cv, key=desk.key()))
        await trio.sleep(6)
        told = places(last)
        assert told[-1] == (1, 1)
        assert len(told) <= (trio.current_time() - began) / positions.PAUSE_S + 1


async def test_a_visitor_who_comes_back_at_another_node_hears_their_place_again(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        vera = await desk.visitor("v1", "n1")
        await queued(desk, vera)
        await trio.sleep(1)
        vera.leave()
        again = await desk.visitor("v1", "n2")
        await trio.sleep(1)
        assert places(again) == [(1, 1)]


async def test_after_a_jump_to_a_snapshot_places_and_rows_are_told_as_ever(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        phone, tablet = await desk.visitor("v1", "n1"), await desk.visitor("v1", "n2")
        sue = await desk.staff("supervisor", "n2")
        await sue.ok(ops.QueueWatch(queues=["general"]))
        desk.port("n2").held = True
        cv = await queued(desk, phone)
        await trio.sleep(1)
        assert places(phone) == [(1, 1)]
        assert not places(tablet)
        desk.port("n2").held = False
        desk.port("n2").install_snapshot_of(desk.port("n1"))
        await trio.sleep(2)
        assert tablet.seqs(cv) == phone.seqs(cv)
        assert places(tablet) == [(1, 1)]
        assert [row.waiting for row in sue.heard(QueueRowsPush)[-1].rows] == [1]


async def test_a_wait_is_told_with_confidence_and_not_before_enough_was_seen(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        ann, helper = await desk.agent(), await desk.visitor("helper")
        for _ in range(SAMPLES_MIN - 1):
            await served(desk, helper, ann, 100_000)
        vera = await desk.visitor("v1")
        cv = await queued(desk, vera)
        await trio.sleep(1)
        assert [push.eta_s for push in vera.heard(QueuePush)] == [None]
        await served(desk, helper, ann, 100_000)
        await trio.sleep(6)
        push = vera.heard(QueuePush)[-1]
        assert (push.cv, push.pos, push.conf) == (cv, 1, "low")
        assert push.eta_s == 120  # one agent, 100 s each, in steps of a minute

        # A node that starts, or jumps, reads what was closed before and says the same.
        desk.port("n2").install_snapshot_of(desk.port("n1"))
        assert desk.desks["n2"].overview.times.handle_s("general") == 100


async def test_with_many_who_wait_no_more_are_looked_at_than_a_second_allows(
    autojump_clock: MockClock, monkeypatch: Any
) -> None:
    monkeypatch.setattr(positions, "LOOKS_PER_S", 10)
    async with office() as desk:
        visitors = [await desk.visitor(f"v{number}") for number in range(30)]
        for visitor in visitors:
            await queued(desk, visitor)
        await trio.sleep(1)
        told = sum(bool(places(visitor)) for visitor in visitors)
        assert 0 < told <= 20
        await trio.sleep(4)
        assert all(places(visitor) for visitor in visitors)


async def test_those_who_come_all_the_time_keep_nobody_from_hearing_their_place(
    autojump_clock: MockClock,
) -> None:
    async with office() as desk:
        visitors = [await desk.visitor(f"v{number}") for number in range(40)]
        for number, visitor in enumerate(visitors):
            await queued(desk, visitor)
            await trio.sleep(0.1)
            if number == 20:
                assert places(visitors[0])
        await trio.sleep(6)
        assert places(visitors[0])[-1] == (1, 40)
