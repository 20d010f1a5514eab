"""The cluster's port in a worker: its own copy of the state, and the core behind a socket pair.

Talks to the core through one end of a socket pair.

    core ──state, entries──▶ a state machine of the worker's own ──▶ watchers
    submit ──▶ core ──answer, behind the entry that gave it──▶ on_answer

The machine is deterministic, so this copy is what the core's is, a moment later; who is told `Done`
finds its events told here.

    the core               here
    is gone                nobody is left to ask: `run` ends
    silent for SILENCE_S   fenced, as a node is that hears no leader

What is asked of the core, and when nobody waits for it any more, is in `node.workers.asking`.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import trio
from msgspec.structs import replace

from cluster.answering import answer_to
from cluster.figures import ReplicaFigures
from cluster.port import (
    Answer,
    HandOverRefused,
    NotLeading,
    NotSaved,
    ReplicaStatus,
    SavedSnapshot,
    SnapshotWaits,
    Unavailable,
)
from cluster.raft.members import Members, MembersRefused
from cluster.state import snapshot
from cluster.state.commands import Command
from cluster.state.machine import Applied, Machine
from cluster.state.state import State
from cluster.watchers import Watchers
from node.workers import messages
from node.workers.asking import SILENT, Asking, unavailable
from node.workers.outlet import Outlet, Overrun
from wal.log import LogStatistics

SILENCE_S = 5.0
"""A core says how it stands many times a second."""
LOOK_S = 0.5
READ_BYTES = 256 * 1024


def _unheard(message: Any) -> None:
    raise ValueError(f"a core does not say {type(message).__name__}")


class CoreGone(Exception):
    """The node's core has ended, and with it the reason to go on."""


class RemotePort:
    """Implements `cluster.port.Port`.  `run` it; it may be used once `run` has started."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        decode: Callable[[bytes], Any] = messages.from_core.decode,
        on_other: Callable[[Any], None] = _unheard,
    ) -> None:
        """`decode` may know more messages than a core's; those go to `on_other`, in their order."""
        self._decode = decode
        self._on_other = on_other
        self._stream = stream
        self._outlet = Outlet(stream)
        self._machine = Machine(checked=False)  # the core checks
        self._begin: messages.Begin | None = None
        self._standing: messages.Standing | None = None
        self._members: Members | None = None
        self._chunks: list[bytes] = []
        self._asking = Asking(self._outlet, is_silent=lambda: self.silent)
        self._heard_s = 0.0
        """When the core last said how it stands."""
        self._on_applied: Watchers[Applied] = Watchers()
        self._on_install: Watchers[()] = Watchers()
        self._on_standing: Watchers[ReplicaStatus] = Watchers()
        self._on_whisper: Watchers[str, bytes] = Watchers()
        self._on_taken: Watchers[str] = Watchers()
        self.figures: messages.Figures | None = None
        """What all workers of the node measured, as of a moment ago."""

    # -- the port

    @property
    def node_id(self) -> str:
        assert self._begin is not None
        return self._begin.node

    @property
    def boot(self) -> str:
        assert self._begin is not None
        return self._begin.boot

    @property
    def state(self) -> State:
        return self._machine.state

    def status(self) -> ReplicaStatus:
        """Return the core's standing, a quarter of a second old or so."""
        assert self._standing is not None
        return self._standing.status

    def members(self) -> Members:
        """See `Port.members`."""
        assert self._members is not None
        return self._members

    def guests(self) -> dict[str, str]:
        """See `Port.guests`."""
        assert self._standing is not None
        return self._standing.guests

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        """See `Port.submit`."""
        self._asking.submit(command, on_answer)

    async def propose(self, command: Command) -> Answer:
        """See `Port.propose`."""
        return await answer_to(self.submit, command)

    async def barrier(self) -> Unavailable | None:
        """See `Port.barrier`."""
        return unavailable(await self._asking.ask(lambda number: messages.Await(number)))

    async def change_members(self, change: Callable[[Members], Members]) -> Unavailable | None:
        """See `Port.change_members`."""
        before = self.members()
        expected, wanted = before.encode(), change(before).encode()
        passed = await self._asking.ask(lambda number: messages.Await(number, expected, wanted))
        match passed.kind:
            case "not_leading":
                raise NotLeading(passed.text)
            case "refused":
                raise MembersRefused(passed.text)
        return unavailable(passed)

    async def hand_over(self, to: str = "") -> str | Unavailable:
        """See `Port.hand_over`."""
        passed = await self._asking.ask(lambda number: messages.HandOver(number, to))
        match passed.kind:
            case "not_leading":
                raise NotLeading(passed.text)
            case "refused":
                raise HandOverRefused(passed.text)
            case "leads":
                return passed.text
        why = unavailable(passed)
        assert why is not None
        return why

    async def save_snapshot(self, index: int = 0) -> SavedSnapshot | SnapshotWaits:
        """See `Port.save_snapshot`."""
        passed = await self._asking.ask(lambda number: messages.SaveSnapshot(number, index))
        if passed.kind == "refused":
            raise NotSaved(passed.text)
        return passed.saved or passed.waits or SnapshotWaits(index, passed.text)

    def whisper(self, payload: bytes) -> None:
        """See `Port.whisper`."""
        self._outlet.send(messages.encode(messages.Tell(payload)))

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

    def watch_taken(self, watcher: Callable[[str], None]) -> Callable[[], None]:
        """Call `watcher(sid)` when an agent's session goes on in another worker of this node."""
        return self._on_taken.add(watcher)

    def send(self, message: messages.Message) -> None:
        """Send something of the caller's, behind all that was submitted so far."""
        self._outlet.send(messages.encode(message))

    def measured(self, measured: messages.Measured) -> None:
        """Tell the core what this worker measured."""
        self._outlet.send(messages.encode(measured))

    def wal_statistics(self) -> LogStatistics | None:
        """Return the core's log in figures, about a second old; None before they are here."""
        known = self.figures
        return msgspec.convert(known.wal, LogStatistics) if known is not None else None

    def replica_figures(self) -> ReplicaFigures | None:
        """Return what the core measured, about a second old; None before it is here."""
        return self.figures.replica if self.figures is not None else None

    def give_up(self) -> None:
        """Answer all who wait for the core: it has answered what it will."""
        self._asking.give_up()

    # -- the loop

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the core until cancelled, then close the stream; started once the state is here.

        Raises `CoreGone`.
        """
        try:
            async with self._stream, trio.open_nursery() as nursery:
                nursery.start_soon(self._outlet.run)
                nursery.start_soon(self._keep_watch)
                await self._listen(task_status)
                raise CoreGone("this node's core has ended")
        except* (trio.BrokenResourceError, trio.ClosedResourceError, Overrun):
            raise CoreGone("this node's core has ended") from None

    async def _listen(self, task_status: trio.TaskStatus[None]) -> None:
        frames, started = messages.Frames(), False
        while data := await self._stream.receive_some(READ_BYTES):
            for frame in frames.feed(data):
                message = self._decode(frame)
                if isinstance(message, messages.StateWhole):
                    await self._install()
                    if not started:
                        started = True
                        task_status.started()
                else:
                    self._hear(message)

    async def _install(self) -> None:
        """Go on from the state that came."""
        chunks, self._chunks = self._chunks, []
        self._machine.state = await trio.to_thread.run_sync(snapshot.load, chunks)
        self._on_install.tell()

    def _hear(self, message: Any) -> None:
        match message:
            case messages.EntryApplied(index, payload):
                self._on_applied.tell(self._machine.apply(index, payload))
            case messages.Answered():
                self._asking.answered(message)
            case messages.Passed():
                self._asking.passed(message)
            case messages.Heard(node, payload):
                self._on_whisper.tell(node, payload)
            case messages.Taken(sid):
                self._on_taken.tell(sid)
            case messages.Standing():
                self._heard_s = trio.current_time()
                self._stand(message)
            case messages.Figures():
                self.figures = message
            case messages.StateChunk(data):
                self._chunks.append(data)
            case messages.Begin():
                self._begin, self._chunks = message, []
            case _:
                self._on_other(message)

    async def _keep_watch(self) -> None:
        """Tell whoever asked when that is too long ago, and all when the core is silent."""
        while True:
            await trio.sleep(LOOK_S)
            self._asking.give_up_late(trio.current_time())
            if self.silent and self._standing is not None:
                silent = replace(self._standing.status, standing="fenced", why=SILENT)
                self._stand(replace(self._standing, status=silent))

    @property
    def silent(self) -> bool:
        """Whether the core said nothing for long: its loop hangs, or its machine is overwhelmed."""
        return trio.current_time() > self._heard_s + SILENCE_S

    def _stand(self, message: messages.Standing) -> None:
        before, self._standing = self._standing, message
        self._members = Members.decode(message.members)
        old, new = before.status if before is not None else None, message.status
        if old is not None and (old.standing, old.leader) != (new.standing, new.leader):
            self._on_standing.tell(new)
