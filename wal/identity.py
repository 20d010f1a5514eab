"""Whose folder this is: `identity.json`.  Talks to a `Disk`.

    {"format": 1, "cluster_id": "shop", "node_id": "a", "incarnation": 1795431600123,
     "created": "2026-11-23T13:00:00.123Z"}

Written once, when a node starts on an empty folder; only the epoch in the cluster id may rise
later (`wal.epoch`), when a person lets a cluster go on without its majority.  The incarnation is
the moment of the beginning, in ms since 1970: a node whose disk was lost and that starts anew is
not the one that gave promises before.  Every segment of the log repeats the three ids, so a
mixed-up folder is seen even if this file was copied along.

The format too only rises, when what the folder holds has come to mean more than
earlier programs understand (`raise_format`), so that they refuse it instead of misreading it.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from wal.disk import Disk, Reader
from wal.epoch import name_of, precedes
from wal.errors import CorruptLog, ForeignLog
from wal.segment import ID_BYTES_MAX, segment_number
from wal.snapfile import snapshot_index

FILE = "identity.json"
FORMAT = 1
"""Of a new folder."""


@dataclass(frozen=True, slots=True)
class Identity:
    cluster_id: str
    node_id: str
    incarnation: int

    def owns(self, other: "Identity") -> bool:
        """Whether what carries `other` is this node's: its own, or of an earlier epoch."""
        same = (self.node_id, self.incarnation) == (other.node_id, other.incarnation)
        return same and self.continues(other.cluster_id)

    def continues(self, cluster_id: str) -> bool:
        """Whether this is of the history of `cluster_id`, or of a later epoch."""
        return cluster_id == self.cluster_id or precedes(cluster_id, self.cluster_id)


class _Format(msgspec.Struct, frozen=True):
    """What can be told of a file of whatever format."""

    format: int


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    cluster_id: str
    node_id: str
    incarnation: int
    created: str


def claim(
    disk: Disk,
    cluster_id: str,
    node_id: str,
    *,
    now_ms: int | None = None,
    history: str = "",
    format_max: int = FORMAT,
) -> Identity:
    """Return the identity of this folder, made now when the folder is new.

    `cluster_id` is the cluster's name; the identity of a folder may have an epoch more, and a new
    one has that of `history`.
    `now_ms` is ms since 1970, the system's clock by default.  Raises `ForeignLog` when the
    folder is another node's, of a format above `format_max`, or holds data but no identity;
    `CorruptLog` when the file is damaged.
    """
    for word, value in (("cluster", cluster_id), ("node", node_id)):
        if not 1 <= len(value.encode()) <= ID_BYTES_MAX:
            mend = f"Give the {word} an id of 1 to {ID_BYTES_MAX} bytes"
            raise ForeignLog(disk.path_of(FILE), f"{word} id {value!r} cannot be used", mend)
    found = read_identity(disk, format_max=format_max)
    if found is None:
        return _create(disk, history or cluster_id, node_id, now_ms)
    names = found.cluster_id, name_of(found.cluster_id)
    if cluster_id not in names or found.node_id != node_id:
        raise ForeignLog(
            disk.path_of(FILE),
            f"this folder is node {found.node_id!r} of cluster {found.cluster_id!r},"
            f" not node {node_id!r} of cluster {cluster_id!r}",
            "Point the node to its own folder, or to an empty one",
        )
    return found


def read_identity(disk: Reader, *, format_max: int | None = None) -> Identity | None:
    """Return the identity in the folder, None when there is none.

    Raises `CorruptLog` when the file is damaged, `ForeignLog` when its format is above
    `format_max`; whoever only looks at the folder gives none.
    """
    file = _read(disk, format_max)
    return Identity(file.cluster_id, file.node_id, file.incarnation) if file is not None else None


def read_format(disk: Reader) -> int:
    """Return the format of what the folder holds, FORMAT for an empty one.

    Raises `CorruptLog` when the file is damaged.
    """
    file = _read(disk, None)
    return file.format if file is not None else FORMAT


def raise_format(disk: Disk, number: int) -> None:
    """Let programs that read less than `number` refuse this folder; durable when this returns.

    Raises `CorruptLog`, `StorageFailed`.
    """
    file = _read(disk, None)
    assert file is not None, "a folder that was claimed"
    if file.format < number:
        raised = msgspec.structs.replace(file, format=number)
        disk.write_atomic(FILE, [msgspec.json.encode(raised) + b"\n"])


def _read(disk: Reader, format_max: int | None) -> _File | None:
    if FILE not in disk.names():
        return None
    path, data = disk.path_of(FILE), disk.read(FILE)
    try:
        # First of all the format: another one may have other fields, and is no damage.
        found = msgspec.json.decode(data, type=_Format).format
        if format_max is not None and found > format_max:
            reason = f"format {found} of the identity; this program reads those up to {format_max}"
            raise ForeignLog(path, reason, "Start the version of the program that wrote it")
        return msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptLog(path, 0, f"not an identity file: {error}") from None


def move_on(disk: Disk, cluster_id: str) -> Identity:
    """Let the folder be of `cluster_id`, a later epoch of its cluster; durable when this returns.

    Returns the identity from here on; harmless when repeated.
    """
    found = read_identity(disk)
    assert found is not None
    if found.cluster_id == cluster_id:
        return found
    assert precedes(found.cluster_id, cluster_id)
    file = msgspec.json.decode(disk.read(FILE), type=_File)
    moved = msgspec.structs.replace(file, cluster_id=cluster_id)
    disk.write_atomic(FILE, [msgspec.json.encode(moved) + b"\n"])
    return Identity(cluster_id, found.node_id, found.incarnation)


def _create(disk: Disk, cluster_id: str, node_id: str, now_ms: int | None) -> Identity:
    for name in disk.names():
        if segment_number(name) is not None or snapshot_index(name) is not None:
            raise ForeignLog(
                disk.path_of(name),
                f"the folder holds data but no {FILE}, so it cannot be told whose it is",
                f"Put {FILE} back, or start on an empty folder and let the other nodes fill it",
            )
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    created = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    file = _File(FORMAT, cluster_id, node_id, ms, created.replace("+00:00", "Z"))
    disk.write_atomic(FILE, [msgspec.json.encode(file) + b"\n"])
    return Identity(cluster_id, node_id, ms)
