"""The gRPC server: `grpc.aio` in a thread of its own, beside trio's loop.

Talks to a listening port by grpcio, to the application through `RpcDesk`.

    trio's thread                    the thread of grpcio's loop
    RpcDesk ◀── Lane ──────────────  unidesk.v1.Desk: calls, Events
            ─── Lane ─────────────▶
    watch: GET /readyz ───────────▶  grpc.health.v1.Health
                                     grpc.reflection.v1alpha.ServerReflection

A client that leaves, or whose deadline passes, is forgotten; what it asked is not
(`node.rpc.desk`).  When the node stops, the desk has said its goodbyes before this is cancelled.

Source: gRPC Core, grpc_types.h (channel arguments); gRPC, "Health Checking", "Server Reflection".
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote

import structlog
import trio

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our log is for machines; read when it is loaded

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from node.edge.pressure import Level
from node.protocol.descriptors import message_class
from node.protocol.schema import PACKAGE, PUSH, SERVICE, Method, methods
from node.rpc.bridge import Bridge
from node.rpc.certificate import RpcCertificate
from node.rpc.desk import Asked, Headers, RpcApplication, RpcDesk
from node.rpc.limits import RpcLimits
from node.rpc.statistics import RpcCounters, RpcStatistics
from node.rpc.status import DETAILS, Ending, closed
from node.rpc.stream import PushStream

SERVICES = (f"{PACKAGE}.{SERVICE}", health.SERVICE_NAME, reflection.SERVICE_NAME)
HEALTH_S = 0.25
KEPT = (b"authorization", b"idempotency-key")
"""Metadata that means something."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

logging.getLogger("grpc").addHandler(logging.NullHandler())
logging.getLogger("grpc").propagate = False  # it tells of every client that leaves, at length
log = structlog.get_logger(__name__)


class RpcListenRefused(Exception):
    """No gRPC port there; the message names the address and what to do."""


class RpcServer:
    """gRPC for one application, beside one trio loop."""

    def __init__(
        self,
        application: RpcApplication,
        address: tuple[str, int],
        *,
        limits: RpcLimits | None = None,
        certificate: RpcCertificate | None = None,
        pressure: Callable[[], Level] = lambda: Level.CALM,
        shared: bool = False,
    ) -> None:
        """With `shared` several processes may listen there; the kernel deals out connections."""
        self._application = application
        self._address = address
        self._limits = limits or RpcLimits()
        self._certificate = certificate
        self._pressure = pressure
        self._shared = shared
        self._desk: RpcDesk | None = None
        self.port = 0
        """Where it listens, once it does."""

    def statistics(self) -> RpcStatistics:
        """Return the present picture."""
        counters = self._desk.counters if self._desk is not None else RpcCounters()
        return counters.statistics()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started once calls are accepted.  Raises `RpcListenRefused`."""
        async with trio.open_nursery() as nursery:
            bridge = Bridge()
            self._desk = RpcDesk(self._application, self._limits, nursery, self._pressure)
            loop = _Loop(self, bridge, self._desk)
            nursery.start_soon(loop.run_in_thread)
            try:
                await loop.wait_up()
                self.port = loop.port
                task_status.started()
                await self._watch_health(bridge, loop)
            finally:
                loop.stop()

    async def _watch_health(self, bridge: Bridge, loop: "_Loop") -> None:
        assert self._desk is not None
        told: bool | None = None
        while True:
            ready = self._desk.is_ready()
            if ready != told:
                told = ready
                bridge.to_asyncio(partial(loop.say_ready, ready))
            await trio.sleep(HEALTH_S)

    def options(self) -> list[tuple[str, int]]:
        """Return the channel arguments that say what one connection may do."""
        limits = self._limits
        options = [
            ("grpc.so_reuseport", int(self._shared)),
            ("grpc.max_receive_message_length", limits.message_bytes_max),
            ("grpc.max_metadata_size", limits.metadata_bytes_max),
            ("grpc.absolute_max_metadata_size", limits.metadata_bytes_max),
            ("grpc.max_concurrent_streams", limits.streams_per_connection_max),
            ("grpc.server_handshake_timeout_ms", _ms(limits.handshake_s)),
            ("grpc.keepalive_time_ms", _ms(limits.ping_s)),
            ("grpc.keepalive_timeout_ms", _ms(limits.pong_s)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", _ms(limits.ping_every_s_min)),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", _ms(limits.ping_every_s_min)),
            ("grpc.max_connection_idle_ms", _ms(limits.idle_s)),
        ]
        if limits.age_s:
            options += [
                ("grpc.max_connection_age_ms", _ms(limits.age_s)),
                ("grpc.max_connection_age_grace_ms", _ms(limits.age_grace_s)),
            ]
        return options


class _Loop:
    """The other thread."""

    def __init__(self, server: RpcServer, bridge: Bridge, desk: RpcDesk) -> None:
        self._server = server
        self._bridge = bridge
        self._desk = desk
        self._limits = server._limits
        self._up = trio.Event()
        self._stop: asyncio.Event | None = None
        self._stopping = False
        self._health: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    # -- trio's thread

    async def run_in_thread(self) -> None:
        await trio.to_thread.run_sync(
            asyncio.run, self._run(), limiter=trio.CapacityLimiter(1), thread_name="grpc"
        )

    async def wait_up(self) -> None:
        await self._up.wait()

    def stop(self) -> None:
        """Have the thread end, soon; also when it has hardly begun."""
        self._stopping = True
        if self._stop is not None:
            self._bridge.to_asyncio(self._stop.set)

    # -- asyncio's thread

    async def _run(self) -> None:
        self._bridge.attach(asyncio.get_running_loop())
        self._stop = asyncio.Event()
        if self._stopping:
            return
        limits = self._limits
        server = grpc.aio.server(
            options=self._server.options(),
            maximum_concurrent_rpcs=limits.calls_max + limits.streams_max + limits.others_max,
        )
        for name in {method.request for method in methods()} | {PUSH}:
            message_class(name)  # so that reflection, and the first call, find them
        handlers = {method.name: self._handler(method) for method in methods()}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICES[0], handlers),)
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(SERVICES, server)
        self.port = self._listen(server)
        await server.start()
        self._bridge.to_trio(self._up.set)
        await self._stop.wait()
        await self._health.enter_graceful_shutdown()
        await server.stop(limits.stop_s)

    def _listen(self, server: grpc.aio.Server) -> int:
        host, port = self._server._address
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        certificate = self._server._certificate
        try:
            if certificate is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, certificate.credentials())
        except RuntimeError:
            raise RpcListenRefused(
                f"cannot listen for gRPC on {address}: the port is taken, or this machine has no"
                " such address; free it, or change [grpc] listen"
            ) from None

    def say_ready(self, ready: bool) -> None:
        """Tell those who watch the health of this node."""
        assert self._health is not None
        serving = health_pb2.HealthCheckResponse.SERVING
        status = serving if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", SERVICES[0]):
            self._start(self._health.set(service, status))

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _handler(self, method: Method) -> Any:
        if method.streams:
            return grpc.unary_stream_rpc_method_handler(partial(self._events, method))
        return grpc.unary_unary_rpc_method_handler(partial(self._call, method))

    async def _call(self, method: Method, data: bytes, context: Context) -> bytes:
        asked, answered = self._asked(method, data, context)
        self._bridge.to_trio(partial(self._desk.call, asked))
        try:
            answer = await answered
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
                async with asyncio.timeout(self._limits.write_s):
                    await context.write(push)
                stream.taken(push)
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


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
