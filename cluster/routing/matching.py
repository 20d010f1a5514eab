"""Who of the free agents is offered a conversation: one moment's line of agents.  No I/O.

    order      longest idle first, by the replicated time, ties by id; whoever was chosen goes to
               the end of the line, as `apply` will put them there
    fit        room below capacity, proposed offers counted; every required skill
    passed     agents who passed on it: the first in line who rested `PASSED_PAUSE_MS`, and only
               when nobody else fits

    need ──▶ fresh: the free agents who fit, not chosen yet, found as far as anybody asked
        ──▶ chosen: those with a proposed offer, by when they were chosen

A look is one agent or conversation looked at; `Budget` counts them, so that a moment costs what
it may cost whatever the queues look like.
"""

from collections import deque
from collections.abc import Iterator

from cluster.state.model import Agent, Conversation
from cluster.state.state import State

PASSED_PAUSE_MS = 3_000
"""Before an agent who passed on a conversation is asked for it again."""

Need = tuple[str, ...]


class OverBudget(Exception):
    """Nothing more may be looked at in this moment."""


class Budget:
    """Looks left."""

    __slots__ = ("left",)

    def __init__(self, looks: int) -> None:
        self.left = looks

    def spend(self) -> None:
        """Count one look.  Raises `OverBudget`."""
        if self.left <= 0:
            raise OverBudget
        self.left -= 1


class Matching:
    """The line of free agents of one moment; `offered` is what is proposed and not answered."""

    def __init__(self, state: State, offered: dict[str, str], now_ms: int, budget: Budget) -> None:
        self._state = state
        self._now_ms = now_ms
        self._budget = budget
        self._reserved: dict[str, int] = {}
        self._chosen: dict[str, None] = {}
        """Agents with a proposed offer, the first chosen first."""
        for name in offered.values():
            self._reserve(name)
        self._fresh: dict[Need, tuple[deque[Agent], Iterator[tuple[int, str]]]] = {}
        self._hopeless: set[Need] = set()

    @property
    def exhausted(self) -> bool:
        """Whether nobody at all has room, as far as was found out."""
        return () in self._hopeless

    def choose(self, conversation: Conversation) -> Agent | None:
        """Return who is to be offered `conversation`, and reserve them; None for nobody now."""
        agent = self._target(conversation) if conversation.target else self._first_fit(conversation)
        if agent is not None:
            self._reserve(agent.agent)
        return agent

    def _target(self, conversation: Conversation) -> Agent | None:
        agent = self._state.agents.get(conversation.target)
        if agent is None or not self._state.is_eligible(agent):
            return None
        return agent if self._room(agent) and _holds(agent, tuple(conversation.skills)) else None

    def _first_fit(self, conversation: Conversation) -> Agent | None:
        need = tuple(conversation.skills)
        if need in self._hopeless:
            return None
        rested = None
        anybody = False
        for agent in self._fitting(need):
            anybody = True
            if agent.agent not in conversation.passed:
                return agent
            if rested is None and self._now_ms - agent.idle_since_ms >= PASSED_PAUSE_MS:
                rested = agent
        if not anybody:
            self._hopeless.add(need)
            if next(self._fitting(()), None) is None:
                self._hopeless.add(())  # nobody has room: the line of those who wait ends here
        return rested

    def _fitting(self, need: Need) -> Iterator[Agent]:
        """Yield who fits `need`, first in line first."""
        if need not in self._fresh:
            self._fresh[need] = (deque(), iter(self._state.free))
        found, rest = self._fresh[need]
        while found and found[0].agent in self._reserved:
            found.popleft()
        for agent in found:
            self._budget.spend()
            if agent.agent not in self._reserved:
                yield agent
        for _, name in rest:
            self._budget.spend()
            agent = self._state.agents[name]
            if name not in self._reserved and _holds(agent, need):
                found.append(agent)
                yield agent
        for name in self._chosen:
            self._budget.spend()
            agent = self._state.agents[name]
            if _holds(agent, need):
                yield agent

    def _reserve(self, name: str) -> None:
        """Count one more proposed offer, and put the agent to the end of the line."""
        self._reserved[name] = self._reserved.get(name, 0) + 1
        self._chosen.pop(name, None)
        agent = self._state.agents.get(name)
        if agent is not None and self._state.is_eligible(agent) and self._room(agent):
            self._chosen[name] = None

    def _room(self, agent: Agent) -> bool:
        return agent.load + self._reserved.get(agent.agent, 0) < agent.capacity


def _holds(agent: Agent, need: Need) -> bool:
    return all(skill in agent.skills for skill in need)
