"""The loop that drives a participant, turn by turn.  Talks to the disk, in threads.

    wait for work · deliver · sync · release · advance · apply · settle · replicate · sync · release
                    └── beside it: a snapshot, a checksum of the state, each of a copy, in a thread

`cluster.participant` says what each step is, and why this order is safe.  While one batch syncs the
next one gathers.

A disk that fails ends the loop: the only way to learn what is really on it is to start again
(Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio

from cluster.heal import left
from cluster.heal.digests import Due, digest_of
from cluster.heal.ending import StartAgain, twin
from cluster.heal.left import Left
from cluster.heal.rules import DIVERGENCE, SYNC_FAILED
from cluster.participant import Participant
from cluster.raft.engine import Committed
from cluster.saving import Saving
from cluster.state import snapshot
from wal import aside
from wal.disk import Disk
from wal.errors import StorageError
from wal.identity import raise_format, read_format
from wal.log import Log
from wal.snapshot import SnapshotStore

APPLY_AT_ONCE = 64
"""Entries applied between two chances for other tasks."""
LEAVE_S = 1.0
"""For a note to the next process, where the disk failed."""
STALL_POLL_S = 0.25

log = structlog.get_logger()


class Turns:
    """`take` them in one task; `wake` it when there is something to do."""

    def __init__(
        self,
        part: Participant,
        disk: Disk,
        wal: Log,
        snapshots: SnapshotStore,
        *,
        wall_ms: Callable[[], int],
        before: Callable[[], Awaitable[None]],
    ) -> None:
        """`before` is awaited before each turn; what it raises ends them."""
        self._part = part
        self._disk = disk
        self._wal = wal
        self.saving = Saving(part, snapshots, self.wake)
        self._wall_ms = wall_ms
        self._before = before
        self._woken = trio.Event()
        self._stopping = False
        self._sync_limiter = trio.CapacityLimiter(1)
        self._kept_level = read_format(disk)

    def wake(self) -> None:
        """Let a turn be taken soon."""
        self._woken.set()

    def stop(self) -> None:
        """End after the present turn: everything it said is durable then."""
        self._stopping = True
        self.wake()

    async def take(self, nursery: trio.Nursery) -> None:
        """Take turns until stopped; what goes on beside them runs in `nursery`.

        Raises `StorageError`, `StartAgain`, `MustEnd`, and what `before` and `apply` raise.
        """
        nursery.start_soon(self._note_stalls)
        self._part.look_first()
        try:
            while not self._stopping:
                await self._wait_for_work()
                await self._turn(nursery)
        except StorageError as error:
            self._part.fail(f"the disk failed: {error}")
            await self._leave(error)
            raise

    async def _leave(self, error: StorageError) -> None:
        """Let the next process tell why this one ended, if the disk still takes that."""
        seen = f"the disk failed: {error}"[:500]
        note = Left(SYNC_FAILED, seen, "the process ended at once", self._wall_ms())
        with trio.move_on_after(LEAVE_S, shield=True):
            leave = partial(left.try_to_leave, self._disk, note)
            await trio.to_thread.run_sync(leave, abandon_on_cancel=True)

    async def _wait_for_work(self) -> None:
        if not self._part.has_work:
            with trio.move_on_after(self._part.next_wakeup()) as slept:
                await self._woken.wait()
            if slept.cancelled_caught:
                # What came while this process was not running is read now, before it is missed.
                await trio.lowlevel.checkpoint()
        self._woken = trio.Event()

    async def _turn(self, nursery: trio.Nursery) -> None:
        part = self._part
        await self._before()
        if part.is_held:
            part.rest()
            await trio.lowlevel.checkpoint()
            return
        part.deliver()
        await self._sync()
        part.release()
        part.advance()
        await self._apply()
        part.settle()
        await self._end_if_must()
        part.replicate()
        await self._sync()
        part.release()
        self._begin_beside(nursery)
        await trio.lowlevel.checkpoint()

    async def _end_if_must(self) -> None:
        """Raise `MustEnd` where what was just applied leaves no place for this process."""
        part = self._part
        if part.hands.rebuilding:
            await trio.to_thread.run_sync(self._begin_rebuilding, part.hands.rebuilding)
            raise StartAgain(part.hands.rebuilding)
        if part.replaced_by:
            why = f"boot {part.replaced_by} took its place, while this one (boot {part.boot}) was"
            raise twin(part.node, f"{why} silent; is one of the data folders a copy?")

    def _begin_beside(self, nursery: trio.Nursery) -> None:
        self.saving.begin_if_due(nursery)
        if (digest_due := self._part.applying.digests.take()) is not None:
            nursery.start_soon(self._take_digest, digest_due)

    async def _sync(self) -> None:
        """Make what the engine wrote durable: one `fdatasync` for all of it."""
        batch = self._wal.take()
        if batch is not None:
            await trio.to_thread.run_sync(self._wal.write, batch, limiter=self._sync_limiter)

    async def _apply(self) -> None:
        applying = self._part.applying
        for count, item in enumerate(self._part.take_committed(), start=1):
            if isinstance(item, Committed):
                applying.apply(item)
            else:
                state = await trio.to_thread.run_sync(snapshot.load, item.payload)
                applying.install(item, state)
            if count % APPLY_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        if applying.state.level > self._kept_level:
            await self._keep_level(applying.state.level)

    async def _keep_level(self, level: int) -> None:
        """Let earlier releases refuse the folder, before this node proposes what they misread."""
        await trio.to_thread.run_sync(raise_format, self._disk, level)
        self._kept_level = level
        log.info("earlier releases are refused from here on", level=level)

    async def _take_digest(self, due: Due) -> None:
        """Read a copy of the state in a thread while the loop goes on."""
        index, copy = due
        self._part.applying.digests.done(index, await trio.to_thread.run_sync(digest_of, copy))

    def _begin_rebuilding(self, why: str) -> None:
        """Let the next start set all data aside, and tell."""
        done = "its data was set aside; it abstains until the others have filled it"
        left.leave(self._disk, Left(DIVERGENCE, why[:500], done, self._wall_ms()))
        aside.begin(self._disk, why)

    async def _note_stalls(self) -> None:
        """Fence this node while its disk hangs: no turn can, and nobody else at this node looks."""
        while True:
            await trio.sleep(STALL_POLL_S)
            self._part.note_stall()
