"""Real nodes under random faults while clients write.  Talks to processes, sockets, disks.

    python -m scripts.nemesis --nodes 5 --for 20m
    make nemesis FOR=60s

Every node is a process of its own behind proxies that cut and slow its links, with a library
inside that spoils its disk and its clock.  A node that ends itself, as it does when its disk
fails, is started again.  In the end everything is mended: each node must serve and hold the same
state by itself, and every history must hold what was acknowledged, once and in order.
Exit code 1 when anything is lost, doubled, changed, out of order, or does not heal.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from node.cli.durations import seconds
from node.local import UNLIMITED, LocalCluster, LocalFailure
from node.replay.checker import check, count
from node.replay.histories import read_histories
from scripts.kill_loop import Ledger, write
from scripts.nemesis.faults import Faults
from scripts.nemesis.proxy import Network
from scripts.nemesis.shim import Shim, build

HEAL_S = 60.0
"""For all nodes to be the same by themselves, on a slow machine."""
RESTART_S = 0.3
SAMPLE_S = 0.02


@dataclass
class Watch:
    """When something was acknowledged last, and for how long nothing was, per fault."""

    ledger: Ledger
    stalls_s: dict[str, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    active: list[str] = field(default_factory=list)

    async def run(self) -> None:
        seen, since_s = 0, trio.current_time()
        while True:
            await trio.sleep(SAMPLE_S)
            now_s = trio.current_time()
            if self.ledger.acknowledged != seen:
                seen, since_s = self.ledger.acknowledged, now_s
            for kind in self.active:
                self.stalls_s[kind] = max(self.stalls_s.get(kind, 0.0), now_s - since_s)


class Run:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._chance = random.Random(options.seed)
        self._folder = folder
        self._ledger = Ledger()
        self._watch = Watch(self._ledger)

    async def run(self) -> int:
        options = self._options
        cluster = LocalCluster(
            self._folder, nodes=options.nodes, cluster_id="nemesis", sections=UNLIMITED
        )
        network = Network(cluster.names, self._chance)
        shims = self._make_shims(cluster)
        faults = Faults(cluster, network, shims, self._chance, may_lose_disk=self._all_vote)
        self._cluster = cluster
        async with trio.open_nursery() as proxies:
            for (_, target), link in network.links.items():
                to_port = cluster.folder.layout.nodes[target].peer
                await proxies.start(link.serve, to_port)
            cluster.folder.via = {
                pair: f"127.0.0.1:{link.port}" for pair, link in network.links.items()
            }
            async with cluster:
                await cluster.wait_leader()
                async with trio.open_nursery() as beside:
                    beside.start_soon(self._supervise, faults)
                    began_s = trio.current_time()
                    async with trio.open_nursery() as clients:
                        for place in range(options.writers):
                            clients.start_soon(write, cluster, place, self._ledger)
                        await self._break_things(faults)
                        faults.heal()
                        await trio.sleep(1.0)
                        self._ledger.stopping = True
                    took_s = trio.current_time() - began_s
                    trouble = await self._wait_same()
                    beside.cancel_scope.cancel()
                self._ledger.trouble += trouble
                self._ledger.trouble += await read_histories(cluster, self._ledger.records)
            proxies.cancel_scope.cancel()
        return self._report(took_s)

    def _make_shims(self, cluster: LocalCluster) -> dict[str, Shim]:
        library = build(self._folder)
        if library is None:
            print("no C compiler: no faults of disk and clock", file=sys.stderr)
            return {}
        shims = {name: Shim(library, self._folder / f"{name}.control") for name in cluster.names}
        for name, shim in shims.items():
            cluster.process(name).environ |= shim.environ
        return shims

    # -- while it runs

    async def _break_things(self, faults: Faults) -> None:
        kinds = self._kinds(faults)
        ends_s = trio.current_time() + self._options.time
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch.run)
            nursery.start_soon(self._tell)
            while trio.current_time() < ends_s:
                wanted = [self._chance.choice(kinds)]
                if self._chance.random() < 0.2:
                    wanted.append(self._chance.choice(kinds))
                async with trio.open_nursery() as together:
                    for kind in wanted:
                        together.start_soon(self._break, faults, kind)
                await trio.sleep(self._chance.uniform(0.2, 1.5))
            nursery.cancel_scope.cancel()

    def _kinds(self, faults: Faults) -> list[str]:
        wanted = [one.strip() for one in self._options.only.split(",") if one.strip()]
        for kind in wanted:
            if kind not in faults.kinds:
                raise LocalFailure(f"no fault {kind!r}; there are {', '.join(faults.kinds)}")
        return wanted or list(faults.kinds)

    async def _break(self, faults: Faults, kind: str) -> None:
        self._watch.faults[kind] += 1
        self._watch.active.append(kind)
        async with faults.kinds[kind]():
            pass
        with trio.move_on_after(1.0):  # what it does to clients may show a moment later
            before = self._ledger.acknowledged
            while self._ledger.acknowledged == before:
                await trio.sleep(SAMPLE_S)
        self._watch.active.remove(kind)

    async def _supervise(self, faults: Faults) -> None:
        """Start again whoever ended."""
        while True:
            await trio.sleep(RESTART_S)
            for name in self._cluster.names:
                process = self._cluster.process(name)
                if name not in faults.down and not process.running:
                    self._watch.restarts += 1
                    self._cluster.restart(name)

    async def _tell(self) -> None:
        began_s = trio.current_time()
        while True:
            await trio.sleep(5.0)
            now = ", ".join(self._watch.active) or "-"
            print(
                f"{trio.current_time() - began_s:6.0f} s  {self._ledger.acknowledged} acknowledged"
                f"  {self._watch.faults.total()} faults  now: {now}",
                file=sys.stderr,
                flush=True,
            )

    async def _all_vote(self, name: str) -> bool:
        """Whether every other node runs and remembers."""
        for other in self._cluster.names:
            if other != name:
                status = await self._cluster.status_of(other)
                if status is None or status.standing != "serving" or status.abstains:
                    return False
        return True

    # -- in the end

    async def _wait_same(self) -> list[str]:
        """Wait until all nodes serve and are the same; return what is not so in time."""
        found: dict[str, Any] = {}
        with trio.move_on_after(HEAL_S):
            while True:
                for name in self._cluster.names:
                    found[name] = await self._cluster.status_of(name, digest=True)
                if _are_same(list(found.values())):
                    return []
                await trio.sleep(0.2)
        return [f"not healed after {HEAL_S:.0f} s: {name}: {one}" for name, one in found.items()]

    def _report(self, took_s: float) -> int:
        watch, ledger = self._watch, self._ledger
        violations = check(ledger.records, {})
        good = not violations and not ledger.trouble
        if self._options.json:
            result = {
                "nodes": self._options.nodes,
                "seconds": round(took_s),
                "acknowledged": ledger.acknowledged,
                "faults": dict(watch.faults),
                "stall_s": {kind: round(s, 2) for kind, s in watch.stalls_s.items()},
                "restarts": watch.restarts,
                "violations": [str(one) for one in violations],
                "trouble": ledger.trouble,
            }
            print(json.dumps(result, indent=1))
            return 0 if good else 1
        print(f"{'fault':<16}{'count':>8}{'longest stall':>16}")
        for kind, number in sorted(watch.faults.items()):
            print(f"{kind:<16}{number:>8}{watch.stalls_s.get(kind, 0.0):>14.2f} s")
        rows = [
            ("nodes", str(self._options.nodes)),
            ("seconds", f"{took_s:.0f}"),
            ("faults", str(watch.faults.total())),
            ("restarts by the supervisor", str(watch.restarts)),
            ("messages acknowledged", str(ledger.acknowledged)),
            *((kind.replace("_", " "), str(n)) for kind, n in count(violations).items()),
        ]
        for what, value in rows:
            print(f"{what:<28}{value:>12}")
        for problem in [*map(str, violations), *ledger.trouble][:20]:
            print(f"  {problem}")
        print("every node healed, nothing acknowledged was lost" if good else "NOT good")
        return 0 if good else 1


def _are_same(found: list[Any]) -> bool:
    if any(one is None or one.standing != "serving" or one.abstains for one in found):
        return False
    digests = [one.state_digest or {} for one in found]
    return len({(one.get("index"), one.get("digest")) for one in digests}) == 1


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.nemesis", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--for", dest="time", type=seconds, default=60.0, help="60s, 20m")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=None, help="which faults, and when")
    parser.add_argument("--only", default="", help="kinds of faults: 'pause, kill all'")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=None, help="folder to keep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unidesk-") as temporary:
        folder = options.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return trio.run(Run(options, folder).run)
        except* LocalFailure as group:
            print(f"nemesis: {group.exceptions[0]}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
