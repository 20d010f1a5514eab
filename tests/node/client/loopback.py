"""A node that says what a test tells it to: trio and wsproto on loopback."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Request,
    TextMessage,
)

from node.protocol.catalogue import (
    AnyRequest,
    Bye,
    Err,
    Ev,
    Hello,
    NodeAddress,
    Ok,
    Welcome,
)
from node.protocol.codec import BY_SUBPROTOCOL, JSON, BadRequest, Codec

Script = Callable[["Link"], Awaitable[None]]


class Gone(Exception):
    """The client left."""


class Link:
    """The node's end of one connection."""

    def __init__(self, stream: trio.abc.Stream, number: int) -> None:
        self.stream = stream
        self.number = number
        """Which connection of this node it is, from 1."""
        self.codec: Codec = JSON
        self.close_code: int | None = None
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._requests: list[AnyRequest | BadRequest] = []

    async def accept(self) -> Hello:
        while True:
            for event in await self._receive():
                if isinstance(event, Request):
                    subprotocol = event.subprotocols[0]
                    self.codec = BY_SUBPROTOCOL[subprotocol]
                    accept = AcceptConnection(subprotocol=subprotocol)
                    await self.stream.send_all(self._protocol.send(accept))
                    hello = await self.next()
                    assert isinstance(hello, Hello), hello
                    return hello

    async def next(self) -> Any:
        while not self._requests:
            for event in await self._receive():
                if isinstance(event, TextMessage | BytesMessage):
                    data = event.data.encode() if isinstance(event.data, str) else event.data
                    self._requests.extend(self.codec.requests(bytes(data)))
                elif isinstance(event, CloseConnection):
                    self.close_code = int(event.code)
                    await self.stream.send_all(self._protocol.send(event.response()))
                    raise Gone
        return self._requests.pop(0)

    async def say(self, *messages: Any) -> None:
        for message in messages:
            payload = self.codec.encode(message)
            event = TextMessage(payload.decode()) if self.codec.text else BytesMessage(payload)
            await self.stream.send_all(self._protocol.send(event))

    async def welcome(self, *nodes: str, node: str = "n1", **fields: Any) -> Hello:
        """Take the client in; return their hello."""
        hello = await self.accept()
        addresses = [NodeAddress(f"n{place}", url) for place, url in enumerate(nodes, 1)]
        await self.say(
            Welcome(
                sid="S1",
                epoch="demo",
                node=node,
                ping_ms=25_000,
                now=0,
                limits={},
                nodes=addresses,
                state="ok",
                **{"you": {"id": "ada", "role": "visitor", "name": ""}, **fields},
            )
        )
        return hello

    async def ok(self, request: Any, **result: Any) -> None:
        await self.say(Ok(id=request.id, r=result))

    async def err(self, request: Any, code: str, *, retry: bool) -> None:
        await self.say(Err(id=request.id, code=code, msg=f"it is {code}", retry=retry))

    async def event(self, cv: str, seq: int, kind: str = "msg", **data: Any) -> None:
        await self.say(Ev(cv=cv, seq=seq, type=kind, ts=seq, data=data))

    async def bye(self, code: int, *nodes: str, reason: str = "", rule: str = "") -> None:
        addresses = [NodeAddress(f"n{place}", url) for place, url in enumerate(nodes, 1)]
        resume = code < 4100
        await self.say(Bye(code=code, reason=reason, resume=resume, nodes=addresses, rule=rule))
        await self.stream.send_all(self._protocol.send(CloseConnection(code, reason)))

    async def stay(self) -> None:
        """Ignore what the client says until it leaves."""
        while True:
            await self.next()

    async def _receive(self) -> list[Any]:
        try:
            data = await self.stream.receive_some(65_536)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Gone from None
        if not data:
            raise Gone
        self._protocol.receive_data(bytes(data))
        return list(self._protocol.events())


class Node:
    """A listening node; connection n is played by script n, the last one again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.links: list[Link] = []


@asynccontextmanager
async def node(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Node]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    made = Node(f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/v1/ws")

    async def handle(socket: trio.SocketStream) -> None:
        stream: trio.abc.Stream = socket
        if tls is not None:
            stream = trio.SSLStream(socket, tls, server_side=True, https_compatible=True)
        link = Link(stream, len(made.links) + 1)
        made.links.append(link)
        script = scripts[min(len(made.links), len(scripts)) - 1]
        try:
            async with stream:
                await script(link)
        except (Gone, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield made
        nursery.cancel_scope.cancel()


def same(left: Any, right: Any) -> bool:
    """Say whether two requests are the same but for their number."""
    replaced = msgspec.structs.replace(left, id=right.id)
    return bool(replaced == right)
