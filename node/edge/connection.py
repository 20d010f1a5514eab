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
from node.edge.parcel import Parcel
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

    __slots__ = ("_decoder", "_pinged", "_rests_until", "_seen", "subprotocol")

    deflates: ClassVar[bool] = False
    """Whether messages may come deflated."""

    def __init__(self, reactor: "Reactor", fd: int, peer: str, subprotocol: str | None) -> None:
        super().__init__(reactor, fd, peer)
        self._decoder: Decoder | None = None
        self._seen = reactor.now
        self._pinged = _NEVER
        self._rests_until = _NEVER
        self.read_bytes = reactor.limits.messages_read_bytes
        self.subprotocol = subprotocol

    # On its way between processes.

    @property
    def at_rest(self) -> bool:
        """Whether it is open, and neither side has begun to say goodbye."""
        return self.state is OPEN and self.tls is None

    @property
    def held_bytes(self) -> int:
        """Output that waits, and what came of a message."""
        unread = self._decoder.unfinished if self._decoder is not None else b""
        return self.outbox_bytes + len(unread)

    def parcel(self, now: float) -> Parcel:
        """Return all that is known of it but `data`, which is the application's."""
        parcel = self._packed("websocket", now)
        parcel.subprotocol = self.subprotocol
        parcel.seen_s = now - self._seen
        if self._pinged != _NEVER:
            parcel.pinged_s = now - self._pinged
        if self._decoder is not None:
            parcel.unread = self._decoder.unfinished
        return parcel

    def resume(self, parcel: Parcel) -> None:
        """Go on where another process stopped; messages may come at once."""
        now = self._reactor.clock()
        self._seen = now - parcel.seen_s
        if parcel.pinged_s is not None:
            self._pinged = now - parcel.pinged_s
        self.resume_output(parcel)
        if parcel.unread:
            events, self._decoder = self._reactor.decoders.decode(
                None, parcel.unread, deflate=self.deflates
            )
            if self._decoder is not None:
                self._await_rest(self._decoder, None, events)
            self._set_portion()
            self._together(self._act, events)

    # What the application calls.

    def defer(self, deferred: bool) -> None:
        """Be served after those who are in already, a few per pass; or no longer.

        For a peer that has not proved who it is: to look at that takes longer than a message.
        """
        if self.fd >= 0 and self.deferred is not deferred:
            self._reactor.defer(self, deferred, self._watching)

    def rest(self, seconds: float) -> None:
        """Read nothing for so long, rounded up to a tick, and then little at a time.

        A peer that says more than it may waits for the kernel, and others are not kept waiting.
        """
        if self.state is OPEN:
            self._rests_until = self._reactor.clock() + seconds
            self.look_at(self._rests_until)
            self._set_portion()
            self.watch()

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
        if self._rests_until and len(data) < self.read_bytes:
            self._rests_until = _NEVER  # it has said all
            self._set_portion()
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
        self._set_portion()
        if len(events) == 1 and isinstance(events[0], Message):
            self._hear(*events[0])
        else:
            self._together(self._act, events)

    def wants_input(self) -> bool:
        """Say whether to read: not while it rests."""
        return super().wants_input() and self._rests_until <= self._reactor.now

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
        if self._rests_until:
            self.watch()
        if self.state is OPEN and self._rests_until > now:
            self.look_at(self._rests_until)
        elif self.state is not OPEN:
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

    def _set_portion(self) -> None:
        """Read much only where a message is known to be large."""
        limits = self._reactor.limits
        if self._rests_until:
            self.read_bytes = limits.greedy_read_bytes
        elif self._decoder is not None:
            self.read_bytes = limits.read_bytes
        else:
            self.read_bytes = limits.messages_read_bytes

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

    def parcel(self, now: float) -> Parcel:
        """Return all that is known of it but `data`, which is the application's."""
        parcel = super().parcel(now)
        parcel.window_bits = self.window_bits
        return parcel

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        """Send an encoded frame, deflated if that makes it smaller."""
        if self.state is OPEN:
            super().send_frame(deflated(data, self.window_bits), ephemeral=ephemeral)
