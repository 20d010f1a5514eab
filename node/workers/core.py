"""A node whose clients are served by other processes: the replica, and the workers it feeds.

Starts processes, and talks to each through a socket pair.

    core ──┬── worker 1     desk and edge of their own, and a copy of the state (`worker.py`)
           ├── worker 2     all listen on the client port; the kernel deals out connections
           └── worker N

A worker that ends, or says nothing for long, is started again, after a pause; its clients come
back and resume, at any worker.  When the core ends, so do the workers.
"""

import math
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import msgspec
import structlog
import trio

from cluster.replica import Replica
from node.config import Config
from node.processes import ProcessFigures, this_process
from node.tracing.figures import TracingFigures
from node.workers import messages
from node.workers.feed import Feed
from node.workers.figures import added, of_the_departed
from node.workers.holders import Holders
from node.workers.outlet import Overrun

PAUSE_S = 0.25
PAUSE_S_MAX = 10.0
"""Before a worker that ended is started again; the more, the more often it just did."""
START_S = 60.0
"""What a worker may take to accept clients."""
SILENCE_S = 15.0
"""Between two of its measures, which are due every second.  Its sockets would wait for ever."""
EXIT_S = 2.0
"""Between the end of its stream and that of its process."""
STOP_S = 5.0
"""What a worker may take to end, beyond its goodbyes."""
FIGURES_S = 1.0
SWEEP_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Worker:
    """One process that is fed."""

    number: int
    patience: trio.CancelScope
    """Cut off when it passes, or is at an end."""
    heard_s: float = math.inf
    """When it last told what it measured; infinite before it has."""
    measured: messages.Measured | None = None


class Core:
    """The processes of one node."""

    def __init__(
        self, config: Config, replica: Replica, tracing: Callable[[], TracingFigures]
    ) -> None:
        """`tracing` says what this process exports."""
        self._tracing = tracing
        self._config = config
        self._replica = replica
        self._holders = Holders(replica)
        self._feeds: dict[Feed, _Worker] = {}
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
                    nursery.start_soon(self._keep_sessions)
                    nursery.start_soon(self._keep_listening)
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

    def pids(self) -> tuple[int, ...]:
        """Return the workers' processes, those that are just starting too."""
        return tuple(process.pid for process in self._processes)

    # -- workers

    async def _keep_worker(self, number: int) -> None:
        """Run one process after the other, with pauses that grow while they end at once."""
        pause_s = PAUSE_S
        while not self._stopping:
            began_s = trio.current_time()
            try:
                code = await self._run_worker(number)
            except OSError as error:  # no process, or no descriptor, left
                log.error("worker not started", worker=number, why=str(error))
            else:
                if not self._stopping:
                    log.error("worker ended", worker=number, code=code)
            steady = trio.current_time() > began_s + PAUSE_S_MAX
            pause_s = PAUSE_S if steady else min(2 * pause_s, PAUSE_S_MAX)
            await trio.sleep(pause_s)

    async def _run_worker(self, number: int) -> int:
        """Start one process and feed it until it, or its stream, ends; return its exit code."""
        ours, theirs = socket.socketpair()
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        try:
            with theirs:
                process = await trio.to_thread.run_sync(self._start, number, theirs)
        except OSError:
            await trio.aclose_forcefully(stream)
            raise
        self._processes.add(process)
        feed = Feed(
            self._replica,
            stream,
            self._holders,
            on_whisper=self._on_whisper,
            on_measured=self._on_measured,
        )
        feed.send_figures(self._figures())
        try:
            await self._serve_worker(number, feed)
        finally:
            self._forget(feed)
            code = await self._end(process)
        return code

    async def _serve_worker(self, number: int, feed: Feed) -> None:
        """Feed one worker; return when it is gone, or better were."""
        with trio.move_on_after(START_S) as patience:
            self._feeds[feed] = _Worker(number, patience)
            try:
                await feed.run()
            except* (trio.BrokenResourceError, trio.ClosedResourceError) as errors:
                self._say_cut_off(number, str(errors.exceptions[0]))
            except* (Overrun, ValueError) as errors:
                self._say_cut_off(number, str(errors.exceptions[0]))
        if patience.cancelled_caught:
            self._say_cut_off(number, "it says nothing")

    def _say_cut_off(self, number: int, why: str) -> None:
        if not self._stopping:
            log.warning("worker cut off", worker=number, why=why)

    def _start(self, number: int, theirs: socket.socket) -> subprocess.Popen[bytes]:
        config = os.memfd_create("config")
        command = [sys.executable, "-m", "node.workers", str(number)]
        try:
            os.write(config, pickle.dumps(self._config))
            os.lseek(config, 0, os.SEEK_SET)
            return subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [*command, str(theirs.fileno()), str(config)],
                pass_fds=(theirs.fileno(), config),
                process_group=0,  # a terminal's Ctrl-C is for the core alone
            )
        finally:
            os.close(config)

    async def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Give a process whose stream has ended a moment to end too; return its exit code."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(EXIT_S):
                while process.poll() is None:
                    await trio.sleep(0.02)
            process.kill()  # harmless when it has ended
            code = await trio.to_thread.run_sync(process.wait)
        self._processes.discard(process)
        return code

    async def _stop_workers(self) -> None:
        """Let every worker say goodbye to its clients, and wait for that."""
        self._stopping = True
        told: set[subprocess.Popen[bytes]] = set()
        with trio.move_on_after(self._config.timing.drain_s + STOP_S):
            while self._processes:
                for process in self._processes - told:  # one may just be starting
                    process.send_signal(signal.SIGTERM)
                    told.add(process)
                await trio.sleep(0.02)

    # -- what they say

    def _on_whisper(self, origin: Feed, payload: bytes) -> None:
        for feed in self._feeds:
            if feed is not origin:
                feed.whisper(self._replica.node_id, payload)

    def _on_measured(self, feed: Feed, measured: messages.Measured) -> None:
        worker = self._feeds[feed]
        worker.measured = measured
        worker.heard_s = trio.current_time()
        worker.patience.deadline = math.inf
        up = [one for one in self._feeds.values() if one.measured is not None]
        if len(up) == self._config.node.workers:
            self._all_up.set()

    def _forget(self, feed: Feed) -> None:
        """Keep a worker's totals."""
        last = self._feeds.pop(feed).measured
        if last is not None:
            departed = (self._departed, last)
            self._departed = messages.Measured(
                added(of_the_departed(one.edge) for one in departed),
                added(of_the_departed(one.desk) for one in departed),
                added(of_the_departed(one.rpc) for one in departed),
                tracing=departed[0].tracing.plus(last.tracing),
            )

    async def _keep_sessions(self) -> None:
        while True:
            await trio.sleep(SWEEP_S)
            self._holders.sweep()

    async def _keep_listening(self) -> None:
        """Cut off who is silent; but what was said while this process stood still is unread."""
        while True:
            looked_s = trio.current_time()
            await trio.sleep(SWEEP_S)
            now_s = trio.current_time()
            stood_still_s = now_s - looked_s - SWEEP_S
            for worker in self._feeds.values():
                worker.heard_s += stood_still_s
                if now_s > worker.heard_s + SILENCE_S:
                    worker.patience.cancel()

    async def _share_figures(self) -> None:
        while True:
            await trio.sleep(FIGURES_S)
            figures = self._figures()
            for feed in self._feeds:
                feed.send_figures(figures)

    def _figures(self) -> messages.Figures:
        """Return what all workers measured, those that are gone too."""
        living = [one.measured for one in self._feeds.values() if one.measured is not None]
        known = [one for one in (self._departed, *living) if one.edge]
        return messages.Figures(
            edge=[one.edge for one in known],
            desk=[one.desk for one in known],
            rpc=[one.rpc for one in known if one.rpc],
            wal=msgspec.to_builtins(asdict(self._replica.wal_statistics())),
            replica=self._replica.figures(),
            processes=self._process_figures(),
            tracing=reduce(TracingFigures.plus, (one.tracing for one in known), self._tracing()),
        )

    def _process_figures(self) -> dict[str, ProcessFigures]:
        workers = {
            f"worker-{one.number}": one.measured.process
            for one in self._feeds.values()
            if one.measured is not None and one.measured.process is not None
        }
        return {"core": this_process(), **workers}
