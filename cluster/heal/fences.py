"""Rows 1, 2, 4 and 17, written down: fenced, back, a leader that heard nobody.  No I/O.

    serving ──fenced──▶ note of row 1 ──serving, or draining──▶ note of row 2: how long, what was
                          │                                           missed
                          └─`replace_after` later─▶ note of row 17: a person must decide
    leader that no majority answers ──steps down──▶ note of row 4

What is done is not decided here: `cluster.standing` fences, and check-quorum in `cluster.raft`
deposes; neither can be turned off.  A node that was shut for its disk's sake is row 8's.
"""

from cluster.heal.decision import Decision, Figures
from cluster.heal.one_way import unheard_leader
from cluster.heal.picture import Seen
from cluster.heal.rules import DEAF_LEADER, MINORITY, QUORUM_LOST, RETURN


class Fences:
    """Tells when this node stopped serving for want of a majority, and when it went on."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._is_lost = False
        """Whether row 17 was told of this fence."""
        self._applied_index = 0
        self._unheard_total: int | None = None

    def look(self, seen: Seen) -> list[Decision]:
        return [*self._deposed(seen), *self._fenced(seen)]

    def _deposed(self, seen: Seen) -> list[Decision]:
        total = seen.raft.unheard_total
        before, self._unheard_total = self._unheard_total, total
        if before is None or total == before:
            return []
        words = f"no majority of {len(seen.members.voters)} voters answered this leader"
        figures: Figures = {"times": total - before, "term": seen.raft.term}
        return [Decision(DEAF_LEADER, words, "stepped down", figures)]

    def _fenced(self, seen: Seen) -> list[Decision]:
        standing = seen.mine.standing
        if self._since_s is None:
            if standing != "fenced" or seen.held:
                return []
            self._since_s, self._applied_index = seen.now_s, seen.mine.applied_index
            voters, heard = len(seen.members.voters), len(seen.mine.hears)
            words, silent_ms = _unheard(seen)
            figures = {"silent_ms": silent_ms, "voters": voters, "others_heard": heard}
            return [Decision(MINORITY, words, "fenced: refuses, and sends clients away", figures)]
        if standing == "fenced" and not seen.held:
            return self._lost(seen, seen.now_s - self._since_s)
        if standing not in ("serving", "draining"):
            return []
        fenced_ms = round((seen.now_s - self._since_s) * 1000)
        missed = seen.mine.applied_index - self._applied_index
        self._since_s, self._is_lost = None, False
        told: Figures = {
            "fenced_ms": fenced_ms,
            "entries_missed": missed,
            "leader": seen.mine.leader,
        }
        words = f"a majority is back after {fenced_ms / 1000:.1f} s"
        return [Decision(RETURN, words, f"caught up by {missed} entries, and serves", told)]

    def _lost(self, seen: Seen, fenced_s: float) -> list[Decision]:
        """Say once per fence that it has lasted too long to end by itself.

        Not where others have a leader, and this node alone does not hear it: that is row 3's.
        """
        if self._is_lost or fenced_s < seen.settings.replace_after_s or unheard_leader(seen):
            return []
        self._is_lost = True
        voters, heard = seen.members.voters, seen.mine.hears
        gone = ", ".join(name for name in voters if name != seen.node and name not in heard)
        words = f"no majority of {len(voters)} voters for {round(fenced_s)} s; not heard: {gone}"
        done = "serves old reads; a person decides: `unidesk cluster recover plan`"
        figures: Figures = {"fenced_ms": round(fenced_s * 1000), "gone": gone}
        return [Decision(QUORUM_LOST, words, done, figures, outcome="failed")]


def _unheard(seen: Seen) -> tuple[str, int]:
    """Return in words, and in milliseconds, how long nobody led; -1: no majority ever remembered.

    Whoever abstains is heard, and does not count.
    """
    voters, silent_s = seen.members.voters, seen.raft.quorum_contact_age_s
    if silent_s == float("inf"):
        return f"no majority of {len(voters)} voters that remember was heard", -1
    silent_ms = round(silent_s * 1000)
    forgot = {name for name, one in seen.others.items() if one.vitals.abstains}
    if seen.mine.abstains:
        forgot.add(seen.node)
    heard = len(({seen.node, *seen.mine.hears} - forgot) & set(voters))
    if 2 * heard > len(voters):
        words = f"no leader for {silent_ms} ms, and {heard} of {len(voters)} voters were heard"
        return words, silent_ms
    return f"no majority of {len(voters)} voters was heard for {silent_ms} ms", silent_ms
