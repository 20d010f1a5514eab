"""A replay from beginning to end: cluster, agents, dialogues, kills, check.  Talks to nodes.

start the nodes ─▶ agents online ─▶ speak, `concurrency` at a time ─▶ catch up ─▶ histories
                                          ├ kill the leader every so often              └─▶ check
                                          └ upgrade the next node every so often
"""

import math
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import trio

from node.client import Timing, open_client
from node.client.statistics import ClientStatistics
from node.local import UNLIMITED, LocalCluster, LocalFailure
from node.protocol.catalogue import RulesApply
from node.replay import homes
from node.replay.checker import Record, check
from node.replay.crew import Crew, CrewAgent
from node.replay.dialogues import Dialogue
from node.replay.figures import percentile, stall
from node.replay.histories import read_histories
from node.replay.killing import Kills, kill_leaders
from node.replay.report import Report
from node.replay.speaking import Book, Speaking
from node.replay.upgrading import Upgrades, upgrade_nodes

CAPACITY = 5
SPARE = 1.25
"""Places of agents for each dialogue at a time: a lost agent's share finds room elsewhere."""
TIMING = Timing(request_s=30.0, retry_s_min=0.1, retry_s_max=0.5, resend_s_max=0.25)
"""People reconnect more patiently; here the cluster's own time is to be seen."""
ONLINE_S = 20.0
CLIENT = "unidesk-replay"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do."""

    dialogues: list[Dialogue]
    conversations: int
    """More than there are dialogues: they are spoken again."""
    concurrency: int
    nodes: int = 3
    kill_leader_every_s: float | None = None
    upgrade_every_s: float | None = None
    pace_s: float = 0.0
    """Pause before each turn."""
    seed: int | None = None
    """Order of the dialogues; None is the file's."""
    workers: int = 0
    """Processes that serve the clients of each node."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    spoken: int
    conversations: int
    messages: int
    kills: int


@dataclass(slots=True)
class _Totals:
    jumps: int = 0
    reconnects: int = 0
    resends: int = 0

    def add(self, statistics: ClientStatistics) -> None:
        self.jumps += statistics.jumps
        self.reconnects += statistics.reconnects
        self.resends += statistics.resends


class Replay:
    """One run of a plan on a cluster of its own."""

    def __init__(
        self, plan: Plan, *, tell: Callable[[str], None], progress: Callable[[Progress], None]
    ) -> None:
        self._plan = plan
        self._tell = tell
        self._progress = progress
        self._name = secrets.token_hex(3)
        self._book = Book()
        self._kills = Kills()
        self._upgrades = Upgrades()
        self._totals = _Totals()
        self._records: list[Record] = []
        self._unfinished: list[str] = []
        self._spoken = 0

    async def run(self, folder: Path) -> Report:
        """Do it all in `folder`; return what came of it.  Raises `LocalFailure`."""
        sections = {**UNLIMITED, "node": {"workers": self._plan.workers}}
        async with LocalCluster(
            folder, nodes=self._plan.nodes, cluster_id="replay", sections=sections
        ) as cluster:
            self._tell(f"{self._plan.nodes} nodes are ready in {folder}")
            await cluster.wait_leader()
            await self._apply_rules(cluster)
            async with trio.open_nursery() as nursery:
                crew = Crew(nursery, self._agents(), CAPACITY)
                await self._put_online(cluster, crew, nursery)
                began = trio.current_time()
                await self._speak_all(cluster, crew)
                seconds = trio.current_time() - began
                trouble = await self._read_histories(cluster)
                over = sum(agent.over_capacity for agent in crew.agents)
                for agent in crew.agents:
                    assert agent.client is not None
                    self._totals.add(agent.client.statistics())
                nursery.cancel_scope.cancel()
        trouble += crew.trouble + self._kills.trouble + self._upgrades.trouble
        return self._report(seconds, trouble, over)

    def _agents(self) -> list[str]:
        least = 2 * self._plan.nodes
        count = max(least, math.ceil(self._plan.concurrency * SPARE / CAPACITY))
        return [f"agent-{self._name}-{place}" for place in range(count)]

    async def _apply_rules(self, cluster: LocalCluster) -> None:
        token = cluster.mint("operator", "replay")
        async with open_client(cluster.urls, token, name=CLIENT, timing=TIMING) as client:
            await client.request(RulesApply(files=homes.rules(cluster.names)))

    async def _put_online(self, cluster: LocalCluster, crew: Crew, nursery: trio.Nursery) -> None:
        for place, agent in enumerate(crew.agents):
            await nursery.start(self._run_agent, cluster, agent, place)
        with trio.move_on_after(ONLINE_S):
            for agent in crew.agents:
                assert agent.client is not None
                await agent.client.wait_welcome()

    async def _run_agent(
        self,
        cluster: LocalCluster,
        agent: CrewAgent,
        place: int,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        home = cluster.names[place % len(cluster.names)]
        token = cluster.mint(
            "agent",
            agent.name,
            capacity=agent.capacity,
            skills=homes.skills(cluster.names, home),
        )
        async with open_client(
            homes.from_home(cluster.urls, place),
            token,
            name=CLIENT,
            timing=TIMING,
            on_push=agent.on_push,
        ) as client:
            agent.client = client
            task_status.started()
            await trio.sleep_forever()

    # -- the dialogues

    async def _speak_all(self, cluster: LocalCluster, crew: Crew) -> None:
        work = enumerate(islice(self._endless(), self._plan.conversations))
        async with trio.open_nursery() as killing:
            if self._plan.kill_leader_every_s is not None:
                interval_s = self._plan.kill_leader_every_s
                killing.start_soon(kill_leaders, cluster, interval_s, self._kills, self._tell)
            if self._plan.upgrade_every_s is not None:
                interval_s = self._plan.upgrade_every_s
                killing.start_soon(upgrade_nodes, cluster, interval_s, self._upgrades, self._tell)
            async with trio.open_nursery() as nursery:
                for _ in range(self._plan.concurrency):
                    nursery.start_soon(self._speak_some, cluster, crew, work)
            killing.cancel_scope.cancel()

    def _endless(self) -> Iterator[Dialogue]:
        dialogues = list(self._plan.dialogues)
        if self._plan.seed is not None:
            random.Random(self._plan.seed).shuffle(dialogues)  # noqa: S311 - an order, no secret
        while True:
            yield from dialogues

    async def _speak_some(
        self, cluster: LocalCluster, crew: Crew, work: Iterator[tuple[int, Dialogue]]
    ) -> None:
        for number, dialogue in work:
            await self._speak(cluster, crew, number, dialogue)
            self._spoken += 1
            self._show_progress()

    async def _speak(
        self, cluster: LocalCluster, crew: Crew, number: int, dialogue: Dialogue
    ) -> None:
        visitor_id = f"visitor-{self._name}-{number}"
        home = cluster.names[number % len(cluster.names)]
        speaking = Speaking(dialogue, visitor_id, home, crew, self._book, pace_s=self._plan.pace_s)
        urls, token = homes.from_home(cluster.urls, number), cluster.mint("visitor", visitor_id)
        unfinished, statistics = await speaking.visit(
            urls, token, name=CLIENT, timing=TIMING, agent_closes=number % 2 == 0
        )
        if unfinished:
            self._unfinished.append(f"{dialogue.id} ({visitor_id}): {unfinished}")
        self._totals.add(statistics)
        if speaking.record is not None:
            self._records.append(speaking.record)

    # -- the end

    async def _read_histories(self, cluster: LocalCluster) -> list[str]:
        self._tell("reading every history from every node")
        try:
            for name in cluster.names:
                cluster.restart(name)
            await cluster.wait_ready()
            await cluster.wait_caught_up()
        except LocalFailure as failure:
            return [str(failure)]
        return await read_histories(cluster, self._records)

    def _report(self, seconds: float, trouble: list[str], over_capacity: int) -> Report:
        capacities = dict.fromkeys(self._agents(), CAPACITY)
        stalls = (stall(at, self._book.acknowledged_at) for at in self._kills.at)
        return Report(
            conversations=self._spoken - len(self._unfinished),
            unfinished=self._unfinished,
            messages_acknowledged=len(self._book.acknowledged_at),
            violations=check(self._records, capacities),
            jumps=self._totals.jumps,
            over_capacity=over_capacity,
            kills=len(self._kills.at),
            upgrades=self._upgrades.done,
            stalls_s=[one for one in stalls if one is not None],
            seconds=seconds,
            latency_p50_ms=percentile(self._book.latencies_s, 50) * 1000,
            latency_p99_ms=percentile(self._book.latencies_s, 99) * 1000,
            reconnects=self._totals.reconnects,
            resends=self._totals.resends,
            handovers=self._book.handovers,
            observers=sum(len(record.views) for record in self._records),
            nodes=self._plan.nodes,
            trouble=trouble,
        )

    def _show_progress(self) -> None:
        self._progress(
            Progress(
                self._spoken,
                self._plan.conversations,
                len(self._book.acknowledged_at),
                len(self._kills.at),
            )
        )
