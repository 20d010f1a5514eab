"""One whole node: its replica and what clients meet, and how they start and stop.

    bind the client port ──▶ read the log ──▶ join the peers ──▶ serve … until cancelled
                                                      │              or the disk fails
                                    say goodbye, wait for pending requests, stop

The client port is bound first: a port that is taken is a matter of the configuration and must
be told before a log is opened.  With `[node] workers` other processes serve the clients, and this
one is their core (`node.workers`).
"""

import contextlib
import socket
from functools import partial

import structlog
import trio

from cluster.peer.links import PeerTls
from cluster.raft.boot import LogRefused
from cluster.raft.election import Timing
from cluster.raft.pysyncobj_core import LibraryRefused
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
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
from node.tables import Address
from node.workers.core import Core

__all__ = ["StartFailed", "serve"]

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
        listener = open_listener(*config.client.listen)
        if config.grpc is not None:  # grpcio binds it later, but a taken port is told now
            open_listener(*config.grpc.listen).close()
    except (CertificateRefused, ListenRefused) as refused:
        raise StartFailed(str(refused)) from None
    with listener:
        front = Front(config, listener, certificate)
        replica = await _open(config)

        def on_up(desk: Desk, edge: EdgeServer) -> None:
            desk.sources.wal = replica.wal_statistics
            _say_up(config, replica)

        try:
            join = partial(_join, replica, config)
            await front.serve(replica, join=join, on_up=on_up, task_status=task_status)
        finally:
            replica.close()
            log.info("node down")


async def _serve_by_workers(config: Config, task_status: trio.TaskStatus[None]) -> None:
    """Run the replica here, and the clients in other processes.  Raises `ListenRefused`."""
    with contextlib.ExitStack() as reserved:
        for address in _addresses(config):
            reserved.enter_context(await _reserve(address))
        replica = await _open(config)
        try:
            core = Core(config, replica)
            join = partial(_join, replica, config)
            on_up = partial(_say_up, config, replica)
            await core.serve(join=join, on_up=on_up, task_status=task_status)
        finally:
            replica.close()
            log.info("node down")


def _addresses(config: Config) -> list[Address]:
    """Return where clients come in."""
    return [config.client.listen, *([config.grpc.listen] if config.grpc is not None else [])]


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


async def _open(config: Config) -> Replica:
    """Return the replica as its disk remembers it, read in a thread."""
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
        tls=PeerTls(str(tls.cert), str(tls.key), str(tls.ca)) if tls else None,
        timing=Timing(
            config.timing.heartbeat_s, config.timing.election_min_s, config.timing.election_max_s
        ),
        offer_ttl_ms=config.timing.offer_ms,
    )
    try:
        return await trio.to_thread.run_sync(partial(Replica.open, settings))
    except (LogRefused, LibraryRefused, SnapshotRefused) as refused:
        raise StartFailed(str(refused)) from None


async def _join(
    replica: Replica,
    config: Config,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    try:
        await replica.run(task_status=task_status)
    except* OSError as errors:
        host, port = config.peer.listen
        raise StartFailed(
            f"cannot listen for the other nodes on {host}:{port}: {errors.exceptions[0]};"
            " free the port or change [peer] listen"
        ) from None
