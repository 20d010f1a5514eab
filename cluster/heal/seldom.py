"""Notes about wrong neighbours, each at most once an hour.  No I/O.

A hello is not proved before it is refused, so anybody can send one under any name: the notes are
limited as a whole too.
"""

from collections.abc import Callable

AGAIN_S = 3600.0
"""Before the same neighbour is noted again."""
KNOWN_MAX = 32
"""Neighbours kept apart; more of them are counted only."""


class Seldom:
    """Says whether something is worth a note."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._noted_s: dict[tuple[str, ...], float] = {}
        self.held_back = 0
        """How often it was not."""

    def is_due(self, *what: str) -> bool:
        """Return whether `what` was not noted lately; then it counts as noted."""
        now_s = self._clock()
        for known, at_s in list(self._noted_s.items()):
            if now_s - at_s >= AGAIN_S:
                del self._noted_s[known]
        if what in self._noted_s or len(self._noted_s) >= KNOWN_MAX:
            self.held_back += 1
            return False
        self._noted_s[what] = now_s
        return True
