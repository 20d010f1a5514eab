"""One backup: the whole state, and what it is of, to bytes and back.  No I/O.

    offset  size  field
         0     4  magic        b"UDBK"
         4     4  head_crc     CRC-32 of bytes 8..16+n
         8     2  version
        10     2  zeros
        12     4  length of the header
        16     n  header       JSON: see `Header`
      16+n        blocks       length u32, crc u32, data; 1..BLOCK_BYTES_MAX each
                  end block    length 0, crc u32, total u64, SHA-256 of the data (32 bytes)

The data is what `cluster.state.snapshot.dump` yields.  A block's crc covers its length and data and
is seeded with the one before (the first with head_crc): damage has a place, and a block that is
lost, doubled or swapped is seen as one that rotted.  The SHA-256 names the content: two folders
that were restored from one backup agree on it (`cluster.backup.origin`).

Numbers are little endian, times milliseconds UTC.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from cluster.state.limits import INTEGER_MAX
from wal.blocks import BLOCK, BLOCK_BYTES_MAX, block_crc, in_blocks

MAGIC = b"UDBK"
VERSION = 1
HEADER_BYTES_MAX = 64 * 1024
TIME_MS_MAX = 253_402_300_799_999
"""The last moment of the year 9999."""
BACKUP_BYTES_MAX = 4 * 1024**3
"""As much as a snapshot may have, which it becomes."""

_HEAD = struct.Struct("<4sIHHI")
_END = struct.Struct("<Q32s")

Read = Callable[[int], bytes]
"""The next so many bytes; fewer where the file ends."""


class BackupRefused(Exception):
    """This is no backup, or not a whole one; the message says where and what."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup is of."""

    cluster: str
    """Its name, without an epoch."""
    node: str
    """Which node wrote it."""
    index: int
    """Of the last command of the log that is in it."""
    term: int
    cluster_ms: int
    """Cluster time as of that command."""
    created_ms: int
    """By the clock of the machine that wrote it."""
    release: str
    """Version of the program."""
    level: int
    """Of the commands in use; see `cluster.state.levels`."""
    stale: bool = False
    """Whether it was taken without a quorum: it may lack what was acknowledged before."""
    origin: str = ""
    """Of a cluster that was itself restored: from what."""


@dataclass(frozen=True, slots=True)
class End:
    """What was read, and found whole."""

    bytes: int
    sha256: str


def encode(header: Header, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the file's bytes.  Raises `BackupRefused` above BACKUP_BYTES_MAX."""
    text = msgspec.json.encode(header)
    assert len(text) <= HEADER_BYTES_MAX
    rest = _HEAD.pack(MAGIC, 0, VERSION, 0, len(text))[8:] + text
    seed = zlib.crc32(rest)
    yield MAGIC + seed.to_bytes(4, "little") + rest
    sha, total = hashlib.sha256(), 0
    for data in in_blocks(chunks):
        seed = block_crc(data, len(data), seed)
        sha.update(data)
        total += len(data)
        if total > BACKUP_BYTES_MAX:
            raise BackupRefused(f"a backup may have {BACKUP_BYTES_MAX} bytes, this has more")
        yield BLOCK.pack(len(data), seed) + data
    end = _END.pack(total, sha.digest())
    yield BLOCK.pack(0, block_crc(end, 0, seed)) + end


class Reader:
    """The blocks of one file, in order.

    `header` is there at once, `end` when `blocks` has ended without raising: not before are they
    known to be what was written.
    """

    def __init__(self, name: str, read: Read) -> None:
        """Raise `BackupRefused`; `name` is what people are told."""
        self._name, self._read, self._offset = name, read, 0
        self.end: End | None = None
        head = self._take(_HEAD.size)
        if not head.startswith(MAGIC):
            raise self._refusal(0, "this is no backup of unidesk")
        _, self._seed, version, _, length = _HEAD.unpack(head)
        if length > HEADER_BYTES_MAX:
            raise self._refusal(12, f"a header of {length} bytes; at most {HEADER_BYTES_MAX}")
        text = self._take(length)
        if self._seed != zlib.crc32(head[8:] + text):
            raise self._refusal(4, "the checksum of its header is wrong")
        if version != VERSION:
            raise BackupRefused(
                f"{name}: version {version} of the format; this program reads {VERSION}:"
                " use the release that wrote it, or a newer one"
            )
        try:
            self.header = msgspec.json.decode(text, type=Header)
            _check(self.header)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise self._refusal(_HEAD.size, f"its header: {error}") from None

    def blocks(self) -> Iterator[bytes]:
        """Yield the state block by block, each checked.  Raises `BackupRefused`."""
        sha, total = hashlib.sha256(), 0
        while True:
            at = self._offset
            length, crc = BLOCK.unpack(self._take(BLOCK.size))
            if length > BLOCK_BYTES_MAX:
                raise self._refusal(at, f"a block of {length} bytes; at most {BLOCK_BYTES_MAX}")
            data = self._take(length or _END.size)
            self._seed = block_crc(data, length, self._seed)
            if crc != self._seed:
                raise self._refusal(at, "the checksum of a block is wrong")
            if length == 0:
                break
            sha.update(data)
            total += length
            yield data
        if data != _END.pack(total, sha.digest()):
            raise self._refusal(at, f"its {total} bytes of state are not those that were written")
        if self._read(1):
            raise self._refusal(self._offset, "there are bytes behind its end")
        self.end = End(total, sha.hexdigest())

    def _take(self, size: int) -> bytes:
        data = self._read(size)
        if not data and not self._offset:
            raise self._refusal(0, "nothing is in it, as if what writes it had failed")
        if len(data) < size:
            raise self._refusal(self._offset + len(data), "it ends here, and should go on")
        self._offset += size
        return data

    def _refusal(self, offset: int, what: str) -> BackupRefused:
        return BackupRefused(f"{self._name}: at byte {offset}: {what}; use another backup")


def _check(header: Header) -> None:
    """Raise `ValueError` unless people can be shown what is in it."""
    for name in ("cluster_ms", "created_ms"):
        if not 0 <= getattr(header, name) <= TIME_MS_MAX:
            raise ValueError(f"{name}: no time")
    for name in ("index", "term", "level"):
        if not 0 <= getattr(header, name) <= INTEGER_MAX:
            raise ValueError(f"{name}: out of range")
    for name in ("cluster", "node", "release", "origin"):
        if not getattr(header, name).isprintable():
            raise ValueError(f"{name}: not printable")
