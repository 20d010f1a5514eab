"""One whole node: its replica and what clients meet, and how they start and stop.

    bind the client port ──▶ read the log ──▶ join the peers ──▶ serve … until cancelled,
                                                      │              or the disk fails,
                                                      │              or another process goes on
                                    say goodbye, wait for pending requests, stop

The client port is bound first: a port that is taken is a matter of the configuration and must
be told before a log is opened.  With `[node] workers` other processes serve the clients, and this
one is their core (`node.workers`).  How another process goes on: `node.handover`.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import trio

from cluster.hooks import NO_HOOKS, Hooks
from cluster.opening import Succession
from cluster.peer.tls import PeerTls
from cluster.raft.boot import LogRefused
from cluster.raft.election import Timing
from cluster.raft.pysyncobj_core import LibraryRefused
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state.levels import Outgrown
from cluster.state.snapshot import SnapshotRefused
from node import __version__, logs
from node.config import Config
from node.desk.application import Desk
from node.edge.listener import reserve
from node.edge.server import (
    Certificate,
    CertificateRefused,
    EdgeServer,
    ListenRefused,
    open_listener,
)
from node.front import Front, StartFailed
from node.handover import notifying
from node.handover.asking import SUPERVISED, Asked
from node.handover.control import Control
from node.handover.errors import HandoverFailed, NodeLost
from node.handover.predecessor import Predecessor
from node.plugins.contract import Here
from node.plugins.loading import PluginRefused, Plugins
from node.tables import Address
from node.tracing.spans import ExporterMissing, Spans
from node.workers.core import Core

__all__ = ["NodeLost", "StartFailed", "serve"]

RESERVE_TRIES_MAX = 20
RESERVE_PAUSE_S = 0.1

log = structlog.get_logger()


async def serve(
    config: Config, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run the node until cancelled; started once it listens and has joined its peers' port.

    Raises `StartFailed`; `StorageError`, in a group, when the disk fails later.
    """
    logs.configure(config.log.format, config.log.level, node=config.node.id)
    try:
        tls = config.client.tls
        certificate = Certificate(tls.cert, tls.key) if tls is not None else None
        if config.node.workers:
            await _serve_by_workers(config, task_status)
            return
        listener, observe = _bind(config)
    except (CertificateRefused, ListenRefused) as refused:
        raise StartFailed(str(refused)) from None
    with listener, observe or contextlib.nullcontext():
        front = Front(config, listener, certificate, observe=observe)
        plugins = load_plugins(config)
        replica = await open_replica(config, hooks=plugins.hooks())
        try:
            async with trio.open_nursery() as nursery:

                def on_up(desk: Desk, edge: EdgeServer) -> None:
                    desk.sources.wal = replica.wal_statistics
                    desk.sources.figures = replica.figures
                    replica.watch_spans(front.spans.take)
                    nursery.start_soon(serve_commands, config, front, replica)
                    plugins.start(nursery, replica, Here(front.hold))
                    _say_up(config, replica)

                join = partial(join_peers, replica, config)
                await front.serve(replica, join=join, on_up=on_up, task_status=task_status)
                nursery.cancel_scope.cancel()
        finally:
            replica.close()
            if not front.ended:
                log.info("node down")


def _bind(config: Config) -> tuple[socket.socket, socket.socket | None]:
    """Return where clients come in, and where machines look.  Raises `ListenRefused`."""
    if config.grpc is not None:  # grpcio binds it later, but a taken port is told now
        open_listener(*config.grpc.listen).close()
    listener = open_listener(*config.client.listen)
    if config.observe is None:
        return listener, None
    try:
        return listener, open_listener(*config.observe.listen)
    except ListenRefused:
        listener.close()
        raise


async def serve_commands(config: Config, front: Front, replica: Replica) -> None:
    """Serve `unidesk upgrade` until cancelled, or done: `front` is then told to end.

    Raises `NodeLost`, in a group.
    """

    async def upgrade(asked: Asked, tell: Callable[[str], None]) -> int:
        if os.environ.get(SUPERVISED):
            raise HandoverFailed(f"this node belongs to {os.environ[SUPERVISED]}: end that instead")
        notifying.reloading()
        predecessor = Predecessor(config, front, replica, on_leaving=control.leave)
        try:
            pid = await predecessor.hand_over(asked, tell)
        except HandoverFailed:
            notifying.ready()
            raise
        notifying.goes_on_in(pid)
        log.info("node goes on in another process", pid=pid)
        return pid

    control = Control(config.node.data, upgrade, on_done=front.end)
    await control.serve()


async def _serve_by_workers(config: Config, task_status: trio.TaskStatus[None]) -> None:
    """Run the replica here, and the clients in other processes.  Raises `ListenRefused`."""
    with contextlib.ExitStack() as reserved:
        for address in _addresses(config):
            reserved.enter_context(await _reserve(address))
        plugins = load_plugins(config)
        replica = await open_replica(config, hooks=plugins.hooks())
        try:
            spans = reserved.enter_context(_core_spans(config))
            replica.watch_spans(spans.take)
            core = Core(config, replica, spans.figures)
            join = partial(join_peers, replica, config)
            async with trio.open_nursery() as nursery:

                def on_up() -> None:
                    nursery.start_soon(Control(config.node.data, _refuse).serve)
                    plugins.start(nursery, replica, Here(workers=core.pids))
                    _say_up(config, replica)

                await core.serve(join=join, on_up=on_up, task_status=task_status)
                nursery.cancel_scope.cancel()
        finally:
            replica.close()
            log.info("node down")


def _core_spans(config: Config) -> Spans:
    """Return what becomes of a core's spans.  Raises `StartFailed`."""
    try:
        return Spans(config.trace, config.node.id, "core")
    except ExporterMissing as missing:
        raise StartFailed(str(missing)) from None


async def _refuse(asked: Asked, tell: Callable[[str], None]) -> int:
    raise HandoverFailed(
        "this node serves its clients by [node] workers, which cannot hand sockets over: stop and"
        " start the nodes one after the other, in the order that `unidesk upgrade check` names;"
        " clients resume at the others meanwhile"
    )


def _addresses(config: Config) -> list[Address]:
    """Return where clients come in, and where machines look."""
    more = (config.grpc, config.observe)
    return [config.client.listen, *(one.listen for one in more if one is not None)]


async def _reserve(address: Address) -> socket.socket:
    """Keep a client port; workers of a core that was killed may need a moment to let go."""
    for _ in range(RESERVE_TRIES_MAX):
        try:
            return reserve(*address)
        except ListenRefused:
            await trio.sleep(RESERVE_PAUSE_S)
    return reserve(*address)


def _say_up(config: Config, replica: Replica) -> None:
    log.info(
        "node up",
        version=__version__,
        client=config.client.url,
        boot=replica.boot,
        workers=config.node.workers,
    )
    notifying.ready()


async def open_replica(
    config: Config,
    *,
    succession: Succession | None = None,
    listeners: Sequence[socket.socket] = (),
    hooks: Hooks = NO_HOOKS,
) -> Replica:
    """Return the replica as its disk remembers it, read in a thread; see `Replica.open`.

    Raises `StartFailed`, `StorageError`.
    """
    tls = config.peer.tls
    settings = ReplicaSettings(
        cluster=config.cluster.id,
        node=config.node.id,
        key=config.cluster.key,
        data=config.node.data,
        listen=config.peer.listen,
        peers=config.peers,
        address=config.nodes[config.node.id].peer,
        url=config.client.url,
        zone=config.node.zone,
        version=__version__,
        heal=config.heal,
        tls=PeerTls(str(tls.cert), str(tls.key), str(tls.ca)) if tls else None,
        timing=Timing(
            config.timing.heartbeat_s, config.timing.election_min_s, config.timing.election_max_s
        ),
        offer_ttl_ms=config.timing.offer_ms,
    )
    try:
        open_it = partial(
            Replica.open, settings, succession=succession, listeners=listeners, hooks=hooks
        )
        return await trio.to_thread.run_sync(open_it)
    except (LogRefused, LibraryRefused, SnapshotRefused) as refused:
        raise StartFailed(str(refused)) from None


def load_plugins(config: Config) -> Plugins:
    """Return the plugins that `config` switches on.  Raises `StartFailed`."""
    try:
        return Plugins.of(config)
    except PluginRefused as refused:
        raise StartFailed(str(refused)) from None


async def join_peers(
    replica: Replica,
    config: Config,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the replica; started once it can be used.  Raises `StartFailed`, `StorageError`."""
    try:
        await replica.run(task_status=task_status)
    except* (Outgrown, SnapshotRefused) as errors:
        raise StartFailed(str(errors.exceptions[0])) from None
    except* OSError as errors:
        host, port = config.peer.listen
        raise StartFailed(
            f"cannot listen for the other nodes on {host}:{port}: {errors.exceptions[0]};"
            " free the port or change [peer] listen"
        ) from None
