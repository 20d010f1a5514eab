"""Cluster time: what the leader stamps on entries.  No I/O; the clocks come in.

    wall clock     ───────▶ behind: an earlier leader's clock ran ahead of this one
    cluster time        ───────▶ goes on from the last stamp, at the pace of the monotonic clock

The state machine never lets time run backwards, so a leader that stamped its own late clock
would hold time still until that clock had caught up, and no offer or session would end.
"""

from collections.abc import Callable


class ClusterClock:
    """The larger of the wall clock and of the last stamp seen plus the time since."""

    def __init__(self, wall_ms: Callable[[], int], monotonic_s: Callable[[], float]) -> None:
        self._wall_ms = wall_ms
        self._monotonic_s = monotonic_s
        self._stamp_ms = 0
        self._seen_s = monotonic_s()

    def now_ms(self) -> int:
        """Return the time to stamp on an entry, milliseconds UTC."""
        since_ms = int(1000 * (self._monotonic_s() - self._seen_s))
        return max(self._wall_ms(), self._stamp_ms + since_ms)

    def note(self, stamp_ms: int) -> None:
        """An entry was applied with this stamp."""
        if stamp_ms > self.now_ms():
            self._stamp_ms = stamp_ms
            self._seen_s = self._monotonic_s()
