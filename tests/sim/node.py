"""A node of a simulated cluster: engine, log, snapshots on a simulated disk, and a driver's turn.

The second sync of a turn takes time, as a disk does: appends have left, promises have not, and
nothing else happens at this node until it is done.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cluster.raft.engine import Committed, Engine, Install, Timing
from cluster.raft.members import Members
from tests.sim.checks import Checks
from tests.sim.disk import SimDisk
from tests.sim.machine import Machine
from wal.errors import SnapshotRefused
from wal.identity import claim
from wal.log import Log
from wal.snapshot import SnapshotMeta, SnapshotStore

TIMING = Timing(heartbeat_s=0.05, election_min_s=0.3, election_max_s=0.6)
INBOX_MAX = 1_000
Message = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class Setup:
    """What all nodes of a simulation have in common."""

    voters: tuple[str, ...]
    clock: Callable[[], float]
    checks: Checks
    snapshot_every_entries: int
    off: frozenset[str] = frozenset()


@dataclass(slots=True)
class Waiting:
    """A write proposed here: answered when its entry is applied here."""

    term: int
    on_done: Callable[[int | None], None]


@dataclass(slots=True)
class SimNode:
    """One life of a node: from its start to a crash."""

    name: str
    setup: Setup
    disk: SimDisk
    rng: random.Random
    log: Log = field(init=False)
    engine: Engine = field(init=False)
    store: SnapshotStore = field(init=False)
    machine: Machine = field(init=False)
    applied_index: int = 1
    inbox: list[Message] = field(default_factory=list)
    waiting: dict[int, Waiting] = field(default_factory=dict)
    reads: list[tuple[int, Callable[[Machine], None]]] = field(default_factory=list)
    saving: tuple[SnapshotMeta, bytes] | None = None
    """A snapshot that a thread is about to save."""

    def __post_init__(self) -> None:
        setup = self.setup
        identity = claim(self.disk, "sim", self.name, now_ms=1)
        self.log, recovered = Log.open(
            self.disk,
            identity=identity,
            segment_bytes_max=16_384,
            draw_salt=lambda: self.rng.getrandbits(32),
            clock=setup.clock,
        )
        self.store = SnapshotStore(self.disk, identity)
        self.machine = Machine()
        if self.store.latest() is not None:
            meta, chunks = self.store.open_latest()
            self.machine = Machine.load(chunks)
            self.applied_index = meta.index
        self.engine = Engine(
            self.name,
            Members.of(setup.voters),
            log=self.log,
            recovered=recovered,
            snapshots=self.store,
            clock=setup.clock,
            rng=self.rng,
            timing=TIMING,
            snapshot_every_entries=setup.snapshot_every_entries,
            chunk_bytes=512,
            off=setup.off,
        )
        setup.checks.started(self.name, self.applied_index, self.engine.term)

    def receive(self, source: str, message: dict[str, Any]) -> None:
        if len(self.inbox) < INBOX_MAX:
            self.inbox.append((source, message))

    def propose(self, payload: bytes, on_done: Callable[[int | None], None]) -> bool:
        """Call `on_done` with the version written, or None when another entry took the place."""
        proposed = self.engine.propose(payload)
        if proposed is None:
            return False
        term, index = proposed
        displaced = self.waiting.pop(index, None)
        self.waiting[index] = Waiting(term, on_done)
        if displaced is not None:
            displaced.on_done(None)
        return True

    def begin_turn(self, send: Callable[[list[Message]], None]) -> None:
        """The first half of a turn: `send` what needs no sync as soon as it can leave."""
        inbox, self.inbox = self.inbox, []
        for source, message in inbox:
            self.engine.deliver(source, message)
        send(self.engine.take_early())
        self.log.sync()
        self.engine.record_members()
        self.engine.tick()
        send(self.engine.take_early())

    def end_turn(self) -> list[Message]:
        """The second half; return what leaves after the sync."""
        self.log.sync()
        late = self.engine.take_late()
        for item in self.engine.take_committed():
            self._apply(item)
        ready = [done for index, done in self.reads if index <= self.applied_index]
        self.reads = [read for read in self.reads if read[0] > self.applied_index]
        for done in ready:
            done(self.machine)
        if self.saving is None:
            meta = self.engine.snapshot_wanted()
            if meta is not None:
                assert meta.index == self.applied_index
                self.saving = (meta, self.machine.dump())
        self.setup.checks.seen(self.name, self.engine.term, self.engine.is_leader)
        return late

    def save_snapshot(self) -> None:
        """What the thread does; the loop is told after."""
        assert self.saving is not None
        meta, dump = self.saving
        self.saving = None
        try:
            self.engine.snapshot_saved(self.store.save(meta, [dump]))
        except SnapshotRefused:
            self.engine.snapshot_failed()

    def _apply(self, item: Committed | Install) -> None:
        if isinstance(item, Install):
            self.setup.checks.installs(self.name, item.meta.index)
            self.machine = Machine.load(item.payload)
            self.applied_index = item.meta.index
            return
        self.setup.checks.applies(self.name, item.index, item.term, item.payload)
        self.applied_index = item.index
        version = None if item.payload is None else self.machine.apply(item.payload)[2]
        waiting = self.waiting.pop(item.index, None)
        if waiting is not None:
            waiting.on_done(version if waiting.term == item.term else None)
