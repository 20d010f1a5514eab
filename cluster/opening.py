"""A node's data when it starts: identity, log, snapshot, state, engine.  Talks to a `Disk`.

    what the folder holds                what is done
    nothing                              a node without memory: it abstains, and is filled by others
    whole data                           the state of the snapshot, and the log behind it
    damage, three voters or more         set aside, kept with `.damaged` names; then as with nothing
    damage, one or two voters            refused: nobody else could tell what is missing
    a recovery that is not done          refused; see `cluster.recovery`
    another node's data, a newer format  refused, nothing is touched
    a restore that was interrupted       refused, until it is done again
    commands above this release's level  the same: the folder's format is the cluster's level

A process that takes a running node over (`Succession`) brings the state along, and reads the log
only: what that holds up to the state's place was applied already.

Where damage is and what it means is `wal.recovery`'s to say; why a node without memory is
safe is in `cluster.raft.abstaining`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cluster.backup.restore import refuse_unfinished
from cluster.heal.space import full_below
from cluster.raft.boot import HistoryBroken
from cluster.raft.engine import Engine
from cluster.recovery import begun
from cluster.state import levels, snapshot
from cluster.state.state import State
from wal import aside
from wal.disk import Disk
from wal.errors import CorruptLog, CorruptSnapshot
from wal.identity import Identity, claim, read_identity
from wal.log import Log
from wal.recovery import Recovered, TornTail
from wal.snapshot import SnapshotStore

VOTERS_MIN = 3
"""Below this many no majority is left without the node that was damaged."""


@dataclass(frozen=True, slots=True)
class Opened:
    wal: Log
    snapshots: SnapshotStore
    engine: Engine
    state: State
    applied_index: int
    damage: str
    """What was found and set aside, in words; empty when all was well."""
    identity: Identity
    torn: TornTail | None = None
    """What was cut from the end of the log."""


@dataclass(frozen=True, slots=True)
class Succession:
    """What a process is left by the one before it, of the same node, beside the disk.

    The life of the node goes on: its boot is the same, and its proposals are numbered on.  That is
    safe because the process before has ended its part in the cluster: nobody else counts.
    """

    boot: str
    next_number: int
    """Of the next proposal."""
    state: State
    applied_index: int


OpenLog = Callable[[Disk, Identity], tuple[Log, Recovered]]
MakeEngine = Callable[[Log, Recovered, SnapshotStore], Engine]


def open_data(
    disk: Disk,
    cluster_id: str,
    node_id: str,
    voters: Iterable[str],
    make_engine: MakeEngine,
    *,
    open_log: OpenLog | None = None,
    now_ms: int | None = None,
    succession: Succession | None = None,
) -> Opened:
    """Return what a node goes on from.  Blocks; `now_ms` is for a folder that begins.

    Raises `ForeignLog`, `StorageFailed`, `RecoveryUnfinished`; `CorruptLog`, `CorruptSnapshot` and
    `LogRefused` when there are too few voters to heal from, and always with a `succession`: a node
    without memory is no successor of one that had it.
    """
    begun.check(disk)
    refuse_unfinished(disk)
    history = _history(disk) or cluster_id
    aside.finish(disk)

    def opened(damage: str) -> Opened:
        identity = claim(
            disk, cluster_id, node_id, now_ms=now_ms, history=history, format_max=levels.LEVEL
        )
        if open_log is not None:
            wal, recovered = open_log(disk, identity)
        else:
            wal, recovered = Log.open(disk, identity=identity, synced=succession is not None)
        snapshots = SnapshotStore(disk, identity, keeps_free=full_below)
        state, applied_index = State(), 1
        if succession is not None:
            state, applied_index = succession.state, succession.applied_index
        elif snapshots.latest() is not None:
            meta, payload = snapshots.open_latest()
            state, applied_index = snapshot.load(payload), meta.index
        engine = make_engine(wal, recovered, snapshots)
        return Opened(
            wal, snapshots, engine, state, applied_index, damage, identity, recovered.torn
        )

    try:
        return opened("")
    except (CorruptLog, CorruptSnapshot, HistoryBroken) as error:
        if succession is not None or len(tuple(voters)) < VOTERS_MIN:
            raise
        damage = str(error)
    aside.set_aside(disk, damage, now_ms=now_ms)
    return opened(damage)


def _history(disk: Disk) -> str:
    """Return the cluster id in the folder, with its epoch: a node that is emptied stays in it."""
    try:
        found = read_identity(disk)
    except CorruptLog:
        return ""
    return found.cluster_id if found is not None else ""
