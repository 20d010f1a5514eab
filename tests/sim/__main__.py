"""Run simulated clusters: `python -m tests.sim --nodes 3 --seed 7 --steps 6000`.

A seed that breaks a promise is run again with fewer kinds of faults and fewer steps while it
still does (`--shrink`), and what is left is told: the faults, in order, and the last events.
"""

import argparse
import logging
import sys
import time
from dataclasses import dataclass, field, replace

import structlog

from cluster.raft.messages import PeerError
from tests.sim.world import Outcome, World

TOLD = 25
"""Events before the end of a failing run that are printed."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run, as the command line says it."""

    seed: int
    nodes: int
    steps: int
    off: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    upgrades: bool = False
    everybody: int = 0

    @property
    def command(self) -> str:
        words = ["python -m tests.sim", f"--nodes {self.nodes}", f"--seed {self.seed}"]
        words.append(f"--steps {self.steps}")
        for name, values in (("off", self.off), ("without", self.without)):
            if values:
                words.append(f"--{name} {','.join(sorted(values))}")
        if self.upgrades:
            words.append("--upgrades")
        if self.everybody:
            words.append(f"--everybody {self.everybody}")
        return " ".join(words)


@dataclass(slots=True)
class Ran:
    broken: str = ""
    outcome: Outcome | None = None
    trace: list[str] = field(default_factory=list)


def run(case: Case, *, tell: bool = False) -> Ran:
    """Run a case; its trace is kept, and printed as it goes if asked for."""
    ran = Ran()

    def trace(line: str) -> None:
        ran.trace.append(line)
        if tell:
            print(line)

    try:
        world = World(
            case.seed,
            nodes=case.nodes,
            off=case.off,
            without=case.without,
            trace=trace,
            upgrades=case.upgrades,
            everybody=case.everybody,
        )
        ran.outcome = world.run(case.steps)
    except (AssertionError, PeerError) as error:
        ran.broken = f"{type(error).__name__}: {error}"
    return ran


def shrink(case: Case) -> Case:
    """Return a case with fewer kinds of faults, and fewer steps, that still breaks something."""
    for kind in World(case.seed, nodes=case.nodes).faults.kinds:
        less = replace(case, without=case.without | {kind})
        if run(less).broken:
            case = less
    least, most = 0, case.steps
    while most - least > 50:
        middle = (least + most) // 2
        if run(replace(case, steps=middle)).broken:
            most = middle
        else:
            least = middle
    return replace(case, steps=most)


def tell_broken(case: Case, ran: Ran) -> None:
    """Print what broke, the faults before it, the end of the trace, and how to see it again."""
    out = sys.stderr
    print(f"seed {case.seed}: {ran.broken}"[:300], file=out)
    for line in ran.trace:
        if " fault: " in line or " crash " in line or line.endswith(" heal"):
            print(f"  {line}", file=out)
    print("  ...", file=out)
    for line in ran.trace[-TOLD:]:
        print(f"  {line[:160]}", file=out)
    print(f"again: {case.command}", file=out)


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    parser.add_argument("--steps", type=int, default=6_000, help="events before it heals")
    parser.add_argument("--trace", action="store_true", help="print every event")
    parser.add_argument("--shrink", action="store_true", help="make a failing seed smaller")
    parser.add_argument("--off", default="", help="rules of the guard to leave out: a,b,c")
    parser.add_argument("--everybody", type=int, default=0, help="clients that do all there is")
    parser.add_argument("--upgrades", action="store_true", help="let other processes go on, too")
    parser.add_argument("--without", default="", help="kinds of faults to leave out: a,b,c")
    options = parser.parse_args()
    failed = 0
    off = frozenset(filter(None, options.off.split(",")))
    without = frozenset(filter(None, options.without.split(",")))
    for seed in range(options.seed, options.seed + options.seeds):
        case = Case(
            seed,
            options.nodes,
            options.steps,
            off,
            without,
            options.upgrades,
            options.everybody,
        )
        begun_s = time.perf_counter()
        ran = run(case, tell=options.trace)
        if ran.outcome is None:
            failed += 1
            if options.shrink:
                case = shrink(case)
                ran = run(case)
            tell_broken(case, ran)
            continue
        took_s = time.perf_counter() - begun_s
        counts = ", ".join(f"{count} {what}" for what, count in sorted(ran.outcome.counts.items()))
        print(f"seed {seed}: {ran.outcome.simulated_s:.1f} s in {took_s:.2f} s; {counts}")
        print(f"  digest {ran.outcome.digest}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
