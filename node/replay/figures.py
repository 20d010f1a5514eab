"""Figures of a run: percentiles, and time without progress after each kill.  No I/O.

    acknowledged   | | || |          | | || ||| |
                          ▲──stall──▶
                        kill

A stall is the longest silence that begins within `STALL_WINDOW_S` of a kill: what was on its way
when the leader died may still arrive, and does not make the wait for the next leader shorter.

Times are seconds of one monotonic clock.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

STALL_WINDOW_S = 1.0


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of 100 do not exceed (nearest rank); 0 without values."""
    if not values:
        return 0.0
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(0, rank - 1)]


def stall(killed_at: float, acknowledged_at: Sequence[float]) -> float | None:
    """Return the time without progress after a kill; `acknowledged_at` rises.

    None when nothing was acknowledged afterwards: the run was over.
    """
    first = bisect_right(acknowledged_at, killed_at)
    if first == len(acknowledged_at):
        return None
    last = bisect_left(acknowledged_at, killed_at + STALL_WINDOW_S)
    marks = [killed_at, *acknowledged_at[first : last + 1]]
    return max(after - before for before, after in pairwise(marks))
