"""The process that takes a node over.  Talks to the one that has it, then is the node.

    read the configuration ─▶ follow the state ─▶ Level, Compared
    the clients' listener  ─▶ desk and edge    ─▶ Ready ─▶ sessions, with their sockets
    Hold, Yours            ─▶ open the log, join the peers ─▶ Running ─▶ serve, as any node does

Until `Yours` it is a worker of the node's core, and ends with it.  From then on it is the node.
"""

import contextlib
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog
import trio

from cluster.heal.digests import digest_of
from cluster.opening import Succession
from cluster.replica import Replica
from cluster.state.state import State
from cluster.toml_source import SourceErrors
from node import __version__, logs
from node.cli.problem import Problem
from node.cli.running import run
from node.config import Config
from node.config_file import load
from node.desk.application import Desk
from node.edge.server import (
    Certificate,
    CertificateRefused,
    EdgeServer,
    ListenRefused,
    open_listener,
)
from node.front import Front, StartFailed
from node.handover import messages
from node.handover.descriptors import Mismatch
from node.handover.descriptors import take as take_descriptors
from node.handover.port import MovingPort
from node.plugins.contract import Here
from node.server import NodeLost, join_peers, load_plugins, open_replica, serve_commands
from node.workers.remote import CoreGone, RemotePort
from wal.errors import StorageError

log = structlog.get_logger(__name__)


class Objection(Exception):
    """This process cannot take the node over; the message says why and what to mend."""


def main(arguments: Sequence[str]) -> int:
    """Take a node over: descriptors of stream and channel, and the configuration's path."""
    stream, channel = (socket.socket(fileno=int(number)) for number in arguments[:2])
    successor = Successor(stream, channel, Path(arguments[2]))
    expected = (CoreGone, Objection, StartFailed, NodeLost, StorageError, OSError, Mismatch)
    try:
        run(successor.run, expected=expected, stays=True)
    except Problem as problem:
        print(f"unidesk: {problem}", file=sys.stderr)
        return problem.code
    return 0


class Successor:
    """One attempt."""

    def __init__(self, stream: socket.socket, channel: socket.socket, path: Path) -> None:
        self._channel = channel
        self._path = path
        self._config: Config | None = None
        self._remote = RemotePort(
            trio.SocketStream(trio.socket.from_stdlib_socket(stream)),
            decode=messages.to_successor,
            on_other=self._hear,
        )
        self._port: MovingPort | None = None
        self._front: Front | None = None
        self._listeners: list[socket.socket] = []
        self._observe: socket.socket | None = None
        self._objection = ""
        self._nursery: trio.Nursery | None = None
        self._start_front = trio.Event()
        self._never = trio.Event()
        self._holds = trio.Event()
        self._inherited: messages.Yours | None = None
        self._inherits = trio.Event()
        self._replica: Replica | None = None
        self._runs = trio.Event()

    async def run(self) -> None:
        """Take over and serve until cancelled, or until yet another process takes over.

        Raises, in groups: `Objection`, `CoreGone`, `StartFailed`, `StorageError`, `NodeLost`.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._follow)
            config = self._config
            if config is None or self._objection:
                await self._never.wait()  # the other process has been told, and ends this one
                return
            self._nursery = nursery
            self._remote.send(messages.Level(compares=True))
            await self._start_front.wait()
            self._port = port = MovingPort(self._remote)
            listener, *peers = self._listeners
            with listener, self._observe or contextlib.nullcontext():
                certificate = _certificate(config)
                self._front = front = Front(config, listener, certificate, observe=self._observe)
                be_the_core = partial(self._be_the_core, config, front, port, peers)

                def on_up(desk: Desk, edge: EdgeServer) -> None:
                    self._remote.send(messages.Ready())
                    nursery.start_soon(self._keep_time, port)
                    nursery.start_soon(self._serve_commands, config, front)

                await front.serve(port, join=be_the_core, on_up=on_up)
                nursery.cancel_scope.cancel()

    async def _follow(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Be a worker of the core, until it is this process."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._remote.run)
                task_status.started()
        except* (CoreGone, ValueError):
            if self._inherited is None:  # else it has nothing more to say
                if self._front is not None:
                    self._front.end()
                if self._objection:
                    raise Objection(self._objection) from None
                raise

    async def _keep_time(self, port: MovingPort) -> None:
        await self._holds.wait()
        await port.keep_time()

    async def _be_the_core(
        self,
        config: Config,
        front: Front,
        port: MovingPort,
        peers: Sequence[socket.socket],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Once the core is ours: go on with the state that is here, on the log of the folder."""
        task_status.started()
        await self._inherits.wait()
        left, desk = self._inherited, front.desk
        assert left is not None
        assert desk is not None
        succession = Succession(port.boot, left.next_number, port.state, left.applied_index)
        plugins = load_plugins(config)
        self._replica = replica = await open_replica(
            config, succession=succession, listeners=peers, hooks=plugins.hooks()
        )
        try:
            port.go_on(replica)
            desk.sources.wal = replica.wal_statistics
            desk.sources.figures = replica.figures
            replica.watch_spans(front.spans.take)
            desk.presence.go_on_with(left.ends)
            desk.supervising.give_up(left.supervisors)
            self._runs.set()
            async with trio.open_nursery() as nursery:
                plugins.start(nursery, port, Here(front.hold))
                await join_peers(replica, config)
                nursery.cancel_scope.cancel()
        finally:
            replica.close()
            log.info("node down")

    async def _serve_commands(self, config: Config, front: Front) -> None:
        """Say that this is the node, once it serves, and hear what it is asked."""
        await self._runs.wait()
        replica, port = self._replica, self._port
        assert replica is not None
        assert port is not None
        await port.wait_settled()
        held_ms = round(port.held_s * 1000)
        log.info("node goes on here", version=__version__, boot=replica.boot, held_ms=held_ms)
        self._remote.send(messages.Running(port.held_s))
        await serve_commands(config, front, replica)

    # -- what the other process says

    def _hear(self, message: object) -> None:
        match message:
            case messages.Estate(had):
                self._check(had)
            case messages.Compare():
                assert self._nursery is not None
                self._nursery.start_soon(self._compare, self._remote.state.frozen_copy())
            case messages.Listeners(peers, observe):
                fds = take_descriptors(self._channel, 0, 1 + peers + observe)
                listeners = [socket.socket(fileno=fd) for fd in fds]
                if observe:
                    self._observe = listeners.pop()
                self._listeners = listeners
                self._start_front.set()
            case messages.Moved():
                self._take_in(message)
            case messages.Hold():
                assert self._port is not None
                self._port.hold()
                self._holds.set()
                self._remote.send(messages.Held())
            case messages.Yours():
                self._inherited = message
                self._inherits.set()
                self._remote.give_up()  # what has no outcome yet may have one in the log

    async def _compare(self, copy: State) -> None:
        digest = await trio.to_thread.run_sync(digest_of, copy)
        self._remote.send(messages.Compared(copy.applied_index, digest))

    def _check(self, had: dict[str, str]) -> None:
        """Read the configuration; say so, and end, when it does not fit."""
        try:
            self._config = config = load(self._path)
            _certificate(config)
            why = messages.objection(had, messages.fixed(config))
            if not why and config.observe is not None and messages.OBSERVE not in had:
                self._observe = open_listener(*config.observe.listen)
        except (SourceErrors, CertificateRefused, ListenRefused) as refused:
            why = str(refused)
        if why:
            self._objection = why
            self._remote.send(messages.Objects(why))
            return
        logs.configure(config.log.format, config.log.level, node=config.node.id)

    def _take_in(self, moved: messages.Moved) -> None:
        """Go on with sessions that stopped at the entry that was applied here last."""
        assert self._front is not None
        desk, edge = self._front.desk, self._front.edge
        assert desk is not None
        assert edge is not None
        fds = take_descriptors(self._channel, moved.number, len(moved.connections))
        for fd, (parcel, session) in zip(fds, moved.connections, strict=True):
            if session is None:
                edge.take(fd, parcel, _no_channel)
            else:
                edge.take(fd, parcel, partial(desk.moving.take, parcel=session))
        self._remote.send(messages.Taken(moved.number))


def _certificate(config: Config) -> Certificate | None:
    """Return what clients are shown.  Raises `CertificateRefused`."""
    tls = config.client.tls
    return Certificate(tls.cert, tls.key) if tls is not None else None


def _no_channel(channel: object) -> None:
    raise AssertionError("a channel without a session")
