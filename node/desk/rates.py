"""How fast a principal may ask, over all its connections at this node.  No I/O.

    asked for so long at the allowed rate      ├─────────────┤
    now                                   ─────┴──────┬──────┴──▶
                                                      └ ahead: at most BURST_S, else refused

One number a key: the moment up to which its requests would have taken, had they come at the
allowed rate.  A refused request counts for nothing.

Source: the generic cell rate algorithm, ITU-T I.371, annex A.
"""

from collections.abc import Callable, Mapping

from node.auth import Principal
from node.protocol.catalogue import Role

BURST_S = 5.0
"""So much of the rate may come at once."""


class Pace:
    """One rate for many keys.  Seconds are those of `clock`."""

    def __init__(self, per_s: float, burst_s: float, clock: Callable[[], float]) -> None:
        """`per_s` of 0 allows any number."""
        self._per_s = per_s
        self._burst_s = burst_s
        self._clock = clock
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def wait_s(self, key: str) -> float:
        """Return 0 and count what may be done now; else how long to wait with it."""
        if not self._per_s:
            return 0.0
        now_s = self._clock()
        until_s = max(self._until.get(key, 0.0), now_s) + 1 / self._per_s
        if until_s - now_s > self._burst_s:
            return until_s - now_s - self._burst_s
        self._until[key] = until_s
        return 0.0

    def take_back(self, key: str) -> None:
        """Let one that was counted not have been."""
        if key in self._until:
            self._until[key] -= 1 / self._per_s

    def forget_idle(self) -> None:
        """Drop whoever has done nothing lately: it is as if they never had."""
        now_s = self._clock()
        for key in [key for key, until_s in self._until.items() if until_s <= now_s]:
            del self._until[key]


class Rates:
    """A pace for each role, of its principals."""

    def __init__(self, per_s: Mapping[Role, float], clock: Callable[[], float]) -> None:
        """`per_s`: requests a second by role; 0 allows any number."""
        self._paces = {role: Pace(rate, BURST_S, clock) for role, rate in per_s.items()}

    def __len__(self) -> int:
        return sum(len(pace) for pace in self._paces.values())

    def wait_s(self, principal: Principal) -> float:
        """Return 0 and count a request that may be made now; else how long to wait with it."""
        return self._paces[principal.role].wait_s(principal.id)

    def forget_idle(self) -> None:
        """Drop whoever has asked for nothing lately: it is as if they never had."""
        for pace in self._paces.values():
            pace.forget_idle()
