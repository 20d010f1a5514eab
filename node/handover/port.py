"""The cluster's port of a process that takes a node over: at first far away, then its own.

Waits for the core alone.

    FAR ──hold──▶ HOLDING ──go_on──▶ SETTLING ──it serves, or SETTLE_S──▶ OWN
    the core      neither: what is   own replica,                        own replica
    before us     asked waits here   not led yet

Whoever watches the port watches through all of that, and `state` is the same object before and
after.  While it settles the standing is what it was: a moment without a leader that is known, of
a node that the cluster never missed, is no reason to send anybody away.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio
from msgspec.structs import replace

from cluster.answering import answer_to
from cluster.port import (
    Answer,
    Port,
    ReplicaStatus,
    SavedSnapshot,
    SnapshotWaits,
    Unavailable,
)
from cluster.proposals import DEADLINE_S, PENDING_MAX
from cluster.raft.members import Members
from cluster.state.commands import Command
from cluster.state.machine import Applied
from cluster.state.state import State
from cluster.watchers import Watchers

SETTLE_S = 5.0
"""A cluster that lives elects a leader in far less."""
BARRIER_S = 3.0
TICK_S = 0.1

_LATE = Unavailable("no_leader", "this node's process was being replaced; nothing was changed")


@dataclass(slots=True)
class _Waiting:
    command: Command
    on_answer: Callable[[Answer], None]
    deadline_s: float


class MovingPort:
    """Implements `cluster.port.Port` over another one, which changes once."""

    def __init__(self, far: Port) -> None:
        self._port = far
        self._waiting: list[_Waiting] = []
        self._open = trio.Event()
        self._open.set()
        self._own = trio.Event()
        self._holding = False
        self._settling_until_s = 0.0
        self._held_at_s = 0.0
        self.held_s = 0.0
        """How long the change took, once it is over."""
        self._standing_before = far.status().standing
        self._on_applied: Watchers[Applied] = Watchers()
        self._on_install: Watchers[()] = Watchers()
        self._on_standing: Watchers[ReplicaStatus] = Watchers()
        self._on_whisper: Watchers[str, bytes] = Watchers()
        self._unwatch: list[Callable[[], None]] = []
        self._watch()

    # -- the change

    def hold(self) -> None:
        """Ask the port before nothing more: what is asked waits."""
        self._holding = True
        self._held_at_s = trio.current_time()
        self._open = trio.Event()
        self._standing_before = self._port.status().standing

    def go_on(self, own: Port) -> None:
        """Go on with this process' own replica, which goes on with the same state."""
        assert self._holding
        assert own.state is self._port.state
        for stop in self._unwatch:
            stop()
        self._port = own
        self._watch()
        self._own.set()
        self._holding = False
        self._settling_until_s = trio.current_time() + SETTLE_S
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            own.submit(one.command, one.on_answer)

    async def keep_time(self) -> None:
        """Give up what waits too long; ends when the change is over."""
        while not self._open.is_set():
            await trio.sleep(TICK_S)
            now = trio.current_time()
            late = [one for one in self._waiting if one.deadline_s <= now]
            self._waiting = [one for one in self._waiting if one.deadline_s > now]
            for one in late:
                one.on_answer(_LATE)
            if not self._holding and now >= self._settling_until_s:
                self._settled()

    async def wait_settled(self) -> None:
        """Return once the change is over."""
        await self._open.wait()

    def _settled(self) -> None:
        self.held_s = trio.current_time() - self._held_at_s
        self._open.set()
        self._on_standing.tell(self._port.status())

    def _watch(self) -> None:
        port = self._port
        self._unwatch = [
            port.watch(self._on_applied.tell),
            port.watch_installs(self._on_install.tell),
            port.watch_standing(self._stand),
            port.watch_whispers(self._on_whisper.tell),
        ]

    def _stand(self, status: ReplicaStatus) -> None:
        if self._open.is_set():
            self._on_standing.tell(status)
        elif not self._holding and status.standing in ("serving", "failed"):
            self._settled()

    # -- the port

    @property
    def node_id(self) -> str:
        return self._port.node_id

    @property
    def boot(self) -> str:
        return self._port.boot

    @property
    def state(self) -> State:
        return self._port.state

    def status(self) -> ReplicaStatus:
        """Return the standing; while the core changes, the one before."""
        status = self._port.status()
        if self._open.is_set() or status.standing == "failed":
            return status
        return replace(status, standing=self._standing_before, why="")

    def members(self) -> Members:
        """See `Port.members`."""
        return self._port.members()

    def guests(self) -> dict[str, str]:
        """See `Port.guests`."""
        return self._port.guests()

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        """See `Port.submit`."""
        if not self._holding:
            self._port.submit(command, on_answer)
        elif len(self._waiting) >= PENDING_MAX:
            on_answer(Unavailable("overloaded", "too many proposals wait at this node"))
        else:
            deadline_s = trio.current_time() + DEADLINE_S
            self._waiting.append(_Waiting(command, on_answer, deadline_s))

    async def propose(self, command: Command) -> Answer:
        """See `Port.propose`."""
        return await answer_to(self.submit, command)

    async def barrier(self) -> Unavailable | None:
        """See `Port.barrier`."""
        with trio.move_on_after(BARRIER_S):
            await self._open.wait()
            return await self._port.barrier()
        return _LATE

    async def change_members(self, change: Callable[[Members], Members]) -> Unavailable | None:
        """See `Port.change_members`."""
        with trio.move_on_after(BARRIER_S) as scope:
            await self._open.wait()
        if scope.cancelled_caught:
            return _LATE
        return await self._port.change_members(change)

    async def hand_over(self, to: str = "") -> str | Unavailable:
        """See `Port.hand_over`."""
        with trio.move_on_after(BARRIER_S) as scope:
            await self._open.wait()
        if scope.cancelled_caught:
            return _LATE
        return await self._port.hand_over(to)

    async def save_snapshot(self, index: int = 0) -> SavedSnapshot | SnapshotWaits:
        """See `Port.save_snapshot`; while the core is far away, which may be of a release that
        knows no such thing, it waits.
        """
        with trio.move_on_after(BARRIER_S) as scope:
            await self._own.wait()
        if scope.cancelled_caught:
            return SnapshotWaits(index, "this node goes on in another process just now")
        return await self._port.save_snapshot(index)

    def whisper(self, payload: bytes) -> None:
        """See `Port.whisper`; while the core changes it is lost."""
        if not self._holding:
            self._port.whisper(payload)

    def watch(self, watcher: Callable[[Applied], None]) -> Callable[[], None]:
        """See `Port.watch`."""
        return self._on_applied.add(watcher)

    def watch_standing(self, watcher: Callable[[ReplicaStatus], None]) -> Callable[[], None]:
        """See `Port.watch_standing`."""
        return self._on_standing.add(watcher)

    def watch_installs(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """See `Port.watch_installs`."""
        return self._on_install.add(watcher)

    def watch_whispers(self, watcher: Callable[[str, bytes], None]) -> Callable[[], None]:
        """See `Port.watch_whispers`."""
        return self._on_whisper.add(watcher)
