"""A node whose clients are served by other processes: the replica, and the workers it feeds.

Starts processes, and talks to each through a socket pair.

    core ──┬── worker 1     desk and edge of their own, and a copy of the state (`worker.py`)
           ├── worker 2     all listen on the client port; the kernel deals out connections
           └── worker N

A worker that ends is started again, after a pause; its clients come back and resume, at any
worker.  When the core ends, so do the workers.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import structlog
import trio

from cluster.replica import Replica
from node.config import Config
from node.workers import messages
from node.workers.feed import Feed
from node.workers.figures import added, of_the_departed
from node.workers.outlet import Overrun

PAUSE_S = 0.5
"""Before a worker that ended is started again."""
STOP_S = 5.0
"""What a worker may take to end, beyond its goodbyes."""
FIGURES_S = 1.0

log = structlog.get_logger(__name__)


class Core:
    """The processes of one node."""

    def __init__(self, config: Config, replica: Replica) -> None:
        self._config = config
        self._replica = replica
        self._feeds: dict[Feed, messages.Measured | None] = {}
        self._departed = messages.Measured({}, {})
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._all_up = trio.Event()
        self._stopping = False

    async def serve(
        self,
        *,
        join: Callable[..., Awaitable[Any]],
        on_up: Callable[[], None],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run until cancelled; started once every worker accepts clients."""

        async def parts(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with life:
                async with trio.open_nursery() as nursery:
                    await nursery.start(join)
                    for number in range(1, self._config.node.workers + 1):
                        nursery.start_soon(self._keep_worker, number)
                    nursery.start_soon(self._share_figures)
                    await self._all_up.wait()
                    await trio.lowlevel.checkpoint_if_cancelled()
                    life.shield = True
                    task_status.started()

        life = trio.CancelScope()
        try:
            async with trio.open_nursery() as outer:
                await outer.start(parts)
                on_up()
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    with trio.CancelScope(shield=True):
                        await self._stop_workers()
                    life.cancel()
        finally:
            for process in self._processes:
                process.kill()
                process.wait()

    # -- workers

    async def _keep_worker(self, number: int) -> None:
        while not self._stopping:
            await self._run_worker(number)
            if not self._stopping:
                log.error("worker ended", worker=number)
                await trio.sleep(PAUSE_S)

    async def _run_worker(self, number: int) -> None:
        """Start one process and feed it until it, or its stream, ends."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await trio.to_thread.run_sync(self._start, number, theirs)
        self._processes.add(process)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        feed = Feed(
            self._replica, stream, on_whisper=self._on_whisper, on_measured=self._on_measured
        )
        self._feeds[feed] = None
        try:
            await feed.run()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, Overrun, ValueError) as errors:
            if not self._stopping:
                log.warning("worker cut off", worker=number, why=str(errors.exceptions[0]))
        finally:
            self._forget(feed)
            process.kill()  # harmless when it has ended
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(process.wait)
            self._processes.discard(process)

    def _start(self, number: int, theirs: socket.socket) -> subprocess.Popen[bytes]:
        config = os.memfd_create("config")
        try:
            os.write(config, pickle.dumps(self._config))
            os.lseek(config, 0, os.SEEK_SET)
            return subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [
                    sys.executable,
                    "-m",
                    "node.workers",
                    str(number),
                    str(theirs.fileno()),
                    str(config),
                ],
                pass_fds=(theirs.fileno(), config),
            )
        finally:
            os.close(config)

    async def _stop_workers(self) -> None:
        """Let every worker say goodbye to its clients, and wait for that."""
        self._stopping = True
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        with trio.move_on_after(self._config.timing.drain_s + STOP_S):
            while self._processes:
                await trio.sleep(0.02)

    # -- what they say

    def _on_whisper(self, origin: Feed, payload: bytes) -> None:
        for feed in self._feeds:
            if feed is not origin:
                feed.whisper(self._replica.node_id, payload)

    def _on_measured(self, feed: Feed, measured: messages.Measured) -> None:
        self._feeds[feed] = measured
        if all(self._feeds.values()) and len(self._feeds) == self._config.node.workers:
            self._all_up.set()

    def _forget(self, feed: Feed) -> None:
        """Keep a worker's totals."""
        last = self._feeds.pop(feed)
        if last is not None:
            departed = (self._departed, last)
            self._departed = messages.Measured(
                added(of_the_departed(one.edge) for one in departed),
                added(of_the_departed(one.desk) for one in departed),
                added(of_the_departed(one.rpc) for one in departed),
            )

    async def _share_figures(self) -> None:
        while True:
            await trio.sleep(FIGURES_S)
            living = [one for one in self._feeds.values() if one is not None]
            known = [one for one in (self._departed, *living) if one.edge]
            figures = messages.Figures(
                edge=[one.edge for one in known],
                desk=[one.desk for one in known],
                rpc=[one.rpc for one in known if one.rpc],
                wal=asdict(self._replica.wal_statistics()),
            )
            for feed in self._feeds:
                feed.send_figures(figures)
