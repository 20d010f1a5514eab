"""Leadership that goes to another node: whom to, why not, and away from drained ones.  No I/O.

    asked for by             to                      until
    an operator              who was named, or best  `Replica.hand_over` hears of the new leader
    drained, and leading     best                    another leads: tried again, while this one does

The best is the voter that holds most; a drained one is never asked.  What the engine demands of
all: it was heard lately, and holds all that is committed.
"""

from collections.abc import Callable, Collection

from cluster.raft.engine import Engine

SILENT_S = 1.0
LEVEL_ENTRIES = 1_000
"""More behind than that, it takes longer to catch up than a hand-over may wait."""


def begin(engine: Engine, to: str, avoid: Collection[str]) -> str:
    """Begin to hand over to `to`, or to the best; return whom to, empty when nobody is level."""
    for candidate in [to] if to else _candidates(engine, avoid):
        if engine.transfer_leadership(candidate):
            return candidate
    return ""


def _candidates(engine: Engine, avoid: Collection[str]) -> list[str]:
    """Return the other voters, the best first; none of `avoid`."""
    status = engine.status()
    others = [
        name for name in engine.members.voters if name != status.node_id and name not in avoid
    ]
    return sorted(others, key=lambda name: (-status.match_index.get(name, 0), name))


def reason_against(engine: Engine, to: str, avoid: Collection[str]) -> str:
    """Return in words why this leader cannot hand over to `to`, or to anybody; else nothing."""
    status = engine.status()
    if not to:
        if _candidates(engine, avoid):
            return ""
        return "there is no other voter that takes clients: add one, or undrain one"
    if to == status.node_id:
        return f"{to} leads already"
    member = engine.members.by_id.get(to)
    if member is None:
        return f"{to} is no member; there are {', '.join(engine.members.by_id)}"
    if not member.votes:
        return f"{to} is {member.role}, and only voters lead: `cluster members promote {to}`"
    if to in avoid:
        return f"{to} is drained: `unidesk cluster undrain {to}` first"
    silent_s = status.contact_age_s.get(to, 0.0)
    if silent_s > SILENT_S:
        return f"nothing was heard of {to} for {silent_s:.1f} s; see `unidesk cluster status`"
    behind = status.commit_index - status.match_index.get(to, 0)
    if behind > LEVEL_ENTRIES:
        return f"{to} is {behind} entries behind: wait until it is level"
    return ""


class HandingOver:
    """Keeps leadership away from a node that is drained."""

    def __init__(self, engine: Engine, clock: Callable[[], float], every_s: float) -> None:
        self._engine = engine
        self._clock = clock
        self._every_s = every_s
        self._again_s = 0.0

    def turn(self, drained: Collection[str]) -> None:
        """Begin to hand over where that is due; called often."""
        engine = self._engine
        if not drained or not engine.is_leader or self._clock() < self._again_s:
            return
        if engine.leader in drained:  # itself
            self._again_s = self._clock() + self._every_s
            begin(engine, "", drained)
