"""Row 3, the leader is not heard here, but others hear it.  No I/O.

    leader ──x──▶ this node        fresh vitals of others name a leader of their own
       └──▶ other ──▶ this node    who hears both could relay

    not heard, DEAF_FOR_S in all ──▶ note ── heard for HEARS_FOR_S on end ──▶ note

What a link that flaps is down adds up.  Nothing is done: pre-vote and the others' lease keep this
node from deposing the leader, and it follows on as soon as it hears it.  The note and the status
say which link to look at.
"""

from collections import Counter

from cluster.heal.decision import Decision, Figures
from cluster.heal.picture import Seen
from cluster.heal.rules import ONE_WAY

DEAF_FOR_S = 1.0
HEARS_FOR_S = 5.0


class OneWay:
    """Whether this node alone misses the leader."""

    def __init__(self) -> None:
        self._deaf_s = 0.0
        """In all, since the leader was last heard for HEARS_FOR_S on end."""
        self._looked_s: float | None = None
        self._heard_since_s = 0.0
        self._told = ""
        self._since_s = 0.0

    def look(self, seen: Seen) -> list[Decision]:
        leader = unheard_leader(seen)
        self._add_up(bool(leader), seen.now_s)
        if leader and self._deaf_s >= DEAF_FOR_S and not self._told:
            self._told, self._since_s = leader, seen.now_s
            could = relays(seen, leader)
            figures: Figures = {"leader": leader, "could_relay": ", ".join(could)}
            words = f"{leader} leads and is not heard here; {len(could)} others hear both"
            return [Decision(ONE_WAY, words, "asks before it votes, and waits", figures)]
        if self._told and not self._deaf_s:
            leader, self._told = self._told, ""
            ms = round((seen.now_s - self._since_s) * 1000)
            figures = {"leader": leader, "deaf_ms": ms}
            return [Decision(ONE_WAY, f"{leader} is heard again", "follows on", figures)]
        return []

    def _add_up(self, deaf: bool, now_s: float) -> None:
        """Count who is deaf now as deaf since the last look; it was so for longer."""
        if deaf:
            self._deaf_s += now_s - (self._looked_s if self._looked_s is not None else now_s)
            self._heard_since_s = now_s
        elif now_s - self._heard_since_s >= HEARS_FOR_S:
            self._deaf_s = 0.0
        self._looked_s = now_s


def unheard_leader(seen: Seen) -> str:
    """Return who leads by the word of most who speak, and is not heard here; else nothing.

    A leader that was stopped for a while is still named by what the others said before: itself.
    """
    if seen.leads or seen.mine.leader:
        return ""
    fresh = seen.fresh
    named = Counter(one.vitals.leader for one in fresh.values() if one.vitals.leader)
    for leader, count in named.most_common(1):
        if 2 * count >= len(fresh) and leader in seen.members.voters and leader != seen.node:
            return leader
    return ""


def relays(seen: Seen, leader: str) -> list[str]:
    """Return whom this node hears, and who hear `leader`."""
    return sorted(
        name for name, one in seen.fresh.items() if name != leader and (leader in one.vitals.hears)
    )


def hint(seen: Seen) -> str:
    """Return in words which link to look at; empty where nothing is odd."""
    leader = unheard_leader(seen)
    if not leader:
        return ""
    could = relays(seen, leader)
    told = f"; {', '.join(could)} could relay" if could else ""
    return f"{leader} leads and is not heard here: look at the link from {leader}{told}"
