"""A voter that is dead for long gives way to a standby (rule 11).  No I/O; the leader looks.

    dead      nothing from it, by Raft or by vitals, for `heal.replace_after`: a restart, an upgrade
              or a planned stop is shorter, or the limit is set too low
    well      a standby that spoke lately, serves, and holds what the leader holds, for STABLE_S
    then      joining → caught up → voter, and only then the dead one leaves

Held back, and said once: no standby is well, another change is under way, the last one was less
than PAUSE_S ago.  When is in the members' own entry (`cluster.raft.members`): who leads next has
that if the change took place at all.  That a majority can commit the change is the engine's own
condition (`cluster.raft.changing`).

Source: Consul autopilot, "dead server cleanup" and "stable server introduction".
"""

from collections.abc import Sequence

from cluster.heal import rules
from cluster.heal.decision import Decision, StandIn
from cluster.heal.limits import Lasting
from cluster.heal.picture import Seen

STABLE_S = 10.0
PAUSE_S = 3600.0
"""Between two replacements: what kills a node an hour is nothing that standbys mend."""
RETRY_S = 60.0
"""After an attempt that came to nothing."""
LAG_MAX = 5_000
"""Entries behind; its word may be half a second old, and the last of it is checked before it votes.
"""


class Replacing:
    """One leader's memory; it is empty again when another leads."""

    def __init__(self) -> None:
        self._stable: dict[str, Lasting] = {}
        self._held: dict[str, str] = {}
        """Dead voter to why it was not replaced, as it was said last."""
        self._again_s = float("-inf")
        """Before that nothing is tried; what is only observed counts as done."""

    def look(self, seen: Seen) -> Sequence[Decision]:
        if not seen.leads:
            self._stable.clear()
            self._held.clear()
            return []
        standbys = seen.members.in_role("standby")
        well = [name for name in standbys if self._is_stable(name, seen)]
        for gone in self._stable.keys() - set(standbys):
            del self._stable[gone]
        dead = sorted((age_s, name) for name, age_s in _dead_voters(seen).items())
        for gone in self._held.keys() - {name for _, name in dead}:
            del self._held[gone]
        if not dead or seen.now_s < self._again_s:
            return []
        age_s, name = dead[-1]
        held = self._why_not(seen, well)
        if held:
            return self._hold_back(name, age_s, held)
        self._again_s = seen.now_s + (RETRY_S if seen.acts else PAUSE_S)
        self._held.pop(name, None)
        standby = well[0]
        return [
            Decision(
                rules.DEAD_VOTER,
                f"{name} said nothing for {age_s:.0f} s, and {standby} is well",
                f"{standby} takes the place of {name}: it joins and votes, then {name} leaves",
                figures={"dead": name, "standby": standby, "silent_ms": int(age_s * 1000)},
                action=StandIn(name, standby),
                outcome="began",
            )
        ]

    def _is_stable(self, name: str, seen: Seen) -> bool:
        lasting = self._stable.setdefault(name, Lasting(STABLE_S, 0.0))
        return lasting.look(_is_well(name, seen), seen.now_s)

    def _why_not(self, seen: Seen, well: Sequence[str]) -> str:
        """Return what stands against a replacement now; empty when nothing does."""
        moving = [*seen.members.in_role("joining"), *seen.members.in_role("leaving")]
        if moving:
            return f"another change is under way: {', '.join(moving)}"
        if seen.replaced_s < PAUSE_S:
            return "another voter was replaced less than an hour ago"
        if not well:
            standbys = seen.members.in_role("standby")
            return f"no standby is well ({', '.join(standbys)})" if standbys else "no standby"
        return ""

    def _hold_back(self, name: str, age_s: float, why: str) -> Sequence[Decision]:
        if self._held.get(name) == why:
            return []
        self._held[name] = why
        return [
            Decision(
                rules.DEAD_VOTER,
                f"{name} said nothing for {age_s:.0f} s",
                f"not replaced: {why}",
                figures={"dead": name, "silent_ms": int(age_s * 1000)},
                outcome="held_back",
            )
        ]


def _dead_voters(seen: Seen) -> dict[str, float]:
    """Return for how long voters said nothing, those beyond the limit."""
    silent_s: dict[str, float] = {}
    for name in seen.members.voters:
        if name == seen.node:
            continue
        age_s = seen.raft.contact_age_s.get(name, 0.0)
        other = seen.others.get(name)
        silent_s[name] = min(age_s, other.age_s) if other is not None else age_s
    limit_s = seen.settings.replace_after_s
    return {name: age_s for name, age_s in silent_s.items() if age_s >= limit_s}


def _is_well(name: str, seen: Seen) -> bool:
    other = seen.fresh.get(name)
    if other is None or other.vitals.standing != "serving":
        return False
    return seen.raft.commit_index - other.vitals.applied_index <= LAG_MAX
