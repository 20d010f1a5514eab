"""Blocks of a file, each with a checksum that is seeded with the one before.  No I/O.

    block = length u32 | crc u32 | data        little endian; 1..BLOCK_BYTES_MAX bytes of data
    end   = 0 u32      | crc u32 | ...         what ends a file is its format's to say

The crc covers length and data: a block that is lost, doubled or swapped is as visible as a bit that
flipped.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

BLOCK_BYTES_MAX = 256 * 1024
BLOCK = struct.Struct("<II")
"""Length and crc, before the data."""


def block_crc(data: bytes, length: int, seed: int) -> int:
    """Return the crc of a block behind one, or a head, whose crc is `seed`."""
    return zlib.crc32(data, zlib.crc32(length.to_bytes(4, "little"), seed))


def in_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks that are full but for the last."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        while len(gathered) >= BLOCK_BYTES_MAX:
            yield bytes(memoryview(gathered)[:BLOCK_BYTES_MAX])
            del gathered[:BLOCK_BYTES_MAX]
    if gathered:
        yield bytes(gathered)
