"""What the desk counts.  No I/O.

`Tally` is what the desk adds to; `DeskStatistics` is the picture that `/metrics` reads.  Totals
only grow.  Keys are operations, codes and roles of the protocol, so there are few of them.
"""

from collections import Counter
from dataclasses import dataclass

from wal.histogram import REQUEST_BOUNDS_S, SHORT_BOUNDS_S, Buckets, Histogram


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
    durable: Buckets
    """From a durable request to its answer, in seconds."""
    fan_out: Buckets
    """From an entry that was applied to its frames in the hands of sockets."""


class Tally:
    """Plain integers that the desk adds to."""

    __slots__ = (
        "byes",
        "durable",
        "encoded",
        "ephemeral",
        "errors",
        "events_sent",
        "fan_out",
        "gaps",
        "requests",
        "resumes",
    )

    def __init__(self) -> None:
        self.byes: Counter[int] = Counter()
        self.durable = Histogram(REQUEST_BOUNDS_S)
        self.encoded = 0
        self.ephemeral = 0
        self.errors: Counter[str] = Counter()
        self.events_sent = 0
        self.fan_out = Histogram(SHORT_BOUNDS_S)
        self.gaps = 0
        self.requests: Counter[str] = Counter()
        self.resumes = 0
