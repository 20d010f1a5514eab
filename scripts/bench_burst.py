"""A burst of conversations at a real three-node cluster: how soon each is routed, in what order.

    python -m scripts.bench_burst [--conversations 5000] [--seconds 10] [--short]

Programs open conversations at all three nodes, evenly over the time; 200 rules of ten attributes
decide between 50 queues.  *queued* is how long from asking until the opener hears, from the node
it asked, that the conversation was routed into its queue; *assigned* until it hears who has it.
Agents accept whatever they are offered.  With `--short` there is less room than conversations, and
every agent closes what it was given at once: a line forms, and its order is checked.

The order holds where, of two conversations of a queue and a priority, the one that was opened
first was not offered after the other, nor never.  Opener, agents and nodes share the machine's
processors.
"""

import argparse
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path

import trio

from node.client import Client, RequestFailed, open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol import catalogue as ops
from node.protocol.catalogue import Ev, OfferPush, Push
from node.replay.figures import percentile
from scripts.bench_commit import measure_disk

QUEUES = 50
RULES = 200
OPENERS = 20
AGENTS = 25
LINE_S_MAX = 300.0
"""How long all may take to be served."""
POLL_S = 0.05
NEVER = 2**53


def rule_files() -> dict[str, str]:
    """Return 200 rules, of which every conversation passes some before one matches."""
    lines = [f"[queue.q{number}]" for number in range(QUEUES)]
    for number in range(RULES):
        condition = f"attrs.a{number % 10} > {number} && attrs.case == {number}"
        lines += [f"[rule.r{number:03}]", f"when = '{condition}'", f'route = "q{number % QUEUES}"']
    return {"main.toml": "\n".join([*lines, "[fallback]", 'route = "q0"', ""])}


class Burst:
    """What happened to every conversation, as those who opened it heard."""

    def __init__(self, *, short: bool) -> None:
        self.short = short
        self.asked: dict[str, float] = {}
        self.early: dict[str, list[tuple[str, float]]] = defaultdict(list)
        """Events that came before the answer that names their conversation."""
        self.took_ms: dict[str, list[float]] = {"opened": [], "queued": [], "assigned": []}
        self.ages: dict[str, tuple[str, int, int]] = {}
        """Queue, negative priority and time of opening, by conversation."""
        self.offered: dict[str, int] = {}
        """When first, in cluster time."""

    def hear(self, push: Push) -> None:
        """Take one push of an opener."""
        if not isinstance(push, Ev):
            return
        now = trio.current_time()
        match push.type:
            case "opened":
                self.ages[push.cv] = ("", 0, push.ts)
            case "queued" if not self.ages[push.cv][0]:
                _, _, opened = self.ages[push.cv]
                self.ages[push.cv] = (push.data["queue"], -push.data["priority"], opened)
                self._took(push.cv, "queued", now)
            case "offered":
                self.offered.setdefault(push.cv, push.ts)
            case "assigned":
                self._took(push.cv, "assigned", now)

    def begun(self, cv: str, asked: float) -> None:
        """The answer to an opening came."""
        self.asked[cv] = asked
        self.took_ms["opened"].append((trio.current_time() - asked) * 1000)
        for kind, at in self.early.pop(cv, ()):
            self._took(cv, kind, at)

    def _took(self, cv: str, kind: str, at: float) -> None:
        if cv in self.asked:
            self.took_ms[kind].append((at - self.asked[cv]) * 1000)
        else:
            self.early[cv].append((kind, at))

    def overtaken(self) -> int:
        """Return how many were first offered after one that was opened later."""
        lines: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
        for cv, (queue, priority, opened) in self.ages.items():
            lines[queue, priority].append((opened, cv))
        count = 0
        for line in lines.values():
            latest = 0
            for _, offered in sorted((at, self.offered.get(cv, NEVER)) for at, cv in line):
                count += offered < latest  # opened in the same millisecond: in either order
                latest = max(latest, offered)
        return count


async def run(conversations: int, seconds: float, folder: Path, *, short: bool) -> Burst:
    """Return what a burst was like at a cluster in `folder`."""
    burst = Burst(short=short)
    async with LocalCluster(folder, cluster_id="bench", sections=UNLIMITED) as cluster:
        await cluster.wait_leader()
        async with open_client(cluster.urls, cluster.mint("operator", "op")) as operator:
            await operator.request(ops.RulesApply(files=rule_files()))
        async with trio.open_nursery() as nursery:
            capacity = 2 if short else conversations // AGENTS + 2
            for number in range(AGENTS):
                await _agent(cluster, nursery, number, capacity, closes=short)
            async with trio.open_nursery() as openers:
                for number in range(OPENERS):
                    count = conversations // OPENERS
                    openers.start_soon(
                        partial(_open, cluster, burst, number, count, seconds, nursery)
                    )
            with trio.move_on_after(LINE_S_MAX):
                while len(burst.took_ms["assigned"]) < len(burst.took_ms["opened"]):
                    await trio.sleep(POLL_S)
            nursery.cancel_scope.cancel()
    return burst


async def _open(
    cluster: LocalCluster,
    burst: Burst,
    number: int,
    count: int,
    seconds: float,
    nursery: trio.Nursery,
) -> None:
    token = cluster.mint("service", f"opener{number}")
    client = Client([cluster.urls[number % 3]], token, on_push=burst.hear)
    nursery.start_soon(client.run)
    await client.wait_welcome()
    began = trio.current_time()
    async with trio.open_nursery() as asking:
        for one in range(count):
            await trio.sleep_until(began + seconds * (one + number / OPENERS) / count)
            asking.start_soon(_open_one, client, burst, number, one)


async def _open_one(client: Client, burst: Burst, number: int, one: int) -> None:
    case = (one * OPENERS + number) % (RULES + 10)
    attrs = {f"a{place}": 1000 + place for place in range(10)} | {"case": case}
    asked = trio.current_time()
    opening = ops.CvOpen(key=f"{number}-{one}", attrs=attrs, text="hello", channel="app")
    burst.begun(str((await client.request(opening))["cv"]), asked)


async def _agent(
    cluster: LocalCluster, nursery: trio.Nursery, number: int, capacity: int, *, closes: bool
) -> None:
    """Let in an agent who accepts, and perhaps closes at once."""
    token = cluster.mint("agent", f"agent{number}", capacity=capacity)
    clients: list[Client] = []

    async def accept(offer: OfferPush) -> None:
        try:
            await clients[0].request(ops.OfferAccept(oid=offer.oid, key=offer.oid))
            if closes:
                await clients[0].request(ops.CvClose(cv=offer.cv, key=f"close-{offer.oid}"))
        except RequestFailed as failed:  # such as an offer that lapsed
            if failed.code not in ("offer_gone", "not_owner"):
                raise

    def hear(push: Push) -> None:
        if isinstance(push, OfferPush):
            nursery.start_soon(accept, push)

    clients.append(Client([cluster.urls[number % 3]], token, on_push=hear))
    nursery.start_soon(clients[0].run)
    await clients[0].wait_welcome()
    await clients[0].request(ops.StatusSet(status="online"))


def main() -> None:
    """Parse the command line, run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--conversations", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--short", action="store_true", help="of agents: a line forms")
    parser.add_argument("--folder", default=".", help="on the disk to be used")
    options = parser.parse_args()
    disk = measure_disk(options.folder, 1.0)
    print(f"disk: {disk['per_second']:.0f} fdatasync/s of 4 KiB, p99 {disk['p99_ms']:.2f} ms")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        burst = trio.run(
            partial(run, options.conversations, options.seconds, Path(folder), short=options.short)
        )
    print(f"{'':10}{'count':>8}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
    for kind, took in burst.took_ms.items():
        p50, p99 = percentile(took, 50), percentile(took, 99)
        print(f"{kind:10}{len(took):8}{p50:10.1f}{p99:10.1f}{max(took, default=0):10.1f}")
    print(f"offered after one that was opened later: {burst.overtaken()}")


if __name__ == "__main__":
    main()
