"""A client of gRPC that knows nothing but the `.proto`: grpcio in threads, as systems use it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import trio
from grpc_status import rpc_status

from node.protocol.descriptors import message_class
from node.protocol.proto_codec import fields_of, message_of
from node.protocol.schema import PACKAGE, SERVICE, methods
from node.rpc.desk import RpcApplication
from node.rpc.server import RpcServer

BY_OP = {method.op: method for method in methods()}
WAIT_S = 10.0


class Refusal(Exception):
    """A call that ended with a status; `err` is what the details say."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.status: str = error.code().name
        self.words: str = error.details() or ""
        self.err: dict[str, Any] = {}
        status = rpc_status.from_call(error)
        for detail in status.details if status is not None else ():
            if detail.Is(message_class("Err").DESCRIPTOR):
                self.err = fields_of("Err", detail.value)


class Ear:
    """A stream of events."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.place = ""

    async def hear(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """The next `count` pushes, by name."""
        return [await self._next() for _ in range(count)]

    async def until(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        told = await self.hear(1)
        while told[-1][0] != name:
            told += await self.hear(1)
        return told

    async def end(self) -> Refusal:
        """How the stream ends."""
        try:
            while True:
                await self._next()
        except Refusal as refusal:
            return refusal

    async def _next(self) -> tuple[str, dict[str, Any]]:
        def take() -> Any:
            try:
                return next(self.call)
            except grpc.RpcError as error:
                raise Refusal(error) from None

        with trio.fail_after(WAIT_S):
            push = await trio.to_thread.run_sync(take, abandon_on_cancel=True)
        self.place = push.pop("place") or self.place
        ((name, said),) = push.items()
        return name, said


class Caller:
    """Asks one server as one principal."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self.channel: Any = channel
        self.metadata = [("authorization", f"Bearer {token}")]

    async def call(self, op: str, timeout_s: float = WAIT_S, **fields: Any) -> dict[str, Any]:
        """Ask; return the reply's fields.  Raises `Refusal`."""
        method = BY_OP[op]
        return await self.send(
            op, message_of(method.request, fields).SerializeToString(), timeout_s
        )

    async def send(
        self, op: str, data: bytes, timeout_s: float = WAIT_S, *more: tuple[str, str]
    ) -> dict[str, Any]:
        """Ask with any bytes, and more metadata."""
        method = BY_OP[op]
        stub = self.channel.unary_unary(
            method.path, response_deserializer=lambda reply: fields_of(method.reply, reply)
        )

        def ask() -> dict[str, Any]:
            try:
                found: dict[str, Any] = stub(
                    data, metadata=[*self.metadata, *more], timeout=timeout_s
                )
                return found
            except grpc.RpcError as error:
                raise Refusal(error) from None

        return await trio.to_thread.run_sync(ask)

    def listen(self, *cv: str, place: str = "") -> Ear:
        """Open a stream of events."""
        stub = self.channel.unary_stream(
            f"/{PACKAGE}.{SERVICE}/Events",
            response_deserializer=lambda push: fields_of("Push", push),
        )
        asked = message_of("EventsRequest", {"cv": list(cv), "place": place})
        return Ear(stub(asked.SerializeToString(), metadata=self.metadata))


NARROW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024))
"""Of a client that lets little come before it reads."""


def channel_to(target: str, *options: tuple[str, int]) -> grpc.Channel:
    """A channel with a connection of its own."""
    return grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1), *options])


@asynccontextmanager
async def speaking(application: RpcApplication, **more: Any) -> AsyncIterator[RpcServer]:
    """Serve `application` by gRPC on a port of loopback."""
    server = RpcServer(application, ("127.0.0.1", 0), **more)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        yield server
        nursery.cancel_scope.cancel()


def callers(server: RpcServer, *tokens: str, narrow: bool = False) -> Iterator[Caller]:
    """Callers with a channel each."""
    for token in tokens:
        yield Caller(channel_to(f"127.0.0.1:{server.port}", *(NARROW if narrow else ())), token)
