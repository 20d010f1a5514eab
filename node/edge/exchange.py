"""One socket that speaks HTTP: requests in, answers out in the same order, or an upgrade.

Talks to its socket through `Stream` and to the application; only the task that makes a slow
answer waits.

    bytes -> request -> Response               written; next request
                     -> factory                a task with a deadline; reading stops meanwhile
                     -> Feed                   200, and an `EventStream` takes the socket over
                     -> WebSocket upgrade      101, and a `Connection` does
                     -> refused                4xx or 5xx with the reason, then the connection ends

Deadlines: a head has `handshake_s` from the accept or from its first byte, a body `body_s`, an
idle connection `keep_alive_s`, and a client that takes nothing of its answers `write_s`, whatever
it sends meanwhile.
"""

import random
from typing import TYPE_CHECKING

import trio

from node.edge.channel import Channel
from node.edge.connection import Connection, DeflatingConnection
from node.edge.deflate import negotiate
from node.edge.event_stream import EventStream, head
from node.edge.handshake import accept, upgrade_key
from node.edge.head import RequestRefused
from node.edge.http import CONTINUE, ConnectionOption, Phase, Request, RequestParser, Response
from node.edge.parcel import Parcel
from node.edge.pressure import Level
from node.edge.stream import FLUSHING, OPEN, Stream

if TYPE_CHECKING:
    from node.edge.application import Answer, Feed, ResponseFactory
    from node.edge.reactor import Reactor

INTERNAL_ERROR = Response(500, b"internal error\n")
TOO_SLOW = Response(504, b"no answer in time\n")
HEAD_LATE = RequestRefused(408, "request did not arrive in time")


class Exchange(Stream):
    """The requests of one client, one after the other."""

    __slots__ = ("_busy", "_finished", "_parser", "_phase", "_request")

    established = False

    def __init__(self, reactor: "Reactor", fd: int, peer: str) -> None:
        super().__init__(reactor, fd, peer)
        limits = reactor.limits
        self._parser = RequestParser(
            peer,
            head_bytes_max=limits.head_bytes_max,
            body_bytes_max=limits.body_bytes_max,
            seen=reactor.seen_heads,
        )
        self._phase: Phase | None = Phase.HEAD  # a new socket owes us a head; None: to read
        self._request: Request | None = None  # the one that is being answered
        self._busy = False
        self._finished = False

    # What the reactor calls.

    def received(self, data: bytes) -> None:
        """Answer the requests that `data` completes."""
        self._parser.feed(data)
        self._together(self._proceed)

    def peer_finished(self) -> None:
        """Answer what is still to be answered, then close."""
        if self.state >= FLUSHING:
            self.drop()
            return
        self._finished = True
        self._proceed()

    def wants_input(self) -> bool:
        """Say whether to read: not while an answer is being made, nor after the peer's FIN."""
        if self.state is OPEN and (self._busy or self._finished):
            return False
        return super().wants_input()

    def settled(self) -> None:
        """Nothing to tell: the application knows requests, not connections."""

    def check(self, now: float) -> None:
        """End an exchange that has passed its deadline."""
        if now < self.deadline:
            self.look_at(self.deadline)
        elif self._busy:
            self.look_at(now + self._reactor.limits.request_s)  # the task has its own deadline
        elif self.state >= FLUSHING or self._outbox:
            self.drop()
        elif self._parser.phase is Phase.IDLE:
            self.finish(self._reactor.limits.close_wait_s)
        else:
            self._refuse(HEAD_LATE)

    def fail(self) -> None:
        """Answer 500 and end: the application raised."""
        self._busy = False
        self._answer(INTERNAL_ERROR, last=True)

    def flush(self) -> None:
        """Write on, and go on with requests that waited for it."""
        before = self.outbox_bytes
        super().flush()
        if self._outbox and self.outbox_bytes < before:
            self.deadline = self._reactor.now + self._reactor.limits.write_s
        elif self._outbox is None and self.state is OPEN and self._reactor.corked is not self:
            self._proceed()

    def uncorked(self) -> None:
        """Write what gathered; only then is it known what is waited for."""
        super().uncorked()
        if self.state is OPEN:
            self._set_deadline()

    def turn_away(self, response: Response) -> None:
        """Answer without having read a request, and close at once: lingering would keep the fd."""
        self._refuse_with(response, last=True)
        self.drop()

    # On its way between processes.

    @property
    def at_rest(self) -> bool:
        """Whether it waits for a request, or for the client to take an answer."""
        return (
            self.state is OPEN
            and self.tls is None
            and not self._busy
            and not self._finished
            and self._parser.phase is not Phase.BODY
        )

    @property
    def held_bytes(self) -> int:
        """Answers that wait, and what came of a request."""
        return self.outbox_bytes + len(self._parser.unread)

    def parcel(self, now: float) -> Parcel:
        """Return all that is known of it."""
        parcel = self._packed("http", now)
        parcel.unread = self._parser.unread
        return parcel

    def resume(self, parcel: Parcel) -> None:
        """Go on where another process stopped."""
        self.resume_output(parcel)
        self._parser.feed(parcel.unread)
        self._phase = self._parser.phase

    # Requests.

    def _proceed(self) -> None:
        """Answer request after request, until one is incomplete or has to wait."""
        while self.state is OPEN and not self._busy:
            if self.outbox_bytes > self._reactor.read_pause_bytes:
                break
            try:
                request = self._parser.next_request()
                if request is None:
                    break
                self._handle(request)
            except RequestRefused as refusal:
                self._refuse(refusal)
        if self.state is not OPEN:
            return
        if self._parser.take_continue():
            self.write(CONTINUE)
        if self._finished and not self._busy and not self._outbox:
            self.finish(self._reactor.limits.write_s)
            return
        if self._reactor.corked is not self:
            self._set_deadline()
            self.watch()

    def _handle(self, request: Request) -> None:
        self._reactor.counters.requests += 1
        self._request = request
        self._phase = Phase.IDLE
        key = upgrade_key(request)
        if isinstance(key, bytes):
            self._upgrade(request, key)
            return
        if isinstance(key, Response):
            self._refuse_with(key)
            return
        answer = self._reactor.application.on_request(request)
        if isinstance(answer, Response):
            self._answer(answer)
        elif callable(answer):
            self._start(answer)
        else:
            self._feed(request, answer)

    def _start(self, factory: "ResponseFactory") -> None:
        if self._reactor.requests_running >= self._reactor.limits.requests_running_max:
            self._refuse_with(full(self._reactor.limits.retry_after_s))
            return
        self._busy = True
        self._reactor.requests_running += 1
        self._reactor.start(self._run, factory)

    async def _run(self, factory: "ResponseFactory") -> None:
        """Make a slow answer; 504 when it is not there in time, 500 when it raised."""
        try:
            with trio.move_on_after(self._reactor.limits.request_s) as scope:
                answer = await factory()
            if scope.cancelled_caught:
                self._reactor.counters.refused["504"] += 1
                answer = TOO_SLOW
        except Exception as error:
            self._reactor.blame(self, error)
            answer = INTERNAL_ERROR
        finally:
            self._reactor.requests_running -= 1
        self._busy = False
        self._reactor.deliver(self, self._resume, answer)

    def _resume(self, answer: "Answer") -> None:
        if self.state is not OPEN:
            return
        if isinstance(answer, Response):
            self._answer(answer)
            self._proceed()
        else:
            assert self._request is not None
            self._feed(self._request, answer)

    def _answer(self, response: Response, *, last: bool = False) -> None:
        """Write a response; end if it is the last one, or the client asked for that."""
        if self.state is not OPEN:
            return
        request, self._request = self._request, None
        last = last or (request is not None and not request.keep_alive)
        head_only = request is not None and request.method == "HEAD"
        connection: ConnectionOption = "close" if last else ""
        if request is not None and request.version == "1.0" and not last:
            connection = "keep-alive"
        date = self._reactor.date
        self.write(response.encode(head_only=head_only, connection=connection, date=date))
        if last and self.fd >= 0:
            self.finish(self._reactor.limits.write_s)

    def _refuse(self, refusal: RequestRefused) -> None:
        self._refuse_with(Response(refusal.status, refusal.reason.encode() + b"\n"), last=True)

    def _refuse_with(self, response: Response, *, last: bool = False) -> None:
        self._reactor.counters.refused[str(response.status)] += 1
        self._answer(response, last=last)

    # What takes the socket over.

    def _feed(self, request: Request, feed: "Feed") -> None:
        assert request.method == "GET", "an answer to anything else has an end"
        if self._has_no_room():
            return
        self.write(head(feed.headers, self._reactor.date))
        if self.fd >= 0:
            stream = EventStream(self._reactor, self.fd, self.peer)
            self._become(stream, self._reactor.limits.write_s)
            self._reactor.deliver(stream, feed.open, stream)

    def _has_no_room(self) -> bool:
        """Refuse one more channel if there are as many as may be; say whether it was."""
        reactor = self._reactor
        if (
            reactor.connections < reactor.limits.connections_max
            and reactor.pressure.level is Level.CALM
        ):
            return False
        self._refuse_with(full(reactor.limits.retry_after_s), last=True)
        return True

    def _upgrade(self, request: Request, key: bytes) -> None:
        if self._has_no_room():
            return
        chosen = self._reactor.application.on_upgrade(request)
        if isinstance(chosen, Response):
            self._refuse_with(chosen)
            return
        assert chosen is None or chosen in request.subprotocols, "chosen but not offered"
        offers = request.tokens(b"sec-websocket-extensions")
        agreed = negotiate(offers) if self._reactor.limits.deflate else None
        self.write(accept(key, chosen, agreed and agreed.answer))
        if self.fd < 0:
            return
        where = (self._reactor, self.fd, self.peer, chosen)
        if agreed is None:
            self._open(Connection(*where), request)
        else:
            self._open(DeflatingConnection(*where, agreed.window_bits), request)

    def _open(self, connection: Connection, request: Request) -> None:
        reactor = self._reactor
        self._become(connection, reactor.limits.ping_s)
        reactor.deliver(connection, reactor.application.on_open, connection, request)
        rest = self._parser.take_rest()
        if rest and connection.fd >= 0:
            reactor.deliver(connection, connection.received, rest)

    def _become(self, channel: Channel, patience_s: float) -> None:
        """Hand socket and outbox over."""
        reactor = self._reactor
        reactor.release(self)
        channel.inherit(self)
        reactor.add(channel)
        if reactor.corked is self:
            reactor.corked = channel
        channel.watch()
        channel.look_at(reactor.now + patience_s)
        reactor.counters.opened += 1

    # Deadlines.

    def _set_deadline(self) -> None:
        """Give what is waited for its time; more bytes of the same head or body win no more."""
        limits, phase = self._reactor.limits, self._parser.phase
        if self._outbox:
            if self._phase is not None:
                self._phase = None
                self.look_at(self._reactor.now + limits.write_s)
        elif phase is Phase.IDLE:
            self._phase = phase
            self.look_at(self._reactor.now + limits.keep_alive_s)
        elif phase is not self._phase:
            self._phase = phase
            seconds = limits.handshake_s if phase is Phase.HEAD else limits.body_s
            self.look_at(self._reactor.now + seconds)


def full(retry_after_s: int) -> Response:
    """Return the answer of a server that has no room: come back, but not all at once."""
    after_s = random.randint(1, 2 * retry_after_s - 1)  # noqa: S311 - spreads, hides nothing
    return Response(503, b"no room, try again\n", headers=(("Retry-After", str(after_s)),))


def too_many(retry_after_s: int) -> Response:
    """Return the answer to an address that has, or opens, too many sockets."""
    return Response(
        429,
        b"too many connections from this address\n",
        headers=(("Retry-After", str(retry_after_s)),),
    )
