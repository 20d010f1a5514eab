"""What the gRPC server asks of the program behind it: the requests that HTTP would bring.

Runs in trio's thread; never waits but in the tasks of calls.

    call CvOpen(m)     POST /v1/op/cv.open, m as JSON     200 ──▶ the reply's message
                                                          else ─▶ `Ending`: status and details
    call Events(m)     GET /v1/events?cv=…                Feed ─▶ pushes on a `PushStream`
                       Last-Event-ID: m.place             else ─▶ `Ending`
    health             GET /readyz                        200 ──▶ SERVING

So who may do what, what is refused and in which words, and how often something happens is decided
in one place for both.  A call that was begun goes on when its client leaves: what it asked the
log for may happen, once, and a retry with the same key hears of it.
"""

from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

import msgspec
import structlog
import trio

from node.edge.application import Feed, Held, ResponseFactory
from node.edge.http import Request, Response
from node.edge.pressure import Level
from node.protocol.catalogue import BY_NAME, RESULTS, Events
from node.protocol.proto_codec import BadMessage, fields_of, message_of
from node.protocol.schema import Method
from node.rpc.limits import RpcLimits
from node.rpc.statistics import RpcCounters
from node.rpc.status import Ending, refused, refused_by_http
from node.rpc.stream import PushStream

OP_PATH, EVENTS_PATH, READY_PATH = "/v1/op/", "/v1/events", "/readyz"
STOPPED = "closing; it may still happen: retry with the same key"
FULL = "this node has as many calls as it takes"

Headers = tuple[tuple[bytes, bytes], ...]
Reply = Callable[[bytes | Ending], None]
"""Given the answer, once; must not raise."""

log = structlog.get_logger(__name__)


class RpcApplication(Protocol):
    """The program behind an `RpcServer`: what an edge's `Application` is without WebSockets."""

    def on_request(self, request: Request) -> Response | ResponseFactory | Feed:
        """Answer a request; a factory runs in a task."""

    def on_overflow(self, channel: Held) -> bytes | None:
        """Return what a reader that is too slow is sent before the end (4003), or None."""

    def on_close(self, channel: Held, code: int) -> None:
        """A stream is over: the code it was closed with, 1006 without one."""


class Asked:
    """A call on its way: its client may have left before it was begun."""

    __slots__ = ("data", "gone", "headers", "listening", "method", "peer", "reply", "stream")

    def __init__(
        self, method: Method, data: bytes, headers: Headers, peer: str, reply: Reply
    ) -> None:
        self.method = method
        self.data = data
        self.headers = headers
        self.peer = peer
        self.reply = reply
        self.gone = False
        """Whether its client has left; the one field that asyncio's thread writes."""
        self.listening = False
        """Whether it counts as a stream."""
        self.stream: PushStream | None = None


class RpcDesk:
    """Brings calls to an application, in trio's thread."""

    def __init__(
        self,
        application: RpcApplication,
        limits: RpcLimits,
        nursery: trio.Nursery,
        pressure: Callable[[], Level],
    ) -> None:
        self.counters = RpcCounters()
        self._application = application
        self._limits = limits
        self._nursery = nursery
        self._pressure = pressure

    # -- calls

    def call(self, asked: Asked) -> None:
        """Have a call answered, unless its client has left already: then nothing was done."""
        if asked.gone:
            self._count("CANCELLED")
            return
        if self.counters.calls_running >= self._limits.calls_max:
            self._answer(asked, refused("overloaded", FULL))
            return
        self.counters.calls_running += 1
        self._nursery.start_soon(self._call, asked)

    async def _call(self, asked: Asked) -> None:
        answer: bytes | Ending = refused("timeout", STOPPED)
        try:
            with trio.move_on_after(self._limits.call_s) as scope:
                answer = await self._performed(asked)
            if scope.cancelled_caught:
                answer = refused("timeout", "no outcome in time; retry with the same key")
        except Exception:  # the boundary of a call: a fault of ours ends it, and nothing else
            log.exception("call failed", method=asked.method.name)
            answer = refused("internal", "internal error")
        finally:
            self.counters.calls_running -= 1
            self._answer(asked, answer)

    async def _performed(self, asked: Asked) -> bytes | Ending:
        try:
            fields = fields_of(asked.method.request, asked.data)
        except BadMessage as error:
            return refused("bad_request", f"body: {error}")
        found = self._application.on_request(
            Request(
                "POST",
                OP_PATH + asked.method.op,
                "",
                (*asked.headers, (b"content-type", b"application/json")),
                msgspec.json.encode(fields),
                asked.peer,
            )
        )
        response = await _waited(found)
        assert isinstance(response, Response)
        if response.status != 200:
            return refused_by_http(response)
        result = msgspec.json.decode(response.body, type=RESULTS[BY_NAME[asked.method.op]])
        return message_of(asked.method.reply, result).SerializeToString()

    def _answer(self, asked: Asked, answer: bytes | Ending) -> None:
        self._count("OK" if isinstance(answer, bytes) else answer.status.name)
        if asked.gone:
            self.counters.abandoned += 1
        else:
            asked.reply(answer)

    def _count(self, status: str) -> None:
        self.counters.calls[status] += 1

    # -- streams

    def listen(self, asked: Asked, stream: PushStream) -> None:
        """Open a stream of events, or say why not; its reply is given `b""` when it is open."""
        if asked.gone:
            return
        if self.counters.streams >= self._limits.streams_max:
            asked.reply(refused("overloaded", FULL))
        elif self._pressure() is not Level.CALM:
            asked.reply(refused("overloaded", "this node lets nobody new in at present"))
        else:
            self.counters.streams += 1
            asked.listening = True
            self._nursery.start_soon(self._listen, asked, stream)

    async def _listen(self, asked: Asked, stream: PushStream) -> None:
        answer: bytes | Ending = refused("overloaded", "this node is being stopped")
        try:
            with trio.move_on_after(self._limits.call_s):
                answer = await self._opened(asked, stream)
        except Exception:  # the boundary of a call
            log.exception("stream failed", method=asked.method.name)
            answer = refused("internal", "internal error")
        finally:
            asked.reply(answer)

    async def _opened(self, asked: Asked, stream: PushStream) -> bytes | Ending:
        try:
            wanted = msgspec.convert(fields_of(asked.method.request, asked.data), Events)
        except BadMessage as error:
            return refused("bad_request", f"body: {error}")
        place = ((b"last-event-id", wanted.place.encode()),) if wanted.place else ()
        found = self._application.on_request(
            Request(
                "GET",
                EVENTS_PATH,
                urlencode([("cv", cv) for cv in wanted.cv]),
                (*asked.headers, *place),
                b"",
                asked.peer,
            )
        )
        feed = await _waited(found)
        if isinstance(feed, Response):
            return refused_by_http(feed)
        if not asked.gone:
            asked.stream = stream
            feed.open(stream)
            self.counters.streams_opened += 1
        return b""

    def gone(self, asked: Asked) -> None:
        """A stream is over, whoever ended it."""
        if asked.listening:
            asked.listening = False
            self.counters.streams -= 1
        stream = asked.stream
        if stream is not None and stream.data is not None:
            stream.abandon()
            self._application.on_close(stream, stream.code)

    def overflow(self, stream: PushStream) -> bytes | None:
        """Return the last push for a reader that is too slow."""
        return self._application.on_overflow(stream)

    def outbox_bytes_max(self) -> int:
        """Return what may wait for a reader at present."""
        calm = self._pressure() is Level.CALM
        return self._limits.outbox_bytes_max if calm else self._limits.outbox_bytes_pressed

    # -- health

    def is_ready(self) -> bool:
        """Whether clients should come here."""
        found = self._application.on_request(Request("GET", READY_PATH, "", (), b"", ""))
        return isinstance(found, Response) and found.status == 200


async def _waited(found: Response | ResponseFactory | Feed) -> Response | Feed:
    """Return the answer itself."""
    return found if isinstance(found, Response | Feed) else await found()
