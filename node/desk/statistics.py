"""What the desk counts.  No I/O.

`Tally` is what the desk adds to; `DeskStatistics` is the picture that `/metrics` reads.  Totals
only grow.  Keys are operations, codes and roles of the protocol, so there are few of them.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

LATENCY_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Latency:
    """How long something took: a count per bucket, the last for all above the bounds."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one that took `seconds`."""
        self.counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> tuple[tuple[float, int], ...]:
        """Return (upper bound in seconds, how many took at most as long), rising; inf last."""
        total = 0
        found = []
        for bound, count in zip((*LATENCY_BOUNDS_S, float("inf")), self.counts, strict=True):
            total += count
            found.append((bound, total))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class OverviewStatistics:
    """One moment of what lists are made from."""

    lists_known: int
    """Conversations in the lines."""
    lists_missing: int
    """Those that are still to be taken in."""
    queue_watchers: int
    """Sessions that watch queues."""
    places: int
    """Conversations whose visitors are told their place."""
    search_texts: int
    search_to_read: int
    """Conversations that are not in the index yet."""
    search_told: int
    """Texts that wait for its thread."""
    search_failures_total: int
    search_questions_total: int
    search_seconds_total: float
    """Time that questions took, waiting included."""


@dataclass(frozen=True, slots=True)
class DeskStatistics(OverviewStatistics):
    """One moment of the desk."""

    connections: int
    """WebSockets, also those that have not said hello."""
    sessions: dict[str, int]
    """Live sessions by role."""
    subscriptions: int
    in_flight: int
    """Requests that wait for their outcome."""
    requests_total: dict[str, int]
    """By operation; what is no operation of ours counts as `unknown`."""
    errors_total: dict[str, int]
    """Refusals by error code."""
    byes_total: dict[int, int]
    """Connections closed from here, by close code."""
    events_sent_total: int
    """Durable events, one for each connection that was sent one."""
    encoded_total: int
    """Pushes encoded; well below what is sent, as one encoding serves many."""
    resumes_total: int
    """Conversations whose missed events were sent."""
    gaps_total: int
    """Of these, those whose events were no longer all kept."""
    ephemeral_total: int
    """Typing and receipts passed on from here."""
    durable_buckets: tuple[tuple[float, int], ...]
    """From a durable request to its answer: (seconds at most, count), rising."""
    durable_sum_s: float


class Tally:
    """Plain integers that the desk adds to."""

    __slots__ = (
        "byes",
        "durable",
        "encoded",
        "ephemeral",
        "errors",
        "events_sent",
        "gaps",
        "requests",
        "resumes",
    )

    def __init__(self) -> None:
        self.byes: Counter[int] = Counter()
        self.durable = Latency()
        self.encoded = 0
        self.ephemeral = 0
        self.errors: Counter[str] = Counter()
        self.events_sent = 0
        self.gaps = 0
        self.requests: Counter[str] = Counter()
        self.resumes = 0
