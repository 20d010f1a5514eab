"""How often, and after how long: what keeps healing from doing harm.  No I/O.

    Lasting     true ── for_s ──▶ on ── false for_s ──▶ off     a moment is no state
    HandOvers   asked ──it leads no more──▶ COOL_DOWN_S         leadership is given away rarely
                  └────it leads still─────▶ RETRY_S
                HAND_OVERS_MAX anywhere ──▶ COOL_DOWN_S         and does not go round the cluster

Times are the caller's monotonic seconds.
"""

from cluster.heal.decision import Decision
from cluster.heal.picture import Seen

COOL_DOWN_S = 300.0
"""Between two times that a node gives leadership away because it would be better off elsewhere."""
HAND_OVERS_MAX = 3
"""In COOL_DOWN_S, of all nodes together: five that are slow in turn must not pass it around.  How
many there were is known from the heal log."""
RETRY_S = 10.0
"""After an attempt that came to nothing."""


class Lasting:
    """Whether something is so, and has been for `on_s`; it is over after `off_s` without."""

    def __init__(self, on_s: float, off_s: float) -> None:
        self._on_s = on_s
        self._off_s = off_s
        self._since_s: float | None = None
        """Since when it is the other way."""
        self.on = False

    def look(self, is_so: bool, now_s: float) -> bool:
        """Return whether it is on now."""
        if is_so == self.on:
            self._since_s = None
            return self.on
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s >= (self._off_s if self.on else self._on_s):
            self.on, self._since_s = is_so, None
        return self.on


class HandOvers:
    """When this node gave leadership away; all rules that do so share one."""

    def __init__(self) -> None:
        self._asked_s = float("-inf")
        self._given_s = float("-inf")
        self._round_s = float("-inf")
        """When the oldest of the last HAND_OVERS_MAX was, wherever."""
        self._told: dict[int, float] = {}

    def look(self, seen: Seen) -> list[Decision]:
        """Notice that what was asked for has happened, here and elsewhere."""
        last = seen.handed_over_s[:HAND_OVERS_MAX]
        is_full = len(last) == HAND_OVERS_MAX
        self._round_s = seen.now_s - last[-1] if is_full else float("-inf")
        if not seen.leads and self._asked_s > self._given_s:
            self._given_s = self._asked_s
        return []

    def left_s(self, now_s: float) -> float:
        """Return for how long leadership must not be given away; 0 when it may."""
        since_s = max(self._given_s, self._round_s)
        left_s = max(since_s + COOL_DOWN_S, self._asked_s + RETRY_S) - now_s
        return max(left_s, 0.0)

    def begin(self, now_s: float, *, acts: bool) -> None:
        """It is given away now; what is only observed counts as done."""
        self._asked_s = now_s
        if not acts:
            self._given_s = now_s

    def tells(self, rule: int, now_s: float) -> bool:
        """Return, once per cool-down and rule, that it holds something back."""
        since_s = max(self._given_s, self._round_s)
        told_s = self._told.get(rule, float("-inf"))
        if now_s - since_s >= COOL_DOWN_S or now_s - told_s < COOL_DOWN_S:
            return False
        self._told[rule] = now_s
        return True
