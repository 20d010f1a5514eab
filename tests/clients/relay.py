"""Bad ways to a node: what stands between it and a client, and breaks what it passes on.

    ASIDE       the request arrives and is done; of its answer comes nothing
    HALF        of each answer come `bytes_max` bytes
    NOISE       what is answered is no HTTP
    PORTAL      what is answered is a page for people, 200
    BUSY        what is answered is a page for people, 503, with a date in Retry-After
    SILENT      nothing is answered
    DRIP        a head comes, one byte at a time, without end

Talks to sockets on loopback.
"""

import enum
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from node.client.address import Address

DRIP_S = 0.2
CHUNK_BYTES = 65_536


class Fault(enum.Enum):
    """What a relay does."""

    ASIDE = enum.auto()
    HALF = enum.auto()
    NOISE = b"\x00\xff\x16\x03 not what you think\r\n\r\n"
    PORTAL = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        b"Content-Length: 22\r\n\r\n<h1>Please log in</h1>"
    )
    BUSY = (
        b"HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n"
        b"Content-Length: 4\r\n\r\nbusy"
    )
    SILENT = enum.auto()
    DRIP = enum.auto()


@asynccontextmanager
async def relay(fault: Fault, node: Address, *, bytes_max: int = 0) -> AsyncGenerator[str, None]:
    """Yield the address of a relay to `node`."""

    async def serve(client: trio.SocketStream) -> None:
        try:
            async with client:
                await _serve(client, fault, node, bytes_max)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # clients leave as they like

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def _serve(client: trio.SocketStream, fault: Fault, node: Address, bytes_max: int) -> None:
    if fault in (Fault.ASIDE, Fault.HALF):
        await _pass_on(client, node, bytes_max)
        return
    await client.receive_some(CHUNK_BYTES)
    if isinstance(fault.value, bytes):
        await client.send_all(fault.value)
    elif fault is Fault.DRIP:
        await client.send_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            await client.send_all(b"x")
            await trio.sleep(DRIP_S)
    else:
        await trio.sleep_forever()


async def _pass_on(client: trio.SocketStream, node: Address, bytes_max: int) -> None:
    """Pass a request on, and of the answer `bytes_max` bytes; all of it has come by then."""
    async with await trio.open_tcp_stream(node.host, node.port) as stream, trio.open_nursery() as n:
        n.start_soon(_pump, client, stream)
        left = bytes_max
        while True:
            data = await stream.receive_some(CHUNK_BYTES)
            await client.send_all(data[:left])
            left -= len(data[:left])
            if not left or not data:
                break
        n.cancel_scope.cancel()


async def _pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    async for data in source:
        await sink.send_all(data)
