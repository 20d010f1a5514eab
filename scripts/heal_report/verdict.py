"""What a trial showed, and what so many trials of a row come to.  No I/O.

    verdict       when
    lost          something acknowledged is lost, doubled, changed or out of order
    not injected  this machine lacks what the fault is made with
    not healed    not all nodes serve one state in time, or a promise of the row was broken
    not noted     healed, but no line of the row's rule in the heal log: nobody is told why
    healed        detected, healed, noted, and nothing lost

The worst trial is the row's verdict; its times are medians, with the longest beside them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

Verdict = Literal["lost", "not injected", "not healed", "not noted", "healed"]
WORST_FIRST: tuple[Verdict, ...] = ("lost", "not injected", "not healed", "not noted", "healed")
HEAL_S_MEDIAN_MAX = 5.0
"""The promise: median over the rows but re-syncs."""

Since = Literal["injection", "end"]


@dataclass(slots=True)
class Trial:
    """One injection, and all that was found."""

    nodes: int = 3
    seen: str = ""
    """The node's own words."""
    done: str = ""
    noted: bool = False
    detected_s: float | None = None
    """Injection to the first sign by the product."""
    healed_s: float | None = None
    stall_s: float = 0.0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    """What did not heal, or broke a promise of the row, in words."""
    not_injected: str = ""
    """What is missing on this machine, in words."""

    def forget(self, folder: str) -> None:
        """Name files as they are called within `folder`, which is gone."""
        prefix = folder.rstrip("/") + "/"
        self.seen, self.done = self.seen.replace(prefix, ""), self.done.replace(prefix, "")
        self.trouble = [one.replace(prefix, "") for one in self.trouble]

    @property
    def verdict(self) -> Verdict:
        if self.lost:
            return "lost"
        if self.not_injected:
            return "not injected"
        if self.trouble or self.healed_s is None or self.detected_s is None:
            return "not healed"
        return "healed" if self.noted else "not noted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """All trials of one row."""

    row: str
    """Number of the rule, and a letter where it has several faults: 3b."""
    injected: str
    since: Since
    """What `healed_s` is counted from: the injection, or the end of the fault."""
    resync: bool
    """Whether the node is filled anew, which takes as long as there is data."""
    by_hand: str
    trials: Sequence[Trial]

    @property
    def verdict(self) -> Verdict:
        return min((one.verdict for one in self.trials), key=WORST_FIRST.index)

    @property
    def detected_s(self) -> float | None:
        return _median(one.detected_s for one in self.trials)

    @property
    def healed_s(self) -> float | None:
        return _median(one.healed_s for one in self.trials)

    @property
    def healed_s_max(self) -> float | None:
        return max((one.healed_s for one in self.trials if one.healed_s is not None), default=None)

    @property
    def stall_s(self) -> float:
        return max(one.stall_s for one in self.trials)

    @property
    def acknowledged(self) -> int:
        return sum(one.acknowledged for one in self.trials)

    @property
    def lost(self) -> int:
        return sum(len(one.lost) for one in self.trials)

    @property
    def seen(self) -> str:
        """The words of the first trial that has some."""
        return next((one.seen for one in self.trials if one.seen), "")

    @property
    def done(self) -> str:
        return next((one.done for one in self.trials if one.done), "")

    @property
    def problems(self) -> list[str]:
        """All that is wrong, in words."""
        found: list[str] = []
        for one in self.trials:
            found += [*one.lost, *one.trouble, *filter(None, [one.not_injected])]
            if one.detected_s is None and not one.not_injected:
                found.append("no node said that it saw anything")
            elif not one.noted and not one.not_injected:
                found.append("the heal log has no line of this rule")
            if one.healed_s is None and not one.trouble and not one.not_injected:
                found.append("it was not waited for to heal")
        return list(dict.fromkeys(found))

    def to_builtins(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "row": self.row,
            "injected": self.injected,
            "seen": self.seen,
            "done": self.done,
            "verdict": self.verdict,
            "detected_s": self.detected_s,
            "healed_s": self.healed_s,
            "healed_s_max": self.healed_s_max,
            "healed_since": self.since,
            "resync": self.resync,
            "stall_s_max": self.stall_s,
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "by_hand": self.by_hand,
            "problems": self.problems,
            "trials": [asdict(one) | {"verdict": one.verdict} for one in self.trials],
        }


def median_heal_s(outcomes: Iterable[Outcome]) -> float | None:
    """Return the median over the rows that healed by themselves, but re-syncs."""
    return _median(one.healed_s for one in outcomes if not one.resync and not one.by_hand)


def is_good(outcomes: Sequence[Outcome]) -> bool:
    """Whether every row healed, was noted, and lost nothing, soon enough in the median."""
    median_s = median_heal_s(outcomes)
    soon = median_s is None or median_s < HEAL_S_MEDIAN_MAX
    return bool(outcomes) and soon and all(one.verdict == "healed" for one in outcomes)


def _median(found: Iterable[float | None]) -> float | None:
    known = [one for one in found if one is not None]
    return median(known) if known else None
