"""The processes of a crowd, and what the node's processes hold in memory meanwhile."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import trio

from node.local import LocalCluster

PER_PROCESS_MAX = 16_000
"""Below the 20,000 descriptors that a process commonly may have."""


class Crowd:
    """Clients in as many processes as they need; use as a context manager."""

    def __init__(
        self,
        nodes: Sequence[tuple[str, int]],
        clients: Sequence[tuple[str, str]],
        *,
        at_once: int = 100,
        spread: bool = True,
        asks_per_s: float = 0,
    ) -> None:
        """`clients`: token, and the conversation to follow.

        They begin at all nodes in turn, or, not `spread`, all at the first.
        """
        self._plans: list[dict[str, Any]] = [
            {
                "nodes": nodes,
                "source": f"127.0.1.{place // PER_PROCESS_MAX + 1}",
                "clients": clients[place : place + PER_PROCESS_MAX],
                "at_once": at_once,
                "spread": spread,
                "asks_per_s": asks_per_s
                * len(clients[place : place + PER_PROCESS_MAX])
                / len(clients),
            }
            for place in range(0, len(clients), PER_PROCESS_MAX)
        ]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._latest: list[dict[str, Any]] = []
        self.taken_ms: list[float] = []
        """How long answers took, since somebody emptied it."""

    def __enter__(self) -> "Crowd":
        for plan in self._plans:
            process = subprocess.Popen(
                [sys.executable, "-m", "scripts.crowd.clients"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert process.stdin is not None
            process.stdin.write(json.dumps(plan).encode() + b"\n")
            process.stdin.flush()
            self._processes.append(process)
            self._latest.append({})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()

    async def follow(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Read what the processes say, until cancelled."""
        async with trio.open_nursery() as nursery:
            for place in range(len(self._processes)):
                nursery.start_soon(self._follow, place)
            task_status.started()

    async def _follow(self, place: int) -> None:
        out = self._processes[place].stdout
        assert out is not None
        stream = trio.lowlevel.FdStream(os.dup(out.fileno()))
        async with stream:
            buffer = b""
            while data := await stream.receive_some(65_536):
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._latest[place] = json.loads(line)
                    self.taken_ms += self._latest[place].pop("taken_ms")

    @property
    def figures(self) -> Counter[str]:
        """What all of them count; `away_max_s` is the longest of all."""
        total: Counter[str] = Counter()
        for latest in self._latest:
            longest = max(total["away_max_s"], latest.get("away_max_s", 0))
            total.update(latest)
            total["away_max_s"] = longest
        return total

    async def wait_live(self, count: int, *, timeout_s: float) -> float:
        """Wait until so many are live; return how long it took.  Raises `trio.TooSlowError`."""
        began = trio.current_time()
        with trio.fail_after(timeout_s):
            while self.figures["live"] < count:
                await trio.sleep(0.05)
        return trio.current_time() - began


def node_addresses(cluster: LocalCluster) -> list[tuple[str, int]]:
    """Return where clients of the cluster's nodes connect."""
    return [(address.host, address.port) for address in map(cluster.address, cluster.names)]


def with_children(pid: int) -> list[int]:
    """Return a process and the ones it started."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    children = [child for one in threads for child in (one / "children").read_text().split()]
    return [pid, *map(int, children)]


def pss_bytes(pids: Iterable[int]) -> int:
    """Return what processes hold in memory, shared pages divided among them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor time that processes have used, of all their threads."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def slab_bytes() -> int:
    """Return the kernel's small objects, of all of the machine: sockets among them."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1]) * 1024
    return 0
