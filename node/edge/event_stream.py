"""One answer that does not end: events to a client of HTTP, for as long as it listens.

Talks to its socket through `Channel`; never waits, never raises to the application.

    what happens                              on the wire               `on_close` hears
    close(code)                               the end of the answer     our code
    outbox full                               last frame, the end       4003
    takes nothing for `write_s`               -                         1006
    the application raised                    the end                   1011
    EOF or reset                              -                         1006

The answer has no length: it ends with the connection.  A client says nothing after its request,
so that what it sends is thrown away and its silence proves nothing; the kernel ends a connection
whose peer acknowledges nothing (TCP_USER_TIMEOUT).  Whoever wants that noticed in time sends
something now and then.

Source: WHATWG HTML, 9.2 "Server-sent events"; RFC 9112, 6.3 (8) (length by closing); tcp(7).
"""

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from node.edge.channel import Channel
from node.edge.parcel import Parcel
from node.edge.stream import OPEN

if TYPE_CHECKING:
    from node.edge.reactor import Reactor

HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: %b\r\n"
    b"Content-Type: text/event-stream\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Accel-Buffering: no\r\n"
    b"Connection: close\r\n"
)
"""Proxies that gather answers are asked not to; nginx listens to X-Accel-Buffering."""

_TCP_USER_TIMEOUT: int = getattr(socket, "TCP_USER_TIMEOUT", 18)  # 18 on Linux


def head(headers: Sequence[tuple[str, str]], date: str) -> bytes:
    """Return the beginning of the answer."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return HEAD % date.encode() + more.encode("latin-1") + b"\r\n"


class EventStream(Channel):
    """One client that listens by HTTP."""

    __slots__ = ("_taken_at",)

    media = "text/event-stream"
    """What is sent on it."""

    def __init__(self, reactor: "Reactor", fd: int, peer: str) -> None:
        super().__init__(reactor, fd, peer)
        self._taken_at = reactor.now
        patience_ms = int(1000 * (reactor.limits.ping_s + reactor.limits.pong_s))
        _set_user_timeout(fd, patience_ms)

    # On its way between processes.

    @property
    def at_rest(self) -> bool:
        """Whether the answer goes on."""
        return self.state is OPEN and self.tls is None

    def parcel(self, now: float) -> Parcel:
        """Return all that is known of it but `data`, which is the application's."""
        parcel = self._packed("events", now)
        parcel.seen_s = now - self._taken_at
        return parcel

    def resume(self, parcel: Parcel) -> None:
        """Go on where another process stopped."""
        self._taken_at = self._reactor.clock() - parcel.seen_s
        self.resume_output(parcel)

    # What the application calls.

    def close(self, code: int, reason: str = "") -> None:
        """End the answer after what was sent before; the reason is for `on_close` alone."""
        if self.state is not OPEN:
            return
        self._code = code
        self.finish(self._reactor.limits.close_wait_s)

    # What the reactor calls.

    def last_word(self, code: int, reason: str) -> bytes:
        """Return nothing: the answer just ends."""
        return b""

    def received(self, data: bytes) -> None:
        """Throw it away: one request, one answer."""

    def flush(self) -> None:
        """Write on, and note that the peer takes something."""
        before = self.outbox_bytes
        super().flush()
        if self.outbox_bytes < before:
            self._taken_at = self._reactor.now

    def check(self, now: float) -> None:
        """Drop a peer that takes nothing."""
        patience_s = self._reactor.limits.write_s
        if self.state is not OPEN:
            if now >= self.deadline:
                self.drop()
            else:
                self.look_at(self.deadline)
        elif self._outbox is None:
            self._taken_at = now
            self.look_at(now + patience_s)
        elif now >= self._taken_at + patience_s:
            self.drop()
        else:
            self.look_at(self._taken_at + patience_s)


def _set_user_timeout(fd: int, patience_ms: int) -> None:
    handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        handle.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, patience_ms)
    except OSError:
        pass  # broken already, which its next event says, or no TCP
    finally:
        handle.detach()
