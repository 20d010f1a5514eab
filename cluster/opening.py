"""A node's data when it starts: identity, log, snapshot, state, engine.  Talks to a `Disk`.

    what the folder holds                what is done
    nothing                              a node without memory: it abstains, and is filled by others
    whole data                           the state of the snapshot, and the log behind it
    damage, three voters or more         set aside, kept with `.damaged` names; then as with nothing
    damage, one or two voters            refused: nobody else could tell what is missing
    another node's data, a newer format  refused, nothing is touched

Where damage is and what it means is `wal.recovery`'s to say; why a node without memory is
safe is in `cluster.raft.abstaining`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cluster.raft.boot import HistoryBroken
from cluster.raft.engine import Engine
from cluster.state import snapshot
from cluster.state.state import State
from wal import aside
from wal.disk import Disk
from wal.errors import CorruptLog, CorruptSnapshot
from wal.identity import Identity, claim
from wal.log import Log
from wal.recovery import Recovered
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


MakeEngine = Callable[[Log, Recovered, SnapshotStore], Engine]


def open_data(
    disk: Disk, cluster_id: str, node_id: str, voters: Iterable[str], make_engine: MakeEngine
) -> Opened:
    """Return what a node goes on from.  Blocks.

    Raises `ForeignLog`, `StorageFailed`; `CorruptLog`, `CorruptSnapshot` and `LogRefused` when
    there are too few voters to heal from.
    """
    aside.finish(disk)
    try:
        return _open(disk, claim(disk, cluster_id, node_id), make_engine, damage="")
    except (CorruptLog, CorruptSnapshot, HistoryBroken) as error:
        if len(tuple(voters)) < VOTERS_MIN:
            raise
        damage = str(error)
    aside.set_aside(disk, damage)
    return _open(disk, claim(disk, cluster_id, node_id), make_engine, damage=damage)


def _open(disk: Disk, identity: Identity, make_engine: MakeEngine, *, damage: str) -> Opened:
    wal, recovered = Log.open(disk, identity=identity)
    snapshots = SnapshotStore(disk, identity)
    state, applied_index = State(), 1
    if snapshots.latest() is not None:
        meta, payload = snapshots.open_latest()
        state, applied_index = snapshot.load(payload), meta.index
    engine = make_engine(wal, recovered, snapshots)
    return Opened(wal, snapshots, engine, state, applied_index, damage)
