"""How close a node is to its limits, and what it does about that.  No I/O.

    level      memory, of the ceiling   lag of the loop   what the edge does
    CALM       under 90 %               under 1/2         everything
    HIGH       90 % and more            the limit         no new WebSockets or feeds: 503,
                                                          Retry-After; outboxes a quarter as large
    CRITICAL   100 % and more           -                 as HIGH; the application sends some away

A level is left when memory is 5 % below where it began; from there on (`is_much`) what the heap has
free is given back to the system before it is measured.  Lag is smoothed over a few seconds, so
that one long pass turns nobody away.  Who is here already is served first: shedding begins with
those who are not in yet, as long as there is memory for what those who are in still need.

Source: SRE Book, chapter 22, "Load shedding and graceful degradation".
"""

import enum

HIGH_SHARE = 0.90
LEAVE_SHARE = 0.05
LAG_S_MAX = 1.0
"""What a ready socket may have to wait, smoothed, before nobody new is let in."""
_SMOOTHING = 0.15
"""Weight of the newest measure; at four a second, half of the memory is of the last second."""
OUTBOX_DIVISOR = 4


class Level(enum.IntEnum):
    """What the node can take."""

    CALM = 0
    HIGH = 1
    CRITICAL = 2


class Pressure:
    """The present level, from measures that come a few times a second."""

    __slots__ = ("_memory_bytes_max", "_memory_level", "lag_s", "level", "memory_bytes")

    def __init__(self, memory_bytes_max: int) -> None:
        """`memory_bytes_max` 0: no ceiling."""
        self._memory_bytes_max = memory_bytes_max
        self._memory_level = Level.CALM
        self.memory_bytes = 0
        self.lag_s = 0.0
        self.level = Level.CALM

    def is_much(self, memory_bytes: int) -> bool:
        """Say whether less memory could make a difference."""
        return 0 < self._memory_bytes_max * (HIGH_SHARE - LEAVE_SHARE) <= memory_bytes

    def measure(self, memory_bytes: int, lag_s: float) -> Level:
        """Take a measure; return the level from now on."""
        self.memory_bytes = memory_bytes
        self.lag_s += _SMOOTHING * (lag_s - self.lag_s)
        self._memory_level = self._of_memory(memory_bytes)
        leaving = self.level is not Level.CALM
        lagging = self.lag_s > (LAG_S_MAX / 2 if leaving else LAG_S_MAX)
        self.level = max(self._memory_level, Level.HIGH if lagging else Level.CALM)
        return self.level

    def _of_memory(self, memory_bytes: int) -> Level:
        if not self._memory_bytes_max:
            return Level.CALM
        share = memory_bytes / self._memory_bytes_max
        for level, begins in ((Level.CRITICAL, 1.0), (Level.HIGH, HIGH_SHARE)):
            if share >= begins - (LEAVE_SHARE if self._memory_level >= level else 0.0):
                return level
        return Level.CALM
