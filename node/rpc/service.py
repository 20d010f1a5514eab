"""The methods of `unidesk.v1.Desk`, in asyncio's thread.

Talks to clients through grpcio, to the desk through a `Bridge`.

    a call       asked ──▶ desk ──▶ the reply, or a status
    Events       asked ──▶ desk ──▶ pushes, as the reader takes them ──▶ a status

A client that leaves, or whose deadline passes, cancels the coroutine here.  The desk is told that
nobody waits; what was begun goes on.  While all is held, whatever would leave waits.
"""

import asyncio
from functools import partial
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote

import grpc
import grpc.aio

from node.protocol.schema import Method, methods
from node.rpc.bridge import Bridge
from node.rpc.desk import Asked, Headers, RpcDesk
from node.rpc.status import DETAILS, Ending, closed
from node.rpc.stream import PushStream

KEPT = (b"authorization", b"idempotency-key", b"traceparent")
"""Metadata that means something."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RpcService:
    """Brings calls to the desk, and answers back."""

    def __init__(self, desk: RpcDesk, bridge: Bridge, write_s: float) -> None:
        """`write_s`: for a reader to take a push."""
        self._desk = desk
        self._bridge = bridge
        self._write_s = write_s
        self._flowing = asyncio.Event()
        self._flowing.set()

    def hold(self, held: bool) -> None:
        """Let nothing leave, neither answers nor pushes; or go on.  Called in asyncio's thread."""
        if held:
            self._flowing.clear()
        else:
            self._flowing.set()

    def handlers(self) -> dict[str, Any]:
        """Return what serves each method: bytes in, bytes out."""
        return {method.name: self._handler(method) for method in methods()}

    def _handler(self, method: Method) -> Any:
        if method.streams:
            return grpc.unary_stream_rpc_method_handler(partial(self._events, method))
        return grpc.unary_unary_rpc_method_handler(partial(self._call, method))

    async def _call(self, method: Method, data: bytes, context: Context) -> bytes:
        asked, answered = self._asked(method, data, context)
        self._bridge.to_trio(partial(self._desk.call, asked))
        try:
            answer = await answered
            await self._flowing.wait()
        finally:
            asked.gone = True
        if isinstance(answer, bytes):
            return answer
        return await _end(context, answer)

    async def _events(self, method: Method, data: bytes, context: Context) -> None:
        asked, answered = self._asked(method, data, context)
        stream = PushStream(
            asked.peer,
            self._desk.counters,
            outbox_bytes_max=self._desk.outbox_bytes_max,
            on_overflow=self._desk.overflow,
            wake=lambda one: self._bridge.to_asyncio(one.told),
        )
        self._bridge.to_trio(partial(self._desk.listen, asked, stream))
        try:
            answer = await answered
            if isinstance(answer, Ending):
                await self._flowing.wait()
                await _end(context, answer)
            if await self._pump(stream, context):
                assert stream.end is not None
                await _end(context, closed(*stream.end))
        finally:
            asked.gone = True
            self._bridge.to_trio(partial(self._desk.gone, asked))

    async def _pump(self, stream: PushStream, context: Context) -> bool:
        """Write what the stream is sent; return whether that was read to its end."""
        try:
            while (push := await stream.next()) is not None:
                await self._flowing.wait()
                async with asyncio.timeout(self._write_s):
                    await context.write(push)
                stream.taken(push)
            await self._flowing.wait()
        except TimeoutError:
            # Not `abort`, which would wait here behind the push that is stuck: gRPC waits then.
            context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
            context.set_details("nothing was read for too long")
            return False
        return True

    def _asked(
        self, method: Method, data: bytes, context: Context
    ) -> tuple[Asked, "asyncio.Future[bytes | Ending]"]:
        answered: asyncio.Future[bytes | Ending] = asyncio.get_running_loop().create_future()

        def settle(answer: bytes | Ending) -> None:
            if not answered.done():
                answered.set_result(answer)

        def reply(answer: bytes | Ending) -> None:
            self._bridge.to_asyncio(partial(settle, answer))

        return Asked(method, data, _headers(context), _peer(context), reply), answered


async def _end(context: Context, ending: Ending) -> NoReturn:
    """End a call; raises what gRPC wants to see."""
    trailing = ((DETAILS, ending.details),) if ending.details else ()
    await context.abort(ending.status, ending.words, trailing)
    raise AssertionError


def _headers(context: Context) -> Headers:
    found = ((_bytes(key), _bytes(value)) for key, value in context.invocation_metadata() or ())
    return tuple((key, value) for key, value in found if key in KEPT)


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1", "replace") if isinstance(text, str) else text


def _peer(context: Context) -> str:
    """Return `address:port`; gRPC says `ipv4:…`, or `ipv6:%5B::1%5D:…`."""
    return unquote(context.peer().partition(":")[2])
