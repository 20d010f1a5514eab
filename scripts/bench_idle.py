"""Memory of very many clients that are logged in, follow a conversation, and say nothing.

    python -m scripts.bench_idle --clients 100000 --workers 6

One node; every client is a principal of its own, with a token, on a WebSocket that follows one of a
thousand conversations.  Memory is what all processes of the node hold (PSS) before the crowd comes
and when it is there, and the kernel's small objects of both ends.  Meanwhile one client asks for
histories: how long the answers take is what others notice of the crowd.
"""

import argparse
import tempfile
from pathlib import Path

import trio

from node.client import open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvHistory, CvOpen
from scripts.crowd.processes import Crowd, node_addresses, pss_bytes, slab_bytes, with_children

CONVERSATIONS = 1_000
SETTLE_S = 3.0
CONNECTED_S_MAX = 1800.0
ASK_S = 10.0
MB = 1024 * 1024


async def bench(folder: Path, clients: int, workers: int) -> None:
    """Measure, and print a table."""
    sections = {**UNLIMITED, "node": {"workers": workers}}
    async with LocalCluster(folder, nodes=1, cluster_id="bench", sections=sections) as cluster:
        pid = cluster.pid("n1")
        assert pid is not None
        opener = cluster.mint("service", "opener")
        async with open_client(cluster.urls, opener) as client:
            cvs = []
            for number in range(min(CONVERSATIONS, clients)):
                opened = await client.request(CvOpen(key=f"o{number}", text="hello"))
                cvs.append(opened["cv"])
        await trio.sleep(SETTLE_S)
        base, slab = pss_bytes(with_children(pid)), slab_bytes()
        plan = [
            (cluster.mint("supervisor", f"s{number}"), cvs[number % len(cvs)])
            for number in range(clients)
        ]
        with Crowd(node_addresses(cluster), plan) as crowd:
            async with trio.open_nursery() as nursery:
                await nursery.start(crowd.follow)
                took_s = await crowd.wait_live(clients, timeout_s=CONNECTED_S_MAX)
                await trio.sleep(SETTLE_S)
                full, slab_full = pss_bytes(with_children(pid)), slab_bytes()
                latencies = await _ask(cluster, cvs[0])
                nursery.cancel_scope.cancel()
            figures = crowd.figures
        print(f"clients {clients:,}, processes 1 + {workers}")
        print(f"  all live after            {took_s:8.1f} s, {clients / took_s:,.0f} a second")
        print(f"  processes before          {base / MB:8.0f} MB")
        print(f"  processes with clients    {full / MB:8.0f} MB")
        print(f"  a client                  {(full - base) / clients / 1024:8.2f} KB")
        print(f"  kernel, both ends         {(slab_full - slab) / MB:8.0f} MB")
        print(f"  kernel, half of it        {(slab_full - slab) / 2 / MB:8.0f} MB")
        print(
            f"  history p50 / p99         {latencies[len(latencies) // 2]:8.1f} /"
            f" {latencies[int(len(latencies) * 0.99)]:.1f} ms, {len(latencies)} asked"
        )
        wrong = ", ".join(str(figures[one]) for one in ("lost", "skipped", "doubled"))
        print(f"  lost, skipped, doubled    {wrong}")


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
