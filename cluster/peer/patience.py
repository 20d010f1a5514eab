"""How long to wait before a peer is dialled again.  No I/O; chance comes in.

    what happened                                pause before the next try
    nobody there, or it says nothing             0.02 s, doubling up to 0.5 s
    refused, no sense, hung up at once: trouble  the same for PATIENT times, then up to PAUSE_S_MAX
    the link was up for STEADY_S                 none, and all is forgotten

A pause is cut short, down to 0.5 s, when the peer dials in: it is there again.  Each one is up to
25 % shorter or longer by chance: nodes that lost each other at one moment do not go on in step.
"""

from collections.abc import Callable

from cluster.heal.picture import Troubles

PAUSE_S_MIN = 0.02
PAUSE_S_USUAL = 0.5
PAUSE_S_MAX = 10.0
PATIENT = 10
STEADY_S = 1.0
TROUBLED_MAX = 64
"""Peers and addresses whose troubles are counted; the one that was quiet longest falls out."""


class Patience:
    """Of one dialler."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance` draws from 0 to 1."""
        self._chance = chance
        self._misses = 0
        self._troubles = 0

    def steady(self) -> None:
        """The link was up, and for long enough."""
        self._misses = self._troubles = 0

    def missed(self) -> float:
        """Nobody answered; return how many seconds to wait."""
        self._misses += 1
        return self._vary(_usual_s(self._misses - 1))

    def troubled(self) -> float:
        """It answered, and badly; return how many seconds to wait."""
        self._troubles += 1
        if self._troubles <= PATIENT:
            return self._vary(_usual_s(self._troubles - 1))
        beyond = self._troubles - PATIENT
        return self._vary(min(PAUSE_S_USUAL * 2.0 ** min(beyond, 10), PAUSE_S_MAX))

    def _vary(self, pause_s: float) -> float:
        return pause_s * (0.75 + 0.5 * self._chance())


def _usual_s(times: int) -> float:
    return min(PAUSE_S_MIN * 2.0 ** min(times, 10), PAUSE_S_USUAL)


class TroubleBook:
    """Who made trouble: by peer's name, or by address where none is proven."""

    def __init__(self) -> None:
        self._by_name: dict[str, Troubles] = {}

    def note(self, name: str, why: str, pause_s: float = 0.0) -> None:
        """Count one more."""
        before = self._by_name.pop(name, Troubles(0, ""))
        if len(self._by_name) >= TROUBLED_MAX:
            del self._by_name[next(iter(self._by_name))]
        self._by_name[name] = Troubles(before.total + 1, why, round(pause_s * 1000))

    def all(self) -> dict[str, Troubles]:
        """Return the counts of this moment."""
        return dict(self._by_name)
