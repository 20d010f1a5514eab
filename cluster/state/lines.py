"""Who waits, in lines: an index of the state.  No I/O.

    queue   everybody who waits in it             in its order: place, position, oldest
    line    those of a queue whom the same        in the order of the queue: only the heads of
            agents may be offered                 lines are ever compared
    arrival those of a queue who wait for people  the newest last: the first to overflow
            and have not overflowed

    order of a queue   sort key           since
    ----------------   --------           -----
    priority, age      -priority          the default
    age                0                  the queue's order says so
    ageing             opened_ms -        priority + waited / aging_ms falls and rises alike for
                       priority * aging   all: who opened at that virtual time is as far

A key never changes while its conversation waits, so no time that passes sorts anything anew; ties
go by age, then by id.  Rules that give a queue another order sort that queue anew.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from cluster.state.journal import Journal
from cluster.state.model import Conversation
from cluster.state.route import Queue
from cluster.state.sorted_set import SortedSet

Place = tuple[int, int, str]
"""(sort key, opened_ms, cv)."""

Key = TypeVar("Key")
Item = TypeVar("Item", bound=tuple[Any, ...])

_NOBODY: SortedSet[tuple[int, str]] = SortedSet()

CHANGES_KEPT = 4_096
"""Changes that a dispatcher may be behind before it looks at all lines."""


class Line(NamedTuple):
    """What decides which agents may be offered a conversation, but for the agents."""

    queue: str
    need: str
    skills: tuple[tuple[str, int], ...]
    weight: int
    named: str
    """The agent who alone may be: the target of a transfer, or the one its step prefers."""
    by_name: bool
    """Whether it was transferred to them: then they may be offered it who take nothing else, and
    whatever its step asks for."""
    passed: tuple[str, ...]
    """Who passed on it, by name: they are asked last."""


def line_of(conversation: Conversation) -> Line:
    """Return the line in which `conversation` waits."""
    at, by_name = conversation.at, bool(conversation.target)
    return Line(
        at.queue,
        "" if by_name else at.need,
        () if by_name else tuple(sorted(at.skills.items())),
        conversation.weight,
        conversation.target or conversation.preferred,
        by_name,
        tuple(sorted(conversation.passed)),
    )


def place_of(conversation: Conversation, settings: Queue | None) -> Place:
    """Return where `conversation` stands among those of its queue."""
    key = -conversation.priority
    if settings is not None and settings.by_age:
        key = 0
    elif settings is not None and settings.aging_ms:
        key = conversation.opened_ms - conversation.priority * settings.aging_ms
    return key, conversation.opened_ms, conversation.cv


def urgency_of(place: Place, settings: Queue | None, now_ms: int) -> float:
    """Return the priority of `place` as it is at `now_ms`, to compare heads of several queues."""
    if settings is not None and settings.aging_ms and not settings.by_age:
        return (now_ms - place[0]) / settings.aging_ms
    return float(-place[0])


def same_order(one: Queue | None, other: Queue | None) -> bool:
    """Whether both settings put everybody in the same place."""
    return _order(one) == _order(other)


def _order(settings: Queue | None) -> tuple[bool, int]:
    if settings is None:
        return False, 0
    return settings.by_age, 0 if settings.by_age else settings.aging_ms


class Lines:
    """Everybody who waits.  `changes` has every line that somebody came into or left."""

    def __init__(self) -> None:
        self.queues: dict[str, SortedSet[Place]] = {}
        self.lines: dict[Line, SortedSet[Place]] = {}
        self.by_name: dict[str, dict[Line, None]] = {}
        """Lines for one agent alone."""
        self.arrivals: dict[str, SortedSet[tuple[int, str]]] = {}
        """Per queue: (waiting_since_ms, cv)."""
        self.changes: Journal[Line] = Journal(CHANGES_KEPT)
        self._stands: dict[str, tuple[Line, Place, int]] = {}
        """Conversation to line, place, and since when it waits: -1 once it overflowed."""

    def add(self, conversation: Conversation, settings: Queue | None) -> None:
        """Let `conversation`, which waits, stand in its line."""
        line, place = line_of(conversation), place_of(conversation, settings)
        cv, queue = conversation.cv, line.queue
        since_ms = -1 if conversation.overflowed else conversation.waiting_since_ms
        self._stands[cv] = line, place, since_ms
        _add(self.queues, queue, place)
        if line not in self.lines and line.named:
            self.by_name.setdefault(line.named, {})[line] = None
        _add(self.lines, line, place)
        if since_ms >= 0:
            _add(self.arrivals, queue, (since_ms, cv))
        self.changes.note(line)

    def discard(self, cv: str) -> None:
        """Let a conversation go that waits no more, or elsewhere."""
        line, place, since_ms = self._stands.pop(cv)
        _discard(self.queues, line.queue, place)
        _discard(self.lines, line, place)
        if line not in self.lines and line.named:
            of_agent = self.by_name[line.named]
            del of_agent[line]
            if not of_agent:
                del self.by_name[line.named]
        if since_ms >= 0:
            _discard(self.arrivals, line.queue, (since_ms, cv))
        self.changes.note(line)

    def position(self, cv: str) -> int | None:
        """Return the place of `cv` in its queue, 1 for the first; None when it does not wait.

        Found by bisection.  Those before it are offered first, unless nobody free may be offered
        them.
        """
        if cv not in self._stands:
            return None
        line, place, _ = self._stands[cv]
        return self.queues[line.queue].rank(place) + 1

    def line(self, cv: str) -> Line | None:
        """Return the line in which `cv` waits; None when it does not."""
        stands = self._stands.get(cv)
        return stands[0] if stands is not None else None

    def newest_first(self, queue: str) -> Iterator[str]:
        """Yield those in `queue` who have not overflowed, who came last first."""
        return (cv for _, cv in reversed(self.arrivals.get(queue, _NOBODY)))

    def newest(self, queue: str) -> str:
        """Return who came last of those in `queue` who have not overflowed; empty for none."""
        return next(self.newest_first(queue), "")

    def waiting_for_people(self, queue: str) -> int:
        """How many wait in `queue` and have not overflowed."""
        return len(self.arrivals.get(queue, ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lines) and (
            (self.queues, self.lines, self.by_name, self.arrivals, self._stands)
            == (other.queues, other.lines, other.by_name, other.arrivals, other._stands)
        )

    __hash__ = None  # type: ignore[assignment]  # it changes


def _add(index: dict[Key, SortedSet[Item]], key: Key, item: Item) -> None:
    found = index.get(key)
    if found is None:
        found = index[key] = SortedSet()
    found.add(item)


def _discard(index: dict[Key, SortedSet[Item]], key: Key, item: Item) -> None:
    found = index[key]
    found.discard(item)
    if not found:
        del index[key]
