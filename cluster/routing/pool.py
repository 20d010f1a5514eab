"""Who may be offered something now, by kind.  No I/O.

    kind      skills and languages: all that tells agents apart for a line, but for their names
    room      capacity - load - weights of offers that are proposed and not answered
    bucket    the agents of one kind with the same room, in every order that a queue asked for

    order              first is                                             then by
    -----              --------                                             -------
    longest_idle       who was offered or freed of something longest ago    id
    round_robin        who was offered something longest ago                id
    least_loaded       who uses the smallest share of their capacity        idle time, id
    proficiency:SKILL  who holds the highest level of it                    idle time, id
    sticky             whoever served the visitor last                      idle time, id

Times are the replicated ones.  Whoever is chosen goes to the end of the line at once, as `apply`
will put them there.  One agent who changes moves from one bucket to another; the first of a line
is found among the first of its buckets, of which there are as many as kinds of free agents.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cluster.state.model import Agent
from cluster.state.sorted_set import SortedSet
from cluster.state.state import State

Rank = tuple[int, int, str]
"""What an order sorts by; the agent's id last."""

TURNS = 1 << 53
"""Behind every time: where those stand who were chosen and whose offer is not applied yet."""


class Kind(NamedTuple):
    """What tells agents apart for whoever waits."""

    skills: tuple[tuple[str, int], ...]
    langs: tuple[str, ...]

    def lacks(self, skills: tuple[tuple[str, int], ...]) -> str:
        """Return the first of `skills` that is held not at all or too little of, or ""."""
        held = dict(self.skills)
        return next((name for name, least in skills if held.get(name, -1) < least), "")


class Bucket:
    """Agents of one kind with the same room."""

    __slots__ = ("_orders", "_rank", "kind", "names", "room")

    def __init__(self, kind: Kind, room: int, rank: Callable[[str, str], Rank]) -> None:
        self.kind = kind
        self.room = room
        self.names: dict[str, None] = {}
        self._rank = rank
        self._orders: dict[str, tuple[SortedSet[Rank], dict[str, Rank]]] = {}

    def add(self, name: str) -> None:
        self.names[name] = None
        for order, (line, ranks) in self._orders.items():
            ranks[name] = self._rank(order, name)
            line.add(ranks[name])

    def discard(self, name: str) -> None:
        del self.names[name]
        for line, ranks in self._orders.values():
            line.discard(ranks.pop(name))

    def line(self, order: str) -> SortedSet[Rank]:
        """Return the agents in `order`, first first; sorted when first asked for."""
        found = self._orders.get(order)
        if found is None:
            found = self._orders[order] = (SortedSet(), {})
            line, ranks = found
            for name in self.names:
                ranks[name] = self._rank(order, name)
                line.add(ranks[name])
        return found[0]


class Pool:
    """Agents who may be offered something, with what is proposed counted."""

    def __init__(self) -> None:
        self.buckets: dict[tuple[Kind, int], Bucket] = {}
        self.why_not: Counter[str] = Counter()
        """Agents who may be offered nothing, by reason."""
        self._stands: dict[str, Bucket | str] = {}
        """Agent to bucket, or to the reason why in none."""
        self._kinds: dict[str, tuple[dict[str, int], tuple[str, ...], Kind]] = {}
        self._proposed: dict[str, dict[str, tuple[int, int]]] = {}
        """Agent to (weight, turn), by conversation, of what was proposed and not answered."""
        self._turn = TURNS
        self._state = State()

    def load(self, state: State) -> None:
        """Take in everybody of `state`; what is proposed stays."""
        self._state = state
        self.buckets.clear()
        self.why_not.clear()
        self._stands.clear()
        self._kinds.clear()
        for name in state.agents:
            self.refresh(name)

    def refresh(self, name: str) -> bool:
        """Take in what changed of an agent; return whether they may be offered more now."""
        old = self._stands.pop(name, "")
        if isinstance(old, Bucket):
            self._leave(old, name)
        elif old:
            self.why_not[old] -= 1
        agent = self._state.agents.get(name)
        if agent is None:
            self._kinds.pop(name, None)
            return False
        reason = self._reason(agent)
        if reason:
            self._stands[name] = reason
            self.why_not[reason] += 1
            return False
        kind, room = self._kind(agent), self.room(agent)
        bucket = self.buckets.get((kind, room))
        if bucket is None:
            bucket = self.buckets[kind, room] = Bucket(kind, room, self._rank)
        bucket.add(name)
        self._stands[name] = bucket
        return not isinstance(old, Bucket) or old.kind != kind or old.room < room

    def bucket(self, name: str) -> Bucket | None:
        """Return where an agent stands; None for one who may be offered nothing."""
        found = self._stands.get(name)
        return found if isinstance(found, Bucket) else None

    def room(self, agent: Agent) -> int:
        """Return what weight may still be offered to `agent`."""
        proposed = self._proposed.get(agent.agent)
        return agent.capacity - agent.load - _weight(proposed)

    def reserve(self, name: str, cv: str, weight: int) -> None:
        """Count an offer that is proposed; its agent goes to the end of the line."""
        self._turn += 1
        self._proposed.setdefault(name, {})[cv] = weight, self._turn
        self.refresh(name)

    def release(self, name: str, cv: str) -> bool:
        """Count it no more; return whether its agent may be offered more now."""
        proposed = self._proposed.get(name, {})
        if proposed.pop(cv, None) is None:
            return False
        if not proposed:
            del self._proposed[name]
        return self.refresh(name)

    def rank(self, order: str, name: str) -> Rank:
        """Return what `order` sorts the agent by."""
        return self._rank(order, name)

    def kinds(self) -> Iterator[tuple[Kind, int, int]]:
        """Yield kind, room and number of the agents in each bucket."""
        for bucket in self.buckets.values():
            yield bucket.kind, bucket.room, len(bucket.names)

    def _leave(self, bucket: Bucket, name: str) -> None:
        bucket.discard(name)
        if not bucket.names:
            del self.buckets[bucket.kind, bucket.room]

    def _reason(self, agent: Agent) -> str:
        if not self._state.is_present(agent):
            return "offline"
        if agent.status != "online":
            return agent.status
        return "" if self.room(agent) > 0 else "full"

    def _kind(self, agent: Agent) -> Kind:
        known = self._kinds.get(agent.agent)
        if known is not None and known[0] is agent.skills and known[1] is agent.langs:
            return known[2]
        kind = Kind(tuple(sorted(agent.skills.items())), agent.langs)
        self._kinds[agent.agent] = agent.skills, agent.langs, kind
        return kind

    def _rank(self, order: str, name: str) -> Rank:
        agent = self._state.agents[name]
        proposed = self._proposed.get(name)
        turn = max(turn for _, turn in proposed.values()) if proposed else 0
        idle = turn or agent.idle_since_ms
        if order == "round_robin":
            return turn or agent.offered_ms, 0, name
        if order == "least_loaded":
            share = 1_000_000 * (agent.capacity - self.room(agent)) // agent.capacity
            return share, idle, name
        if order.startswith("proficiency:"):
            return -agent.skills.get(order.removeprefix("proficiency:"), -1), idle, name
        return idle, 0, name


def _weight(proposed: dict[str, tuple[int, int]] | None) -> int:
    return sum(weight for weight, _ in proposed.values()) if proposed else 0
