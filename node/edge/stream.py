"""One socket of the edge: non-blocking reads and writes, an outbox, and how it ends.

Talks to its socket and to the reactor's poller; never waits.

    OPEN -----close()----> CLOSING        our close frame is out, the peer's is awaited
    OPEN, CLOSING -------> FLUSHING       settled: the application hears no more of it
    FLUSHING --outbox empty--> LINGERING  FIN sent; what still comes is thrown away
    any --EOF, reset, deadline--> GONE    descriptor closed

LINGERING is there because closing a socket that has unread bytes resets it, and the reset may
overtake the last thing we said (a 400, a close frame).

A write goes to the kernel at once; what the kernel does not take waits in the outbox, frame by
frame, so that at any moment it is known whether the peer has seen half a frame.  While a stream
handles input that may have several answers it is *corked*: its writes gather in the outbox and
leave together.

Source: hypercorn's split of shell and protocol; RFC 9112, section 9.6 (closing in stages).
"""

import abc
import enum
import os
import select
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, TypeVarTuple

from node.edge.parcel import Kind, Parcel
from node.edge.timers import UNSCHEDULED

if TYPE_CHECKING:
    from node.edge.reactor import Reactor
    from node.edge.tls import Tls

Arguments = TypeVarTuple("Arguments")

FRAMES_PER_WRITE_MAX = 64  # well under the kernel's 1,024 per writev


class State(enum.IntEnum):
    """How far a stream is on its way out."""

    OPEN = 0
    CLOSING = 1
    FLUSHING = 2
    LINGERING = 3
    GONE = 4


# Looked up for every frame: a global is cheaper than an attribute of an enum.
OPEN, CLOSING, FLUSHING, LINGERING, GONE = State
IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Stream(abc.ABC):
    """A socket and what waits to be written to it."""

    __slots__ = (
        "_outbox",
        "_reactor",
        "_started",
        "_watching",
        "deadline",
        "deferred",
        "due_tick",
        "fd",
        "outbox_bytes",
        "peer",
        "read_bytes",
        "state",
        "tls",
    )

    established: ClassVar[bool]
    """Which poller it belongs to, unless `deferred`: WebSockets go before handshakes and HTTP."""

    def __init__(self, reactor: "Reactor", fd: int, peer: str) -> None:
        self._reactor = reactor
        self._outbox: deque[bytes] | None = None
        self._started = False  # the head of the outbox is the rest of a frame
        self._watching = IN
        self.deadline = 0.0
        self.deferred = False
        self.due_tick = UNSCHEDULED
        self.fd = fd
        self.outbox_bytes = 0
        self.peer = peer
        self.read_bytes = reactor.limits.read_bytes  # at a time
        self.state = OPEN
        self.tls: Tls | None = None

    # What a subclass decides.

    @abc.abstractmethod
    def received(self, data: bytes) -> None:
        """Handle input; called while OPEN or CLOSING."""

    @abc.abstractmethod
    def settled(self) -> None:
        """Take note, once, that the stream is over for the application."""

    @abc.abstractmethod
    def check(self, now: float) -> None:
        """A deadline may have come: act on it, or say when to look again."""

    @abc.abstractmethod
    def fail(self) -> None:
        """End the stream because the application failed on it."""

    def peer_finished(self) -> None:
        """The peer will send nothing more."""
        self.drop()

    @property
    def at_rest(self) -> bool:
        """Whether it could go on in another process as it is."""
        return False

    @property
    def held_bytes(self) -> int:
        """What a parcel of it holds of the peer's bytes and for the peer."""
        return self.outbox_bytes

    def parcel(self, now: float) -> Parcel:
        """Return all that is known of it; called while `at_rest`."""
        raise NotImplementedError

    def wants_input(self) -> bool:
        """Say whether to read: not for a peer that does not read itself."""
        if self.state >= FLUSHING:
            return self.state is LINGERING
        return not self._is_full()

    # Input.

    def ready(self, events: int) -> None:
        """Handle what the poller says about the socket."""
        asked = self._watching
        if events & OUT and self._outbox:
            self.flush()
        if not events & ~OUT or self.fd < 0:
            return
        if not asked & IN:
            self.drop()  # only an error or a hang-up is reported unasked
            return
        if not self._watching & IN:
            return  # what was just written let something begin that has to end first
        try:
            if self.tls is None or self.state is LINGERING:
                data = os.read(self.fd, self.read_bytes)
            else:
                data = self.tls.read()
        except BlockingIOError:
            return
        except OSError:
            self.drop()
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        if not data:
            self.peer_finished()
            return
        self._reactor.counters.bytes_in += len(data)
        if self.state < FLUSHING:
            self.received(data)

    def _together(self, act: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        """Let all that `act` writes leave together."""
        self._reactor.corked = self
        try:
            act(*arguments)
        finally:
            self._reactor.uncork()

    # Output.

    def write(self, data: bytes) -> None:
        """Give `data` to the kernel, or to the outbox what it does not take.  Knows no limit."""
        if self.fd < 0:
            return
        corked = self._reactor.corked is self
        if self._outbox is None:
            if not corked:
                written = self._try_write(data)
                if written == len(data) or self.fd < 0:
                    return
                self._started = self.tls is not None or written > 0
                data = data[written:]
            self._outbox = deque()
        self._outbox.append(data)
        self.outbox_bytes += len(data)
        if not corked:
            self.watch()

    def flush(self) -> None:
        """Give the outbox to the kernel as far as it takes it."""
        while self._outbox and self.fd >= 0:
            block = tuple(islice(self._outbox, FRAMES_PER_WRITE_MAX))
            if self.tls is not None:
                block = self._merged(block)
            written = self._try_write(*block)
            self._forget(written)
            if written < sum(map(len, block)) and (self.tls is None or not written):
                break
        if self.fd < 0:
            return
        if not self._outbox:
            self._outbox = None
            if self.state is FLUSHING:
                self._linger()
                return
        self.watch()

    def _try_write(self, data: bytes, *more: bytes) -> int:
        """Return the bytes taken; a broken socket drops the stream.  Within TLS there is one."""
        if self._reactor.held:
            return 0
        try:
            if self.tls is not None:
                written = self.tls.write(data)
            elif not more:
                written = os.write(self.fd, data)
            else:
                written = os.writev(self.fd, (data, *more))
        except BlockingIOError:
            return 0
        except OSError:
            self.drop()
            return 0
        self._reactor.counters.bytes_out += written
        return written

    def _merged(self, block: tuple[bytes, ...]) -> tuple[bytes]:
        """Make one of the frames that go out next: a record each would cost more than copying.

        The one counts as begun, because a record that was tried has to be tried again.
        """
        assert self._outbox is not None
        if len(block) > 1:
            for _ in block:
                self._outbox.popleft()
            self._outbox.appendleft(b"".join(block))
        self._started = True
        return (self._outbox[0],)

    def _forget(self, written: int) -> None:
        """Take what has been written out of the outbox."""
        outbox = self._outbox
        if outbox is None:
            return
        self.outbox_bytes -= written
        while written:
            head = outbox[0]
            if written < len(head):
                outbox[0] = head[written:]
                self._started = True
                return
            written -= len(head)
            outbox.popleft()
            self._started = False

    def _clear_outbox(self) -> None:
        """Throw away what waits, but for the rest of a frame that the peer has seen half of."""
        rest = self._outbox[0] if self._outbox and self._started else None
        self._outbox = deque((rest,)) if rest is not None else None
        self.outbox_bytes = len(rest) if rest is not None else 0

    def inherit(self, other: "Stream") -> None:
        """Take over the descriptor and outbox of a stream that the reactor has released."""
        self._outbox, other._outbox = other._outbox, None
        self._started = other._started
        self.outbox_bytes = other.outbox_bytes
        self.fd, other.fd = other.fd, -1
        self.tls, other.tls = other.tls, None
        other.state = GONE

    def resume_output(self, parcel: Parcel) -> None:
        """Go on with what another process had to write."""
        if parcel.outbox:
            self._outbox = deque(parcel.outbox)
            self._started = parcel.started
            self.outbox_bytes = sum(map(len, parcel.outbox))
        self.watch()

    def _packed(self, kind: Kind, now: float) -> Parcel:
        return Parcel(
            kind,
            self.peer,
            due_s=self.deadline - now,
            outbox=list(self._outbox or ()),
            started=self._started,
        )

    def watch(self) -> None:
        """Tell the poller what is of interest now."""
        resting = self._reactor.resting
        wanted = IN if self.wants_input() and not (resting and self in resting) else 0
        if self._outbox:
            wanted |= OUT
        if self._reactor.held:
            wanted = 0
        if wanted != self._watching and self.fd >= 0:
            self._watching = wanted
            self._reactor.modify(self, wanted)

    # The end.

    def look_at(self, deadline: float) -> None:
        """Have `check` called at `deadline`, or before."""
        self.deadline = deadline
        self._reactor.timers.no_later_than(self, deadline)

    def finish(self, patience_s: float) -> None:
        """Say nothing more: flush within `patience_s`, send FIN, wait for the peer to hang up."""
        if self.state >= FLUSHING:
            return
        self._settle(FLUSHING)
        self.look_at(self._reactor.clock() + patience_s)
        if self._outbox is None:
            self._linger()
        elif self._reactor.corked is not self:
            self.watch()

    def uncorked(self) -> None:
        """Let go what gathered, unless the peer is known to take nothing."""
        if self._outbox is not None and not self._watching & OUT:
            if len(self._outbox) > 1 or self.state is not OPEN or self._is_full():
                self.flush()
                return
            data = self._outbox[0]  # one answer to one message: the common case
            self._outbox = None
            self.outbox_bytes = 0
            self.write(data)
        self.watch()

    def _is_full(self) -> bool:
        return self.outbox_bytes > self._reactor.read_pause_bytes

    def drop(self) -> None:
        """Close the descriptor now.  Harmless when repeated."""
        if self.state is GONE:
            return
        self._settle(GONE)
        self._reactor.forget(self)
        self._reactor.addresses.leave(self.peer.rpartition(":")[0])
        fd, self.fd = self.fd, -1
        self._outbox = None
        self.outbox_bytes = 0
        if self.tls is not None:
            self.tls.release()
            self.tls = None
        os.close(fd)

    def _settle(self, state: State) -> None:
        before, self.state = self.state, state
        if before < FLUSHING:
            self.settled()

    def _linger(self) -> None:
        self.state = LINGERING
        if self.tls is not None:
            self.tls.finish()
        if not half_close(self.fd):
            self.drop()
            return
        self.look_at(self._reactor.clock() + self._reactor.limits.close_wait_s)
        self.watch()


def half_close(fd: int) -> bool:
    """Send a FIN; return False when the socket is broken already."""
    handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        handle.shutdown(socket.SHUT_WR)
    except OSError:
        return False
    finally:
        handle.detach()
    return True
