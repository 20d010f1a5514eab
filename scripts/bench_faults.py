"""The longest gap between acknowledged writes while the leader is at fault.  Talks to processes.

    python -m scripts.bench_faults [--trials 3] [--fault 8s] [--only "SIGSTOP, disk hang"] [--json]
                                   [--election 300ms-600ms]

A write begins every 10 ms at a node that is not at fault, whether or not earlier ones were
answered.  The gap is the longest time between two acknowledgements from the fault's begin to two
seconds after its end.  Three real nodes, their links through proxies, a library inside each that
spoils its disk; a node that ends itself is started again, as by a supervisor.

`felt` is until when writes took longer than nearly all did before: a fault may slow them down
instead of stopping them.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import trio

from node.cli.durations import seconds
from node.client import Client, RequestFailed, Timing, new_key, open_client
from node.local import UNLIMITED, LocalFailure
from node.local.folder import Sections
from node.protocol.catalogue import CvOpen, MsgSend
from node.replay.figures import percentile
from scripts.nemesis.stage import Stage, first, open_stage

EVERY_S = 0.01
IN_FLIGHT_MAX = 40
"""Below what a connection may have; a gap longer than 0.4 s begins no more writes."""
AFTER_S = 2.0
BEFORE_S = 1.0
READY_S = 60.0
FLAP_S = (0.4, 0.6)
SLOW_S = 0.3
USUAL_S_MIN = 0.1
USUAL_FACTOR = 3
"""A write that takes longer than so often the 99th of 100 before the fault is felt."""
TIMING = Timing(request_s=60.0, resend_s_min=0.01, resend_s_max=0.05, unanswered_s=60.0)


@dataclass
class Probe:
    """Writes of one client at one node: when each was acknowledged, and how long it took."""

    acknowledged: list[tuple[float, float]] = field(default_factory=list)
    in_flight: int = 0

    async def run(self, client: Client, cv: str) -> None:
        """Begin a write every EVERY_S, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                if self.in_flight < IN_FLIGHT_MAX:
                    self.in_flight += 1
                    nursery.start_soon(self._write, client, cv)
                await trio.sleep(EVERY_S)

    async def _write(self, client: Client, cv: str) -> None:
        began_s = trio.current_time()
        try:
            await client.request(MsgSend(cv=cv, key=new_key(), body="x" * 100))
            now_s = trio.current_time()
            self.acknowledged.append((now_s, now_s - began_s))
        except RequestFailed:
            pass  # not acknowledged: part of the gap
        finally:
            self.in_flight -= 1


def longest_gap_s(at: list[float], begin_s: float, end_s: float) -> float:
    """Return the longest time between two of these, with begin and end as borders."""
    within = [begin_s, *(one for one in at if begin_s <= one <= end_s), end_s]
    return max(after - before for before, after in pairwise(within))


def felt_s(acknowledged: list[tuple[float, float]], begin_s: float, end_s: float) -> float:
    """Return until when, since `begin_s`, writes took longer than is usual."""
    before = [took_s for at, took_s in acknowledged if at < begin_s]
    usual_s = max(USUAL_S_MIN, USUAL_FACTOR * percentile(before, 99))
    slow = [at for at, took_s in acknowledged if begin_s <= at <= end_s and took_s > usual_s]
    return max(slow, default=begin_s) - begin_s


Fault = Callable[["Scene"], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Scene:
    """Who leads, who does not, and where the writes go in."""

    stage: Stage
    leader: str
    other: str
    writes_at: str

    @property
    def others(self) -> set[str]:
        return {self.other, self.writes_at}

    @asynccontextmanager
    async def cut(self, *pairs: tuple[set[str], set[str]]) -> AsyncIterator[None]:
        links = [link for some, rest in pairs for link in self.stage.network.between(some, rest)]
        for link in links:
            link.cut()
        yield
        for link in links:
            link.mend()


@asynccontextmanager
async def killed(scene: Scene) -> AsyncIterator[None]:
    scene.stage.down.add(scene.leader)
    await scene.stage.cluster.kill(scene.leader)
    yield
    scene.stage.down.discard(scene.leader)


@asynccontextmanager
async def stopped(scene: Scene) -> AsyncIterator[None]:
    scene.stage.cluster.pause(scene.leader)
    yield
    scene.stage.cluster.resume(scene.leader)


@asynccontextmanager
async def flapping(scene: Scene) -> AsyncIterator[None]:
    async def flap() -> None:
        while True:
            async with scene.cut(({scene.leader}, scene.others), (scene.others, {scene.leader})):
                await trio.sleep(FLAP_S[0])
            await trio.sleep(FLAP_S[1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flap)
        yield
        nursery.cancel_scope.cancel()
    scene.stage.network.heal()


def disk(begin: Callable[[Any], None]) -> Fault:
    """Return the fault that `begin` makes of the leader's shim."""

    @asynccontextmanager
    async def fault(scene: Scene) -> AsyncIterator[None]:
        shim = scene.stage.shims[scene.leader]
        begin(shim)
        yield
        shim.heal()

    return fault


def cut(*pairs: tuple[str, str]) -> Fault:
    """Return the fault in which nothing comes from the first to the second of each pair."""

    def fault(scene: Scene) -> AbstractAsyncContextManager[None]:
        who = {
            "leader": {scene.leader},
            "other": {scene.other},
            "writes": {scene.writes_at},
            "others": scene.others,
        }
        return scene.cut(*((who[some], who[rest]) for some, rest in pairs))

    return fault


FAULTS: dict[str, Fault] = {
    "SIGKILL": killed,
    "SIGSTOP": stopped,
    "isolated from both": cut(("leader", "others"), ("others", "leader")),
    "hears nothing": cut(("others", "leader")),
    "sends nothing": cut(("leader", "others")),
    "bridge: leader - one cut": cut(("leader", "other"), ("other", "leader")),
    "followers cut apart": cut(("other", "writes"), ("writes", "other")),
    "a follower isolated": cut(
        ("other", "leader"), ("leader", "other"), ("other", "writes"), ("writes", "other")
    ),
    "flap 0.4 s / 0.6 s": flapping,
    "disk hang": disk(lambda shim: shim.slow_syncs(60.0)),
    "slow disk: 300 ms a sync": disk(lambda shim: shim.slow_syncs(SLOW_S)),
    "fdatasync: EIO once": disk(lambda shim: shim.fail_syncs(1)),
    "disk full": disk(lambda shim: shim.fill(True)),
    "disk dead: EIO for good": disk(lambda shim: shim.fail_syncs(10**9)),
}


async def measure(stage: Stage, fault: Fault, for_s: float) -> dict[str, Any]:
    """Return the figures of one fault, when all is well again after it."""
    cluster = stage.cluster
    await _until_well(stage)
    leader = await cluster.wait_leader()
    other, writes_at = random.sample([name for name in cluster.names if name != leader], 2)
    scene, probe = Scene(stage, leader, other, writes_at), Probe()
    token = cluster.mint("visitor", f"probe-{new_key()}")
    async with open_client(
        [cluster.url(writes_at)], token, pinned=True, timing=TIMING, on_push=lambda _: None
    ) as client:
        cv = str((await client.request(CvOpen(key=new_key())))["cv"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(probe.run, client, cv)
            await trio.sleep(BEFORE_S)
            begin_s = trio.current_time()
            async with fault(scene):
                await trio.sleep(for_s)
                leads = await cluster.leader()
            end_s = trio.current_time()
            await trio.sleep(AFTER_S)
            nursery.cancel_scope.cancel()
    at = [one for one, _ in probe.acknowledged]
    return {
        "gap_ms": round(1000 * longest_gap_s(at, begin_s, end_s + AFTER_S)),
        "felt_ms": round(1000 * felt_s(probe.acknowledged, begin_s, end_s + AFTER_S)),
        "leader_moved": leads != leader,
        "acknowledged": sum(begin_s <= one <= end_s for one in at),
    }


async def _until_well(stage: Stage) -> None:
    await stage.cluster.wait_ready(timeout_s=READY_S)
    trouble = await stage.wait_same(READY_S)
    if trouble:
        raise LocalFailure("; ".join(trouble))


async def run(options: argparse.Namespace, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of every trial of every fault."""
    found: dict[str, list[dict[str, Any]]] = {}
    timing = {"timing": {"election": options.election}} if options.election else {}
    sections: Sections = {**UNLIMITED, **timing}
    for name, fault in FAULTS.items():
        if options.only and name not in options.only:
            continue
        async with open_stage(
            folder / str(len(found)),
            nodes=3,
            cluster_id="faults",
            chance=random.Random(),
            sections=sections,
        ) as stage:
            if not stage.shims:
                raise LocalFailure("no C compiler: no faults of disks")
            async with trio.open_nursery() as beside:
                beside.start_soon(stage.supervise)
                for _ in range(options.trials):
                    found.setdefault(name, []).append(await measure(stage, fault, options.fault))
                    print(f"{name:<28}{found[name][-1]}", file=sys.stderr, flush=True)
                await _until_well(stage)
                beside.cancel_scope.cancel()
    return found


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print the table."""
    print(f"{'fault on the leader':<28}{'gap ms: median':>16}{'longest':>9}{'felt ms':>9}  leader")
    for name, trials in found.items():
        gaps = [one["gap_ms"] for one in trials]
        felt = median(one["felt_ms"] for one in trials)
        moved = sum(one["leader_moved"] for one in trials)
        print(
            f"{name:<28}{median(gaps):>16.0f}{max(gaps):>9.0f}{felt:>9.0f}"
            f"  {'another' if moved else 'the same'} in {moved or len(trials)} of {len(trials)}"
        )


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--fault", type=seconds, default=8.0, help="how long each lasts")
    parser.add_argument("--only", default="", help="names of faults")
    parser.add_argument("--election", default="", help="of the nodes' [timing]; '300ms-600ms'")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.only = {one.strip() for one in options.only.split(",") if one.strip()}
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="unidesk-") as folder:
        try:
            found = trio.run(run, options, Path(folder))
        except* LocalFailure as group:
            print(f"bench_faults: {first(group)}", file=sys.stderr)
    if not found:
        return 1
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
