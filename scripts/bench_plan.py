"""What a plan of the rules costs those who talk meanwhile, and what the recorded routings weigh.

    python -m scripts.bench_plan [--routings 10000] [--rules 200] [--seconds 8] [--rounds 3]

Three node processes on loopback.  Services open conversations with tags of 60 attributes, which
200 rules route; then visitors at the leader's desk each send a message of 100 bytes fifty times a
second, without a plan and while a plan at that same node decides all routings anew, by turns.
*p50* and *p99* are from a message to its acknowledgement.  Nodes, senders and planner share the
machine's cores.  The routings are weighed in a process of their own: bytes of Python objects after
a snapshot was loaded, and of the snapshot's section.
"""

import argparse
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

import trio

from cluster.state import snapshot
from cluster.state.routings import Routing, size_of
from cluster.state.state import State
from node.client import open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend, RulesApply, RulesPlan, RulesStats
from node.replay.figures import percentile

OPENERS = 32
SENDERS = 8
EVERY_S = 0.02
LIMIT_S = 300.0


def rules(count: int, threshold: int) -> str:
    """Return rules of which most look at several attributes, and few match."""
    lines = ["[queue.general]", "[queue.vip]"]
    for number in range(count):
        lines += [
            f"[rule.r{number:03}]",
            f"when = 'tags.t{number % 60} > {threshold + number} && channel == \"web\"'",
            'route = "vip"',
        ]
    return "\n".join([*lines, "[fallback]", 'route = "general"', ""])


def tags(number: int) -> dict[str, Any]:
    return {f"t{one}": (number * 7 + one * 13) % 1_000 for one in range(60)}


async def fill(cluster: LocalCluster, routings: int) -> float:
    """Let conversations come until all are routed; return seconds."""
    started = trio.current_time()

    async def open_some(first: int) -> None:
        async with open_client(cluster.urls, cluster.mint("service", f"crm{first}")) as client:
            for number in range(first, routings, OPENERS):
                await client.request(CvOpen(key=f"k{number}", tags=tags(number)))

    async with trio.open_nursery() as nursery:
        for first in range(OPENERS):
            nursery.start_soon(open_some, first)
    async with open_client(cluster.urls, cluster.mint("operator", "olga")) as client:
        while (await client.request(RulesStats()))["routings"] < routings:
            await trio.sleep(0.5)
    return trio.current_time() - started


async def talk(cluster: LocalCluster, url: str, until: trio.Event, took: list[float]) -> None:
    """Put down how long each message takes, in milliseconds."""

    async def send(number: int) -> None:
        async with open_client([url], cluster.mint("visitor", f"v{number}")) as client:
            cv = (await client.request(CvOpen(key=f"o{time.time_ns()}")))["cv"]
            for count in range(1_000_000):
                if until.is_set():
                    return
                begun = trio.current_time()
                key = f"{cv}-{count}"
                await client.request(MsgSend(cv=cv, key=key, body="x" * 100))
                took.append((trio.current_time() - begun) * 1000)
                await trio.sleep(max(0.0, begun + EVERY_S - trio.current_time()))

    async with trio.open_nursery() as nursery:
        for number in range(SENDERS):
            nursery.start_soon(send, number)
    del took[: SENDERS * 10]


async def plan(cluster: LocalCluster, url: str, text: str) -> tuple[int, int, float]:
    """Plan at one node; return how many were looked at, how many move, and seconds."""
    started = trio.current_time()
    looked = moved = after = until = 0
    async with open_client([url], cluster.mint("operator", "olga")) as client:
        while True:
            request = RulesPlan(files={"main.toml": text}, after=after, until=until)
            part = await client.request(request, timeout_s=30)
            looked, moved = looked + part["looked"], moved + part["moved"]
            after, until = part["next"], part["until"]
            if not part["more"]:
                return looked, moved, trio.current_time() - started


async def measure(options: argparse.Namespace, folder: Path) -> None:
    async with LocalCluster(folder, cluster_id="bench", sections=UNLIMITED) as cluster:
        leader = await cluster.wait_leader()
        url = cluster.urls[list(cluster.names).index(leader)]
        async with open_client(cluster.urls, cluster.mint("operator", "olga")) as client:
            await client.request(RulesApply(files={"main.toml": rules(options.rules, 700)}))
        print(f"filled in {await fill(cluster, options.routings):.1f} s", flush=True)
        rows: dict[str, list[tuple[float, float]]] = {"quiet": [], "plan": []}
        for _ in range(options.rounds):
            for kind, figures in rows.items():
                over = trio.Event()
                told: list[float] = []
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(talk, cluster, url, over, told)
                    if kind == "quiet":
                        await trio.sleep(options.seconds)
                    else:
                        looked, moved, took_s = await plan(cluster, url, rules(options.rules, 720))
                        print(f"plan: {looked} looked, {moved} would move, {took_s:.1f} s")
                    over.set()
                figures.append((percentile(told, 50), percentile(told, 99)))
        for kind, figures in rows.items():
            p50, p99 = (statistics.median(one[at] for one in figures) for at in (0, 1))
            print(f"{kind:>6}: p50 {p50:6.2f} ms   p99 {p99:6.2f} ms", flush=True)
        quiet, busy = (statistics.median(one[1] for one in rows[kind]) for kind in rows)
        print(f"p99 while planning: {busy / quiet:.2f} of that without")


def weigh(count: int) -> None:
    """Print what `count` routings with 5, and with 60, tags take."""
    for tags_each in (5, 60):
        state = State()
        for number in range(1, count + 1):
            some = dict(list(tags(number).items())[:tags_each])
            state.put_routing(
                Routing(number, number, f"{number:026}", 1, "r001", "vip", "web", "zh", "",
                        some, {}, size=size_of("", some, {}))
            )  # fmt: skip
        begun = time.perf_counter()
        chunks = list(snapshot.dump(state))
        took_ms = (time.perf_counter() - begun) * 1000
        tracemalloc.start()
        loaded = snapshot.load(chunks)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        print(
            f"{len(loaded.routings)} routings of {tags_each} tags:"
            f" {held / 2**20:.1f} MiB in memory,"
            f" {sum(map(len, chunks)) / 2**20:.1f} MiB in the snapshot, written in {took_ms:.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--routings", type=int, default=10_000)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    options = parser.parse_args()
    weigh(options.routings)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        with_limit(options, Path(folder))


def with_limit(options: argparse.Namespace, folder: Path) -> None:
    async def run() -> None:
        with trio.fail_after(LIMIT_S):
            await measure(options, folder)

    trio.run(run)


if __name__ == "__main__":
    main()
