"""The floor as supervisors see it: queues with who waits and who works.  No I/O.

    waiting, offered, assigned     lengths of the lines of `node.finding.facets`
    available, full, away          agents here, counted by what they can and what they do
    answered, in_time, handle      `node.desk.estimate`

Agents are counted by profile - what they hold, and how they stand - as they change, so that a row
costs as much as there are profiles, not as there are agents.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec

from cluster.state import limits
from cluster.state.model import Agent
from cluster.state.state import State
from node.desk.estimate import Times
from node.finding.facets import Facets, place_of
from node.finding.filters import serves
from node.protocol.results import AgentRow, Device, QueueRow

Standing = Literal["available", "full", "away"]
STANDINGS: tuple[Standing, ...] = ("available", "full", "away")


class _Profile(NamedTuple):
    """What agents have in common."""

    skills: tuple[tuple[str, int], ...]
    standing: Standing


class Floor:
    """Counts of agents by profile, and rows of queues."""

    def __init__(self, state: Callable[[], State], facets: Facets, times: Times) -> None:
        self._state = state
        self._facets = facets
        self._times = times
        self._profiles: dict[str, _Profile] = {}
        self._counts: Counter[_Profile] = Counter()
        self._examples: dict[_Profile, Agent] = {}

    def restart(self) -> None:
        """The state is another: count all agents anew."""
        self._profiles.clear()
        self._counts.clear()
        self._examples.clear()
        for agent in self._state().agents.values():
            self._count(agent)

    def note(self, agent_id: str) -> None:
        """An agent changed, or is known no more."""
        agent = self._state().agents.get(agent_id)
        if agent is None:
            self._uncount(agent_id)
        else:
            self._count(agent)

    def _count(self, agent: Agent) -> None:
        self._uncount(agent.agent)
        standing = _standing(self._state(), agent)
        if standing is None:
            return
        profile = _Profile(tuple(sorted(agent.skills.items())), standing)
        self._profiles[agent.agent] = profile
        self._counts[profile] += 1
        self._examples[profile] = agent

    def _uncount(self, agent_id: str) -> None:
        profile = self._profiles.pop(agent_id, None)
        if profile is not None:
            self._counts[profile] -= 1
            if not self._counts[profile]:
                del self._counts[profile], self._examples[profile]

    # -- rows

    @property
    def complete(self) -> bool:
        """Whether all conversations count; after a start, or a snapshot, they do bit by bit."""
        return self._facets.complete

    def queues(self) -> list[str]:
        """Return the queues there are: of the rules, and where somebody is."""
        rules = self._state().rules
        known = {limits.FALLBACK_QUEUE, *self._facets.queues(), *(rules.queues if rules else ())}
        return sorted(known)

    def row(self, queue: str) -> QueueRow:
        """Return one queue as it is now."""
        waiting, offered, assigned = (
            self._facets.line(place_of(queue, state))
            for state in ("waiting", "offered", "assigned")
        )
        here = self.here(queue)
        oldest = waiting.first
        answered, in_time = self._times.answered(queue)
        servers = len(assigned) + here["available"]
        estimate = self._times.estimate(queue, len(waiting) + 1, servers)
        if here["available"] and not waiting:
            estimate = None  # nobody would wait
        return QueueRow(
            queue=queue,
            waiting=len(waiting),
            oldest=oldest[0] if oldest is not None else 0,
            offered=len(offered),
            assigned=len(assigned),
            available=here["available"],
            full=here["full"],
            away=here["away"],
            answered=answered,
            in_time=in_time,
            handle_s=self._times.handle_s(queue),
            eta_s=estimate.eta_s if estimate is not None else None,
            conf=estimate.conf if estimate is not None else None,
        )

    def here(self, queue: str) -> dict[Standing, int]:
        """Return how many agents who are here serve the queue, by how they stand."""
        found = dict.fromkeys(STANDINGS, 0)
        state = self._state()
        for profile, count in self._counts.items():
            if serves(state, self._examples[profile], queue):
                found[profile.standing] += count
        return found

    def servers(self, queue: str) -> int:
        """Return how many conversations of the queue are served at once: in use, or free."""
        return len(self._facets.line(place_of(queue, "assigned"))) + self.here(queue)["available"]

    def agent_row(self, agent: Agent) -> AgentRow:
        """Return one agent as they are now."""
        state = self._state()
        sessions = [state.sessions[sid] for sid in agent.sessions if sid in state.sessions]
        return AgentRow(
            agent=agent.agent,
            name=agent.name,
            status=agent.status,
            reason=agent.reason,
            here=state.is_present(agent),
            since=agent.status_since_ms,
            idle=agent.idle_since_ms,
            load=agent.load,
            capacity=agent.capacity,
            skills=agent.skills,
            langs=list(agent.langs),
            conversations=list(agent.conversations),
            offers=len(agent.offers),
            devices=[
                Device(node=one.node, since=one.since_ms, lost=one.lost_ms) for one in sessions
            ],
        )


class Watched:
    """What a session that watches was told."""

    __slots__ = ("queues", "told")

    def __init__(self, queues: Iterable[str], told: Iterable[QueueRow]) -> None:
        self.queues = tuple(queues)
        """Named ones; all when empty."""
        self.told = {row.queue: row for row in told}

    def news(self, rows: dict[str, QueueRow], most: int) -> list[QueueRow]:
        """Return what changed of `rows`, as far as `most`, and take note that it was told."""
        found = []
        for queue in self.queues or sorted(rows.keys() | self.told.keys()):
            row = rows.get(queue) or empty_row(queue)
            if self.told.get(queue) != row:
                self.told[queue] = row
                found.append(row)
                if len(found) == most:
                    break
        return found


def empty_row(queue: str) -> QueueRow:
    """Return the row of a queue that is no more."""
    counts = [name for name in QueueRow.__struct_fields__ if name not in _NO_COUNTS]
    return msgspec.convert({"queue": queue, **dict.fromkeys(counts, 0)}, QueueRow)


_NO_COUNTS = frozenset({"queue", "eta_s", "conf"})


def _standing(state: State, agent: Agent) -> Standing | None:
    """Return how somebody who is here stands; None for who is not."""
    if agent.status == "offline" or not state.is_present(agent):
        return None
    if agent.status != "online":
        return "away"
    return "available" if state.is_eligible(agent) else "full"
