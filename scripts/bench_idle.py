"""Memory of very many clients that are logged in, follow a conversation, and say nothing.

    python -m scripts.bench_idle --clients 100000 --workers 6

One node; every client is a principal of its own, with a token, on a WebSocket that follows one of a
thousand conversations and answers pings.  Memory is what all processes of the node hold (PSS)
before the crowd comes and when it is there, and the kernel's small objects of both ends.  Meanwhile
one client asks for histories: how long the answers take is what others notice of the crowd.

The crowd is `scripts/bench_edge/load.c`, in as many processes as descriptors demand.
"""

import argparse
import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import trio

from node.client import open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvHistory, CvOpen
from scripts.bench_edge.peers import compile_load
from scripts.bench_edge.running import ALL_CORES, Figures, Load
from scripts.crowd.clients import UPGRADE
from scripts.crowd.processes import cpu_s, pss_bytes, slab_bytes, with_children

CONVERSATIONS = 1_000
PER_PROCESS_MAX = 16_000
"""Below the 20,000 descriptors that a process commonly may have."""
AT_ONCE = 20
"""Handshakes of each process of the crowd."""
SETTLE_S = 3.0
ASK_S = 10.0
MB = 1024 * 1024


async def bench(folder: Path, clients: int, workers: int) -> None:
    """Measure, and print a table."""
    compile_load()
    sections = {**UNLIMITED, "node": {"workers": workers}}
    async with LocalCluster(folder, nodes=1, cluster_id="bench", sections=sections) as cluster:
        pid = cluster.pid("n1")
        assert pid is not None
        cvs = await _open_conversations(cluster, min(CONVERSATIONS, clients))
        await trio.sleep(SETTLE_S)
        base, slab, cpu = pss_bytes(with_children(pid)), slab_bytes(), cpu_s(with_children(pid))
        began = trio.current_time()
        with contextlib.ExitStack() as stack:
            crowds = [stack.enter_context(one) for one in _crowd(cluster, folder, clients, cvs)]
            ready = [await _next(lines) for lines in crowds]
            took_s = trio.current_time() - began
            used_s = cpu_s(with_children(pid)) - cpu
            await trio.sleep(SETTLE_S)
            full, slab_full = pss_bytes(with_children(pid)), slab_bytes()
            latencies = await _ask(cluster, cvs[0])
            later = pss_bytes(with_children(pid))
        there = sum(one["open"] for one in ready)
        print(f"clients {there:,} of {clients:,}, processes 1 + {workers}")
        print(f"  all live after            {took_s:8.1f} s, {there / took_s:,.0f} a second")
        print(f"  processor time of each    {used_s / there * 1e6:8.0f} us")
        print(f"  processes before          {base / MB:8.0f} MB")
        print(f"  processes with clients    {full / MB:8.0f} MB, {later / MB:.0f} a while later")
        print(f"  a client                  {(full - base) / there / 1024:8.2f} KB")
        print(f"  kernel, both ends         {(slab_full - slab) / MB:8.0f} MB")
        print(f"  kernel, half of it        {(slab_full - slab) / 2 / MB:8.0f} MB")
        print(
            f"  history p50 / p99         {latencies[len(latencies) // 2]:8.1f} /"
            f" {latencies[int(len(latencies) * 0.99)]:.1f} ms, {len(latencies)} asked"
        )


async def _open_conversations(cluster: LocalCluster, count: int) -> list[str]:
    async with open_client(cluster.urls, cluster.mint("service", "opener")) as client:
        opened = [await client.request(CvOpen(key=f"o{n}", text="hello")) for n in range(count)]
    return [str(one["cv"]) for one in opened]


def _crowd(cluster: LocalCluster, folder: Path, clients: int, cvs: list[str]) -> Iterator[Load]:
    """Return the crowd's processes; each reads what its clients say from a file."""
    head = folder / "upgrade.txt"
    head.write_text(UPGRADE)
    for first in range(0, clients, PER_PROCESS_MAX):
        numbers = range(first, min(clients, first + PER_PROCESS_MAX))
        greetings = folder / f"greetings-{first}.txt"
        with greetings.open("w") as file:
            for number in numbers:
                token = cluster.mint("service", f"s{number}")
                hello = {"op": "hello", "ver": "1", "token": token}
                sub = {"op": "cv.sub", "id": 1, "cv": cvs[number % len(cvs)]}
                file.write(f"{json.dumps(hello)}\t{json.dumps(sub)}\n")
        port = cluster.address(cluster.names[0]).port
        options = {"c": len(numbers), "n": 8, "i": AT_ONCE, "H": head, "P": greetings}
        yield Load("idle", port, core=ALL_CORES, W="caught", **options)


async def _next(lines: Iterator[Figures]) -> Figures:
    return await trio.to_thread.run_sync(next, lines)


async def _ask(cluster: LocalCluster, cv: str) -> list[float]:
    """Return how many milliseconds answers took, rising."""
    taken = []
    async with open_client(cluster.urls, cluster.mint("supervisor", "asks")) as client:
        await client.wait_welcome()
        until = trio.current_time() + ASK_S
        while trio.current_time() < until:
            began = trio.current_time()
            await client.request(CvHistory(cv=cv))
            taken.append((trio.current_time() - began) * 1000)
            await trio.sleep(0.01)
    return sorted(taken)


def main() -> None:
    """Parse arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-idle-") as folder:
        trio.run(bench, Path(folder), arguments.clients, arguments.workers)


if __name__ == "__main__":
    main()
