"""What is committed, into the state machine and out to whoever waits for it.  Talks to the
snapshot store (in a thread).

    engine.take_committed ──▶ entry    ──▶ state ──▶ watchers ──▶ outcomes of this node's own
                              Install  ──▶ a whole new state ──▶ watchers of installs

Outcomes are answered after the watchers ran: whoever hears `Done` finds its events told.
"""

from collections.abc import Callable

import structlog
import trio

from cluster.raft.engine import Committed, Engine, Install
from cluster.state import snapshot
from cluster.state.machine import Applied, Machine, Skipped
from cluster.state.outcome import Outcome
from cluster.state.state import State
from cluster.watchers import Watchers
from wal.errors import SnapshotRefused
from wal.snapshot import SnapshotMeta, SnapshotStore

APPLY_AT_ONCE = 64
"""Entries applied between two chances for other tasks."""

log = structlog.get_logger()

OnOutcome = Callable[[str, str, int, Outcome | Skipped], None]


class Applying:
    """The state machine of one replica, and how far it is."""

    def __init__(
        self,
        engine: Engine,
        snapshots: SnapshotStore,
        machine: Machine,
        applied_index: int,
        on_outcome: OnOutcome,
    ) -> None:
        """`on_outcome(node, boot, number, outcome)` hears of every proposal, anybody's."""
        self.applied_index = applied_index
        self.on_applied: Watchers[Applied] = Watchers()
        self.on_install: Watchers[()] = Watchers()
        self._engine = engine
        self._snapshots = snapshots
        self._machine = machine
        self._on_outcome = on_outcome
        self._saving = False

    @property
    def state(self) -> State:
        """What was applied so far."""
        return self._machine.state

    async def apply_committed(self) -> None:
        """Apply what was committed since the last call."""
        for count, item in enumerate(self._engine.take_committed(), start=1):
            match item:
                case Install():
                    await self._install(item)
                case Committed(index, _, payload):
                    self.applied_index = index
                    if payload is not None:  # a new leader's no-op has none
                        self._apply(index, payload)
            if count % APPLY_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def _apply(self, index: int, payload: bytes) -> None:
        applied = self._machine.apply(index, payload)
        self.on_applied.tell(applied)
        for node, boot, number, outcome in applied.outcomes:
            self._on_outcome(node, boot, number, outcome)

    async def _install(self, item: Install) -> None:
        self._machine.state = await trio.to_thread.run_sync(snapshot.load, item.payload)
        self.applied_index = item.meta.index
        log.info("snapshot installed", index=item.meta.index)
        self.on_install.tell()

    def start_snapshot(self, nursery: trio.Nursery, on_saved: Callable[[], None]) -> None:
        """Save a snapshot in the background if one is due; `on_saved` when that is over.

        To be called right after `apply_committed`.  `StorageError` ends the nursery.
        """
        meta = None if self._saving else self._engine.snapshot_wanted()
        if meta is None:
            return
        assert meta.index == self.applied_index
        self._saving = True
        nursery.start_soon(self._save, meta, self._machine.state.frozen_copy(), on_saved)

    async def _save(self, meta: SnapshotMeta, copy: State, on_saved: Callable[[], None]) -> None:
        """Write `copy` in a thread while the loop goes on."""
        try:
            saved = await trio.to_thread.run_sync(
                lambda: self._snapshots.save(meta, snapshot.dump(copy))
            )
        except SnapshotRefused:  # the leader's newer one came meanwhile
            self._engine.snapshot_failed()
        else:
            self._engine.snapshot_saved(saved)
        self._saving = False
        on_saved()
