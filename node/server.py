"""One whole node: its replica, its desk and its sockets, and how they start and stop.

    bind the client port ──▶ read the log ──▶ join the peers ──▶ serve … until cancelled
                                                      │              or the disk fails
                                    say goodbye, wait for pending requests, stop

The client port is bound first: a port that is taken is a matter of the configuration and must
be told before a log is opened.  When the node is told to stop, its replica goes on until the
clients are gone, so that what they had asked is answered.
"""

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
from node.config import Config, LimitsConfig
from node.desk.application import Desk
from node.edge.memory import ceiling_bytes, tune_gc
from node.edge.server import (
    Certificate,
    CertificateRefused,
    EdgeLimits,
    EdgeServer,
    ListenRefused,
    open_listener,
)
from node.protocol.catalogue import FRAME_BYTES_MAX

log = structlog.get_logger()


class StartFailed(Exception):
    """The node cannot start; the message says why and what to mend."""


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
        listener = open_listener(*config.client.listen)
    except (CertificateRefused, ListenRefused) as refused:
        raise StartFailed(str(refused)) from None
    with listener:
        replica = await _open(config)
        await _serve(config, replica, listener, certificate, task_status)


async def _serve(
    config: Config,
    replica: Replica,
    listener: socket.socket,
    certificate: Certificate | None,
    task_status: trio.TaskStatus[None],
) -> None:
    desk = Desk(replica, config)
    edge = EdgeServer(desk, limits=_edge_limits(config.limits), certificate=certificate)
    desk.sources.edge = edge.statistics
    desk.sources.wal = replica.wal_statistics

    async def parts(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with life:
            async with trio.open_nursery() as nursery:
                await nursery.start(_join, replica, config)
                await nursery.start(desk.run)
                await nursery.start(edge.serve, [listener])
                tune_gc()
                # Up to here a cancelled start ends all of it; from here on its end is ours to
                # choose, after the goodbyes.  Nothing is awaited between the two.
                await trio.lowlevel.checkpoint_if_cancelled()
                life.shield = True
                task_status.started()

    life = trio.CancelScope()
    try:
        async with trio.open_nursery() as outer:
            await outer.start(parts)
            log.info("node up", version=__version__, client=config.client.url, boot=replica.boot)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await desk.drain(config.timing.drain_s)
                life.cancel()
    finally:
        replica.close()
        log.info("node down")


def _edge_limits(limits: LimitsConfig) -> EdgeLimits:
    return EdgeLimits(
        connections_max=limits.connections_max,
        frame_bytes_max=FRAME_BYTES_MAX,
        address_connections_max=limits.address_connections_max,
        address_connects_per_s=limits.address_connects_per_s,
        addresses_exempt=limits.trusted_addresses,
        memory_bytes_max=limits.memory_bytes_max or ceiling_bytes(),
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
