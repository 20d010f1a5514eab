"""Thousands of simulated clusters of all sizes, on all processors; a table of what they met.

    python -m tests.sim.soak --seeds 2000 --steps 20000
    make soak SEEDS=10000

Seeds begin where the clock says unless `--seed` is given, so that each soak runs new ones.  Each
seed that breaks a promise is named with the command that replays it.  Exit code 1 then.
"""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import structlog

from cluster.raft.messages import PeerError
from tests.sim.world import World

SIZES = (3, 3, 3, 4, 5, 2, 6, 7)
FAULTS = (
    "crashes",
    "crashes in the disk",
    "failed syncs",
    "lost disks",
    "rotten files",
    "changes of members",
    "upgrades",
    "snapshots",
    "terms",
    "messages",
    "acked",
    "reads",
)
TELL_S = 10.0

Result = tuple[int, int, Counter[str], float, str]
"""Seed, nodes, counts, simulated seconds, and what broke."""


def run(seed: int, steps: int, *, upgrades: bool = False, everybody: int = 0) -> Result:
    """Run one cluster."""
    nodes = SIZES[seed % len(SIZES)]
    world = World(seed, nodes=nodes, upgrades=upgrades, everybody=everybody)
    broken = ""
    simulated_s = 0.0
    try:
        simulated_s = world.run(steps).simulated_s
    except (AssertionError, PeerError) as error:
        broken = f"{type(error).__name__}: {error}"[:200]
    return seed, nodes, world.counts, simulated_s, broken


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the first seed")
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--upgrades", action="store_true", help="let other processes go on, too")
    parser.add_argument("--everybody", type=int, default=0, help="clients that do all there is")
    parser.add_argument("--steps", type=int, default=20_000, help="events before each heals")
    options = parser.parse_args()
    first = options.seed if options.seed is not None else int(time.time()) * 1_000
    seeds = range(first, first + options.seeds)
    began_s = told_s = time.monotonic()
    totals: Counter[str] = Counter()
    simulated_s = 0.0
    broken: list[str] = []
    with ProcessPoolExecutor(os.cpu_count(), initializer=_quiet) as pool:
        one = partial(
            run, steps=options.steps, upgrades=options.upgrades, everybody=options.everybody
        )
        results = pool.map(one, seeds, chunksize=4)
        for done, (seed, nodes, counts, took_s, why) in enumerate(results, start=1):
            totals += counts
            simulated_s += took_s
            if why:
                replay = f"python -m tests.sim --nodes {nodes} --seed {seed}"
                replay += f" --everybody {options.everybody}" if options.everybody else ""
                replay += " --upgrades" if options.upgrades else ""
                broken.append(f"{replay} --steps {options.steps}: {why}")
                print(broken[-1], file=sys.stderr, flush=True)
            if time.monotonic() - told_s > TELL_S:
                told_s = time.monotonic()
                print(f"{done} of {len(seeds)}, {len(broken)} broken", file=sys.stderr, flush=True)
    rows = [
        ("seeds", f"{first} to {first + len(seeds) - 1}"),
        ("broken", str(len(broken))),
        ("simulated hours", f"{simulated_s / 3600:.1f}"),
        ("minutes", f"{(time.monotonic() - began_s) / 60:.1f}"),
        *((what, str(totals[what])) for what in FAULTS),
    ]
    for what, value in rows:
        print(f"{what:<24}{value:>32}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
