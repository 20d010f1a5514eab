"""Frames between nodes: a 4-byte little-endian length, then one msgpack array.  No I/O.

    frame = length u32 | msgpack [kind, body]

No pickle ever comes off a socket: msgpack yields only plain values, within stated bounds.
"""

import struct
from typing import Any

import msgpack

LENGTH = struct.Struct("<I")
FRAME_BYTES_MAX = 8 * 1024 * 1024
"""Above any append of entries (1 MiB) and any chunk of a snapshot (1 MiB)."""
ITEMS_MAX = 100_000
"""Elements of one array or map."""


class PeerRefused(Exception):
    """What the other side sent is not of our cluster's language; the link must end."""

    peer: str = ""
    """Who sent it, where that was proven before."""


class HungUp(PeerRefused):
    """The other side ended the connection without a word."""


def encode(kind: str, body: Any) -> bytes:
    """Return one frame."""
    payload: bytes = msgpack.packb([kind, body])
    if len(payload) > FRAME_BYTES_MAX:
        raise ValueError(f"{kind}: a frame of {len(payload)} bytes; at most {FRAME_BYTES_MAX}")
    return LENGTH.pack(len(payload)) + payload


def in_words(error: BaseException) -> str:
    """Return what to tell people of a connection that `error` ended."""
    return str(error) if isinstance(error, PeerRefused) else f"{type(error).__name__}: {error}"


class FrameReader:
    """Bytes in as they come, whole frames out."""

    def __init__(self, *, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[str, Any]]:
        """Return the frames that `data` completes, in order.  Raises `PeerRefused`."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(buffer, start)
            if length > self.frame_bytes_max:
                raise PeerRefused(
                    f"a frame of {length} bytes; at most {self.frame_bytes_max}"
                    " (is this a node of this cluster?)"
                )
            end = start + LENGTH.size + length
            if len(buffer) < end:
                break
            frames.append(_parse(bytes(buffer[start + LENGTH.size : end])))
            start = end
        if start:
            del buffer[:start]
        return frames


def _parse(payload: bytes) -> tuple[str, Any]:
    try:
        value = msgpack.unpackb(
            payload,
            strict_map_key=True,  # a list as a key would raise TypeError
            max_array_len=ITEMS_MAX,
            max_map_len=ITEMS_MAX,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise PeerRefused(f"a frame that is not msgpack: {error}") from None
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
        raise PeerRefused("a frame that is not [kind, body]")
    return value[0], value[1]
