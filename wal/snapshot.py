"""The snapshots in a node's folder: kept, handed on, received.  Talks to a `Disk`; blocks.

    save, install   write <index>.snap.tmp · sync · read back and verify · rename · sync folder
                    · remove all but the newest two

At any crash the newest snapshot is the old one or the new one, whole.  Only when `save` or
`install` has returned may the log be compacted.  A write that fails leaves the old snapshot as
it was, and a later attempt writes a new file, so nothing here needs to be poisoned.

The log must find room while a snapshot is written: some of the disk is kept free of it.

A damaged newest snapshot is never passed over for an older one: the log behind the older may
be gone, and the node would start with a state that was never acknowledged.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator

from wal.blocks import BLOCK
from wal.disk import TMP, Disk
from wal.errors import (
    CorruptSnapshot,
    DiskFull,
    FileGone,
    ForeignLog,
    SnapshotRefused,
    StorageError,
    StorageFailed,
)
from wal.identity import Identity
from wal.snapfile import (
    END_BYTES,
    SNAPSHOT_BYTES_MAX,
    Prefix,
    ReadAt,
    SnapshotMeta,
    encode_snapshot,
    read_blocks,
    read_prefix,
    snapshot_index,
    snapshot_name,
)

__all__ = ["SNAPSHOT_BYTES_MAX", "Incoming", "SnapshotMeta", "SnapshotStore"]

KEPT = 2
"""The newest, and the one that a slow peer may still be reading."""
CHUNK_BYTES_MAX = 8 * 1024 * 1024

_INCOMING = "incoming.snap" + TMP


class SnapshotStore:
    """One owner; reading may overlap with one `save` or one `Incoming`."""

    def __init__(
        self, disk: Disk, identity: Identity, *, keeps_free: Callable[[int], int] = lambda _: 0
    ) -> None:
        """`keeps_free` says how many bytes of a disk, of so many, are not for snapshots."""
        self._disk = disk
        self._identity = identity
        self._keeps_free = keeps_free
        for name in disk.names():
            if name.endswith(".snap" + TMP):
                disk.remove(name)
        # A process that was killed may have left a name that only the page cache knows.
        disk.sync_folder()

    def move_on(self, identity: Identity) -> None:
        """Write what comes from here on as `identity`, a later epoch of the same node."""
        assert identity.owns(self._identity)
        self._identity = identity

    def save(self, meta: SnapshotMeta, chunks: Iterable[bytes]) -> SnapshotMeta:
        """Make the snapshot durable; return `meta` when it is, and verified.

        Raises `StorageFailed` (the one before is untouched; `DiskFull` also where it would leave
        too little room), `SnapshotRefused` when it is
        older than the newest or too large.
        """
        self._refuse_older(meta)
        tmp = snapshot_name(meta.index) + TMP
        with self._discarding(tmp):
            self._disk.truncate(tmp, 0)
            offset = 0
            for part in encode_snapshot(meta, self._identity.cluster_id, chunks):
                self._refuse_without_room(tmp, len(part))
                self._disk.write(tmp, offset, part)
                offset += len(part)
            self._disk.sync(tmp)
            written = self._verify(tmp)
            assert written == meta
            self._publish(tmp, meta)
        return meta

    def latest(self) -> SnapshotMeta | None:
        """Return what the newest snapshot covers, None when there is none.

        Reads its head alone.  Raises `CorruptSnapshot`, `ForeignLog`.
        """
        indexes = self._indexes()
        return self._prefix(snapshot_name(indexes[-1])).meta if indexes else None

    def open_latest(self) -> tuple[SnapshotMeta, Iterator[bytes]]:
        """Return the newest snapshot: what it covers, and its state in pieces.

        All of it was verified when this returns, and is again while it is read.  Raises
        `CorruptSnapshot`, `ForeignLog`; `FileGone` when there is no snapshot.
        """
        indexes = self._indexes()
        if not indexes:
            raise FileGone(self._disk.path_of("*.snap"))
        name = snapshot_name(indexes[-1])
        self._verify(name)
        prefix = self._prefix(name)
        return prefix.meta, read_blocks(self._disk.path_of(name), self._reader(name), prefix)

    def measure(self, index: int) -> tuple[SnapshotMeta, int]:
        """Return what the snapshot at `index` covers, and its size in bytes, after reading it all.

        Raises `CorruptSnapshot`, `ForeignLog`; `FileGone` when newer ones have replaced it.
        """
        name = snapshot_name(index)
        prefix = self._prefix(name)
        blocks = read_blocks(self._disk.path_of(name), self._reader(name, fresh=True), prefix)
        size = prefix.end + sum(BLOCK.size + len(data) for data in blocks) + END_BYTES
        return prefix.meta, size

    def path_of(self, meta: SnapshotMeta) -> str:
        """Return where the snapshot is, for people."""
        return self._disk.path_of(snapshot_name(meta.index))

    def read_chunk(self, meta: SnapshotMeta, offset: int, size: int) -> bytes:
        """Return at most `size` raw bytes of the file, b"" at its end, for a peer's `Incoming`.

        Raises `FileGone` when newer snapshots have replaced it.
        """
        assert 0 < size <= CHUNK_BYTES_MAX
        return self._disk.read(snapshot_name(meta.index), offset=offset, size=size)

    def incoming(self) -> "Incoming":
        """Return a new, empty `Incoming`; one that was begun before is void."""
        return Incoming(self, self._disk)

    def room(self) -> int:
        """Return how many bytes a snapshot may take now; negative where even the log is short.

        Some file systems say of everything that it is 0: there any may, until it fails.  Raises
        `StorageFailed`.
        """
        total_bytes = self._disk.bytes_total()
        if total_bytes <= 0:
            return SNAPSHOT_BYTES_MAX
        return self._disk.bytes_free() - self._keeps_free(total_bytes)

    def _refuse_without_room(self, name: str, size: int) -> None:
        if (room := self.room()) < size:
            reason = f"it may take {max(room, 0)} bytes more: the rest is kept for the log (ENOSPC)"
            raise DiskFull(self._disk.path_of(name), "write", reason)

    def _install(self, tmp: str) -> SnapshotMeta:
        with self._discarding(tmp):
            self._disk.sync(tmp)
            meta = self._verify(tmp)
            self._refuse_older(meta)
            self._publish(tmp, meta)
        return meta

    def _publish(self, tmp: str, meta: SnapshotMeta) -> None:
        self._disk.rename(tmp, snapshot_name(meta.index))
        self._disk.sync_folder()
        for index in self._indexes()[:-KEPT]:
            self._disk.remove(snapshot_name(index))

    def _indexes(self) -> list[int]:
        found = (snapshot_index(name) for name in self._disk.names())
        return sorted(index for index in found if index is not None)

    def _refuse_older(self, meta: SnapshotMeta) -> None:
        newest = max(self._indexes(), default=0)
        if meta.index < newest:
            raise SnapshotRefused(f"a snapshot at {meta.index}; here is one at {newest}")

    def _prefix(self, name: str) -> Prefix:
        path = self._disk.path_of(name)
        prefix = read_prefix(path, self._reader(name))
        if not self._identity.continues(prefix.cluster_id):
            raise ForeignLog(
                path,
                f"a snapshot of cluster {prefix.cluster_id!r}, not {self._identity.cluster_id!r}",
                "Remove it, or point the node to its own folder",
            )
        index = snapshot_index(name)
        if index is not None and index != prefix.meta.index:
            reason = f"this is snapshot {prefix.meta.index} under another's name"
            raise CorruptSnapshot(path, 0, reason)
        return prefix

    def _verify(self, name: str) -> SnapshotMeta:
        """Return what the file covers after reading all of it from the disk."""
        prefix = self._prefix(name)
        for _ in read_blocks(self._disk.path_of(name), self._reader(name, fresh=True), prefix):
            pass
        return prefix.meta

    def _reader(self, name: str, *, fresh: bool = False) -> ReadAt:
        def read(offset: int, size: int) -> bytes:
            return self._disk.read(name, offset=offset, size=size, fresh=fresh)

        return read

    @contextlib.contextmanager
    def _discarding(self, tmp: str) -> Iterator[None]:
        """Remove `tmp` unless the block ends well."""
        whole = False
        try:
            yield
            whole = True
        finally:
            if not whole:
                with contextlib.suppress(StorageFailed):
                    self._disk.remove(tmp)


class Incoming:
    """A snapshot that a peer sends, chunk by chunk; nothing counts before `install`."""

    def __init__(self, store: SnapshotStore, disk: Disk) -> None:
        self._store = store
        self._disk = disk
        self._open = True
        self.received = 0
        """Bytes so far: the offset of the next chunk."""
        disk.truncate(_INCOMING, 0)

    def write(self, offset: int, chunk: bytes) -> None:
        """Take the next chunk.

        Raises `SnapshotRefused` when it is not the next one (ask from `received`) or when the
        file would exceed SNAPSHOT_BYTES_MAX; `StorageFailed` (`DiskFull` also where it would leave
        too little room), and then this one is void.
        """
        self._refuse_unless(self._open, "this transfer has ended")
        self._refuse_unless(
            offset == self.received, f"a chunk at {offset} where {self.received} is next"
        )
        self._refuse_unless(
            offset + len(chunk) <= SNAPSHOT_BYTES_MAX,
            f"a snapshot may have {SNAPSHOT_BYTES_MAX} bytes, this has more",
        )
        try:
            self._store._refuse_without_room(_INCOMING, len(chunk))
            self._disk.write(_INCOMING, offset, chunk)
        except StorageError:
            self.abandon()
            raise
        self.received += len(chunk)

    def install(self) -> SnapshotMeta:
        """Verify the whole file and make it the newest snapshot; return what it covers.

        Durable when this returns.  Raises `CorruptSnapshot`, `ForeignLog`, `SnapshotRefused`
        (older than ours) and `StorageFailed`; whatever was there before is then untouched.
        """
        self._refuse_unless(self._open, "this transfer has ended")
        self._open = False
        return self._store._install(_INCOMING)

    def abandon(self) -> None:
        """Forget what was received."""
        if self._open:
            self._open = False
            with contextlib.suppress(StorageFailed):
                self._disk.remove(_INCOMING)

    def _refuse_unless(self, fits: bool, reason: str) -> None:
        if not fits:
            raise SnapshotRefused(reason)
