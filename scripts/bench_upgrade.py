"""A node with fifteen thousand clients goes on in another process: who is closed, who waits.

    python -m scripts.bench_upgrade --clients 15000

Three nodes; all clients, each a principal of its own, are at the first, logged in, and follow one
of a hundred conversations.  Two people talk at the other nodes all the time, so that every word
goes to a hundred of the crowd, who hold each event against what they have.  The crowd asks at a
rate whatever comes back, each question at its own moment by the next client: the longest answer
is the longest silence that a client can have met.  A writer at the first node sends the next word
when the last one is durable.  All of it is taken before, and from the beginning of
`unidesk upgrade` until after its end.
"""

import argparse
import tempfile
from pathlib import Path

import trio

from node.client import Client, open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from scripts.bench_storm import Talkers
from scripts.crowd.processes import Crowd, node_addresses

CONVERSATIONS = 100
CALM_S = 6.0
AFTER_S = 2.0
WRITE_PAUSE_S = 0.05
PAUSE_S = 0.2
"""Two people say ten words a second, and each goes to a hundred and fifty."""


def summed_up(taken_ms: list[float]) -> str:
    """Return p50, p99, p99.9 and the longest."""
    taken = sorted(taken_ms)
    if not taken:
        return "none"
    places = (taken[int(len(taken) * share)] for share in (0.5, 0.99, 0.999))
    return " / ".join(f"{one:.1f}" for one in (*places, taken[-1])) + f" ms, {len(taken):,} answers"


class Writer:
    """Somebody at the node that is upgraded."""

    def __init__(self, client: Client, cv: str) -> None:
        self._client = client
        self._cv = cv
        self.taken_ms: list[float] = []
        self.said = 0

    async def write(self) -> None:
        """Say one word after the other, each when the one before is durable, until cancelled."""
        while True:
            self.said += 1
            began = trio.current_time()
            await self._client.request(MsgSend(cv=self._cv, key=f"w{self.said}", body="a word"))
            self.taken_ms.append((trio.current_time() - began) * 1000)
            await trio.sleep(WRITE_PAUSE_S)

    def take(self) -> str:
        """Return what was taken since the last call, in words."""
        taken, self.taken_ms = self.taken_ms, []
        return summed_up(taken)


async def bench(folder: Path, clients: int, asks_per_s: float, upgrades: int) -> None:
    """Measure, and print a table."""
    async with (
        LocalCluster(folder, nodes=3, cluster_id="bench", sections=UNLIMITED) as cluster,
        open_client(cluster.urls, cluster.mint("service", "opener")) as opener,
    ):
        await cluster.wait_leader()
        cvs = []
        for number in range(CONVERSATIONS):
            opened = await opener.request(CvOpen(key=f"o{number}", text="hello"))
            cvs.append(str(opened["cv"]))
        node, *others = cluster.names
        plan = [
            (cluster.mint("service", f"s{number}"), cvs[number % len(cvs)])
            for number in range(clients)
        ]
        talkers = Talkers(cluster, cvs, pause_s=PAUSE_S)
        service = cluster.mint("service", "opener")
        with Crowd(node_addresses(cluster), plan, spread=False, asks_per_s=asks_per_s) as crowd:
            async with (
                trio.open_nursery() as nursery,
                open_client([cluster.url(node)], service) as client,
            ):
                writer = Writer(client, cvs[0])
                await nursery.start(crowd.follow)
                await crowd.wait_live(clients, timeout_s=300)
                for other in others:
                    nursery.start_soon(talkers.talk, other)
                nursery.start_soon(writer.write)
                print(f"clients {clients:,}, all at {node}; {await cluster.leader()} leads")
                await trio.sleep(CALM_S)
                crowd.taken_ms.clear()
                writer.take()
                await trio.sleep(CALM_S)
                _show("before", crowd, writer)
                for _ in range(upgrades):
                    began = trio.current_time()
                    told = await cluster.upgrade(node)
                    if not told.get("done"):
                        print(cluster.process(node).log_tail())
                    took_s = trio.current_time() - began
                    await trio.sleep(AFTER_S)
                    print(f"  upgrade                   {took_s:8.1f} s: {told['text']}")
                    _show("meanwhile", crowd, writer)
                connections = client.statistics().connections
                nursery.cancel_scope.cancel()
            figures = crowd.figures
        print(f"  events heard              {figures['events']:8,}")
        wrong = ", ".join(str(figures[one]) for one in ("skipped", "doubled", "gaps"))
        print(f"  skipped, doubled, gaps    {wrong}")
        print(f"  sockets closed            {figures['lost'] + connections - 1:8,}")


def _show(when: str, crowd: Crowd, writer: Writer) -> None:
    taken, crowd.taken_ms = crowd.taken_ms, []
    print(f"  answers, {when:16} {summed_up(taken)}")
    print(f"  durable, {when:16} {writer.take()}")


def main() -> None:
    """Parse arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=15_000)
    parser.add_argument("--asks-per-s", type=float, default=500.0)
    parser.add_argument("--upgrades", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-upgrade-") as folder:
        trio.run(bench, Path(folder), arguments.clients, arguments.asks_per_s, arguments.upgrades)


if __name__ == "__main__":
    main()
