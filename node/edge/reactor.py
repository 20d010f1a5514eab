"""The loop of the edge: one task, nested pollers, a table of streams.

Talks to the kernel's epoll; waits in trio.

    trio.lowlevel.wait_readable(outer)          one task, one checkpoint per pass
      outer -+- established                     WebSockets: all that is ready, up to a batch
             +- deferred                        WebSockets of whom nobody knows yet who it is,
             `- handshaking                     HTTP and listeners: a few per pass each
    then, last of all, accept                   so that no descriptor is reused within a batch

An epoll descriptor can itself be polled, so trio waits for one descriptor however many sockets
there are, and everything ready is handled synchronously before trio runs anything else.  A
reconnect storm waits in `handshaking` while live conversations go on.

`deliver` is the connection boundary: whatever a callback raises ends there, logged once, and
costs that stream alone.

Source: epoll(7), "nested"; trio.lowlevel.wait_readable.
"""

import select
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import TypeVarTuple

import structlog
import trio

from node.edge.addresses import Addresses
from node.edge.application import Application, OverflowListener
from node.edge.channel import Channel
from node.edge.decoder import Decoders
from node.edge.limits import EdgeLimits
from node.edge.memory import give_back, used_bytes
from node.edge.pressure import OUTBOX_DIVISOR, Level, Pressure
from node.edge.seen import SeenHeads
from node.edge.statistics import Counters
from node.edge.stream import GONE, Stream
from node.edge.timers import TICK_S, Timers

log = structlog.get_logger(__name__)

GIVE_BACK_S = 5.0
"""At least, between two times that free memory is given back to the system."""

Arguments = TypeVarTuple("Arguments")


class Reactor:
    """What all streams of one edge share."""

    def __init__(
        self,
        application: Application,
        limits: EdgeLimits,
        on_connectable: Callable[[socket.socket], None],
    ) -> None:
        self.application = application
        self.limits = limits
        self.addresses = Addresses(
            connections_max=limits.address_connections_max,
            connects_per_s=limits.address_connects_per_s,
            exempt=limits.addresses_exempt,
        )
        self.pressure = Pressure(limits.memory_bytes_max)
        self._set_outboxes(limits.outbox_bytes_max)
        self.counters = Counters()
        self.decoders = Decoders(limits.frame_bytes_max, limits.quick_bytes_max)
        self.seen_heads = SeenHeads()
        self.clock = trio.current_time
        self.now = self.clock()
        self.date = formatdate(usegmt=True)
        """As HTTP writes it, up to a tick old (RFC 9110, 6.6.1)."""
        self.timers: Timers[Stream] = Timers(self.now)
        self.corked: Stream | None = None
        self.resting: set[Stream] = set()
        """Streams that are not read from, because they are about to leave this process."""
        self.held = False
        """Nothing is read or written, as if the network were gone."""
        self.connections = 0
        self.handshaking = 0
        self.requests_running = 0
        self._give_back_at = self.now
        self._nursery: trio.Nursery | None = None
        self._on_connectable = on_connectable
        self._overflow_listener = application if isinstance(application, OverflowListener) else None
        self._streams: list[Stream | None] = []
        self._listeners: dict[int, socket.socket] = {}
        self._closed: deque[tuple[Channel, int]] = deque()
        self._closed_some = trio.Event()
        self._outer = select.epoll()
        self._established = select.epoll()
        self._deferred = select.epoll()
        self._handshaking = select.epoll()
        self._outer.register(self._established.fileno(), select.EPOLLIN)
        self._outer.register(self._deferred.fileno(), select.EPOLLIN)
        self._outer.register(self._handshaking.fileno(), select.EPOLLIN)

    # Tasks: each runs until cancelled.

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Do the three below, and what `start` is given."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self.poll)
            nursery.start_soon(self.sweep)
            nursery.start_soon(self.bury)
            task_status.started()

    async def poll(self) -> None:
        """Handle whatever is ready, pass by pass."""
        while True:
            await trio.lowlevel.wait_readable(self._outer.fileno())
            self.now = self.clock()
            for fd, events in self._established.poll(0, self.limits.events_per_pass):
                self._dispatch(fd, events)
            for fd, events in self._deferred.poll(0, self.limits.handshakes_per_pass):
                self._dispatch(fd, events)
            connectable = []
            for fd, events in self._handshaking.poll(0, self.limits.handshakes_per_pass):
                if fd in self._listeners:
                    connectable.append(self._listeners[fd])
                else:
                    self._dispatch(fd, events)
            for listener in connectable:
                self._on_connectable(listener)

    async def sweep(self) -> None:
        """Look at every stream whose deadline has come, and measure how late that is."""
        at = self.clock() + TICK_S
        while True:
            await trio.sleep_until(at)
            self.now = self.clock()
            self.counters.loop_lag_s = self.now - at
            self.counters.loop_lag_s_max = max(self.counters.loop_lag_s_max, self.now - at)
            for stream in self.timers.due(self.now):
                if stream.state is not GONE:
                    self.deliver(stream, stream.check, self.now)
            self.date = formatdate(usegmt=True)
            self._feel(self.now - at)
            self.addresses.forget_idle(self.now)
            at = self.now + TICK_S

    def _feel(self, lag_s: float) -> None:
        """Measure how much there is to bear, and allow as much."""
        before = self.pressure.level
        level = self.pressure.measure(self._used_bytes(), lag_s)
        if level is before:
            return
        log.warning(
            "edge pressure",
            level=level.name.lower(),
            memory_bytes=self.pressure.memory_bytes,
            lag_s=round(self.pressure.lag_s, 3),
        )
        whole = self.limits.outbox_bytes_max
        self._set_outboxes(whole if level is Level.CALM else whole // OUTBOX_DIVISOR)

    def _used_bytes(self) -> int:
        used = used_bytes()
        if self.now >= self._give_back_at and self.pressure.is_much(used):
            self._give_back_at = self.now + GIVE_BACK_S
            give_back()
            used = used_bytes()
        return used

    def _set_outboxes(self, bytes_max: int) -> None:
        """Say how much may wait for one peer, and with that what it costs to read too slowly."""
        self.outbox_bytes_max = bytes_max
        self.ephemeral_bytes_max = bytes_max // 2
        self.read_pause_bytes = bytes_max // 4

    async def bury(self) -> None:
        """Tell the application of connections that are over, outside of all its other callbacks."""
        while True:
            await self._closed_some.wait()
            self._closed_some = trio.Event()
            self.tell_closed()

    # Streams.

    def add(self, stream: Stream) -> None:
        """Watch a stream for input; its descriptor belongs to it alone.

        Raises `OSError` when the kernel watches no more.
        """
        missing = stream.fd - len(self._streams) + 1
        if missing > 0:
            self._streams.extend([None] * max(missing, len(self._streams)))
        assert self._streams[stream.fd] is None
        self._poller(stream).register(stream.fd, select.EPOLLIN)
        self._streams[stream.fd] = stream
        self._count(stream, 1)

    def release(self, stream: Stream) -> None:
        """Stop watching a stream whose descriptor stays open."""
        self._poller(stream).unregister(stream.fd)
        self.forget(stream)

    def forget(self, stream: Stream) -> None:
        """Drop a stream from the table; closing its descriptor takes it out of the poller."""
        assert self._streams[stream.fd] is stream
        self._streams[stream.fd] = None
        self.timers.cancel(stream)
        self.resting.discard(stream)
        self._count(stream, -1)

    def streams(self) -> list[Stream]:
        """Return all that there are."""
        return [stream for stream in self._streams if stream is not None]

    def defer(self, stream: Stream, deferred: bool, events: int) -> None:
        """Serve a stream with those who are coming in, or no longer."""
        self._poller(stream).unregister(stream.fd)
        stream.deferred = deferred
        self._poller(stream).register(stream.fd, events)

    def modify(self, stream: Stream, events: int) -> None:
        """Change what a stream is watched for."""
        self._poller(stream).modify(stream.fd, events)

    def uncork(self) -> None:
        """Let the corked stream's writes go."""
        stream, self.corked = self.corked, None
        if stream is not None:
            stream.uncorked()

    # Listeners.

    def listen(self, listener: socket.socket) -> None:
        """Have `on_connectable` called when there is something to accept."""
        self._listeners[listener.fileno()] = listener
        self._handshaking.register(listener.fileno(), select.EPOLLIN)

    def deafen(self, listener: socket.socket) -> None:
        """Leave what waits at a listener to the kernel."""
        if self._listeners.pop(listener.fileno(), None) is not None:
            self._handshaking.unregister(listener.fileno())

    # The application.

    def deliver(
        self,
        stream: Stream,
        callback: Callable[[*Arguments], None],
        *arguments: *Arguments,
    ) -> None:
        """Call back; an exception is logged once and ends this stream only."""
        try:
            callback(*arguments)
        except Exception as error:
            self.blame(stream, error)
            stream.fail()

    def blame(self, stream: Stream, error: Exception) -> None:
        """Log and count what the application raised for this stream."""
        self.counters.application_errors += 1
        log.error("edge callback failed", peer=stream.peer, exc_info=error)

    def last_frame(self, channel: Channel) -> bytes | None:
        """Return the application's last word to a consumer that is too slow."""
        if self._overflow_listener is None:
            return None
        try:
            return self._overflow_listener.on_overflow(channel)
        except Exception as error:
            self.blame(channel, error)
            return None

    def report_closed(self, channel: Channel, code: int) -> None:
        """Have `on_close` called once the present callback is done."""
        self.counters.closed += 1
        self._closed.append((channel, code))
        self._closed_some.set()

    def tell_closed(self) -> None:
        """Call `on_close` for all that have been reported."""
        while self._closed:
            channel, code = self._closed.popleft()
            try:
                self.application.on_close(channel, code)
            except Exception as error:
                self.blame(channel, error)

    def start(
        self,
        function: Callable[[*Arguments], Awaitable[None]],
        *arguments: *Arguments,
    ) -> None:
        """Run something that waits, in a task that ends with the server."""
        assert self._nursery is not None
        self._nursery.start_soon(function, *arguments)

    # The end.

    def close(self, code: int, reason: str) -> None:
        """Drop every stream, tell the application, release the pollers."""
        for stream in self._streams:
            if isinstance(stream, Channel):
                stream.abandon(code, reason)
            elif stream is not None:
                stream.drop()
        self.tell_closed()
        for poller in (self._outer, self._established, self._deferred, self._handshaking):
            poller.close()

    def _dispatch(self, fd: int, events: int) -> None:
        stream = self._streams[fd]
        if stream is None:
            return  # it was closed earlier in this batch
        try:  # `deliver`, without the cost of its arguments
            stream.ready(events)
        except Exception as error:
            self.blame(stream, error)
            stream.fail()

    def _poller(self, stream: Stream) -> select.epoll:
        if not stream.established:
            return self._handshaking
        return self._deferred if stream.deferred else self._established

    def _count(self, stream: Stream, step: int) -> None:
        if stream.established:
            self.connections += step
        else:
            self.handshaking += step
