"""One worker: clients' sockets, and a copy of the state, in a process of their own.

Talks to the node's core through a socket pair, to clients through a listener that it shares.

    SIGTERM, from the core          goodbyes, then the end
    the core is gone                the end
    no certificate, no port         the end: the core says so, and tries again
"""

import contextlib
import os
import pickle
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog
import trio

from node import logs
from node.config import Config
from node.desk.application import Desk
from node.desk.statistics import DeskStatistics
from node.edge.server import (
    Certificate,
    CertificateRefused,
    EdgeServer,
    EdgeStatistics,
    ListenRefused,
    share,
)
from node.front import Front
from node.plugins.contract import Here
from node.plugins.loading import Plugins
from node.processes import ProcessFigures, this_process
from node.rpc.statistics import RpcStatistics
from node.tracing.figures import TracingFigures
from node.tracing.spans import Spans
from node.workers import figures
from node.workers.messages import Measured
from node.workers.remote import CoreGone, RemotePort

MEASURE_S = 1.0
Rpc = Callable[[], RpcStatistics]

log = structlog.get_logger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run a worker: its number, and descriptors of the socket pair and the configuration."""
    number, stream_fd, config_fd = (int(argument) for argument in arguments)
    with os.fdopen(config_fd, "rb") as file:
        config: Config = pickle.load(file)  # noqa: S301 - written by our own core
    logs.configure(config.log.format, config.log.level, node=f"{config.node.id}/{number}")
    code = 0
    try:
        trio.run(_until_told, config, number, socket.socket(fileno=stream_fd))
    except* CoreGone:
        log.warning("worker ends: its core has gone")
        code = 1
    except* (CertificateRefused, ListenRefused) as refused:
        log.error("worker cannot start", why=str(refused.exceptions[0]))
        code = 2
    return code


async def _until_told(config: Config, number: int, plain: socket.socket) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, config, number, plain)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break


async def _serve(config: Config, number: int, plain: socket.socket) -> None:
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(plain))
    port = RemotePort(stream)
    tls = config.client.tls
    plugins = Plugins.of(config, is_core=False)
    certificate = Certificate(tls.cert, tls.key) if tls is not None else None
    look = config.observe
    with (
        share(*config.client.listen) as listener,
        share(*look.listen) if look is not None else contextlib.nullcontext() as observe,
    ):
        front = Front(
            config,
            listener,
            certificate,
            observe=observe,
            workers=config.node.workers,
            pid=os.getppid(),
            number=number,
        )
        async with trio.open_nursery() as nursery:

            def on_up(desk: Desk, edge: EdgeServer) -> None:
                nursery.start_soon(_measure, port, edge, desk, front)
                plugins.start(nursery, port, Here(front.hold))
                port.watch_taken(desk.on_session_taken)
                desk.sources.edge = lambda: _edge_of_all(port, edge)
                desk.sources.desk = lambda: _desk_of_all(port, desk)
                if front.rpc is not None:
                    desk.sources.rpc = partial(_rpc_of_all, port, front.rpc)
                desk.sources.wal = port.wal_statistics
                desk.sources.figures = port.replica_figures
                desk.sources.processes = partial(_processes_of_all, port)
                desk.sources.tracing = partial(_tracing_of_all, port, front.spans)
                desk.pages.core_silent = lambda: port.silent

            try:
                await front.serve(port, join=port.run, on_up=on_up)
            finally:
                nursery.cancel_scope.cancel()


async def _measure(port: RemotePort, edge: EdgeServer, desk: Desk, front: Front) -> None:
    """Tell the core now, which says that clients are accepted, and again and again."""
    while True:
        rpc = front.rpc
        port.measured(
            Measured(
                figures.plain(edge.statistics()),
                figures.plain(desk.statistics()),
                figures.plain(rpc()) if rpc is not None else {},
                this_process(),
                front.spans.figures(),
            )
        )
        await trio.sleep(MEASURE_S)


def _edge_of_all(port: RemotePort, edge: EdgeServer) -> EdgeStatistics:
    known = port.figures
    return figures.edge_of_all(known.edge) if known and known.edge else edge.statistics()


def _desk_of_all(port: RemotePort, desk: Desk) -> DeskStatistics:
    known = port.figures
    return figures.desk_of_all(known.desk) if known and known.desk else desk.statistics()


def _processes_of_all(port: RemotePort) -> Mapping[str, ProcessFigures]:
    known = port.figures
    return known.processes if known is not None else {"worker": this_process()}


def _tracing_of_all(port: RemotePort, spans: Spans) -> TracingFigures:
    known = port.figures
    return known.tracing if known is not None else spans.figures()


def _rpc_of_all(port: RemotePort, rpc: Rpc) -> RpcStatistics:
    known = port.figures
    return figures.rpc_of_all(known.rpc) if known and known.rpc else rpc()
