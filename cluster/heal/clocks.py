"""Row 14, clocks that are apart: a warning with the figure.  No I/O.

    |their clock - ours| > APART_MS for APART_FOR_S ──▶ note ──within for WITHIN_FOR_S──▶ note

The leader tells, as its time is the cluster's; a change of leader tells nothing twice that is over.
No clock is corrected: cluster time follows the leader's and never runs backwards.
`cluster.vitals.Circle` takes the time on the way out of the readings.
"""

from cluster.heal.decision import Decision, Figures
from cluster.heal.limits import Lasting
from cluster.heal.picture import Other, Seen
from cluster.heal.rules import CLOCKS

APART_MS = 500
APART_FOR_S = 3.0
WITHIN_FOR_S = 10.0


class Clocks:
    """How far the other nodes' clocks are from this one's."""

    def __init__(self) -> None:
        self._apart: dict[str, Lasting] = {}
        self._told: set[str] = set()

    def look(self, seen: Seen) -> list[Decision]:
        for name in self._apart.keys() - seen.members.by_id.keys():
            del self._apart[name]
            self._told.discard(name)
        decisions = (self._compare(seen, name, other) for name, other in seen.fresh.items())
        return [one for one in decisions if one is not None]

    def _compare(self, seen: Seen, name: str, other: Other) -> Decision | None:
        apart = self._apart.setdefault(name, Lasting(APART_FOR_S, WITHIN_FOR_S))
        is_apart = apart.look(abs(other.ahead_ms) > APART_MS, seen.now_s)
        if is_apart == (name in self._told) or not seen.leads:
            return None
        figures: Figures = {"peer": name, "ahead_ms": other.ahead_ms}
        side = "ahead of" if other.ahead_ms > 0 else "behind"
        words = f"the clock of {name} is {abs(other.ahead_ms)} ms {side} the leader's"
        if is_apart:
            self._told.add(name)
            return Decision(CLOCKS, words, "none: set it, look at its time service", figures)
        self._told.discard(name)
        return Decision(CLOCKS, words, "none: within the bound again", figures)
