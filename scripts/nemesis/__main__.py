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
from pathlib import Path

import trio

from node.cli.durations import seconds
from node.local import UNLIMITED, LocalFailure
from node.replay.checker import check, count
from node.replay.histories import read_histories
from scripts.kill_loop import Ledger, write
from scripts.nemesis.faults import Faults
from scripts.nemesis.stage import first, open_stage, wait_acknowledged
from scripts.nemesis.watch import Watch

HEAL_S = 60.0
"""For all nodes to be the same by themselves, on a slow machine."""


class Run:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._chance = random.Random(options.seed)
        self._folder = folder
        self._ledger = Ledger()
        self._watch = Watch(self._ledger)

    async def run(self) -> int:
        options = self._options
        async with open_stage(
            self._folder,
            nodes=options.nodes,
            cluster_id="nemesis",
            chance=self._chance,
            sections=UNLIMITED,
        ) as stage:
            if not stage.shims:
                print("no C compiler: no faults of disk and clock", file=sys.stderr)
            self._stage = stage
            faults = Faults(stage, self._chance)
            async with trio.open_nursery() as beside:
                beside.start_soon(stage.supervise)
                began_s = trio.current_time()
                async with trio.open_nursery() as clients:
                    for place in range(options.writers):
                        clients.start_soon(write, stage.cluster, place, self._ledger)
                    await self._break_things(faults)
                    faults.heal()
                    await trio.sleep(1.0)
                    self._ledger.stopping = True
                took_s = trio.current_time() - began_s
                trouble = await stage.wait_same(HEAL_S)
                beside.cancel_scope.cancel()
            self._ledger.trouble += trouble
            self._ledger.trouble += await read_histories(stage.cluster, self._ledger.records)
        return self._report(took_s)

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
            await wait_acknowledged(lambda: self._ledger.acknowledged)
        self._watch.active.remove(kind)

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
                "restarts": self._stage.restarts,
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
            ("restarts by the supervisor", str(self._stage.restarts)),
            ("messages acknowledged", str(ledger.acknowledged)),
            *((kind.replace("_", " "), str(n)) for kind, n in count(violations).items()),
        ]
        for what, value in rows:
            print(f"{what:<28}{value:>12}")
        for problem in [*map(str, violations), *ledger.trouble][:20]:
            print(f"  {problem}")
        print("every node healed, nothing acknowledged was lost" if good else "NOT good")
        return 0 if good else 1


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
            print(f"nemesis: {first(group)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
