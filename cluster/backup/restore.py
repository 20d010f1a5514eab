"""An empty data folder, made that of a node whose cluster begins with a backup.  Talks to a `Disk`;
blocks.

    refuse what is not empty
    restoring.json      written first: from here on a start refuses the folder
    identity.json       of the new cluster
    <index>.snap        the state of the backup, in term 0, with the new cluster's members
    restoring.json      removed last, when all of it is durable

There is no log, so the node remembers no promise and abstains, like any node on an empty disk
(`cluster.raft.abstaining`); term 0 says that no leader has been there.  The cluster begins when all
its voters have met, restored from one backup: what holds for empty nodes at index 1 holds for these
at the backup's index.

The state is that of the backup, but for its `origin`.  Nothing is cleared: to the state machine it
is as if all nodes had been killed at once.  Each starts as another boot, the sessions of its last
one are lost and have their grace, and nodes that are no members any more are silent for ever.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from cluster.backup.file import BackupRefused, Header, Reader
from cluster.raft.members import Members
from cluster.state import snapshot
from cluster.state.state import State
from wal.disk import TMP, Disk
from wal.errors import ForeignLog
from wal.identity import FILE as IDENTITY
from wal.identity import claim
from wal.segment import segment_number
from wal.snapfile import snapshot_index
from wal.snapshot import SnapshotMeta, SnapshotStore

FILE = "restoring.json"
INDEX_MIN = 2
"""Index 1 is that of clusters that begin with nothing."""


class NotEmpty(Exception):
    """The folder holds something that a restore would have to destroy."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What the folder holds now."""

    header: Header
    index: int
    origin: str
    conversations: int
    accounts: int


class _Marker(msgspec.Struct, frozen=True):
    cluster: str
    node: str
    of: str


def refuse_unfinished(disk: Disk) -> None:
    """Raise `ForeignLog` when a restore was begun in this folder and not ended."""
    if FILE in disk.names():
        raise ForeignLog(
            disk.path_of(FILE),
            "a restore into this folder was interrupted, and what is in it is not whole",
            "Run `unidesk restore` with the same backup again; it begins anew",
        )


def refuse_used(disk: Disk) -> None:
    """Raise `NotEmpty` when the folder holds a node's data, or anything else that is not ours."""
    names = disk.names()
    begun = FILE in names
    ours = [name for name in names if (begun and _is_made_here(name)) or name == FILE + TMP]
    others = [name for name in names if name not in ours]
    if others:
        raise NotEmpty(
            f"{disk.path_of(others[0])}: the folder is not empty, and nothing is overwritten:"
            " name another one as [node] data, or move this one away"
        )


def restore(
    disk: Disk,
    cluster_id: str,
    node_id: str,
    members: Members,
    open_backup: Callable[[], Reader],
    *,
    now_ms: int | None = None,
) -> Restored:
    """Fill the folder from the backup; all of it is durable when this returns.

    `now_ms` is ms since 1970.  A crash leaves a folder that no node starts on, and that may be
    restored again.  Raises `BackupRefused`, `NotEmpty`, `StorageFailed`.
    """
    refuse_used(disk)
    reader = open_backup()
    state = load(reader)
    assert reader.end is not None
    state.origin = reader.end.sha256
    state.applied_index = index = max(state.applied_index, INDEX_MIN)
    marker = _Marker(cluster_id, node_id, reader.end.sha256)
    disk.write_atomic(FILE, [msgspec.json.encode(marker) + b"\n"])
    for name in disk.names():
        if name != FILE and _is_made_here(name):
            disk.remove(name)
    disk.sync_folder()
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    store = SnapshotStore(disk, claim(disk, cluster_id, node_id, now_ms=ms))
    meta = SnapshotMeta(index, 0, index - 1, 0, members.encode().decode())
    store.save(meta, snapshot.dump(state))
    disk.remove(FILE)
    disk.sync_folder()
    return Restored(
        reader.header, index, state.origin, len(state.conversations), len(state.accounts)
    )


def load(reader: Reader) -> State:
    """Return the state in a backup, its invariants checked.  Raises `BackupRefused`."""
    try:
        return snapshot.load(reader.blocks())
    except snapshot.SnapshotRefused as refused:
        raise BackupRefused(f"its bytes are whole, but not its state: {refused}") from None


def _is_made_here(name: str) -> bool:
    name = name.removesuffix(TMP)
    return (
        name in (FILE, IDENTITY) or snapshot_index(name) is not None or bool(segment_number(name))
    )
