"""The people of a scenario: visitors and agents who talk until they are told to stop.
Talks to nodes.

    visitor ──▶ node A ──▶ the log ──▶ node B ──▶ agent      dialogues, one after the other
    stop    ──▶ each says the turn it is at, and closes: nothing is left with an unknown end
"""

import math
import secrets
from collections.abc import Iterator
from itertools import cycle

import msgspec
import trio

from node.chaos.scenario import Load
from node.client import Timing, open_client
from node.client.statistics import ClientStatistics
from node.demo.script import SCENES
from node.protocol.catalogue import RulesApply
from node.replay import homes
from node.replay.checker import Record
from node.replay.crew import Crew, CrewAgent
from node.replay.dialogues import Dialogue, Turn
from node.replay.reached import Reached
from node.replay.speaking import Book, Speaking

CAPACITY = 5
TIMING = Timing(
    request_s=120.0,
    connect_s=1.5,
    unanswered_s=1.5,
    welcome_s=3.0,
    retry_s_min=0.1,
    retry_s_max=0.5,
    resend_s_max=0.25,
)
"""Impatient where a node is silent, patient with the whole: a stall is to be seen, not to be
given up on."""
ONLINE_S = 20.0
CLIENT = "unidesk-chaos"


def built_in() -> list[Dialogue]:
    """Return the demo's short conversations."""
    return [
        Dialogue(
            id=f"scene-{number}",
            lang=scene.lang,
            tags=dict(scene.tags),
            turns=[Turn(side, text) for side, text in scene.lines],
        )
        for number, scene in enumerate(SCENES, start=1)
    ]


class Talking:
    """All of them."""

    def __init__(self, cluster: Reached, load: Load, dialogues: list[Dialogue], *, far: bool):
        """`far`: agents take only who came to another node than theirs; see `node.replay.homes`."""
        self._cluster = cluster
        self._load = load
        self._far = far
        self._dialogues: Iterator[tuple[int, Dialogue]] = enumerate(cycle(dialogues))
        self._name = secrets.token_hex(3)
        self._open: set[int] = set()
        self._turns: dict[int, list[Turn]] = {}
        self._stopping = False
        self._crew: Crew | None = None
        self.book = Book()
        self.records: list[Record] = []
        self.unfinished: list[str] = []
        self.spoken = 0
        self.jumps = 0
        self.reconnects = 0
        self.resends = 0

    @property
    def capacities(self) -> dict[str, int]:
        """What each agent may have."""
        return {f"chaos-{self._name}-{place}": CAPACITY for place in range(self._load.agents)}

    @property
    def over_capacity(self) -> int:
        """How often an agent was told of more than that."""
        return sum(agent.over_capacity for agent in self._crew.agents) if self._crew else 0

    @property
    def trouble(self) -> list[str]:
        """What else should not be."""
        return list(self._crew.trouble) if self._crew else []

    async def prepare(self) -> None:
        """Apply the rules that keep both sides apart."""
        if not self._far:
            return
        token = self._cluster.mint("operator", "chaos")
        async with open_client(self._cluster.urls, token, name=CLIENT, timing=TIMING) as client:
            await client.request(RulesApply(files=homes.rules(self._cluster.names)))

    def stop(self) -> None:
        """Let everybody come to an end, after the turn they are at."""
        self._stopping = True
        for turns in self._turns.values():
            turns.clear()  # whoever walks the list is at its end then

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Talk; started once the agents are there, ends after `stop`."""
        async with trio.open_nursery() as nursery:
            crew = self._crew = Crew(nursery, list(self.capacities), CAPACITY)
            for place, agent in enumerate(crew.agents):
                await nursery.start(self._run_agent, agent, place)
            with trio.move_on_after(ONLINE_S):
                for agent in crew.agents:
                    assert agent.client is not None
                    await agent.client.wait_welcome()
            task_status.started()
            async with trio.open_nursery() as talkers:
                for _ in range(min(self._load.visitors, self._places())):
                    talkers.start_soon(self._speak_some, crew)
            for agent in crew.agents:
                assert agent.client is not None
                self._add(agent.client.statistics())
            nursery.cancel_scope.cancel()

    def _places(self) -> int:
        """Return for how many there is an agent at the worst moment, when a zone is away."""
        return max(1, math.floor(self._load.agents * CAPACITY * 0.8))

    async def _run_agent(
        self,
        agent: CrewAgent,
        place: int,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        names = self._cluster.names
        skills = homes.skills(names, names[place % len(names)]) if self._far else {}
        token = self._cluster.mint("agent", agent.name, capacity=agent.capacity, skills=skills)
        urls = homes.from_home(self._cluster.urls, place)
        async with open_client(
            urls, token, name=CLIENT, timing=TIMING, on_push=agent.on_push
        ) as client:
            agent.client = client
            task_status.started()
            await trio.sleep_forever()

    async def _speak_some(self, crew: Crew) -> None:
        while not self._stopping:
            number, dialogue = next(self._dialogues)
            turns = self._turns[number] = list(dialogue.turns)
            try:
                await self._speak(crew, number, msgspec.structs.replace(dialogue, turns=turns))
            finally:
                del self._turns[number]
            self.spoken += 1

    async def _speak(self, crew: Crew, number: int, dialogue: Dialogue) -> None:
        names = self._cluster.names
        visitor = f"visitor-{self._name}-{number}"
        home = names[number % len(names)]
        speaking = Speaking(dialogue, visitor, home, crew, self.book, pace_s=self._load.pace_s)
        token = self._cluster.mint("visitor", visitor)
        urls = homes.from_home(self._cluster.urls, number)
        unfinished, statistics = await speaking.visit(
            urls, token, name=CLIENT, timing=TIMING, agent_closes=number % 2 == 0
        )
        if unfinished:
            self.unfinished.append(f"{dialogue.id} ({visitor}): {unfinished}")
        self._add(statistics)
        if speaking.record is not None:
            self.records.append(speaking.record)

    def _add(self, statistics: ClientStatistics) -> None:
        self.jumps += statistics.jumps
        self.reconnects += statistics.reconnects
        self.resends += statistics.resends
