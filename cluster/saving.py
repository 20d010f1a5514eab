"""Snapshots of this node's own state: those that are due, and those that are asked for.  Talks to
the snapshot store, in threads.

    due, or asked for ──▶ copied, behind a turn's entries ──thread──▶ durable ──▶ the log is cut
                                                             └──no room──▶ another in a while

What is asked for is a state no older than the asking.  So whoever asks at once shares one; who
asks while one is written gets the next; and where nothing was applied since the newest, that one is
read again and nothing is written.  When a snapshot is due, and how much of the log stays behind
it, is for `cluster.raft.compaction`.
"""

import time
from collections.abc import Callable

import trio

from cluster.heal.rules import DISK_FULL
from cluster.participant import Participant
from cluster.port import NotSaved, SavedSnapshot, SnapshotWaits
from cluster.state import snapshot
from cluster.state.state import State
from wal.errors import DiskFull, SnapshotRefused, StorageError
from wal.snapshot import SnapshotMeta, SnapshotStore

WAIT_S = 3.0
"""How long who asks is kept waiting; they ask again.  As for a barrier: less than a process that is
taken over waits for requests that are under way."""
POLL_S = 0.02
NOT_SAVED = "no snapshot: the one before and the log stay; tried again more and more rarely"
EMPTY_INDEX = 1
"""What a log begins with."""


class Saving:
    """One snapshot at a time; `wake` lets the participant take its next turn soon."""

    def __init__(
        self, part: Participant, snapshots: SnapshotStore, wake: Callable[[], None]
    ) -> None:
        self._part = part
        self._snapshots = snapshots
        self._wake = wake
        self._under_way = 0
        """Index of the one that is being written; 0 when none is."""
        self._written = (0, 0)
        """Index of the last one that this process wrote, and how many ms that took."""
        self._failures = 0
        self._trouble = ""
        """Why the last one was not written; empty when it was."""

    @property
    def runs(self) -> bool:
        """Whether one is being written."""
        return self._under_way > 0

    def begin_if_due(self, nursery: trio.Nursery) -> None:
        """Begin to write one in `nursery` if it is time; right after a turn's entries."""
        if not self.runs and (due := self._part.snapshot_due()) is not None:
            self._under_way = due[0].index
            nursery.start_soon(self._save, *due)

    async def _save(self, meta: SnapshotMeta, copy: State) -> None:
        """Write `copy` in a thread while the loop goes on."""
        part, engine, began_s = self._part, self._part.engine, time.monotonic()
        try:
            saved = await trio.to_thread.run_sync(
                lambda: self._snapshots.save(meta, snapshot.dump(copy))
            )
        except (SnapshotRefused, DiskFull) as error:  # the leader's newer one came; no room
            if isinstance(error, DiskFull) and not self._trouble:
                part.heal.note(DISK_FULL, str(error), NOT_SAVED, "failed", index=meta.index)
            self._trouble = str(error)
            self._failures += 1
            engine.snapshot_failed()
        else:
            self._trouble = ""
            self._written = (saved.index, round((time.monotonic() - began_s) * 1000))
            engine.snapshot_saved(saved)
        self._under_way = 0
        self._wake()

    # -- asked for

    async def ask(self, index: int) -> SavedSnapshot | SnapshotWaits:
        """See `Port.save_snapshot`."""
        part, engine = self._part, self._part.engine
        applied_index = part.applying.applied_index
        goal = min(index or applied_index, applied_index)
        if goal <= EMPTY_INDEX:
            raise NotSaved(f"{part.node} has applied nothing yet: there is nothing to save")
        before_index = 0 if index else engine.snapshot_index
        failures = self._failures
        with trio.move_on_after(WAIT_S):
            while goal > engine.snapshot_index:
                self._refuse_if_must(failures)
                if goal > self._under_way:
                    engine.compact()
                    self._wake()
                await trio.sleep(POLL_S)
        if goal > engine.snapshot_index:
            return SnapshotWaits(goal, self._why())
        return await self._newest(before_index)

    def _refuse_if_must(self, failures: int) -> None:
        """Raise `NotSaved` when waiting is of no use."""
        part = self._part
        status = part.status()
        if status.standing == "failed" or part.is_held:
            raise NotSaved(f"{part.node} writes nothing: {status.why}")
        if self._failures > failures:
            raise NotSaved(f"{self._trouble}; the snapshot before, and the log, are as they were")

    def _why(self) -> str:
        """Return what a snapshot waits for."""
        if self.runs:
            return "it is being written"
        if self._trouble:
            wait_s = self._part.engine.snapshot_retry_s
            return f"the last one failed: {self._trouble}; another is tried within {wait_s:g} s"
        if self._part.engine.snapshot_held_back:
            return "one is on its way to another node, which would have to begin again"
        return self._part.status().why or "entries that are committed are applied first"

    async def _newest(self, before_index: int) -> SavedSnapshot:
        """Return the newest one, read back whole.  Raises `NotSaved`.

        The newest that the engine knows: the store may have a newer one already whose name is not
        durable yet.  One that newer ones replaced while it was read is read no more: they are.
        """
        store, engine = self._snapshots, self._part.engine
        while True:
            newest, (index, write_ms) = engine.snapshot_index, self._written
            try:
                meta, size = await trio.to_thread.run_sync(store.measure, newest)
            except StorageError as error:
                if newest == engine.snapshot_index:
                    raise NotSaved(f"the newest snapshot cannot be read: {error}") from None
            else:
                break
        took_ms = write_ms if index == meta.index else 0
        written = index == meta.index > before_index
        return SavedSnapshot(meta.index, meta.term, size, store.path_of(meta), written, took_ms)
