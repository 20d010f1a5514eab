"""What the edge counts.  No I/O.

`Counters` is what the loop adds to; `EdgeStatistics` is the picture that others read.  Totals
only grow.  The keys of `refused_total` are HTTP statuses as text, or `ws_` and a close code.
"""

from collections import Counter
from dataclasses import dataclass

from node.edge.pressure import Level


@dataclass(frozen=True, slots=True)
class EdgeStatistics:
    """One moment of an `EdgeServer`."""

    connections: int
    """Open WebSockets and event streams."""
    handshaking: int
    """Sockets that speak HTTP."""
    requests_running: int
    accepted_total: int
    opened_total: int
    closed_total: int
    requests_total: int
    messages_in_total: int
    messages_out_total: int
    bytes_in_total: int
    bytes_out_total: int
    slow_consumers_total: int
    ephemeral_dropped_total: int
    application_errors_total: int
    refused_total: dict[str, int]
    loop_lag_s: float
    """How late the last sweep ran: the time that a ready socket may have to wait."""
    loop_lag_s_max: float
    level: Level
    """How much pressure there is."""
    memory_bytes: int
    """What the process holds; 0 where the system does not say."""
    addresses: int
    """Addresses that have sockets, or had until just now."""


class Counters:
    """Plain integers, because the loop adds to them for every message."""

    __slots__ = (
        "accepted",
        "application_errors",
        "bytes_in",
        "bytes_out",
        "closed",
        "ephemeral_dropped",
        "loop_lag_s",
        "loop_lag_s_max",
        "messages_in",
        "messages_out",
        "opened",
        "refused",
        "requests",
        "slow_consumers",
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.application_errors = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.closed = 0
        self.ephemeral_dropped = 0
        self.loop_lag_s = 0.0
        self.loop_lag_s_max = 0.0
        self.messages_in = 0
        self.messages_out = 0
        self.opened = 0
        self.refused: Counter[str] = Counter()
        self.requests = 0
        self.slow_consumers = 0
