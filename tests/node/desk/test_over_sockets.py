"""The desk behind the real edge: a client on a socket, from the handshake to the goodbye."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Request,
    TextMessage,
)

from node.desk.application import Desk
from node.desk.ways_in import WS_PATH
from node.edge.server import EdgeServer, open_listener
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Caught, Ev, Ok, Push, Reply, Welcome
from node.protocol.codec import BY_SUBPROTOCOL
from tests.node.desk.office import JSON, MSGPACK, office, token


class Socket:
    """A WebSocket client on a real socket."""

    def __init__(self, stream: trio.SocketStream, subprotocol: str) -> None:
        self._stream = stream
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._codec = BY_SUBPROTOCOL[subprotocol]
        self._subprotocol = subprotocol
        self._text = ""
        self._messages: list[Reply | Push] = []
        self.accepted: str | None = None
        self.closed: int | None = None

    async def shake(self) -> None:
        request = Request("localhost", WS_PATH, subprotocols=[self._subprotocol])
        await self._stream.send_all(self._ws.send(request))
        while self.accepted is None:
            await self._read()

    async def say(self, *requests: ops.Request) -> None:
        payload = self._codec.encode(list(requests))
        message: Event = (
            TextMessage(payload.decode()) if self._codec.text else BytesMessage(payload)
        )
        await self._stream.send_all(self._ws.send(message))

    async def hear(self, count: int) -> list[Reply | Push]:
        """The next `count` messages."""
        with trio.fail_after(30):
            while len(self._messages) < count:
                await self._read()
        heard, self._messages = self._messages[:count], self._messages[count:]
        return heard

    async def end(self) -> int:
        """The code with which the server closes."""
        with trio.fail_after(30):
            while self.closed is None:
                await self._read()
        return self.closed

    async def _read(self) -> None:
        data = await self._stream.receive_some()
        self._ws.receive_data(data or None)
        for event in self._ws.events():
            match event:
                case AcceptConnection(subprotocol=subprotocol):
                    self.accepted = subprotocol or ""
                case TextMessage(data=text):
                    self._text += text
                    if event.message_finished:
                        self._messages += self._codec.server_messages(self._text.encode())
                        self._text = ""
                case BytesMessage(data=payload):
                    self._messages += self._codec.server_messages(bytes(payload))
                case CloseConnection(code=code):
                    self.closed = code
                    await self._stream.send_all(self._ws.send(event.response()))


@asynccontextmanager
async def listening(desk: Desk) -> AsyncIterator[int]:
    """Serve `desk` on a port of loopback."""
    listener = open_listener("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    edge = EdgeServer(desk)
    desk.sources.edge = edge.statistics
    async with trio.open_nursery() as nursery:
        await nursery.start(edge.serve, [listener])
        yield port
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialled(port: int, subprotocol: str = JSON) -> AsyncIterator[Socket]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        socket = Socket(stream, subprotocol)
        await socket.shake()
        yield socket


async def test_a_visitor_comes_in_says_something_and_is_sent_away() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        async with dialled(port) as visitor:
            assert visitor.accepted == JSON
            await visitor.say(
                ops.Hello(ver="1", token=token("visitor", "v1")),
                ops.CvOpen(id=1, key="k", text="hi"),
            )
            welcome, opened, said, caught, reply = await visitor.hear(5)
            assert isinstance(welcome, Welcome)
            assert isinstance(opened, Ev)
            assert isinstance(said, Ev)
            assert (opened.seq, said.seq) == (1, 2)
            assert isinstance(caught, Caught)
            assert isinstance(reply, Ok)
            await visitor.say(ops.Hello(id=2, ver="1", token="x"), ops.Pong(id=2**33))
            _, bye = await visitor.hear(2)
            assert isinstance(bye, Bye)
            assert await visitor.end() == bye.code == 4100
        with trio.fail_after(30):
            while desk.desks["n1"].statistics().connections:
                await trio.sleep(0.01)


async def test_agents_speak_msgpack_and_a_broken_socket_is_a_lost_session() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        async with dialled(port, MSGPACK) as agent:
            await agent.say(ops.Hello(ver="1", token=token("agent", "a1")))
            (welcome,) = await agent.hear(1)
            assert isinstance(welcome, Welcome)
        with trio.fail_after(30):
            while not desk.port().state.sessions[welcome.sid].lost_ms:
                await trio.sleep(0.01)


async def test_probes_are_answered_on_the_same_port() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        proof = f"Authorization: Bearer {token('operator', 'o1')}\r\n"
        asked = (("/readyz", "", b"ok"), ("/metrics", proof, b"unidesk_edge_requests_total"))
        for path, header, inside in asked:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                request = f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n"
                await stream.send_all(request.encode())
                answer = b"".join([chunk async for chunk in stream])
                assert answer.startswith(b"HTTP/1.1 200 OK")
                assert inside in answer


async def test_a_desk_that_is_drained_closes_its_sockets_with_4001() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port, dialled(port) as visitor:
        await visitor.say(ops.Hello(ver="1", token=token("visitor", "v1")))
        await visitor.hear(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.desks["n1"].drain, 1.0)
            assert await visitor.end() == 4001
