"""One WebSocket: what the application sends on, and how its end is agreed.

Talks to its socket through `Channel`; never waits, never raises to the application.

    what happens                              on the wire               `on_close` hears
    close(code) and the peer answers          our code, its answer      our code
    the peer closes                           its code, our echo        its code (1005 if none)
    bad frame, bad UTF-8, message too big     1002, 1007, 1009          that code
    outbox full                               last frame, 4003          4003
    silent after a ping                       4002                      4002
    the application raised                    1011                      1011
    EOF or reset                              -                         1006

An idle connection owns its slots, its descriptor and its peer's name; no task, no buffer, no
decoder.

Source: RFC 6455, sections 5.5.1 and 7.
"""

from typing import TYPE_CHECKING

from node.edge.channel import Channel
from node.edge.decoder import Decoder, Event, Message, PeerClose, Ping, Pong, Violation
from node.edge.frame import encode_close, encode_ping, encode_pong
from node.edge.stream import CLOSING, FLUSHING, GONE, OPEN
from node.protocol.codes import Close

if TYPE_CHECKING:
    from node.edge.reactor import Reactor

GOING_AWAY = 1001

_PING = encode_ping()
_NEVER = 0.0


class Connection(Channel):
    """One WebSocket, as the application holds it; `subprotocol` is what `on_upgrade` chose."""

    __slots__ = ("_decoder", "_pinged", "_rests_until", "_seen", "subprotocol")

    def __init__(self, reactor: "Reactor", fd: int, peer: str, subprotocol: str | None) -> None:
        super().__init__(reactor, fd, peer)
        self._decoder: Decoder | None = None
        self._seen = reactor.now
        self._pinged = _NEVER
        self._rests_until = _NEVER
        self.read_bytes = reactor.limits.messages_read_bytes
        self.subprotocol = subprotocol

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
        events, self._decoder = self._reactor.decoders.decode(self._decoder, data)
        self._set_portion()
        if len(events) == 1 and isinstance(events[0], Message):
            self._hear(*events[0])
        else:
            self._together(self._act, events)

    def wants_input(self) -> bool:
        """Say whether to read: not while it rests."""
        return super().wants_input() and self._rests_until <= self._reactor.now

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
        elif self._pinged > self._seen:
            if now >= self._pinged + limits.pong_s:
                self.abandon(int(Close.NO_PONG), "no pong")
            else:
                self.look_at(self._pinged + limits.pong_s)
        elif now >= self._seen + limits.ping_s:
            self._pinged = now
            self.write(_PING)
            if self.fd >= 0:
                self.look_at(now + limits.pong_s)
        else:
            self.look_at(self._seen + limits.ping_s)

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
