"""A node of a simulated cluster: the production participant on a simulated disk, and its turns.

The second sync of a turn takes time, as a disk does: appends have left, promises have not, and
nothing else happens at this node until it is done.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cluster.heal.digests import digest_of
from cluster.heal.ending import StartAgain
from cluster.heal.picture import Troubles
from cluster.heal.settings import HealSettings
from cluster.ids import Ulids
from cluster.opening import Succession, open_data
from cluster.participant import Participant
from cluster.peer.address import Address
from cluster.peer.frames import FrameReader
from cluster.port import Answer, Figures, Unavailable
from cluster.raft.engine import Committed, Engine, Timing
from cluster.raft.members import Members
from cluster.settings import ReplicaSettings
from cluster.state import snapshot
from cluster.state.commands import BootNode
from cluster.state.levels import LEVEL
from cluster.state.state import State
from cluster.vitals import Storage
from cluster.world import World
from tests.sim.checks import Checks
from tests.sim.disk import SimDisk
from wal.disk import Disk
from wal.errors import DiskFull, SnapshotRefused
from wal.identity import Identity
from wal.log import Log
from wal.recovery import Recovered
from wal.snapshot import SnapshotMeta, SnapshotStore

TIMING = Timing(heartbeat_s=0.05, election_min_s=0.3, election_max_s=0.6)
DIGEST_EVERY = 32
Frame = tuple[str, bytes]
"""To whom, and what."""


@dataclass(slots=True)
class Setup:
    """What all nodes of a simulation have in common."""

    voters: tuple[str, ...]
    clock: Callable[[], float]
    wall_ms: Callable[[str], int]
    reaches: Callable[[str, str], bool]
    checks: Checks
    snapshot_every_entries: int
    sync_s: Callable[[str], float] = lambda name: 0.0005
    """How long a node's syncs take."""
    off: frozenset[str] = frozenset()
    heal: HealSettings = field(default_factory=HealSettings)
    flipped: set[str] = field(default_factory=set)
    """Nodes whose state was made wrong: they alone may find that it differs."""


@dataclass(slots=True)
class SimPeers:
    """Keeps what a participant sends until the turn's step is over."""

    name: str
    setup: Setup
    sent: list[Frame] = field(default_factory=list)

    def send(self, peer: str, frame: bytes) -> None:
        self.sent.append((peer, frame))

    def connected(self, peer: str) -> bool:
        return self.setup.reaches(self.name, peer)

    def level(self, peer: str) -> int:
        return LEVEL if self.connected(peer) else 0

    def set_peers(self, peers: dict[str, Address]) -> None:
        """Everybody can be reached by name."""

    def figures(self) -> dict[str, Figures]:
        return {}

    def troubles(self) -> dict[str, Troubles]:
        return {}

    def take(self) -> list[Frame]:
        sent, self.sent = self.sent, []
        return sent


@dataclass(slots=True)
class SimNode:
    """One process of a node: from its start to a crash, or to its successor."""

    name: str
    setup: Setup
    disk: SimDisk
    rng: random.Random
    succession: Succession | None = None
    """What the life before left, if this one goes on with it."""
    rebuilt: bool = False
    """Whether the life before set the data aside, as the state differed."""
    boot: str = field(init=False)
    log: Log = field(init=False)
    store: SnapshotStore = field(init=False)
    part: Participant = field(init=False)
    peers: SimPeers = field(init=False)
    saving: tuple[SnapshotMeta, State] | None = None
    """A snapshot that a thread is about to save."""
    _announced: bool = False
    """Whether the cluster heard of this boot, or is being told."""

    def __post_init__(self) -> None:
        setup = self.setup
        settings = ReplicaSettings(
            cluster="sim",
            node=self.name,
            key=b"",
            data=Path("sim"),
            listen=("sim", 1),
            peers={voter: ("sim", 1) for voter in setup.voters if voter != self.name},
            timing=TIMING,
            offer_ttl_ms=800,
            heal=setup.heal,
            digest_every_entries=DIGEST_EVERY,
        )
        opened = open_data(
            self.disk,
            "sim",
            self.name,
            setup.voters,
            self._make_engine,
            open_log=self._open_log,
            now_ms=setup.wall_ms(self.name),
            succession=self.succession,
        )
        if opened.engine.journal.abstains:  # also with the rule off
            setup.checks.forgot(self.name)
        self.boot = f"{self.rng.getrandbits(64):016x}"
        next_number = 1
        if self.succession is not None:
            self.boot, next_number = self.succession.boot, self.succession.next_number
            known = self.succession.state.nodes.get(self.name)
            self._announced = known is not None and known.boot == self.boot
        self.log, self.store = opened.wal, opened.snapshots
        self.peers = SimPeers(self.name, setup)

        def wall_ms() -> int:
            return setup.wall_ms(self.name)

        world = World(setup.clock, wall_ms, Ulids(wall_ms, self.rng.randbytes).new, self.storage)
        self.part = Participant(
            settings,
            opened,
            boot=self.boot,
            world=world,
            peers=self.peers,
            next_number=next_number,
            rebuilt=self.rebuilt,
        )
        self.part.look_first()
        setup.checks.started(self.name, self.applied_index, self.engine.term)

    def storage(self) -> Storage:
        """What the simulated disk says of itself."""
        return Storage(
            free_bytes=self.disk.bytes_free(),
            total_bytes=self.disk.bytes_total(),
            sync_p99_ms=1000 * self.setup.sync_s(self.name),
            syncs_slow=100 if self.setup.sync_s(self.name) >= 0.05 else 0,
        )

    def _make_engine(self, log: Log, recovered: Recovered, snapshots: SnapshotStore) -> Engine:
        return Engine(
            self.name,
            Members.of(self.setup.voters),
            log=log,
            recovered=recovered,
            snapshots=snapshots,
            clock=self.setup.clock,
            rng=self.rng,
            timing=TIMING,
            snapshot_every_entries=self.setup.snapshot_every_entries,
            chunk_bytes=512,
            off=self.setup.off,
            applied_index=self.succession.applied_index if self.succession is not None else 1,
        )

    def leaves(self) -> Succession:
        """Return what a process of this node goes on with, between two turns of this one."""
        assert not self.log.dirty
        return Succession(self.boot, self.part.next_number, self.part.state, self.applied_index)

    def _open_log(self, disk: Disk, identity: Identity) -> tuple[Log, Recovered]:
        return Log.open(
            disk,
            identity=identity,
            segment_bytes_max=16_384,
            draw_salt=lambda: self.rng.getrandbits(32),
            clock=self.setup.clock,
        )

    @property
    def engine(self) -> Engine:
        return self.part.engine

    @property
    def applied_index(self) -> int:
        return self.part.applying.applied_index

    def _announce(self) -> None:
        """Tell the cluster that this boot lives, until it has heard."""

        def on_answer(answer: Answer) -> None:
            self._announced = not isinstance(answer, Unavailable)

        if not self._announced:
            self._announced = True
            self.part.submit(BootNode(self.name, self.boot, ""), on_answer)

    def receive(self, source: str, frame: bytes) -> None:
        for kind, body in FrameReader().feed(frame):
            self.part.receive(source, kind, body)

    def begin_turn(self, send: Callable[[list[Frame]], None]) -> None:
        """The first half of a turn: `send` what needs no sync as soon as it can leave.

        Raises `StartAgain` where the state of this node was made wrong, and it found out.
        """
        self._announce()
        if self.part.is_held:
            self.part.rest()
            send(self.peers.take())
            return
        self.part.deliver()
        send(self.peers.take())
        self.log.sync()
        self.part.release()
        self.part.advance()
        send(self.peers.take())
        self._apply()
        self.part.settle()
        if why := self.part.hands.rebuilding:
            assert self.name in self.setup.flipped, why
            raise StartAgain(why)
        self.part.replicate()
        send(self.peers.take())

    def _apply(self) -> None:
        checks, part = self.setup.checks, self.part
        for item in part.take_committed():
            if isinstance(item, Committed):
                checks.applies(self.name, item.index, item.term, item.payload)
                part.applying.apply(item)
            else:
                checks.installs(self.name, item.meta.index)
                part.applying.install(item, snapshot.load(item.payload))

    def end_turn(self) -> list[Frame]:
        """The second half; return what leaves after the sync."""
        checks, part = self.setup.checks, self.part
        if part.is_held:
            return self.peers.take()
        self.log.sync()
        part.release()
        late = self.peers.take()
        if self.saving is None:
            self.saving = part.snapshot_due()
        if (due := part.applying.digests.take()) is not None:
            part.applying.digests.done(due[0], digest_of(due[1]))
        checks.seen(self.name, self.engine.term, self.engine.is_leader)
        checks.holds(self.name, part.violations)
        return late

    def save_snapshot(self) -> None:
        """What the thread does; the loop is told after."""
        assert self.saving is not None
        meta, state = self.saving
        self.saving = None
        try:
            self.engine.snapshot_saved(self.store.save(meta, snapshot.dump(state)))
        except (SnapshotRefused, DiskFull):
            self.engine.snapshot_failed()
