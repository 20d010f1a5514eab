"""The port of a process that takes over: watched throughout, asked in order, never alarmed."""

from typing import cast

import pytest
import trio
from trio.testing import MockClock

from cluster.port import Answer, ReplicaStatus, SavedSnapshot, SnapshotWaits, Unavailable
from cluster.proposals import DEADLINE_S
from cluster.state import commands
from cluster.state.commands import By
from cluster.state.machine import Applied
from cluster.state.outcome import Done
from node.handover.port import SETTLE_S, MovingPort
from tests.node.desk.port import Cluster, DeskPort


class Change:
    """A port that changes from one process' to another's; both stand on the same state."""

    def __init__(self) -> None:
        self.cluster = Cluster(("n1",))
        self.far = self.cluster.ports["n1"]
        self.own = DeskPort(self.cluster, "n1")
        self.own.machine = self.far.machine
        self.port = MovingPort(self.far)
        self.answers: list[Answer] = []
        self.statuses: list[ReplicaStatus] = []
        self.applied: list[Applied] = []
        self.port.watch_standing(self.statuses.append)
        self.port.watch(self.applied.append)

    def go_on(self) -> None:
        """Do what the core's change does: the far port is asked, and applies, no more."""
        self.own._applied, self.own._number = self.far._applied, self.far._number
        self.cluster.ports["n1"] = self.own
        self.port.go_on(self.own)

    def open(self, cv: str) -> None:
        command = commands.OpenConversation(cv, By("visitor", "v"), key=cv)
        self.port.submit(command, self.answers.append)


async def test_what_is_asked_while_the_core_changes_waits_and_keeps_its_order() -> None:
    change = Change()
    change.open("before")
    change.port.hold()
    for cv in ("one", "two", "three"):
        change.open(cv)
    assert len(change.answers) == 1
    change.own.stand("serving")
    change.go_on()
    change.open("after")
    assert all(isinstance(answer, Done) for answer in change.answers)
    submitted = cast("list[commands.OpenConversation]", change.own.submitted)
    assert [one.cv for one in submitted] == ["one", "two", "three", "after"]
    assert len(change.applied) == 5


async def test_a_moment_without_a_leader_alarms_nobody() -> None:
    change = Change()
    change.port.hold()
    change.own.stand("starting", "no leader found yet")
    change.go_on()
    assert change.port.status().standing == "serving"
    change.own.stand("catching_up")
    assert not change.statuses
    change.own.stand("serving")
    assert [one.standing for one in change.statuses] == ["serving"]
    change.own.stand("fenced", "no majority")
    assert change.port.status().standing == "fenced"
    assert change.statuses[-1].standing == "fenced"


async def test_a_core_that_does_not_settle_is_told_of(autojump_clock: MockClock) -> None:
    change = Change()
    change.port.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(change.port.keep_time)
        change.own.stand("starting", "no leader found yet")
        change.go_on()
        await trio.sleep(SETTLE_S - 1)
        assert change.port.status().standing == "serving"
        await change.port.wait_settled()
    assert change.port.status().standing == "starting"
    assert [one.standing for one in change.statuses] == ["starting"]


async def test_who_waits_past_a_deadline_hears_that_nothing_was_changed(
    autojump_clock: MockClock,
) -> None:
    change = Change()
    change.port.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(change.port.keep_time)
        change.open("late")
        await trio.sleep(DEADLINE_S + 1)
        (answer,) = change.answers
        assert isinstance(answer, Unavailable)
        assert answer.code == "no_leader"
        change.go_on()
        change.own.stand("serving")
    assert not change.own.submitted


@pytest.mark.parametrize("in_time", [True, False])
async def test_a_reader_waits_for_the_core(in_time: bool, autojump_clock: MockClock) -> None:
    change = Change()
    change.port.hold()
    results: list[Unavailable | None] = []

    async def read() -> None:
        results.append(await change.port.barrier())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(1 if in_time else 10)
        assert len(results) == (0 if in_time else 1)
        change.go_on()
        change.own.stand("serving")
    (result,) = results
    assert (result is None) == in_time


async def test_a_snapshot_is_asked_of_its_own_core_alone(autojump_clock: MockClock) -> None:
    """The core before may be of a release that does not know how."""
    change = Change()
    assert isinstance(await change.port.save_snapshot(), SnapshotWaits)
    change.port.hold()
    assert await change.port.save_snapshot(7) == SnapshotWaits(
        7, "this node goes on in another process just now"
    )
    change.go_on()
    assert isinstance(await change.port.save_snapshot(), SavedSnapshot)
    assert (change.far.saves, len(change.own.saves)) == ([], 1)
