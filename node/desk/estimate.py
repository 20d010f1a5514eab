"""How long somebody will wait: a pure estimate from what this node saw.  No I/O.

    wait = position x handle time / servers

    handle time   from assigned to let go, per queue: an exponentially weighted moving average
    servers       conversations of the queue that agents have now, and agents free for more: when
                  somebody waits, every place is taken, so the places in use are those that serve
    confidence    below SAMPLES_MIN nothing is said; below SAMPLES_HIGH `low`; then `high`

Every node sees all events, so every node's averages are alike; one that starts reads the newest
closed conversations of the state instead of what it did not see, and soon agrees with the others.

The weight of a new sample is 1/n until that is WEIGHT, so the first ones count alike.
Source: Roberts, "Control Chart Tests Based on Geometric Moving Averages", Technometrics 1 (1959);
Little's law.
"""

from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

from cluster.state.events import Event
from cluster.state.model import Conversation

Confidence = Literal["low", "high"]

SAMPLES_MIN, SAMPLES_HIGH = 5, 30
WEIGHT = 0.05
"""Of a new sample: the last sixty or so conversations make up the average."""
ETA_S_MAX = 4 * 3600
"""Longer is no estimate but a way of saying "not today": nothing is said."""
STEPS_S = ((60, 15), (600, 60), (ETA_S_MAX, 300))
"""Below so many seconds, told in steps of so many: what is not known better is not said so."""
ANSWERS_KEPT = 100
IN_TIME_MS = 20_000
"""The usual measure of a service level: answered within 20 s."""
QUEUES_MAX = 1_000
SEEN_MAX = 1_000
"""Closed conversations that a node reads when it starts: some ten milliseconds."""
_LETS_GO = frozenset({"closed", "transferred", "unassigned"})
_QUEUED = frozenset({"queued"})
_BEGINS_TO_WAIT = frozenset({"opened", "reopened", "transferred", "unassigned"})


class Estimate(NamedTuple):
    """A wait in seconds, and how far to trust it."""

    eta_s: int
    conf: Confidence


class Average:
    """A moving average of handle times, in milliseconds."""

    __slots__ = ("ms", "samples")

    def __init__(self) -> None:
        self.ms = 0.0
        self.samples = 0

    def add(self, ms: int) -> None:
        """Count one more."""
        self.samples += 1
        self.ms += (ms - self.ms) * max(WEIGHT, 1 / self.samples)


class _Queue:
    """What is known of one queue."""

    __slots__ = ("handle", "waits")

    def __init__(self) -> None:
        self.handle = Average()
        self.waits: deque[int] = deque(maxlen=ANSWERS_KEPT)


class Times:
    """Handle times and waits of all queues."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    def forget(self) -> None:
        """Know nothing."""
        self._queues.clear()

    def note(self, conversation: Conversation, event: Event) -> None:
        """Learn from an event that was just appended to the conversation."""
        if event.type == "assigned":
            began = _last(conversation, event, _BEGINS_TO_WAIT)
            if began is not None:
                self._of(conversation.queue).waits.append(max(0, event.ts - began.ts))
        elif event.type in _LETS_GO:
            began = _last(conversation, event, _LETS_GO | {"assigned"})
            if began is not None and began.type == "assigned":
                queued = _last(conversation, began, _QUEUED)
                queue = str(queued.data.get("queue", "")) if queued is not None else ""
                self._of(queue or conversation.queue).handle.add(max(0, event.ts - began.ts))

    def read(self, closed: Iterable[Conversation]) -> None:
        """Learn from conversations that were closed before, oldest first."""
        for conversation in closed:
            if conversation.tail:
                self.note(conversation, conversation.tail[-1])

    def handle_s(self, queue: str) -> int:
        """Return how long agents take for one; 0 when too little is known."""
        found = self._queues.get(queue)
        known = found is not None and found.handle.samples >= SAMPLES_MIN
        return round(found.handle.ms / 1000) if found is not None and known else 0

    def answered(self, queue: str) -> tuple[int, int]:
        """Return how many were answered of late, and how many percent of them in time."""
        found = self._queues.get(queue)
        if found is None or not found.waits:
            return 0, 0
        in_time = sum(wait <= IN_TIME_MS for wait in found.waits)
        return len(found.waits), 100 * in_time // len(found.waits)

    def estimate(self, queue: str, position: int, servers: int) -> Estimate | None:
        """Return how long the one at `position` (1 is next) waits; None when it cannot be told."""
        found = self._queues.get(queue)
        return estimate(found.handle, position, servers) if found is not None else None

    def _of(self, queue: str) -> _Queue:
        if queue not in self._queues and len(self._queues) >= QUEUES_MAX:
            self._queues.pop(next(iter(self._queues)))
        return self._queues.setdefault(queue, _Queue())


def estimate(handle: Average, position: int, servers: int) -> Estimate | None:
    """Return the wait at `position` with so many `servers`; None below the least sample."""
    if handle.samples < SAMPLES_MIN or servers < 1 or position < 1:
        return None
    seconds = position * handle.ms / 1000 / servers
    if seconds > ETA_S_MAX:
        return None
    step = next(step for below, step in STEPS_S if seconds <= below)
    return Estimate(
        max(step, -(-round(seconds) // step) * step),
        "high" if handle.samples >= SAMPLES_HIGH else "low",
    )


def _last(conversation: Conversation, event: Event, types: frozenset[str]) -> Event | None:
    """Return the last of some types before `event`, of those that are kept."""
    before = (one for one in reversed(conversation.tail) if one.seq < event.seq)
    return next((one for one in before if one.type in types), None)
