"""The edge server: listeners to streams, and the tasks that keep them going.

Talks to listening sockets; the rest is the reactor's.

    serve --+-- poll      sockets that are ready, TLS handshakes among them
            +-- sweep     deadlines: heads, bodies, pings, goodbyes
            +-- bury      `on_close`, outside of every other callback
            `-- one task per request whose answer has to wait

Accepting ends where a limit is: above `handshaking_max` a socket is answered 503 unread and
closed, beyond what its address may have 429; when the process has no descriptor left, listeners
are left alone for `accept_pause_s`, which is logged once per occasion.
"""

import errno
import os
import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
import trio

from node.edge.application import Application, Feed, OverflowListener, ResponseFactory
from node.edge.channel import Channel
from node.edge.connection import GOING_AWAY, Connection, DeflatingConnection
from node.edge.event_stream import EventStream
from node.edge.exchange import Exchange, full, too_many
from node.edge.http import Request, Response
from node.edge.limits import EdgeLimits
from node.edge.listener import BACKLOG, ListenRefused, open_listener, share
from node.edge.parcel import Parcel
from node.edge.pressure import Level
from node.edge.reactor import Reactor
from node.edge.statistics import Counters, EdgeStatistics
from node.edge.stream import GONE, Stream
from node.edge.tls import Certificate, CertificateRefused, TlsHandshake

__all__ = [
    "Application",
    "Certificate",
    "CertificateRefused",
    "Channel",
    "Connection",
    "EdgeLimits",
    "EdgeServer",
    "EdgeStatistics",
    "EventStream",
    "Feed",
    "Level",
    "ListenRefused",
    "OverflowListener",
    "Request",
    "Response",
    "ResponseFactory",
    "open_listener",
    "share",
]

log = structlog.get_logger(__name__)

TLS_HANDSHAKES_PER_PASS = 4
"""Half a millisecond each: those who are in already shall not wait for more of them."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class EdgeServer:
    """HTTP/1.1 and WebSocket for one application, on one trio loop."""

    def __init__(
        self,
        application: Application,
        *,
        limits: EdgeLimits | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        """With a `certificate` all that is served is served within TLS."""
        self._application = application
        self._limits = limits or EdgeLimits()
        self._certificate = certificate
        if certificate is not None:
            per_pass = min(self._limits.handshakes_per_pass, TLS_HANDSHAKES_PER_PASS)
            self._limits = replace(self._limits, handshakes_per_pass=per_pass)
        self._reactor: Reactor | None = None
        self._listeners: list[socket.socket] = []
        self._exhausted = False  # said so in the log
        self._resting = False

    async def serve(
        self,
        listeners: Sequence[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; then close all sockets, listeners too, telling peers 1001.

        Started once connections are accepted.  `on_close` has been called for every connection
        when this returns.  An `EdgeServer` serves once.
        """
        assert self._reactor is None, "an EdgeServer serves once"
        self._listeners = list(listeners)
        self._reactor = reactor = Reactor(self._application, self._limits, self._accept)
        try:
            for listener in self._listeners:
                listener.setblocking(False)
                listener.listen(BACKLOG)  # it may have been bound only, until now
                reactor.listen(listener)
            async with trio.open_nursery() as nursery:
                if self._certificate is not None:
                    nursery.start_soon(self._certificate.keep_fresh)
                await reactor.run(task_status)
        finally:
            self.stop_accepting()
            reactor.close(GOING_AWAY, "server stops")

    def stop_accepting(self) -> None:
        """Close the listeners; connections that are there go on.  Harmless when repeated."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            if self._reactor is not None:
                self._reactor.deafen(listener)
            listener.close()

    # Sockets that come from another process of the node, or leave for one.

    def deafen(self) -> None:
        """Leave who wants to connect to another process that has the listeners too."""
        assert self._reactor is not None
        for listener in self._listeners:
            self._reactor.deafen(listener)

    def hear(self) -> None:
        """Accept again, and read again from all who rest: nobody else does."""
        reactor = self._reactor
        assert reactor is not None
        for listener in self._listeners:
            reactor.deafen(listener)
            reactor.listen(listener)
        resting, reactor.resting = reactor.resting, set()
        for stream in resting:
            stream.watch()

    def hold(self, held: bool) -> None:
        """Hold all bytes, both ways, and accept nobody, as if the network were gone; or go on.

        Deadlines run meanwhile: a client that would be given up is.  Harmless when repeated.
        """
        reactor = self._reactor
        if reactor is None or reactor.held is held:
            return
        reactor.held = held
        for listener in self._listeners:
            reactor.deafen(listener)
            if not held:
                reactor.listen(listener)
        for stream in reactor.streams():
            stream.watch()

    def streams(self) -> list[Stream]:
        """Return all sockets that are here."""
        return self._reactor.streams() if self._reactor is not None else []

    def rest(self, stream: Stream) -> None:
        """Read no more from `stream`, so that it comes to rest."""
        assert self._reactor is not None
        if stream not in self._reactor.resting:
            self._reactor.resting.add(stream)
            stream.watch()

    def give(self, stream: Stream) -> Parcel:
        """Let go of a stream at rest whose descriptor another process has; nobody is told."""
        reactor = self._reactor
        assert reactor is not None
        parcel = stream.parcel(reactor.clock())
        reactor.release(stream)
        reactor.addresses.leave(stream.peer.rpartition(":")[0])
        fd, stream.fd = stream.fd, -1
        stream.state = GONE
        os.close(fd)
        return parcel

    def take(self, fd: int, parcel: Parcel, adopt: Callable[[Channel], None]) -> None:
        """Go on with a socket of another process; a channel goes to `adopt` before it is used."""
        reactor = self._reactor
        assert reactor is not None
        stream: Connection | EventStream | Exchange
        match parcel.kind:
            case "websocket" if parcel.window_bits:
                where = (reactor, fd, parcel.peer, parcel.subprotocol)
                stream = DeflatingConnection(*where, parcel.window_bits)
            case "websocket":
                stream = Connection(reactor, fd, parcel.peer, parcel.subprotocol)
            case "events":
                stream = EventStream(reactor, fd, parcel.peer)
            case "http":
                stream = Exchange(reactor, fd, parcel.peer)
        reactor.addresses.enter(parcel.peer.rpartition(":")[0], reactor.now)
        reactor.add(stream)
        stream.look_at(reactor.clock() + parcel.due_s)
        if isinstance(stream, Channel):
            adopt(stream)
        reactor.deliver(stream, stream.resume, parcel)

    def pressure(self) -> Level:
        """Return how close the process is to its limits."""
        return self._reactor.pressure.level if self._reactor is not None else Level.CALM

    def statistics(self) -> EdgeStatistics:
        """Return the present picture."""
        reactor = self._reactor
        counters = reactor.counters if reactor is not None else Counters()
        return EdgeStatistics(
            connections=reactor.connections if reactor is not None else 0,
            handshaking=reactor.handshaking if reactor is not None else 0,
            requests_running=reactor.requests_running if reactor is not None else 0,
            accepted_total=counters.accepted,
            opened_total=counters.opened,
            closed_total=counters.closed,
            requests_total=counters.requests,
            messages_in_total=counters.messages_in,
            messages_out_total=counters.messages_out,
            bytes_in_total=counters.bytes_in,
            bytes_out_total=counters.bytes_out,
            slow_consumers_total=counters.slow_consumers,
            ephemeral_dropped_total=counters.ephemeral_dropped,
            application_errors_total=counters.application_errors,
            refused_total=dict(counters.refused),
            loop_lag_s=counters.loop_lag_s,
            loop_lag_s_max=counters.loop_lag_s_max,
            level=self.pressure(),
            memory_bytes=reactor.pressure.memory_bytes if reactor is not None else 0,
            addresses=len(reactor.addresses) if reactor is not None else 0,
        )

    def _accept(self, listener: socket.socket) -> None:
        assert self._reactor is not None
        if listener.fileno() < 0:
            return  # closed by a callback of this very pass
        for _ in range(self._limits.accept_per_pass):
            try:
                accepted, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest(error)
                    return
                continue  # the peer gave up while it waited
            self._exhausted = False
            self._welcome(self._reactor, accepted, _name(address))

    def _welcome(self, reactor: Reactor, accepted: socket.socket, peer: str) -> None:
        reactor.counters.accepted += 1
        accepted.setblocking(False)
        newcomer = self._newcomer(reactor, accepted.detach(), peer)
        try:
            reactor.add(newcomer)
        except OSError as error:
            if newcomer.tls is not None:
                newcomer.tls.release()
            os.close(newcomer.fd)
            self._rest(error)
            return
        newcomer.look_at(reactor.now + self._limits.handshake_s)
        if not reactor.addresses.enter(peer.rpartition(":")[0], reactor.now):
            self._turn_away(newcomer, too_many(self._limits.retry_after_s))
        elif reactor.handshaking > self._limits.handshaking_max:
            self._turn_away(newcomer, full(self._limits.retry_after_s))

    def _newcomer(self, reactor: Reactor, fd: int, peer: str) -> Exchange | TlsHandshake:
        if self._certificate is None:
            return Exchange(reactor, fd, peer)
        return TlsHandshake(reactor, fd, peer, self._certificate.context, self._secured)

    def _secured(self, handshake: TlsHandshake) -> None:
        """Let HTTP begin on a socket whose handshake is done."""
        assert self._reactor is not None
        reactor = self._reactor
        exchange = Exchange(reactor, handshake.fd, handshake.peer)
        reactor.release(handshake)
        exchange.inherit(handshake)
        reactor.add(exchange)
        exchange.look_at(reactor.now + self._limits.handshake_s)
        # The request may have come with the end of the handshake.
        reactor.deliver(exchange, exchange.ready, select.EPOLLIN)

    def _turn_away(self, newcomer: Exchange | TlsHandshake, response: Response) -> None:
        if isinstance(newcomer, Exchange):
            newcomer.turn_away(response)
            return
        assert self._reactor is not None  # not worth a handshake
        self._reactor.counters.refused[str(response.status)] += 1
        newcomer.drop()

    def _rest(self, error: OSError) -> None:
        """Leave the listeners alone for a while: a poller would report them without end."""
        assert self._reactor is not None
        if self._resting:
            return  # another listener of this pass has seen to it
        self._resting = True
        if not self._exhausted:
            self._exhausted = True
            log.warning("edge cannot accept", error=os.strerror(error.errno or 0))
        for listener in self._listeners:
            self._reactor.deafen(listener)
        self._reactor.start(self._wake)

    async def _wake(self) -> None:
        assert self._reactor is not None
        await trio.sleep(self._limits.accept_pause_s)
        self._resting = False
        if self._reactor.held:
            return
        for listener in self._listeners:
            self._reactor.listen(listener)


def _name(address: object) -> str:
    match address:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case _:
            return "local"
