"""The gRPC server: `grpc.aio` in a thread of its own, beside trio's loop.

Talks to a listening port by grpcio, to the application through `RpcDesk`.

    trio's thread                    the thread of grpcio's loop
    RpcDesk ◀── Lane ──────────────  unidesk.v1.Desk: calls, Events
            ─── Lane ─────────────▶
    watch: GET /readyz ───────────▶  grpc.health.v1.Health
                                     grpc.reflection.v1alpha.ServerReflection

A client that leaves, or whose deadline passes, is forgotten; what it asked is not
(`node.rpc.desk`).  When the node stops, the desk has said its goodbyes before this is cancelled.
Clients that are held are without a network: the sockets are deaf (`node.rpc.deafness`), and what
would leave waits.

Source: gRPC Core, grpc_types.h (channel arguments); gRPC, "Health Checking", "Server Reflection".
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
import trio

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our log is for machines; read when it is loaded

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from node.edge.pressure import Level
from node.protocol.descriptors import message_class
from node.protocol.schema import PACKAGE, PUSH, SERVICE
from node.rpc.bridge import Bridge
from node.rpc.certificate import RpcCertificate
from node.rpc.deafness import Deafness
from node.rpc.desk import RpcApplication, RpcDesk
from node.rpc.limits import RpcLimits
from node.rpc.service import RpcService
from node.rpc.statistics import RpcCounters, RpcStatistics

SERVICES = (f"{PACKAGE}.{SERVICE}", health.SERVICE_NAME, reflection.SERVICE_NAME)
HEALTH_S = 0.25

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
        self._deafness: Deafness | None = None
        self._hold: Callable[[bool], None] | None = None
        """What is about to leave, while calls are accepted."""
        self.port = 0
        """Where it listens, once it does."""

    def statistics(self) -> RpcStatistics:
        """Return the present picture."""
        counters = self._desk.counters if self._desk is not None else RpcCounters()
        return counters.statistics()

    def hold(self, held: bool) -> None:
        """Hold all that comes and goes, and accept nobody, as if the network were gone; or go on.

        Harmless when repeated, and before or after it serves.
        """
        if self._hold is None or held is (self._deafness is not None):
            return
        self._hold(held)
        if self._deafness is not None:
            self._deafness.hear()
            self._deafness = None
            return
        self._deafness = Deafness(self.port)
        try:
            self._deafness.hear_nothing()
        except OSError as error:  # no Linux: what leaves is held all the same
            log.error("gRPC clients are still heard", why=str(error))

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started once calls are accepted.  Raises `RpcListenRefused`."""
        async with trio.open_nursery() as nursery:
            bridge = Bridge()
            self._desk = desk = RpcDesk(self._application, self._limits, nursery, self._pressure)
            service = RpcService(desk, bridge, self._limits.write_s)
            thread = _Thread(bridge, partial(self._make, service), self._limits.stop_s)
            nursery.start_soon(thread.run)
            try:
                await thread.up.wait()
                self.port = thread.port
                self._hold = lambda held: bridge.to_asyncio(partial(service.hold, held))
                task_status.started()
                await self._watch_health(desk, bridge, thread)
            finally:
                self.hold(False)
                self._hold = None
                thread.stop()

    async def _watch_health(self, desk: RpcDesk, bridge: Bridge, thread: "_Thread") -> None:
        told: bool | None = None
        while True:
            ready = desk.is_ready()
            if self._deafness is not None:
                with contextlib.suppress(OSError):  # who was let in just before
                    self._deafness.hear_nothing()
            elif ready != told:
                told = ready
                bridge.to_asyncio(partial(thread.say_ready, ready))
            await trio.sleep(HEALTH_S)

    def _make(self, service: RpcService) -> tuple[grpc.aio.Server, int]:
        """Return a server that listens, and where.  Called in asyncio's thread."""
        limits = self._limits
        server = grpc.aio.server(
            options=self._options(),
            maximum_concurrent_rpcs=limits.calls_max + limits.streams_max + limits.others_max,
        )
        message_class(PUSH)  # so that reflection finds the file
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICES[0], service.handlers()),)
        )
        reflection.enable_server_reflection(SERVICES, server)
        return server, self._listen(server)

    def _listen(self, server: grpc.aio.Server) -> int:
        host, port = self._address
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._certificate is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, self._certificate.credentials())
        except RuntimeError:
            raise RpcListenRefused(
                f"cannot listen for gRPC on {address}: the port is taken, or this machine has no"
                " such address; free it, or change [grpc] listen"
            ) from None

    def _options(self) -> list[tuple[str, int]]:
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


class _Thread:
    """Where grpcio's loop runs."""

    def __init__(
        self, bridge: Bridge, make: Callable[[], tuple[grpc.aio.Server, int]], stop_s: float
    ) -> None:
        """`make` returns a server, and the port where it listens."""
        self._bridge = bridge
        self._make = make
        self._stop_s = stop_s
        self._stop: asyncio.Event | None = None
        self._stopping = False
        self._health: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.up = trio.Event()
        self.port = 0

    # -- trio's thread

    async def run(self) -> None:
        """Run it, to its end."""
        await trio.to_thread.run_sync(
            asyncio.run, self._run(), limiter=trio.CapacityLimiter(1), thread_name="grpc"
        )

    def stop(self) -> None:
        """Have it end, soon; also when it has hardly begun."""
        self._stopping = True
        if self._stop is not None:
            self._bridge.to_asyncio(self._stop.set)

    # -- asyncio's thread

    async def _run(self) -> None:
        self._bridge.attach(asyncio.get_running_loop())
        self._stop = asyncio.Event()
        if self._stopping:
            return
        server, self.port = self._make()
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs lack it
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        await server.start()
        self._bridge.to_trio(self.up.set)
        await self._stop.wait()
        await self._health.enter_graceful_shutdown()
        await server.stop(self._stop_s)

    def say_ready(self, ready: bool) -> None:
        """Tell those who watch the health of this node."""
        serving = health_pb2.HealthCheckResponse.SERVING
        status = serving if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", SERVICES[0]):
            task = asyncio.ensure_future(self._health.set(service, status))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
