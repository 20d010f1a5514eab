"""A WebSocket and HTTP client for tests: trio's sockets, wsproto's client side."""

import contextlib
import math
import socket
from collections.abc import AsyncIterator, Callable

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from node.edge.frame import encode_binary, encode_text
from node.edge.server import (
    Application,
    Channel,
    Connection,
    EdgeLimits,
    EdgeServer,
    Feed,
    Response,
    ResponseFactory,
    open_listener,
)
from node.edge.server import Request as ServerRequest

Answer = Response | ResponseFactory | Feed
GET = b"GET / HTTP/1.1\r\nHost: desk\r\n\r\n"


class Client:
    """One WebSocket of a test."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []

    async def open(self, *subprotocols: str, path: str = "/ws") -> Event:
        """Ask for an upgrade; return `AcceptConnection` or `RejectConnection`."""
        request = Request(host="desk", target=path, subprotocols=list(subprotocols))
        await self.send(request)
        event = await self.receive()
        assert isinstance(event, AcceptConnection | RejectConnection), event
        return event

    async def send(self, *events: Event) -> None:
        await self.stream.send_all(b"".join(self.protocol.send(event) for event in events))

    async def text(self, text: str) -> None:
        await self.send(TextMessage(text))

    async def receive(self) -> Event:
        while not self._events:
            self.protocol.receive_data(await self.stream.receive_some(65_536) or None)
            self._events = list(self.protocol.events())
        return self._events.pop(0)

    async def receive_message(self) -> str | bytes:
        parts: list[str | bytes] = []
        while True:
            event = await self.receive()
            assert isinstance(event, TextMessage | BytesMessage), event
            parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
            if event.message_finished:
                return "".join(parts) if isinstance(parts[0], str) else b"".join(parts)  # type: ignore[arg-type]

    async def receive_close(self) -> int:
        """Skip to the close frame, answer it, and return its code."""
        while True:
            event = await self.receive()
            if isinstance(event, CloseConnection):
                with contextlib.suppress(Exception):  # a violator's wsproto may have had enough
                    await self.send(event.response())
                return int(event.code)
            assert not isinstance(event, RejectData)


class Recorder:
    """An application that echoes and writes down what it hears."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.messages: list[tuple[bytes, bool]] = []
        self.closed: list[tuple[Channel, int]] = []
        self.requests: list[ServerRequest] = []
        self.respond: Callable[[ServerRequest], Response | ResponseFactory | Feed] = (
            lambda request: Response(200, request.path.encode())
        )
        self.choose: Callable[[ServerRequest], str | Response | None] = lambda request: (
            request.subprotocols[0] if request.subprotocols else None
        )
        self.echo = True

    def on_request(self, request: ServerRequest) -> Answer:
        self.requests.append(request)
        return self.respond(request)

    def on_upgrade(self, request: ServerRequest) -> str | Response | None:
        return self.choose(request)

    def on_open(self, connection: Connection, request: ServerRequest) -> None:
        self.connections.append(connection)

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        self.messages.append((payload, text))
        if self.echo:
            connection.send_frame(encode_text(payload) if text else encode_binary(payload))

    def on_close(self, channel: Channel, code: int) -> None:
        self.closed.append((channel, code))

    @property
    def codes(self) -> list[int]:
        return [code for _, code in self.closed]


class Edge:
    """A server that runs, and ways to reach it."""

    def __init__(self, server: EdgeServer, port: int) -> None:
        self.server = server
        self.port = port
        self._streams: list[trio.SocketStream] = []

    async def connect(self, *, receive_buffer: int | None = None) -> trio.SocketStream:
        plain = trio.socket.socket()
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await plain.connect(("127.0.0.1", self.port))
        except OSError:
            plain.close()
            raise
        stream = trio.SocketStream(plain)
        self._streams.append(stream)
        return stream

    async def websocket(self, *subprotocols: str, receive_buffer: int | None = None) -> Client:
        client = Client(await self.connect(receive_buffer=receive_buffer))
        event = await client.open(*subprotocols)
        assert isinstance(event, AcceptConnection), event
        return client

    async def exchange(self, data: bytes) -> bytes:
        """Send bytes and return all that comes until the server hangs up."""
        stream = await self.connect()
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(data)
        answer = await read_to_end(stream)
        await stream.aclose()
        return answer

    async def hang_up(self) -> None:
        for stream in self._streams:
            await trio.aclose_forcefully(stream)


@contextlib.asynccontextmanager
async def serving(
    application: Application, limits: EdgeLimits | None = None
) -> AsyncIterator[Edge]:
    """Run an edge on a free port of loopback."""
    server = EdgeServer(application, limits=limits)
    listener = open_listener("127.0.0.1", 0)
    edge = Edge(server, listener.getsockname()[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        try:
            yield edge
        finally:
            await edge.hang_up()
            nursery.cancel_scope.cancel()


async def read_to_end(stream: trio.SocketStream) -> bytes:
    parts = []
    with contextlib.suppress(trio.BrokenResourceError):
        while data := await stream.receive_some(65_536):
            parts.append(data)
    return b"".join(parts)


async def read_until(stream: trio.SocketStream, enough: Callable[[bytes], bool]) -> bytes:
    data = b""
    while not enough(data):
        more = await stream.receive_some(65_536)
        assert more, f"hung up after {data!r}"
        data += more
    return data


async def wait_until(
    condition: Callable[[], bool], *, passes: float = math.inf, seconds: float = 30
) -> None:
    """Give the server turns until it got there; sockets of one process need no sleep for that.

    A mock clock does not run out of `seconds`, so `passes` bounds it then.
    """
    with trio.fail_after(seconds):
        while not condition():
            passes -= 1
            assert passes > 0, "it never happened"
            await trio.lowlevel.checkpoint()
