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


class Example(msgspec.Struct, frozen=True, array_like=True):
    """One that was observed, and by what name it can be found."""

    value: float
    trace_id: str
    at_s: float
    """Seconds since 1970."""


class Buckets(msgspec.Struct, frozen=True):
    """One moment of a histogram."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    examples: tuple[Example | None, ...] = ()
    """The newest of each bucket; empty while there is none at all."""

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
        examples = self.examples or other.examples
        if self.examples and other.examples:
            pairs = zip(self.examples, other.examples, strict=True)
            examples = tuple(_newer(mine, its) for mine, its in pairs)
        return Buckets(self.bounds, counts, self.sum + other.sum, examples)


def _newer(one: Example | None, other: Example | None) -> Example | None:
    known = [example for example in (one, other) if example is not None]
    return max(known, key=lambda example: example.at_s, default=None)


class Histogram:
    """Counts that grow."""

    __slots__ = ("_bounds", "_counts", "_examples", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._examples: list[Example | None] = []

    def observe(self, value: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def show(self, example: Example) -> None:
        """Keep one that was observed as the example of its bucket."""
        self._examples = self._examples or [None] * len(self._counts)
        self._examples[bisect_left(self._bounds, example.value)] = example

    def buckets(self) -> Buckets:
        """Return the present picture."""
        examples = tuple(self._examples)
        return Buckets(self._bounds, tuple(self._counts), self._sum, examples)
