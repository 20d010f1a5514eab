"""The first 512 bytes of a segment: whose log it is, and where in it we are.  No I/O.

    offset  size  field
         0     4  magic        b"UDWS"
         4     4  head_crc     CRC-32 of bytes 8..512
         8     2  version
        10     2  length of the cluster id
        12     2  length of the node id
        14     2  zeros
        16     8  number       1, 2, 3 ...; also the file's name, `%016d.wal`
        24     8  incarnation  of the node, see `wal.identity`
        32     8  oldest       lowest segment still needed when this one was begun
        40     8  sequence     of this segment's first frame
        48     4  previous     of this segment's first frame
        52     4  salt         seeds the crc of every frame header of this segment
        56     n  cluster id, node id in UTF-8, then zeros

A segment comes into being whole, by write, sync and rename, with its head frame (hard state,
commit index, base) behind these bytes.  So these are never torn, and segments below the
`oldest` of the newest one are left-overs of an interrupted removal.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from wal.errors import CorruptRecord, TornRecord

VERSION = 1
HEAD_BYTES = 512
ID_BYTES_MAX = 200

_MAGIC = b"UDWS"
_FIXED = struct.Struct("<4sIHHHHQQQQII")
_NAME = re.compile(r"([0-9]{16,20})\.wal")

assert _FIXED.size + 2 * ID_BYTES_MAX <= HEAD_BYTES


@dataclass(frozen=True, slots=True)
class SegmentHead:
    number: int
    oldest: int
    sequence: int
    previous: int
    salt: int
    cluster_id: str
    node_id: str
    incarnation: int


class UnknownVersion(CorruptRecord):
    """The checksum is right, the version is not ours: nothing is broken, the program is old."""


def segment_name(number: int) -> str:
    """Return the file name of segment `number`."""
    return f"{number:016d}.wal"


def segment_number(name: str) -> int | None:
    """Return the number in a segment's file name, None for any other name."""
    found = _NAME.fullmatch(name)
    if found is None or segment_name(int(found[1])) != name:
        return None
    return int(found[1])


def encode_head(head: SegmentHead) -> bytes:
    """Return the HEAD_BYTES that begin a segment."""
    cluster_id, node_id = head.cluster_id.encode(), head.node_id.encode()
    assert len(cluster_id) <= ID_BYTES_MAX
    assert len(node_id) <= ID_BYTES_MAX
    fixed = _FIXED.pack(
        _MAGIC,
        0,
        VERSION,
        len(cluster_id),
        len(node_id),
        0,
        head.number,
        head.incarnation,
        head.oldest,
        head.sequence,
        head.previous,
        head.salt,
    )
    rest = (fixed + cluster_id + node_id).ljust(HEAD_BYTES, b"\0")[8:]
    return _MAGIC + zlib.crc32(rest).to_bytes(4, "little") + rest


def decode_head(data: bytes) -> SegmentHead:
    """Return the head at the begin of a segment's bytes.

    Raises `TornRecord`, `CorruptRecord`, or `UnknownVersion` for a head of another version.
    """
    if len(data) < HEAD_BYTES:
        raise TornRecord(0, f"{len(data)} of {HEAD_BYTES} bytes of a segment head")
    magic, head_crc, version, cluster, node, _, *rest = _FIXED.unpack_from(data)
    number, incarnation, oldest, sequence, previous, salt = rest
    if magic != _MAGIC or head_crc != zlib.crc32(data[8:HEAD_BYTES]):
        raise CorruptRecord(0, "the checksum of a segment head is wrong")
    if version != VERSION:
        raise UnknownVersion(8, f"version {version} of the log; this program reads {VERSION}")
    if not 1 <= oldest <= number:
        raise CorruptRecord(16, f"segment {number} says that segment {oldest} is the oldest")
    ids = _FIXED.size
    try:
        cluster_id = data[ids : ids + cluster].decode()
        node_id = data[ids + cluster : ids + cluster + node].decode()
    except UnicodeDecodeError as error:
        raise CorruptRecord(ids, f"ids that are not UTF-8: {error}") from None
    return SegmentHead(number, oldest, sequence, previous, salt, cluster_id, node_id, incarnation)
