"""The rule of assignment, told without any cleverness: sort everybody, for everybody who waits."""

from collections.abc import Callable

from cluster.routing.choosing import PASSED_PAUSE_MS
from cluster.state.model import Agent, Conversation
from cluster.state.state import State

Judge = Callable[[str, Agent], bool]


class Naive:
    """Who is offered what; `proposed` are (agent, weight) not answered yet, in order."""

    def __init__(
        self, state: State, now_ms: int, proposed: list[tuple[str, int]], fits: Judge
    ) -> None:
        self.state = state
        self.now_ms = now_ms
        self.log = list(proposed)
        self.fits = fits

    def matches(self, busy: set[str]) -> list[tuple[str, str]]:
        found = []
        for conversation in sorted(self._waiting(busy), key=self._urgency):
            name = self._choose(conversation)
            if name:
                self.log.append((name, conversation.weight))
                found.append((conversation.cv, name))
        return found

    def _waiting(self, busy: set[str]) -> list[Conversation]:
        everybody = self.state.conversations.values()
        return [one for one in everybody if one.state == "waiting" and one.cv not in busy]

    def _urgency(self, one: Conversation) -> tuple[float, int, str]:
        settings = self.state.queue(one.queue)
        priority: float = one.priority
        if settings is not None and settings.by_age:
            priority = 0
        elif settings is not None and settings.aging_ms:
            virtual_ms = one.opened_ms - one.priority * settings.aging_ms
            priority = (self.now_ms - virtual_ms) / settings.aging_ms
        return -priority, one.opened_ms, one.cv

    def _choose(self, one: Conversation) -> str:
        able = [agent for agent in self.state.agents.values() if self._is_able(agent, one)]
        asked = [agent for agent in able if agent.agent not in one.passed]
        named = one.target or one.preferred
        rested = [agent for agent in able if self._has_rested(agent)]
        if named:
            line = [agent for agent in asked or rested if agent.agent == named]
        else:
            line = asked or rested
        line.sort(key=lambda agent: self._rank(agent, one))
        return line[0].agent if line else ""

    def _has_rested(self, agent: Agent) -> bool:
        return self.now_ms - agent.idle_since_ms >= PASSED_PAUSE_MS

    def _is_able(self, agent: Agent, one: Conversation) -> bool:
        named = one.target or one.preferred
        here = any(not self.state.sessions[sid].lost_ms for sid in agent.sessions)
        status = ("online", "transfer_only") if one.target else ("online",)
        skilled = all(agent.skills.get(name, -1) >= least for name, least in one.skills.items())
        return (
            named in ("", agent.agent)
            and here
            and agent.status in status
            and self._load(agent) + one.weight <= agent.capacity
            and (bool(one.target) or (skilled and self.fits(one.at.need, agent)))
        )

    def _load(self, agent: Agent) -> int:
        return agent.load + sum(weight for name, weight in self.log if name == agent.agent)

    def _rank(self, agent: Agent, one: Conversation) -> tuple[bool, int, int, int, str]:
        settings = self.state.queue(one.queue)
        order = settings.agent_order if settings is not None else "longest_idle"
        turns = [turn for turn, (name, _) in enumerate(self.log) if name == agent.agent]
        turn, chosen = (turns[-1] if turns else 0), bool(turns)
        idle = turn if chosen else agent.idle_since_ms
        name = agent.agent
        if order == "least_loaded":
            return False, 1_000_000 * self._load(agent) // agent.capacity, chosen, idle, name
        if order.startswith("proficiency:"):
            level = agent.skills.get(order.removeprefix("proficiency:"), -1)
            return False, -level, chosen, idle, name
        if order == "round_robin":
            return chosen, turn if chosen else agent.offered_ms, 0, 0, name
        last = self.state.served.get((one.visitor_kind, one.visitor), "")
        if order == "sticky" and last == name and name not in one.passed:
            return False, -1, 0, 0, name
        return chosen, idle, 0, 0, name
