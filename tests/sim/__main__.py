"""Run simulated clusters: `python -m tests.sim --nodes 3 --seed 7 --steps 6000`."""

import argparse
import logging
import sys
import time

import structlog

from cluster.raft.engine import PeerError
from tests.sim.world import World


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from --seed on")
    parser.add_argument("--steps", type=int, default=6_000, help="events before it heals")
    parser.add_argument("--trace", action="store_true", help="print every event")
    parser.add_argument("--off", default="", help="rules of the guard to leave out: a,b,c")
    options = parser.parse_args()
    failed = 0
    off = frozenset(filter(None, options.off.split(",")))
    for seed in range(options.seed, options.seed + options.seeds):
        begun_s = time.perf_counter()
        trace = print if options.trace else None
        try:
            world = World(seed, nodes=options.nodes, off=off, trace=trace)
            outcome = world.run(options.steps)
        except (AssertionError, PeerError) as error:
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
            continue
        took_s = time.perf_counter() - begun_s
        counts = ", ".join(f"{count} {what}" for what, count in sorted(outcome.counts.items()))
        print(f"seed {seed}: {outcome.simulated_s:.1f} s in {took_s:.2f} s; {counts}")
        print(f"  digest {outcome.digest}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
