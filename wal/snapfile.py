"""One snapshot file: state and what it covers, to bytes and back.  No I/O.

    offset  size  field
         0     4  magic        b"UDSN"
         4     4  head_crc     CRC-32 of bytes 8..16+n
         8     2  version
        10     2  zeros
        12     4  length of the meta data
        16     n  meta data    JSON: cluster id, index, term, the entry before, members
      16+n        blocks       length u32, crc u32, data; 1..BLOCK_BYTES_MAX each
                  end block    length 0, crc u32, total u64

A block's crc covers its length and data and is seeded with the one before (the first with
head_crc), so a lost, doubled or swapped block is as visible as a flipped bit.  The end block
covers the number of data bytes; nothing may follow it.  The cluster id is in the file, the
node id is not: any node of the cluster may install it.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from wal.blocks import BLOCK, BLOCK_BYTES_MAX, block_crc, in_blocks
from wal.errors import CorruptSnapshot, ForeignLog, SnapshotRefused

VERSION = 1
SNAPSHOT_BYTES_MAX = 4 * 1024**3
"""Of the whole file."""
META_BYTES_MAX = 64 * 1024

_MAGIC = b"UDSN"
_HEAD = struct.Struct("<4sIHHI")
_TOTAL = struct.Struct("<Q")
END_BYTES = BLOCK.size + _TOTAL.size
_NAME = re.compile(r"([0-9]{16,20})\.snap")

ReadAt = Callable[[int, int], bytes]
"""`(offset, size)` to bytes; fewer where the file ends."""


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """What a snapshot covers: all entries up to and with `index`."""

    index: int
    term: int
    prev_index: int
    prev_term: int
    members: str
    """Who takes part, as the engine wrote it down; opaque here."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The file up to its first block."""

    meta: SnapshotMeta
    cluster_id: str
    end: int
    seed: int


class _Meta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cluster_id: str
    index: int
    term: int
    prev_index: int
    prev_term: int
    members: str


def snapshot_name(index: int) -> str:
    """Return the file name of the snapshot at `index`."""
    return f"{index:016d}.snap"


def snapshot_index(name: str) -> int | None:
    """Return the index in a snapshot's file name, None for any other name."""
    found = _NAME.fullmatch(name)
    if found is None or snapshot_name(int(found[1])) != name:
        return None
    return int(found[1])


def encode_snapshot(
    meta: SnapshotMeta, cluster_id: str, chunks: Iterable[bytes]
) -> Iterator[bytes]:
    """Yield the file's bytes.  Raises `SnapshotRefused` above SNAPSHOT_BYTES_MAX."""
    described = _Meta(
        cluster_id, meta.index, meta.term, meta.prev_index, meta.prev_term, meta.members
    )
    text = msgspec.json.encode(described)
    assert len(text) <= META_BYTES_MAX
    rest = _HEAD.pack(_MAGIC, 0, VERSION, 0, len(text))[8:] + text
    seed = zlib.crc32(rest)
    yield _MAGIC + seed.to_bytes(4, "little") + rest
    total, size = 0, _HEAD.size + len(text) + END_BYTES
    for data in in_blocks(chunks):
        seed = block_crc(data, len(data), seed)
        total += len(data)
        size += BLOCK.size + len(data)
        if size > SNAPSHOT_BYTES_MAX:
            raise SnapshotRefused(f"a snapshot may have {SNAPSHOT_BYTES_MAX} bytes, this has more")
        yield BLOCK.pack(len(data), seed) + data
    end = _TOTAL.pack(total)
    yield BLOCK.pack(0, block_crc(end, 0, seed)) + end


def read_prefix(path: str, read: ReadAt) -> Prefix:
    """Return what the file is.  Raises `CorruptSnapshot`, `ForeignLog` for a newer version."""
    head = read(0, _HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        raise CorruptSnapshot(path, 0, "this is no snapshot")
    _, seed, version, _, length = _HEAD.unpack(head)
    if length > META_BYTES_MAX:
        raise CorruptSnapshot(path, 12, f"{length} bytes of meta data; at most {META_BYTES_MAX}")
    text = read(_HEAD.size, length)
    if seed != zlib.crc32(head[8:] + text):
        raise CorruptSnapshot(path, 4, "the checksum of its head is wrong")
    if version != VERSION:
        reason = f"version {version} of the snapshot; this program reads {VERSION}"
        raise ForeignLog(path, reason, "Start the version of the program that wrote it")
    try:
        found = msgspec.json.decode(text, type=_Meta)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptSnapshot(path, _HEAD.size, f"meta data: {error}") from None
    meta = SnapshotMeta(found.index, found.term, found.prev_index, found.prev_term, found.members)
    return Prefix(meta, found.cluster_id, _HEAD.size + length, seed)


def read_blocks(path: str, read: ReadAt, prefix: Prefix) -> Iterator[bytes]:
    """Yield the state block by block, each verified.  Raises `CorruptSnapshot`.

    The state is whole only when the iteration ended without raising.
    """
    offset, seed, total = prefix.end, prefix.seed, 0
    while True:
        head = read(offset, BLOCK.size)
        if len(head) < BLOCK.size:
            raise CorruptSnapshot(path, offset, "it ends before its end block")
        length, crc = BLOCK.unpack(head)
        if length > BLOCK_BYTES_MAX:
            raise CorruptSnapshot(path, offset, f"a block of {length} bytes")
        data = read(offset + BLOCK.size, length or _TOTAL.size)
        seed = block_crc(data, length, seed)
        if crc != seed:
            raise CorruptSnapshot(path, offset, "the checksum of a block is wrong")
        offset += BLOCK.size + len(data)
        if length == 0:
            break
        total += length
        yield data
    if data != _TOTAL.pack(total):
        raise CorruptSnapshot(path, offset, f"{total} bytes of state are not what was written")
    if read(offset, 1):
        raise CorruptSnapshot(path, offset, "bytes behind its end block")
