"""What clients meet: a desk and its edges over the cluster's port, and how they start and stop.

    join the cluster ──▶ desk ──▶ edge, gRPC … until cancelled: goodbyes, then the end of all of it
                                             … or until `end`: another process has the clients

The port may be the replica itself, or that of a worker process.  When clients have to go, what
they had asked is still answered: the port goes on until they are gone.
"""

import math
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from cluster.port import Port
from node.config import Config, GrpcConfig
from node.desk.application import Desk
from node.desk.observing import observing
from node.desk.rebinding import hosts_of
from node.edge.memory import ceiling_bytes, tune_gc
from node.edge.server import Certificate, EdgeLimits, EdgeServer
from node.protocol.catalogue import FRAME_BYTES_MAX
from node.rpc.limits import RpcLimits
from node.rpc.statistics import RpcStatistics
from node.tracing.spans import ExporterMissing, Spans


class StartFailed(Exception):
    """The node cannot start; the message says why and what to mend."""


class Front:
    """The clients' side of one process."""

    def __init__(
        self,
        config: Config,
        listener: socket.socket,
        certificate: Certificate | None,
        *,
        observe: socket.socket | None = None,
        workers: int = 0,
        pid: int | None = None,
        number: int = 0,
    ) -> None:
        """`workers` share what `[limits]` allows; `pid` is the node's, if not this process's.

        `observe` is where machines look, `number` the worker's.  Raises `StartFailed`.
        """
        self._config = config
        self._listener = listener
        self._observe = observe
        self._pid = pid or os.getpid()
        limits = edge_limits(config, workers)
        self._certificate = certificate
        self._limits = limits
        self._fronts = max(1, workers)
        self._ended = trio.Event()
        self.spans = _spans(config, "node" if pid is None else f"worker-{number}")
        self.desk: Desk | None = None
        self.edge: EdgeServer | None = None
        self.observing: EdgeServer | None = None
        """What machines look at, where they have an address of their own."""
        self.rpc: Callable[[], RpcStatistics] | None = None
        """What the gRPC server counts, where there is one."""
        self._hold_rpc: Callable[[bool], None] | None = None

    @property
    def listener(self) -> socket.socket:
        """Where clients connect."""
        return self._listener

    @property
    def observe_listener(self) -> socket.socket | None:
        """Where machines look, if that is another place."""
        return self._observe

    @property
    def ended(self) -> bool:
        """Whether another process has the clients."""
        return self._ended.is_set()

    def hold(self, held: bool) -> None:
        """Hold all clients and let nobody in, as if the network were gone; or go on.

        Harmless when repeated; see `EdgeServer.hold`, `RpcServer.hold`.
        """
        if self.edge is not None:
            self.edge.hold(held)
        if self._hold_rpc is not None:
            self._hold_rpc(held)

    def end(self) -> None:
        """Let `serve` return, without a goodbye to anybody."""
        self._ended.set()

    async def serve(
        self,
        port: Port,
        *,
        join: Callable[..., Awaitable[Any]],
        on_up: Callable[[Desk, EdgeServer], None],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled, or until `end`; started once clients are accepted.

        `join` is started first: the port can be used once it has.  `on_up` is called just before
        this counts as started.
        """

        async def parts(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with life:
                async with trio.open_nursery() as nursery:
                    await nursery.start(join)
                    self.desk = desk = Desk(port, self._config, pid=self._pid)
                    self.edge = edge = EdgeServer(
                        desk, limits=self._limits, certificate=self._certificate
                    )
                    desk.sources.edge = edge.statistics
                    desk.pressure = edge.pressure
                    desk.watch_spans(self.spans.take)
                    desk.sources.tracing = self.spans.figures
                    await nursery.start(desk.run)
                    if self._config.grpc is not None:  # first: the edge says when all is ready
                        await nursery.start(self._serve_grpc, self._config.grpc, desk, edge)
                    if self._observe is not None:
                        self.observing = observing(desk.pages, hosts_of(self._config))
                        await nursery.start(self.observing.serve, [self._observe])
                    await nursery.start(edge.serve, [self._listener])
                    on_up(desk, edge)
                    tune_gc()
                    # Up to here a cancelled start ends all of it; from here on its end is ours to
                    # choose, after the goodbyes.  Nothing is awaited between the two.
                    await trio.lowlevel.checkpoint_if_cancelled()
                    life.shield = True
                    task_status.started()

        life = trio.CancelScope()
        with self.spans:
            await self._serve(parts, life, task_status)

    async def _serve(
        self, parts: Callable[..., Awaitable[Any]], life: trio.CancelScope, task_status: Any
    ) -> None:
        async with trio.open_nursery() as outer:
            await outer.start(parts)
            task_status.started()
            try:
                await self._ended.wait()
            finally:
                if not self._ended.is_set():
                    with trio.CancelScope(shield=True):
                        assert self.desk is not None
                        await self.desk.drain(self._config.timing.drain_s)
                life.cancel()

    async def _serve_grpc(
        self,
        grpc: GrpcConfig,
        desk: Desk,
        edge: EdgeServer,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        from node.rpc.certificate import RpcCertificate  # grpcio takes 9 MB: only where it is used
        from node.rpc.server import RpcListenRefused, RpcServer

        tls = self._config.client.tls
        server = RpcServer(
            desk,
            grpc.listen,
            limits=RpcLimits(
                calls_max=-(-grpc.calls_max // self._fronts),
                streams_max=-(-grpc.streams_max // self._fronts),
                age_s=grpc.connection_age_s,
            ),
            certificate=RpcCertificate(tls.cert, tls.key) if tls is not None else None,
            pressure=edge.pressure,
            shared=True,  # with other workers, and with the process that this one goes on for
        )
        self.rpc = desk.sources.rpc = server.statistics
        self._hold_rpc = server.hold
        try:
            await server.serve(task_status=task_status)
        except* RpcListenRefused as refused:
            raise StartFailed(str(refused.exceptions[0])) from None


def _spans(config: Config, process: str) -> Spans:
    try:
        return Spans(config.trace, config.node.id, process)
    except ExporterMissing as missing:
        raise StartFailed(str(missing)) from None


def edge_limits(config: Config, workers: int) -> EdgeLimits:
    """Return one front's share; a core takes as much memory as each of its workers."""
    limits, fronts = config.limits, max(1, workers)
    return EdgeLimits(
        deflate=config.client.deflate,
        connections_max=_share(limits.connections_max, fronts),
        frame_bytes_max=FRAME_BYTES_MAX,
        address_connections_max=_share(limits.address_connections_max, fronts),
        address_connects_per_s=_share(limits.address_connects_per_s, fronts),
        addresses_exempt=limits.trusted_addresses,
        memory_bytes_max=(limits.memory_bytes_max or ceiling_bytes()) // (workers + 1),
    )


def _share(most: int, fronts: int) -> int:
    """Return what one of several fronts may have, so that together they can have `most`.

    The kernel deals connections out by chance: one in many thousands gets more than its share and
    four deviations.
    """
    share = -(-most // fronts)
    return share if fronts == 1 else min(most, share + 4 * math.isqrt(share))
