"""Row 18, leadership prefers healthy zones: a leader alone in its zone gives way.  No I/O.

    zone of the leader   another zone            for LONELY_S
    no other voter well  two voters well, more   ──▶ Transfer to the best off of them

What fails together has one zone.  A leader without company in its zone pays a trip to another zone
for every commit, and is what is left of a zone that fails.  Nothing is done where no zones are
told, or every zone has one voter.  The limit of `limits.HandOvers` is shared with row 9.
"""

from cluster.heal.candidates import best, candidates, company
from cluster.heal.decision import Decision, Figures, Transfer
from cluster.heal.limits import HandOvers, Lasting
from cluster.heal.picture import Seen
from cluster.heal.rules import LONELY

LONELY_S = 10.0
"""Long enough for a node of this zone to be restarted."""


class Zones:
    """Whether the leader is in good company."""

    def __init__(self, hand_overs: HandOvers) -> None:
        self._hand_overs = hand_overs
        self._lonely = Lasting(LONELY_S, LONELY_S)

    def look(self, seen: Seen) -> list[Decision]:
        zones = company(seen)
        mine = seen.mine.zone
        beside_me = zones[mine] - (1 if zones[mine] else 0)
        able = {
            name: other
            for name, other in (candidates(seen) if seen.leads and mine else {}).items()
            if other.vitals.zone != mine and zones[other.vitals.zone] >= 2
        }
        lonely = self._lonely.look(beside_me == 0 and bool(able), seen.now_s)
        if not lonely or not able:
            return []
        target = best(seen, able)
        zone = able[target].vitals.zone
        figures: Figures = {
            "zone": mine,
            "target": target,
            "target_zone": zone,
            "there": zones[zone],
        }
        words = f"the leader is alone in zone {mine}; in {zone} {zones[zone]} voters are well"
        left_s = self._hand_overs.left_s(seen.now_s)
        if left_s and self._hand_overs.tells(LONELY, seen.now_s):
            done = f"leads on: leadership was given away lately, {round(left_s)} s must pass first"
            return [Decision(LONELY, words, done, figures, outcome="held_back")]
        if left_s:
            return []
        self._hand_overs.begin(seen.now_s, acts=seen.acts)
        return [Decision(LONELY, words, f"leadership to {target}", figures, Transfer(target))]
