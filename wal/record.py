"""Records, and the frames that carry a batch of them: bytes to values and back.  No I/O.

A frame is one group-commit batch.  Little-endian, at a multiple of 8 bytes:

    offset  size  field
         0     4  magic        b"UDWF"
         4     4  header_crc   CRC-32 of bytes 8..40, seeded with the segment's salt
         8     4  payload_crc  CRC-32 of the payload
        12     4  length       payload bytes, 0..PAYLOAD_BYTES_MAX
        16     8  sequence     1, 2, 3 ... over all segments
        24     8  segment      number of the segment that this frame was written to
        32     4  previous     header_crc of the frame before (0 for the first of a log)
        36     2  version
        38     2  flags        bit 0: the head frame of a segment
        40     n  payload      n == length; packed records
      40+n   0-7  zeros        to the next multiple of 8

The header's own crc tells a wrong `length` from a write cut short; `previous` covers the
payload crc of the frame before, so a lost or reordered frame is as visible as a flipped bit;
salt and segment number reject what is left of a segment's earlier life, and the salt keeps a
payload that looks like a frame from passing for one.

The payload's records follow each other without padding; the first byte is the kind:

    1 Entry      kind u8, length u32, index u64, term u64, payload
    2 HardState  kind u8, term u64, length u16 (0xFFFF: no vote), vote in UTF-8
    3 Commit     kind u8, index u64
    4 Truncate   kind u8, from_index u64
    5 Compact    kind u8, below_index u64
    6 Reset      kind u8
    7 Base       kind u8, first_index u64, next_index u64, last_term u64
    8 HardState  as kind 2, of a node that abstains

This module only names damage.  Whether damaged bytes may be cut off is for `wal.recovery`.

Source: etcd, server/storage/wal/doc.go (rolling crc); RocksDB, log_format.h (log number in
recyclable records); LevelDB, log_format.md.
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wal.errors import CorruptRecord, TornRecord

VERSION = 1
MAGIC = b"UDWF"
ALIGNMENT_BYTES = 8
PAYLOAD_BYTES_MAX = 256 * 1024 * 1024
"""Of one frame: far above any batch, and what a damaged length could make us read."""
VOTE_BYTES_MAX = 255
INDEX_MAX = 2**64 - 1

_HEADER = struct.Struct("<4sIIIQQIHH")
HEADER_BYTES = _HEADER.size
_FLAG_HEAD = 1
_NO_VOTE = 0xFFFF

_KIND_ENTRY = 1
_KIND_VOTES = 2
_KIND_ABSTAINS = 8
_ENTRY = struct.Struct("<BIQQ")
_HARD_STATE = struct.Struct("<BQH")
_INDEX = struct.Struct("<BQ")
_BASE = struct.Struct("<BQQQ")
ENTRY_OVERHEAD_BYTES = _ENTRY.size

assert HEADER_BYTES % ALIGNMENT_BYTES == 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One Raft log entry."""

    index: int
    term: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class HardState:
    """Term and vote (Raft thesis, figure 3.1); the last one in the log counts."""

    term: int
    vote: str | None
    abstains: bool = False
    """Whether promises of this node may be forgotten: it must not vote or be counted."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything up to `index` is committed."""

    index: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """Drops the entries >= `from_index`: they conflict with the leader's."""

    from_index: int


@dataclass(frozen=True, slots=True)
class Compact:
    """Drops the entries < `below_index`: a durable snapshot covers them."""

    below_index: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Drops all entries; the next one may have any index."""


@dataclass(frozen=True, slots=True)
class Base:
    """Which entries there are where a segment begins: `first_index` <= i < `next_index`.

    Zeros say that the next entry may have any index.  Written by the log, never by callers.
    """

    first_index: int
    next_index: int
    last_term: int


Record = Entry | HardState | Commit | Truncate | Compact | Reset | Base


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that its own checksums vouch for; `start` and `end` are offsets in the segment."""

    sequence: int
    previous: int
    link: int
    """What the next frame carries as `previous`."""
    head: bool
    start: int
    """Of the payload."""
    length: int

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return aligned(self.start + self.length)


def aligned(size: int) -> int:
    """Return `size` rounded up to a multiple of ALIGNMENT_BYTES."""
    return size + -size % ALIGNMENT_BYTES


def encode_frame(
    payload: bytes, *, sequence: int, segment: int, previous: int, salt: int, head: bool = False
) -> tuple[bytes, int]:
    """Return `(frame, link)`: the padded bytes to append, and the next frame's `previous`."""
    assert len(payload) <= PAYLOAD_BYTES_MAX
    flags = _FLAG_HEAD if head else 0
    fields = (zlib.crc32(payload), len(payload), sequence, segment, previous, VERSION, flags)
    link = zlib.crc32(_HEADER.pack(MAGIC, 0, *fields)[8:], salt)
    header = _HEADER.pack(MAGIC, link, *fields)
    return b"".join((header, payload, bytes(-len(payload) % ALIGNMENT_BYTES))), link


def decode_frame(data: bytes, offset: int, *, segment: int, salt: int) -> Frame:
    """Return the frame at `offset` of a segment's bytes.

    Raises `TornRecord` where the bytes end and `CorruptRecord` where they lie.
    """
    header = data[offset : offset + HEADER_BYTES]
    if len(header) < HEADER_BYTES:
        raise TornRecord(offset, f"{len(header)} of {HEADER_BYTES} bytes of a frame header")
    magic, link, payload_crc, length, sequence, number, previous, version, flags = _HEADER.unpack(
        header
    )
    if magic != MAGIC or link != zlib.crc32(header[8:], salt):
        if not any(header):
            raise TornRecord(offset, "zeros where a frame would begin")
        raise CorruptRecord(offset, "the checksum of a frame header is wrong")
    if number != segment:
        raise CorruptRecord(offset, f"a frame of segment {number}, left from an earlier life")
    if version != VERSION or flags > _FLAG_HEAD or length > PAYLOAD_BYTES_MAX:
        raise CorruptRecord(offset, f"a frame of version {version}, flags {flags}")
    start = offset + HEADER_BYTES
    if len(data) < start + length:
        missing = start + length - len(data)
        raise TornRecord(offset, f"{missing} of {length} payload bytes are missing")
    if payload_crc != zlib.crc32(memoryview(data)[start : start + length]):
        raise CorruptRecord(offset, f"the checksum of frame {sequence}'s payload is wrong")
    return Frame(sequence, previous, link, bool(flags & _FLAG_HEAD), start, length)


def find_frame(
    data: bytes, offset: int, *, segment: int, salt: int, sequence_min: int
) -> tuple[int, Frame] | None:
    """Return the first whole frame behind `offset` of at least `sequence_min`, and its place."""
    at = data.find(MAGIC, offset + 1)
    while at >= 0:
        if at % ALIGNMENT_BYTES == 0:
            try:
                frame = decode_frame(data, at, segment=segment, salt=salt)
            except (TornRecord, CorruptRecord):
                pass
            else:
                if frame.sequence >= sequence_min:
                    return at, frame
        at = data.find(MAGIC, at + 1)
    return None


def size_bytes(record: Record) -> int:
    """Return how many bytes `record` takes in a payload, at most."""
    if type(record) is Entry:
        return ENTRY_OVERHEAD_BYTES + len(record.payload)
    return _BASE.size + VOTE_BYTES_MAX


def highest_index(records: Iterable[Record]) -> int:
    """Return the highest index of the entries among `records`, 0 when there is none."""
    return max([record.index for record in records if type(record) is Entry], default=0)


def encode_records(records: Iterable[Record]) -> bytes:
    """Return the payload that carries `records`, in order."""
    parts: list[bytes] = []
    add = parts.append
    pack_entry = _ENTRY.pack
    for record in records:
        if type(record) is Entry:
            payload = record.payload
            add(pack_entry(_KIND_ENTRY, len(payload), record.index, record.term))
            add(payload)
        else:
            add(_encode_small(record))
    return b"".join(parts)


def _encode_small(record: Record) -> bytes:
    match record:
        case HardState(term, vote, abstains):
            kind = _KIND_ABSTAINS if abstains else _KIND_VOTES
            if vote is None:
                return _HARD_STATE.pack(kind, term, _NO_VOTE)
            name = vote.encode()
            assert len(name) <= VOTE_BYTES_MAX
            return _HARD_STATE.pack(kind, term, len(name)) + name
        case Commit(index):
            return _INDEX.pack(3, index)
        case Truncate(index):
            return _INDEX.pack(4, index)
        case Compact(index):
            return _INDEX.pack(5, index)
        case Reset():
            return b"\x06"
        case Base(first_index, next_index, last_term):
            return _BASE.pack(7, first_index, next_index, last_term)
    raise AssertionError(f"{record!r} is no record")


def decode_records(payload: bytes) -> list[Record]:
    """Return the records of a payload.

    Raises `CorruptRecord`, its offset counted from the payload's begin, when a kind is unknown
    or the bytes do not end with a record.
    """
    records: list[Record] = []
    add, unpack_entry = records.append, _ENTRY.unpack_from
    offset, size = 0, len(payload)
    try:
        while offset < size:
            kind = payload[offset]
            if kind == _KIND_ENTRY:  # nearly all are
                _, length, index, term = unpack_entry(payload, offset)
                start = offset + ENTRY_OVERHEAD_BYTES
                offset = start + length
                add(Entry(index, term, payload[start:offset]))
            elif kind in _DECODERS:
                record, offset = _DECODERS[kind](payload, offset)
                add(record)
            else:
                raise CorruptRecord(offset, f"a record of unknown kind {kind}")
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptRecord(offset, f"a record of kind {payload[offset]}: {error}") from None
    if offset > size:
        raise CorruptRecord(size, "its last record ends behind the frame")
    return records


def _decode_hard_state(payload: bytes, offset: int) -> tuple[Record, int]:
    kind, term, length = _HARD_STATE.unpack_from(payload, offset)
    abstains = kind == _KIND_ABSTAINS
    start = offset + _HARD_STATE.size
    if length == _NO_VOTE:
        return HardState(term, None, abstains), start
    vote = payload[start : start + length].decode()
    return HardState(term, vote, abstains), start + length


def _decode_index(make: Callable[[int], Record]) -> Callable[[bytes, int], tuple[Record, int]]:
    def decode(payload: bytes, offset: int) -> tuple[Record, int]:
        _, index = _INDEX.unpack_from(payload, offset)
        return make(index), offset + _INDEX.size

    return decode


def _decode_reset(_payload: bytes, offset: int) -> tuple[Record, int]:
    return Reset(), offset + 1


def _decode_base(payload: bytes, offset: int) -> tuple[Record, int]:
    _, first_index, next_index, last_term = _BASE.unpack_from(payload, offset)
    return Base(first_index, next_index, last_term), offset + _BASE.size


_DECODERS: dict[int, Callable[[bytes, int], tuple[Record, int]]] = {
    _KIND_VOTES: _decode_hard_state,
    3: _decode_index(Commit),
    4: _decode_index(Truncate),
    5: _decode_index(Compact),
    6: _decode_reset,
    7: _decode_base,
    _KIND_ABSTAINS: _decode_hard_state,
}
