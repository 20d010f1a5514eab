"""Bad ways to a node: what stands between it and a client, and breaks what it passes on.

    ASIDE       the request arrives and is done; of its answer comes nothing
    HALF        of each answer come `bytes_max` bytes
    CHUNKED     the same, in chunks of a few bytes, as a proxy might send it
    NOISE       what is answered is no HTTP
    PORTAL      what is answered is a page for people, 200
    BUSY        what is answered is a page for people, 503, with a date in Retry-After
    MUTE        what is answered stops after `welcome`, which promises a ping every 100 ms
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
PIECE_BYTES = 7


class Fault(enum.Enum):
    """What a relay does."""

    ASIDE = enum.auto()
    HALF = enum.auto()
    CHUNKED = enum.auto()
    MUTE = enum.auto()
    NOISE = enum.auto()
    PORTAL = enum.auto()
    BUSY = enum.auto()
    SILENT = enum.auto()
    DRIP = enum.auto()


ANSWERS = {
    Fault.NOISE: b"\x00\xff\x16\x03 not what you think\r\n\r\n",
    Fault.PORTAL: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    b"Content-Length: 22\r\n\r\n<h1>Please log in</h1>",
    Fault.BUSY: b"HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n"
    b"Content-Length: 4\r\n\r\nbusy",
}


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
    if fault in (Fault.ASIDE, Fault.HALF, Fault.CHUNKED, Fault.MUTE):
        await _pass_on(client, node, bytes_max, fault)
        return
    await client.receive_some(CHUNK_BYTES)
    if fault in ANSWERS:
        await client.send_all(ANSWERS[fault])
    elif fault is Fault.DRIP:
        await client.send_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            await client.send_all(b"x")
            await trio.sleep(DRIP_S)
    else:
        await trio.sleep_forever()


async def _pass_on(client: trio.SocketStream, node: Address, bytes_max: int, fault: Fault) -> None:
    """Pass a request on, and of the answer `bytes_max` bytes."""
    async with await trio.open_tcp_stream(node.host, node.port) as stream, trio.open_nursery() as n:
        n.start_soon(_pump, client, stream)
        left = bytes_max
        while True:
            data = bytes(await stream.receive_some(CHUNK_BYTES))
            if fault is Fault.CHUNKED:
                data = _in_chunks(data)
            if fault is Fault.MUTE and b'"ping_ms"' in data:
                welcome = data.partition(b"event: caught")[0].partition(b'{"op":"caught"')[0]
                await client.send_all(welcome.replace(b'"ping_ms":25000', b'"ping_ms":1e002'))
                await trio.sleep_forever()
            await client.send_all(data[:left])
            left -= len(data[:left])
            if not left or not data:
                break
        n.cancel_scope.cancel()


def _in_chunks(data: bytes) -> bytes:
    """Return a part of an answer with its body in chunks of `PIECE_BYTES` (RFC 9112, 7.1)."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        head, body = b"", data
    pieces = [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return (head + b"\r\nTransfer-Encoding: chunked" + end if end else b"") + coded


async def _pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    async for data in source:
        await sink.send_all(data)
