"""Row 9, a slow disk leads: hand leadership to the follower that is best off.  No I/O.

    this node leads, and for SLOW_FOR_S
      its sync p99 >= SLOW_MS, by SLOW_SYNCS_MIN syncs or more
      and >= FACTOR times that of some follower who could lead     ──▶ Transfer

Where all disks are slow alike nothing is gained, and nothing is done.  Each node gives leadership
away once in `limits.COOL_DOWN_S`; what that holds back is said once.

A sync that does not come back at all is no matter for a decision: nothing is sent while it runs, so
the followers elect, and the node fences itself (`Participant.note_stall`).
"""

from cluster.heal.candidates import best, candidates, is_slow
from cluster.heal.decision import Decision, Figures, Transfer
from cluster.heal.limits import HandOvers, Lasting
from cluster.heal.picture import Seen
from cluster.heal.rules import SLOW_DISK

SLOW_FOR_S = 3.0
WELL_FOR_S = 10.0
FACTOR = 3


class SlowDisk:
    """Whether this node's disk holds the cluster up."""

    def __init__(self, hand_overs: HandOvers) -> None:
        self._hand_overs = hand_overs
        self._slow = Lasting(SLOW_FOR_S, WELL_FOR_S)

    def look(self, seen: Seen) -> list[Decision]:
        p99_ms = seen.storage.sync_p99_ms
        able = {
            name: other
            for name, other in (candidates(seen) if seen.leads else {}).items()
            if 0 <= other.vitals.storage.sync_p99_ms * FACTOR <= p99_ms
        }
        if not self._slow.look(bool(able) and is_slow(seen.storage), seen.now_s) or not able:
            return []
        target = best(seen, able)
        theirs_ms = round(able[target].vitals.storage.sync_p99_ms)
        figures: Figures = {"p99_ms": round(p99_ms), "target_p99_ms": theirs_ms, "target": target}
        words = f"the leader's syncs take {round(p99_ms)} ms (p99), those of {target} {theirs_ms}"
        left_s = self._hand_overs.left_s(seen.now_s)
        if left_s == 0:
            self._hand_overs.begin(seen.now_s, acts=seen.acts)
            return [
                Decision(SLOW_DISK, words, f"leadership to {target}", figures, Transfer(target))
            ]
        if not self._hand_overs.tells(SLOW_DISK, seen.now_s):
            return []
        done = f"leads on: leadership was given away lately, {round(left_s)} s must pass first"
        held = {**figures, "wait_ms": round(left_s * 1000)}
        return [Decision(SLOW_DISK, words, done, held, outcome="held_back")]
