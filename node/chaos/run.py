"""A scenario from beginning to end.  Talks to nodes.

    agents online ─▶ talk … ─▶ step, step … (each a fault of its own time) ─▶ calm ─▶ stop
          │                                                                            │
          └── watch: leaders, standings, processes                 one state? ◀────────┘
                                                                   histories ─▶ check ─▶ record

Whatever ends the run ends all faults, as far as anybody can be reached; each ends by itself anyway.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from node.chaos import record as records
from node.chaos.faults import BEGINS_AFTER_S
from node.chaos.fitting import misfits
from node.chaos.load import CLIENT, TIMING, Talking
from node.chaos.record import Happened, Injected, NodeRow, Record
from node.chaos.scenario import Scenario, Step, with_leader
from node.chaos.watching import Watching
from node.client import Client, RequestFailed, Stopped, new_key, open_client
from node.client.address import Address
from node.client.http import Unreachable
from node.client.status import fetch_status
from node.local import LocalFailure
from node.protocol.catalogue import (
    ChaosStart,
    ChaosStatus,
    ChaosStop,
    HealLog,
)
from node.replay.checker import check, count
from node.replay.dialogues import Dialogue
from node.replay.figures import percentile
from node.replay.histories import read_histories
from node.replay.reached import Reached

ENABLED_S = 20.0
"""For nodes that just started to say that chaos is on."""
END_S = 90.0
"""For the last turns to be said."""
DIGEST_S = 10.0
SAME_EVERY_S = 0.5


class CannotRun(Exception):
    """The scenario does not fit the cluster; the message says why and what to mend."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    at_s: float
    of_s: float
    acknowledged: int
    broken: tuple[str, ...]


class Run:
    """One run of a scenario."""

    def __init__(
        self,
        scenario: Scenario,
        cluster: Reached,
        dialogues: list[Dialogue],
        *,
        own: bool,
        tell: Callable[[str], None],
        show: Callable[[Progress], None],
    ) -> None:
        """`own`: nobody else uses the cluster, so that its rules may be ours."""
        self._scenario = scenario
        self._cluster = cluster
        self._tell = tell
        self._show = show
        self._zero = 0.0
        self._began_ms = 0
        self._zones: dict[str, str] = {}
        self._broken: dict[int, str] = {}
        self._faults: list[Injected] = []
        self._undone: list[str] = []
        self._trouble: list[str] = []
        self._talking = Talking(cluster, scenario.load, dialogues, far=own)
        addresses = {name: Address.parse(cluster.url(name)) for name in cluster.names}
        self._watching = Watching(addresses, cluster.pass_for_pages, self._now_s, self._say)

    async def run(self) -> Record:
        """Do all of it; return what came of it.

        Raises `CannotRun`, `RequestFailed`, `Stopped`.
        """
        token = self._cluster.mint("operator", "chaos")
        urls = self._cluster.urls
        async with open_client(urls, token, name=CLIENT, timing=TIMING) as operator:
            await self._check_enabled(operator)
            await self._talking.prepare()
            try:
                seconds = await self._talk_and_break(operator)
            finally:
                await self._end_all(operator)
            return await self._conclude(operator, seconds)

    async def _end_all(self, operator: Client) -> None:
        """End what is broken, also when this is cancelled; what cannot be told ends by itself."""
        with trio.move_on_after(TIMING.unanswered_s * 2, shield=True):
            try:
                await operator.request(ChaosStop())
            except (RequestFailed, Stopped) as error:
                self._trouble.append(f"chaos.stop: {error}; what is broken ends by itself")

    # -- before

    async def _check_enabled(self, operator: Client) -> None:
        """Wait until every node says that it may be broken.  Raises `CannotRun`."""
        off = ["every node"]
        with trio.move_on_after(ENABLED_S):
            while off:
                found = await operator.request(ChaosStatus())
                off = [one["node"] for one in found["nodes"] if not one["enabled"]]
                self._zones = {one["node"]: one["zone"] for one in found["nodes"]}
                await trio.sleep(0.2)
        if off:
            raise CannotRun(f"chaos is off at {', '.join(off)}: [chaos] enabled in its node.toml")
        if wrong := misfits(self._scenario, self._zones):
            raise CannotRun("\n".join(wrong))

    # -- meanwhile

    def _now_s(self) -> float:
        return trio.current_time() - self._zero

    def _say(self, what: str) -> None:
        self._tell(f"{self._now_s():7.2f} s  {what}")

    async def _talk_and_break(self, operator: Client) -> float:
        """Return how long the load lasted."""
        scenario = self._scenario
        async with trio.open_nursery() as nursery:
            self._zero = trio.current_time()
            nursery.start_soon(self._watching.run)
            done = trio.Event()
            await nursery.start(self._talk, done)
            self._zero, self._began_ms = trio.current_time(), time.time_ns() // 1_000_000
            self._watching.events.clear()
            self._watching.samples.clear()
            nursery.start_soon(self._show_progress)
            await trio.sleep(scenario.warm_up_s)
            for number in range(1, scenario.repeats + 1):
                await self._round(operator, number)
                await trio.sleep(scenario.warm_up_s)
            self._talking.stop()
            with trio.move_on_after(END_S) as late:
                await done.wait()
            if late.cancelled_caught:
                self._trouble.append(f"some conversations did not end within {END_S:g} s")
            seconds = self._now_s()
            await self._wait_whole()
            nursery.cancel_scope.cancel()
        return seconds

    async def _talk(
        self,
        done: trio.Event,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        await self._talking.run(task_status=task_status)
        done.set()

    async def _round(self, operator: Client, number: int) -> None:
        began_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            for step in self._scenario.steps:
                nursery.start_soon(self._step, operator, step, number, began_s)

    async def _step(self, operator: Client, step: Step, number: int, began_s: float) -> None:
        await trio.sleep_until(began_s + step.at_s)
        leader = self._watching.leader
        step = with_leader(step, leader, self._zones.get(leader, ""))
        request = ChaosStart(
            key=new_key(),
            kind=step.kind,
            groups=list(step.groups),
            zone=step.zone,
            for_ms=round(step.for_s * 1000),
            amount=step.amount,
            jitter_ms=step.jitter_ms,
            clients=step.clients,
        )
        zone = [name for name, its in self._zones.items() if its == step.zone and step.zone]
        what = replace(step, groups=(",".join(zone),) if zone else step.groups).phrase()
        self._say(f"{step.name}: {what}, for {step.for_s:g} s")
        try:
            await operator.request(request)
        except (RequestFailed, Stopped) as error:
            self._undone.append(f"step {step.name}: {error}")
            self._say(f"step {step.name} was not done: {error}")
            return
        at_s = self._now_s() + BEGINS_AFTER_S
        ends_s = at_s + step.for_s
        place = len(self._faults)
        self._broken[place] = what
        fault = Injected(
            step=step.name, round=number, kind=step.kind, what=what, began_s=at_s, ended_s=ends_s
        )
        self._faults.append(fault)
        await trio.sleep_until(self._zero + ends_s)
        del self._broken[place]
        self._say(f"{step.name} is over")

    async def _show_progress(self) -> None:
        scenario = self._scenario
        rounds_s = scenario.repeats * (scenario.round_s + scenario.warm_up_s)
        while True:
            await trio.sleep(0.5)
            acknowledged = len(self._talking.book.acknowledged_at)
            broken = tuple(self._broken.values())
            self._show(Progress(self._now_s(), scenario.warm_up_s + rounds_s, acknowledged, broken))

    # -- after

    async def _wait_whole(self) -> None:
        """Let the watchers see every node serve again, for as long as it may take."""
        with trio.move_on_after(self._scenario.heal_within_s):
            while not (self._watching.samples and self._watching.samples[-1][1]):
                await trio.sleep(0.1)

    async def _conclude(self, operator: Client, seconds: float) -> Record:
        self._tell("comparing the state of all nodes")
        healed_s, differing = await self._same_state()
        self._tell("reading every history from every node")
        talking = self._talking
        try:
            self._trouble += await read_histories(self._cluster, talking.records)
        except LocalFailure as failure:
            self._trouble.append(str(failure))
        await self._read_heal_log(operator)
        found = check(talking.records, talking.capacities)
        counts = {str(kind): number for kind, number in count(found).items()}
        acknowledged = [at - self._zero for at in talking.book.acknowledged_at]
        self._measure(acknowledged, seconds)
        return Record(
            title=self._scenario.title,
            began_ms=self._began_ms,
            seconds=round(seconds, 3),
            nodes=[
                NodeRow(
                    id=name,
                    zone=self._zones.get(name, ""),
                    version=self._watching.version.get(name, ""),
                )
                for name in self._cluster.names
            ],
            visitors=self._scenario.load.visitors,
            agents=self._scenario.load.agents,
            conversations=talking.spoken,
            acknowledged=len(acknowledged),
            observers=sum(len(one.views) for one in talking.records),
            rate=records.per_second(acknowledged, seconds),
            latency_p50_ms=round(percentile(talking.book.latencies_s, 50) * 1000, 2),
            latency_p99_ms=round(percentile(talking.book.latencies_s, 99) * 1000, 2),
            reconnects=talking.reconnects,
            resends=talking.resends,
            faults=self._faults,
            events=sorted(self._watching.events, key=lambda one: one.at_s),
            checks=records.checks(
                counts,
                jumps=talking.jumps,
                over_capacity=talking.over_capacity,
                not_one=differing,
            ),
            violations=[str(one) for one in found[: records.EXAMPLES_MAX]],
            unfinished=talking.unfinished[: records.EXAMPLES_MAX],
            undone=self._undone[: records.EXAMPLES_MAX],
            trouble=[*self._trouble, *talking.trouble][: records.EXAMPLES_MAX],
            healed_s=healed_s,
        )

    def _measure(self, acknowledged: list[float], seconds: float) -> None:
        """Say of each fault what it did."""
        self._faults.sort(key=lambda one: one.began_s)
        begins = [one.began_s for one in self._faults] + [float("inf")]
        for place, fault in enumerate(self._faults):
            stall_s = records.stall_s(acknowledged, fault.began_s, fault.ended_s, seconds)
            fault.stall_s = round(stall_s, 3)
            rate = records.rate_between(acknowledged, fault.began_s, fault.ended_s)
            fault.rate = round(rate, 1)
            next_s = next((one for one in begins[place + 1 :] if one > fault.ended_s), begins[-1])
            healed = records.healed_s(self._watching.samples, fault.ended_s, next_s)
            fault.healed_s = round(healed, 3) if healed is not None else None
            fault.began_s, fault.ended_s = round(fault.began_s, 3), round(fault.ended_s, 3)

    async def _same_state(self) -> tuple[float | None, int]:
        """Return when all nodes had one state, since the last fault; and how many have not."""
        ended_s = max((fault.ended_s for fault in self._faults), default=0.0)
        deadline = trio.current_time() + self._scenario.heal_within_s
        while True:
            digests = await self._digests()
            values = set(map(repr, digests.values()))
            if len(values) == 1 and None not in digests.values():
                return round(max(0.0, self._now_s() - ended_s), 3), 0
            if trio.current_time() > deadline:
                self._trouble.append(f"the nodes' states differ: {digests}")
                return None, max(1, len(values) - 1)
            await trio.sleep(SAME_EVERY_S)

    async def _digests(self) -> dict[str, object]:
        found: dict[str, object] = {}

        async def ask(name: str) -> None:
            address = Address.parse(self._cluster.url(name))
            try:
                status = await fetch_status(
                    address, token=self._cluster.pass_for_pages(), timeout_s=DIGEST_S, digest=True
                )
            except Unreachable:
                found[name] = None
            else:
                found[name] = status.state_digest

        async with trio.open_nursery() as nursery:
            for name in self._cluster.names:
                nursery.start_soon(ask, name)
        return found

    async def _read_heal_log(self, operator: Client) -> None:
        """Add what the nodes say that they healed, where they can be asked."""
        try:
            found = await operator.request(HealLog())
        except (RequestFailed, Stopped) as error:
            self._trouble.append(f"heal.log: {error}")
            return
        for line in found["lines"]:
            at_s = round((line["done_at"] - self._began_ms) / 1000, 3)
            if at_s >= 0:
                what = f"{line['name']}: {line['seen']} → {line['done']} ({line['outcome']})"
                happened = Happened(at_s=at_s, kind="heal", node=line["node"], what=what)
                self._watching.events.append(happened)
