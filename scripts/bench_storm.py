"""A node with ten thousand clients is killed: how soon they are all back, and who notices.

    python -m scripts.bench_storm --clients 10000

Three nodes; all clients, each a principal of its own, are at the first, and follow one of a
hundred conversations.  Two people talk at the other two nodes all the time, and every word goes to
a hundred of the crowd.  The first node's processes get SIGKILL.  A client comes back at another
node within a quarter of a second, resumes with what it has, and holds each event against that:
what is skipped or comes twice is counted.  The latency of the two - from a request to its answer,
which is durable - is taken before, and from the kill until all are back.
"""

import argparse
import os
import signal
import tempfile
from pathlib import Path

import trio

from node.client import open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from scripts.crowd.processes import Crowd, node_addresses, with_children

CONVERSATIONS = 100
CALM_S = 10.0
AFTER_S = 3.0
PAUSE_S = 0.02
BACK_S_MAX = 120.0


class Talkers:
    """People at the nodes that live on."""

    def __init__(self, cluster: LocalCluster, cvs: list[str], *, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._cluster = cluster
        self._cvs = cvs
        self.taken_ms: list[float] = []
        self.said = 0

    async def talk(self, node: str) -> None:
        """Say something in one conversation after the other, until cancelled."""
        token = self._cluster.mint("service", "opener")
        async with open_client([self._cluster.url(node)], token) as client:
            while True:
                self.said += 1
                cv = self._cvs[self.said % len(self._cvs)]
                began = trio.current_time()
                await client.request(MsgSend(cv=cv, key=f"{node}-{self.said}", body="a word"))
                self.taken_ms.append((trio.current_time() - began) * 1000)
                await trio.sleep(self._pause_s)

    def take(self) -> str:
        """Return p50, p99 and the longest of what was taken since the last call."""
        taken, self.taken_ms = sorted(self.taken_ms), []
        if not taken:
            return "none"
        p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        return f"{p50:.1f} / {p99:.1f} / {taken[-1]:.1f} ms, {len(taken)} answers"


async def bench(folder: Path, clients: int, workers: int) -> None:
    """Measure, and print a table."""
    sections = {**UNLIMITED, "node": {"workers": workers}}
    async with LocalCluster(folder, nodes=3, cluster_id="bench", sections=sections) as cluster:
        leader = await cluster.wait_leader()
        async with open_client(cluster.urls, cluster.mint("service", "opener")) as client:
            opened = [
                await client.request(CvOpen(key=f"o{number}", text="hello"))
                for number in range(CONVERSATIONS)
            ]
        cvs = [str(one["cv"]) for one in opened]
        victim, *others = cluster.names
        plan = [
            (cluster.mint("service", f"s{number}"), cvs[number % len(cvs)])
            for number in range(clients)
        ]
        talkers = Talkers(cluster, cvs)
        with Crowd(node_addresses(cluster), plan, spread=False) as crowd:
            async with trio.open_nursery() as nursery:
                await nursery.start(crowd.follow)
                connected_s = await crowd.wait_live(clients, timeout_s=300)
                before = crowd.figures["lost"]
                for node in others:
                    nursery.start_soon(talkers.talk, node)
                await trio.sleep(CALM_S)
                calm = talkers.take()
                pid = cluster.pid(victim)
                assert pid is not None
                for one in with_children(pid):
                    os.kill(one, signal.SIGKILL)
                with trio.fail_after(BACK_S_MAX):
                    while crowd.figures["lost"] < before + clients:
                        await trio.sleep(0.05)
                back_s = await crowd.wait_live(clients, timeout_s=BACK_S_MAX)
                storm = talkers.take()
                await trio.sleep(AFTER_S)
                nursery.cancel_scope.cancel()
            figures = crowd.figures
        print(f"clients {clients:,}, all at {victim}; {leader} led; workers a node {workers}")
        print(f"  connected in              {connected_s:8.1f} s")
        print(f"  all back after            {max(back_s, figures['away_max_s']):8.1f} s")
        print(f"  others, before            {calm}")
        print(f"  others, meanwhile         {storm}")
        print(f"  events heard              {figures['events']:8,}")
        wrong = ", ".join(str(figures[one]) for one in ("skipped", "doubled", "gaps"))
        print(f"  skipped, doubled, gaps    {wrong}")


def main() -> None:
    """Parse arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-storm-") as folder:
        trio.run(bench, Path(folder), arguments.clients, arguments.workers)


if __name__ == "__main__":
    main()
