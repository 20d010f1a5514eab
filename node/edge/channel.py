"""A stream that the application sends on: a bounded outbox, and how it ends.

Talks to its socket through `Stream`; never waits, never raises to the application.

    subclass                    its last word           hears the peer
    connection.Connection       a close frame           messages, pings, goodbyes
    event_stream.EventStream    the end of the answer   hanging up

With more than the outbox allows waiting already, an ephemeral frame is dropped and an ordinary
one ends the channel with 4003: never a silent gap.
"""

import abc
from typing import TYPE_CHECKING

from node.edge.frame import ABNORMAL
from node.edge.stream import CLOSING, OPEN, Stream
from node.protocol.codes import Close

if TYPE_CHECKING:
    from node.edge.reactor import Reactor

INTERNAL_ERROR = 1011


class Channel(Stream):
    """One client, as the application holds it.

    `data` is the application's own; `peer` is `address:port`.
    """

    __slots__ = ("_code", "data")

    established = True

    def __init__(self, reactor: "Reactor", fd: int, peer: str) -> None:
        super().__init__(reactor, fd, peer)
        self._code = 0  # none yet
        self.data: object | None = None

    # What the application calls.

    @property
    def open(self) -> bool:
        """Whether frames can still be sent and messages still come."""
        return self.state is OPEN

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        """Send an encoded frame; on a channel that is not open this does nothing."""
        if self.state is not OPEN:
            return
        if self._outbox is not None and not self._has_room(len(data), ephemeral):
            if ephemeral:
                self._reactor.counters.ephemeral_dropped += 1
            elif self.fd >= 0:
                self._overflow()
            return
        self._reactor.counters.messages_out += 1
        self.write(data)

    @abc.abstractmethod
    def close(self, code: int, reason: str = "") -> None:
        """End the channel after what was sent before."""

    # What a subclass decides.

    @abc.abstractmethod
    def last_word(self, code: int, reason: str) -> bytes:
        """Return what the peer reads last; may be empty."""

    # What the reactor calls.

    def settled(self) -> None:
        """Have `on_close` called, soon."""
        self._code = self._code or ABNORMAL
        self._reactor.report_closed(self, self._code)

    def fail(self) -> None:
        """Close with 1011: the application raised."""
        self.close(INTERNAL_ERROR, "internal error")

    def abandon(self, code: int, reason: str) -> None:
        """Drop the channel now, with a last word if the peer can take one."""
        if self.state is OPEN:
            self._code = code
            last = self.last_word(code, reason)
            if last and self._outbox is None:
                self._try_write(last)
        self.drop()

    def _has_room(self, size: int, ephemeral: bool) -> bool:
        reactor = self._reactor
        limit = reactor.ephemeral_bytes_max if ephemeral else reactor.outbox_bytes_max
        if self.outbox_bytes + size > limit and reactor.corked is self:
            self.flush()  # held back by the cork, not by the peer
        return not self._outbox or self.outbox_bytes + size <= limit

    def _overflow(self) -> None:
        """Replace what waits by the application's last frame and ours, and end."""
        self._reactor.counters.slow_consumers += 1
        self._code = int(Close.SLOW_CONSUMER)
        self.state = CLOSING  # so that nothing can be sent from inside the callback
        frames = (
            self._reactor.last_frame(self),
            self.last_word(Close.SLOW_CONSUMER, "slow consumer"),
        )
        self._clear_outbox()
        for frame in frames:
            if frame:
                self.write(frame)
        if self._outbox:
            self.flush()
        self.finish(self._reactor.limits.close_wait_s)
