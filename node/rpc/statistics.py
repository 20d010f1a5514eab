"""What the gRPC server counts.  No I/O.  Totals only grow."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RpcStatistics:
    """One moment of a gRPC server."""

    calls_running: int
    streams: int
    calls_total: dict[str, int]
    """By status, as gRPC names it."""
    abandoned_total: int
    """Calls whose clients left, or ran out of time, before the answer."""
    streams_total: int
    pushes_total: int
    sent_bytes_total: int
    """Of pushes, as handed to gRPC."""
    slow_consumers_total: int
    ephemeral_dropped_total: int


class RpcCounters:
    """Plain integers that trio's thread adds to."""

    __slots__ = (
        "abandoned",
        "calls",
        "calls_running",
        "ephemeral_dropped",
        "pushes",
        "sent_bytes",
        "slow_consumers",
        "streams",
        "streams_opened",
    )

    def __init__(self) -> None:
        self.abandoned = 0
        self.calls: Counter[str] = Counter()
        self.calls_running = 0
        self.ephemeral_dropped = 0
        self.pushes = 0
        self.sent_bytes = 0
        self.slow_consumers = 0
        self.streams = 0
        self.streams_opened = 0

    def statistics(self) -> RpcStatistics:
        """Return the present picture."""
        return RpcStatistics(
            calls_running=self.calls_running,
            streams=self.streams,
            calls_total=dict(self.calls),
            abandoned_total=self.abandoned,
            streams_total=self.streams_opened,
            pushes_total=self.pushes,
            sent_bytes_total=self.sent_bytes,
            slow_consumers_total=self.slow_consumers,
            ephemeral_dropped_total=self.ephemeral_dropped,
        )
