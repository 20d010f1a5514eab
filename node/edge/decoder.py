"""Chunks of a WebSocket's bytes to messages and control events.  No I/O.

An idle WebSocket owns no decoder.  Almost every chunk that a socket gives is whole, unfragmented
frames, and after those a decoder is where it was before: so all connections share one, and a
connection has its own only from the chunk that ends inside a frame or message to the chunk that
ends where a message ends.

    own decoder   chunk                              decoded by    own decoder afterwards
    none          small messages, a frame each       quick.py      none
    none          other whole frames                 shared        none
    none          anything else                      a fresh one   kept unless at rest
    one           any                                own           kept unless at rest

All decoders but the quick one are wsproto's; what is wrong with a chunk is always its verdict.
Where permessage-deflate was agreed there is another shared one, which inflates: no message needs
the one before (`node.edge.deflate`), so it too is at rest between messages.

A decoder that reported `PeerClose` or `Violation` is spent; the shared one is then replaced, so
that no connection can leave a byte of state to another.  `feed` returns a list, not a generator:
the shared decoder has finished with a chunk before any application code runs.

Source: RFC 6455; wsproto, frame_protocol.py.
"""

from typing import NamedTuple

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed

from node.edge.deflate import Inflater, incompressible_bytes
from node.edge.frame import MASK_BYTES, Cursor, whole
from node.edge.quick import QUICK_BYTES_MAX, quick_messages

TEXT, BINARY = Opcode.TEXT, Opcode.BINARY


class Message(NamedTuple):
    """A whole message; text is UTF-8 that wsproto has checked."""

    payload: bytes
    text: bool


class Ping(NamedTuple):
    """A ping to answer with the same payload."""

    payload: bytes


class Pong(NamedTuple):
    """An answer to a ping, or an unasked one."""

    payload: bytes


class PeerClose(NamedTuple):
    """The peer's close frame; code 1005 when it carried none."""

    code: int
    reason: str


class Violation(NamedTuple):
    """The peer broke the protocol or a limit: close with this code."""

    code: int
    reason: str


Event = Message | Ping | Pong | PeerClose | Violation


class Decoder:
    """One wsproto frame decoder, and the message that it is in the middle of."""

    __slots__ = ("_bytes_max", "_frames", "_parts", "_size", "began", "cursor", "spent")

    def __init__(self, bytes_max: int, *, deflate: bool = False) -> None:
        self._bytes_max = bytes_max
        extensions: list[Extension] = [Inflater(bytes_max)] if deflate else []
        self._frames = FrameProtocol(client=False, extensions=extensions)
        self._parts: list[bytes] = []
        self._size = 0
        self.began = 0.0
        """When the message began that it is in the middle of; set by whoever has a clock."""
        self.cursor = Cursor()
        self.spent = False

    @property
    def unfinished(self) -> bytes:
        """What another decoder has to be fed to stand where this one stands."""
        return self.cursor.unfinished

    def feed(self, data: bytes) -> list[Event]:
        """Return what `data` completes, in order; nothing follows a `PeerClose` or `Violation`."""
        events: list[Event] = []
        self._frames.receive_bytes(data)
        try:
            for frame in self._frames.received_frames():
                event = self._event(frame)
                if event is not None:
                    events.append(event)
        except ParseFailed as failure:
            events.append(Violation(int(failure.code), str(failure)))
            self.spent = True
        return events

    def _event(self, frame: Frame) -> Event | None:
        opcode = frame.opcode  # of a continuation wsproto gives its message's
        if opcode is TEXT or opcode is BINARY:
            return self._data(frame)
        if opcode is Opcode.PING:
            return Ping(_raw(frame))
        if opcode is Opcode.PONG:
            return Pong(_raw(frame))
        assert opcode is Opcode.CLOSE
        assert isinstance(frame.payload, tuple)
        self.spent = True
        return PeerClose(int(frame.payload[0]), frame.payload[1])

    def _data(self, frame: Frame) -> Message | None:
        part = _raw(frame)
        self._size += len(part)
        if self._size > self._bytes_max:
            limit = f"message over {self._bytes_max} bytes"
            raise ParseFailed(limit, CloseReason.MESSAGE_TOO_BIG)
        if not frame.message_finished:
            if part:  # a peer may send empty fragments for ever
                self._parts.append(part)
            return None
        if self._parts:
            self._parts.append(part)
            part = b"".join(self._parts)
            self._parts = []
        self._size = 0
        return Message(part, frame.opcode is TEXT)


class Decoders:
    """Gives each chunk to the shared decoder or to the connection's own."""

    __slots__ = ("_awaited_bytes_max", "_bytes_max", "_quick_bytes_max", "_shared")

    def __init__(self, bytes_max: int, quick_bytes_max: int = QUICK_BYTES_MAX) -> None:
        """With `quick_bytes_max` 0 all is decoded by wsproto."""
        self._bytes_max = bytes_max
        self._quick_bytes_max = min(bytes_max, quick_bytes_max)
        self._awaited_bytes_max = tuple(
            MASK_BYTES + most for most in (bytes_max, incompressible_bytes(bytes_max))
        )
        self._shared = [Decoder(bytes_max, deflate=deflate) for deflate in (False, True)]

    def quick(self, data: bytes) -> list[tuple[bytes, bool]] | None:
        """Return payloads, and whether they are text, if that is all that is in `data`.

        For a connection that owns no decoder; None leaves all of `data` to `decode`.
        """
        if not self._quick_bytes_max:
            return None
        return quick_messages(data, self._quick_bytes_max)

    def decode(
        self, own: Decoder | None, data: bytes, *, deflate: bool = False
    ) -> tuple[list[Event], Decoder | None]:
        """Return the events of `data`, and the decoder that the connection owns from now on.

        `deflate` says whether the connection has agreed on that.
        """
        if own is None:
            if whole(data):
                return self._decode_shared(data, deflate), None
            own = Decoder(self._bytes_max, deflate=deflate)
        events = own.feed(data)
        at_rest = own.cursor.advance(data)
        if own.cursor.awaited_bytes > self._awaited_bytes_max[deflate] and not own.spent:
            # Not worth waiting for: wsproto would say so only when the bytes are there.
            limit = f"a frame of over {self._bytes_max} bytes"
            events.append(Violation(int(CloseReason.MESSAGE_TOO_BIG), limit))
            own.spent = True
        return events, None if at_rest or own.spent else own

    def _decode_shared(self, data: bytes, deflate: bool) -> list[Event]:
        shared = self._shared[deflate]
        events = shared.feed(data)
        if shared.spent:
            self._shared[deflate] = Decoder(self._bytes_max, deflate=deflate)
        return events


def _raw(frame: Frame) -> bytes:
    payload = frame.payload
    if isinstance(payload, str):
        return payload.encode()
    assert isinstance(payload, bytes)
    return payload
