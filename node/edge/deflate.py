"""permessage-deflate without a context: offers answered, messages inflated and deflated.  No I/O.

    in an offer                     what we make of it
    server_no_context_takeover      ours anyway: what we deflate, we deflate by itself
    client_no_context_takeover      in every answer, so that so does the client
    server_max_window_bits=9..15    in the answer; we deflate within it
    server_max_window_bits=8        declined: zlib has no such window
    client_max_window_bits          left out of the answer: we inflate any
    anything else, or twice         declined

The first offer that is not declined is answered; without one the connection goes on as it would
have.  Because no message needs the one before, an idle connection owns nothing of zlib, and a
frame for many is deflated once (`deflated` remembers the last few).  Frames under
`DEFLATE_BYTES_MIN` go as they are, and so do those that would not get smaller.

Inflating never makes more bytes than a message may have, plus one: a bomb ends with 1009 there.

Source: RFC 7692, sections 5, 7.1 and 7.2.
"""

import functools
import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from node.edge.frame import COMPRESSED, encode, payload_start

NAME = "permessage-deflate"
DEFLATE_BYTES_MIN = 256
"""Of a frame below it goes some eighth, for 25 µs of work."""
WINDOW_BITS = 12
"""Of ours: 4 KiB.  More gains nothing on our frames; many clients ask for these 12 bits anyway."""
FRAMES_REMEMBERED = 16
"""At most, of all connections; a fan-out sends one frame to all before it turns to the next."""

_LEVEL, _MEMORY_LEVEL = 6, 5
_INFLATE_BITS = 15
_TAIL = b"\x00\x00\xff\xff"
_AFTER_FINAL = (_TAIL, b"\x00" + _TAIL)
"""What may follow a final block: nothing, or the empty one that RFC 7692, 7.2.3.4, puts there."""
_BITS = re.compile(rb"[89]|1[0-5]")


class Agreement(NamedTuple):
    """What was agreed with a client."""

    answer: str
    """The value of Sec-WebSocket-Extensions."""
    window_bits: int
    """What we may deflate with."""


def negotiate(offers: Iterable[bytes]) -> Agreement | None:
    """Return the answer to the first offer that we can honour, None without one."""
    return next(filter(None, map(_agree, offers)), None)


def _agree(offer: bytes) -> Agreement | None:
    name, *parameters = (part.strip(b" \t") for part in offer.split(b";"))
    said: dict[bytes, bytes | None] = {}
    for parameter in parameters:
        key, equals, value = (part.strip(b" \t") for part in parameter.partition(b"="))
        if key in said:
            return None
        said[key] = value.strip(b'"') if equals else None
    if name != NAME.encode() or not all(_is_parameter(*one) for one in said.items()):
        return None
    answer = f"{NAME}; server_no_context_takeover; client_no_context_takeover"
    asked = said.get(b"server_max_window_bits")
    if asked is None:
        return Agreement(answer, WINDOW_BITS)
    if asked == b"8":
        return None
    bits = min(int(asked), WINDOW_BITS)
    return Agreement(f"{answer}; server_max_window_bits={bits}", bits)


def _is_parameter(key: bytes, value: bytes | None) -> bool:
    match key:
        case b"server_no_context_takeover" | b"client_no_context_takeover":
            return value is None
        case b"client_max_window_bits":
            return value is None or _BITS.fullmatch(value) is not None
        case b"server_max_window_bits":
            return value is not None and _BITS.fullmatch(value) is not None
        case _:
            return False


def deflated(frame: bytes, window_bits: int) -> bytes:
    """Return a data frame of ours deflated, or as it is where that gains nothing."""
    return frame if len(frame) < DEFLATE_BYTES_MIN else _deflated(frame, window_bits)


@functools.lru_cache(maxsize=FRAMES_REMEMBERED)
def _deflated(frame: bytes, window_bits: int) -> bytes:
    payload = memoryview(frame)[payload_start(frame) :]
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits, _MEMORY_LEVEL)
    small = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    small = small[: -len(_TAIL)]
    return encode(frame[0] | COMPRESSED, small) if len(small) < len(payload) else frame


def incompressible_bytes(bytes_max: int) -> int:
    """Return what a message of `bytes_max` may need when it does not get smaller.

    zlib then stores blocks, with a head of five bytes each; the smallest hold 128 bytes.
    """
    return bytes_max + 5 * (bytes_max // 128 + 2)


class Inflater(Extension):
    """Inflates the messages of one decoder, each by itself and none over `bytes_max`."""

    name = NAME

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._left = 0
        self._message: zlib._Decompress | None = None
        self._is_data = False

    def enabled(self) -> bool:
        """Return that it is: what was agreed is `negotiate`'s concern."""
        return True

    def offer(self) -> bool:
        """Return that a server offers nothing."""
        return False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """Begin a message, whose first frame says whether it is deflated."""
        self._is_data = not opcode.iscontrol()
        if opcode in (Opcode.TEXT, Opcode.BINARY):
            self._message = zlib.decompressobj(-_INFLATE_BITS) if rsv.rsv1 else None
            self._left = self._bytes_max
        elif rsv.rsv1:
            return CloseReason.PROTOCOL_ERROR
        return RsvBits(True, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Return what `data` inflates to."""
        return self._inflate(data) if self._is_data and self._message is not None else data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Return the rest of a message that ends."""
        if not (fin and self._is_data and self._message is not None):
            return None
        rest = self._inflate(_TAIL)
        self._message = None
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        message = self._message
        assert message is not None
        try:
            inflated = message.decompress(data, self._left + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._left -= len(inflated)
        if self._left < 0:
            return CloseReason.MESSAGE_TOO_BIG
        assert not message.unconsumed_tail, "there was room for all of it"
        if message.eof and not any(end.startswith(message.unused_data) for end in _AFTER_FINAL):
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return inflated
