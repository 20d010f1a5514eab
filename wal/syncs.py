"""How long syncs took lately, and how long the one under way takes.  No I/O.

    second     0      1      2     ...    9        a ring of WINDOW_S slots
    counts   [....] [....] [....]       [....]     by duration, STEPS buckets a doubling

Quantiles come out of the buckets' upper ends: at most 9 % too high, and whatever the rate, the same
few kilobytes.  The writer counts in its thread, anybody reads: a lock is held for microseconds.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

WINDOW_S = 10
SLOW_S = 0.05
"""A sync that people feel: a commit waits for it."""
STEPS = 8
SHORTEST_S = 1e-5
BUCKETS = 24 * STEPS
"""Up to 2**24 times SHORTEST_S: nearly three minutes."""


@dataclass(frozen=True, slots=True)
class SyncFigures:
    """Of the last WINDOW_S seconds; `p99_s` is negative while there was no sync."""

    count: int
    slow: int
    """How many took SLOW_S or longer."""
    p99_s: float
    running_s: float
    """For how long the one under way has been; 0 when there is none."""


class Syncs:
    """`timed` in the writer's thread, `figures` in any."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slots = [[0] * BUCKETS for _ in range(WINDOW_S)]
        self._seconds = [-1] * WINDOW_S
        """Which second each slot is of."""
        self._begun_s: float | None = None

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count how long a write and its sync take, also when they fail."""
        begun_s = self._begun_s = self._clock()
        try:
            yield
        finally:
            self._begun_s = None
            self._add(begun_s, self._clock())

    def _add(self, begun_s: float, now_s: float) -> None:
        second = int(now_s)
        with self._lock:
            slot = self._slots[second % WINDOW_S]
            if self._seconds[second % WINDOW_S] != second:
                self._seconds[second % WINDOW_S] = second
                slot[:] = [0] * BUCKETS
            slot[_bucket(now_s - begun_s)] += 1

    def figures(self) -> SyncFigures:
        """Return what is known now."""
        now_s, begun_s = self._clock(), self._begun_s
        with self._lock:
            slots = [
                list(slot)
                for slot, second in zip(self._slots, self._seconds, strict=True)
                if now_s - WINDOW_S < second <= now_s
            ]
        counts = [sum(bucket) for bucket in zip(*slots, strict=True)]
        total = sum(counts)
        return SyncFigures(
            count=total,
            slow=sum(counts[_bucket(SLOW_S) :]),
            p99_s=_quantile(counts, math.ceil(0.99 * total)) if total else -1.0,
            running_s=max(0.0, now_s - begun_s) if begun_s is not None else 0.0,
        )


def _bucket(seconds: float) -> int:
    if seconds <= SHORTEST_S:
        return 0
    return min(int(STEPS * math.log2(seconds / SHORTEST_S)) + 1, BUCKETS - 1)


def _quantile(counts: list[int], rank: int) -> float:
    """Return the upper end of the bucket that holds the `rank`th, from the shortest."""
    number = bisect_left(list(accumulate(counts)), rank)
    return float(SHORTEST_S * 2 ** (number / STEPS))
