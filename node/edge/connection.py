"""One WebSocket: what the application sends on, and how its end is agreed.

Talks to its socket through `Channel`; never waits, never raises to the application.

    what happens                              on the wire               `on_close` hears
    close(code) and the peer answers          our code, its answer      our code
    the peer closes                           its code, our echo        its code (1005 if none)
    bad frame, bad UTF-8, message too big     1002, 1007, 1009          that code
    outbox full                               last frame, 4003          4003
    silent after a ping                       4002                      4002
    a message takes longer than `message_s`   1008                      1008
    the application raised                    1011                      1011
    EOF or reset                              -                         1006

An idle connection owns its slots, its descriptor and its peer's name; no task, no buffer, no
decoder.

Source: RFC 6455, sections 5.5.1 and 7.
"""

import math
from typing import TYPE_CHECKING, ClassVar

from node.edge.channel import Channel
from node.edge.decoder import Decoder, Event, Message, PeerClose, Ping, Pong, Violation
from node.edge.deflate import deflated
from node.edge.frame import encode_close, encode_ping, encode_pong
from node.edge.stream import CLOSING, FLUSHING, GONE, OPEN
from node.protocol.codes import Close

if TYPE_CHECKING:
    from node.edge.reactor import Reactor

GOING_AWAY = 1001
POLICY = 1008
TOO_LATE = Violation(POLICY, "a message did not arrive in time")

_PING = encode_ping()
_NEVER = 0.0


class Connection(Channel):
    """One WebSocket, as the application holds it; `subprotocol` is what `on_upgrade` chose."""

    __slots__ = ("_decoder", "_pinged", "_seen", "subprotocol")

    deflates: ClassVar[bool] = False
    """Whether messages may come deflated."""

    def __init__(self, reactor: "Reactor", fd: int, peer: str, subprotocol: str | None) -> None:
        super().__init__(reactor, fd, peer)
        self._decoder: Decoder | None = None
        self._seen = reactor.now
        self._pinged = _NEVER
        self.subprotocol = subprotocol

    # What the application calls.

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame after what waits, and give the peer `close_wait_s` to answer it."""
        if self.state is not OPEN:
            return
        self.state = CLOSING
        self._code = code
        self.write(encode_close(code, reason))
        if self.fd >= 0:
            self.look_at(self._reactor.clock() + self._reactor.limits.close_wait_s)

    # What the reactor calls.

    def received(self, data: bytes) -> None:
        """Decode input and hand its messages to the application."""
        self._seen = self._reactor.now
        if self._decoder is None:
            messages = self._reactor.decoders.quick(data)
            if messages is not None:
                if len(messages) == 1:  # nearly always
                    self._hear(*messages[0])
                else:
                    self._together(self._hear_all, messages)
                return
        before = self._decoder
        events, self._decoder = self._reactor.decoders.decode(before, data, deflate=self.deflates)
        if self._decoder is not None:
            self._await_rest(self._decoder, before, events)
        self._together(self._act, events)

    def _await_rest(self, decoder: Decoder, before: Decoder | None, events: list[Event]) -> None:
        """Give a message that is not all there its time; more bytes of it win it no more."""
        if before is None or any(isinstance(event, Message) for event in events):
            decoder.began = self._reactor.now
            self._look_by(self._reactor.now + self._reactor.limits.message_s)

    def settled(self) -> None:
        """Release the decoder and have `on_close` called, soon."""
        self._decoder = None
        super().settled()

    def check(self, now: float) -> None:
        """Ping a silent peer, drop one that stays silent or takes too long to say goodbye."""
        limits = self._reactor.limits
        if self.state is not OPEN:
            if now >= self.deadline:
                self.drop()
            else:
                self.look_at(self.deadline)
        elif now >= self._message_due:
            self._handle(TOO_LATE)
        elif self._pinged > self._seen:
            if now >= self._pinged + limits.pong_s:
                self.abandon(int(Close.NO_PONG), "no pong")
            else:
                self._look_by(self._pinged + limits.pong_s)
        elif now >= self._seen + limits.ping_s:
            self._pinged = now
            self.write(_PING)
            if self.fd >= 0:
                self._look_by(now + limits.pong_s)
        else:
            self._look_by(self._seen + limits.ping_s)

    @property
    def _message_due(self) -> float:
        """When a message must be there: not from a peer that we do not read from."""
        if self._decoder is None or self._is_full():
            return math.inf
        return self._decoder.began + self._reactor.limits.message_s

    def _look_by(self, deadline: float) -> None:
        """Look again at `deadline`, or when a message must be there."""
        self.look_at(min(deadline, self._message_due))

    def last_word(self, code: int, reason: str) -> bytes:
        """Return a close frame."""
        return encode_close(code, reason)

    def _act(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Message):
                self._hear(event.payload, event.text)
            else:
                self._handle(event)

    def _hear_all(self, messages: list[tuple[bytes, bool]]) -> None:
        for payload, text in messages:
            self._hear(payload, text)

    def _hear(self, payload: bytes, text: bool) -> None:
        if self.state is OPEN:
            self._reactor.counters.messages_in += 1
            self._reactor.application.on_message(self, payload, text)

    def _handle(self, event: Ping | Pong | PeerClose | Violation) -> None:
        if self.state >= FLUSHING:
            return
        match event:
            case Ping(payload):
                if self.state is OPEN:
                    self.send_frame(encode_pong(payload))
            case Pong():
                pass  # any input counts as life
            case PeerClose(code, reason):
                self._answer_close(code, reason)
            case Violation(code, reason):
                self._reactor.counters.refused[f"ws_{code}"] += 1
                self._end(code, reason)

    def _answer_close(self, code: int, reason: str) -> None:
        if self.state is CLOSING:  # the answer to ours: both have said goodbye
            self.finish(self._reactor.limits.close_wait_s)
        else:
            self._end(code, reason)

    def _end(self, code: int, reason: str) -> None:
        """Send a close frame, if none is out, and expect no more than the peer's hanging up."""
        if self.state is OPEN:
            self._code = code
            self.write(encode_close(code, reason))
        if self.state is not GONE:
            self.finish(self._reactor.limits.close_wait_s)


class DeflatingConnection(Connection):
    """One WebSocket that has agreed on permessage-deflate, to send within `window_bits`."""

    __slots__ = ("window_bits",)

    deflates = True

    def __init__(
        self, reactor: "Reactor", fd: int, peer: str, subprotocol: str | None, window_bits: int
    ) -> None:
        super().__init__(reactor, fd, peer, subprotocol)
        self.window_bits = window_bits

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        """Send an encoded frame, deflated if that makes it smaller."""
        if self.state is OPEN:
            super().send_frame(deflated(data, self.window_bits), ephemeral=ephemeral)
