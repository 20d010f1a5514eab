"""Row 8, a disk that fills: warn, compact, hand over, take nothing more, come back.  No I/O.

    ample ──short──▶ short ──full──▶ leaving ──leads no more, or LEAVE_S──▶ shut
      ▲                │  ▲             (Transfer, where somebody can lead)    │
      └──ample again───┘  └──────────────────── room again ────────────────────┘

On the way to short the log is compacted, once in COMPACT_EVERY_S.  `cluster.heal.space` has the
bounds.  A disk that nobody could look at is not judged.
"""

from typing import Literal

from cluster.heal.candidates import best, candidates
from cluster.heal.decision import Compact, Decision, Reopen, Shut, Transfer
from cluster.heal.limits import HandOvers
from cluster.heal.picture import Seen
from cluster.heal.rules import DISK_FULL
from cluster.heal.space import full_below, in_words, is_known, short_below

LEAVE_S = 1.0
"""An election timeout, and two looks: then it stops taking entries, successor or not."""
COMPACT_EVERY_S = 300.0
COMPACT_ENTRIES_MIN = 1_000


class FullDisk:
    """Whether this node's disk has room for what it is asked to keep."""

    def __init__(self, hand_overs: HandOvers) -> None:
        self._hand_overs = hand_overs
        self.state: Literal["ample", "short", "leaving", "shut"] = "ample"
        self._since_s = 0.0
        self._compacted_s = float("-inf")

    def look(self, seen: Seen) -> list[Decision]:
        if not is_known(seen.storage):
            return []
        free, total = seen.storage.free_bytes, seen.storage.total_bytes
        short, full = short_below(total), full_below(total)
        match self.state:
            case "ample" | "short" if free < full:
                return self._leave(seen)
            case "ample" if free < short:
                self.state = "short"
                return [self._compact(seen)]
            case "short" if free > short * 6 // 5:
                self.state = "ample"
                return [_decision(seen, "none: there is room again")]
            case "short" if self._compacts_again(seen):
                return [self._compact(seen)]
            case "leaving" if free > full * 3 // 2:
                self.state = "short"
                return [_decision(seen, "none: there is room again")]
            case "leaving" if not seen.leads or seen.now_s - self._since_s >= LEAVE_S:
                return self._shut(seen)
            case "shut" if free > full * 3 // 2:
                self.state = "short"
                return [_decision(seen, "takes part again", action=Reopen())]
        return []

    def _compact(self, seen: Seen) -> Decision:
        self._compacted_s = seen.now_s
        return _decision(seen, "a snapshot now, so that the log gets shorter", action=Compact())

    def _compacts_again(self, seen: Seen) -> bool:
        entries = seen.raft.applied_index - seen.raft.snapshot_index
        rested = seen.now_s - self._compacted_s >= COMPACT_EVERY_S
        return rested and entries >= COMPACT_ENTRIES_MIN

    def _leave(self, seen: Seen) -> list[Decision]:
        """Give leadership away first, where somebody can have it; it must not lead on."""
        able = candidates(seen) if seen.leads else {}
        if not able:
            return self._shut(seen)
        self.state, self._since_s = "leaving", seen.now_s
        self._hand_overs.begin(seen.now_s, acts=seen.acts)
        target = best(seen, able)
        return [_decision(seen, f"leadership to {target}", action=Transfer(target), target=target)]

    def _shut(self, seen: Seen) -> list[Decision]:
        self.state = "shut"
        free, total = seen.storage.free_bytes, seen.storage.total_bytes
        why = (
            f"its disk is full: {in_words(free)} of {in_words(total)} are free; it takes part"
            f" again by itself with more than {in_words(full_below(total) * 3 // 2)}"
        )
        return [_decision(seen, "takes no more entries, serves no clients", action=Shut(why))]


def _decision(
    seen: Seen,
    done: str,
    *,
    action: Transfer | Compact | Shut | Reopen | None = None,
    target: str = "",
) -> Decision:
    free, total = seen.storage.free_bytes, seen.storage.total_bytes
    figures: dict[str, int | str | bool] = {"free_bytes": free, "total_bytes": total}
    if target:
        figures["target"] = target
    words = f"{in_words(free)} of {in_words(total)} are free on the disk"
    return Decision(DISK_FULL, words, done, figures, action)
