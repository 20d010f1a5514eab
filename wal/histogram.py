"""How often something took how long: a count per bucket.  No I/O.

    bounds   0.001   0.0025   0.005 …        seconds, upper, rising
    counts     17        3       0  …  1     one more than bounds: the last is for all above
    sum                                      of all that was observed

To observe is a search among a dozen numbers and two additions, so that it may be done for every
message.  `Buckets` is one moment of it, in plain values that may be sent to another process and
added to those of others.

Source: Prometheus, "Histograms and summaries".
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import msgspec

DISK_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""From a write into a fast disk's memory to one that nobody wants to wait for."""
SHORT_BOUNDS_S = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.1)
"""Of what holds up the loop while it lasts."""
REQUEST_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Of what somebody waits for."""
WAIT_BOUNDS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Of what people wait for in a queue."""


class Buckets(msgspec.Struct, frozen=True):
    """One moment of a histogram."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Yield (upper bound, how many were at most as much), rising; infinity last."""
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            yield bound, total

    def plus(self, other: "Buckets") -> "Buckets":
        """Return what both have seen; they have the same bounds."""
        assert self.bounds == other.bounds
        counts = tuple(mine + its for mine, its in zip(self.counts, other.counts, strict=True))
        return Buckets(self.bounds, counts, self.sum + other.sum)


class Histogram:
    """Counts that grow."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def buckets(self) -> Buckets:
        """Return the present picture."""
        return Buckets(self._bounds, tuple(self._counts), self._sum)
