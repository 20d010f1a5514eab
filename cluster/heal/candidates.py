"""Whom leadership goes to: one choice for all who give it away.  No I/O.

    given away by                              to
    a rule of `cluster.heal`                   the best of those that are known to be well
    an operator, naming one                    that one, unless `reason_against` says why not
    an operator, a drained node                the best that is not drained
    a process that goes, a member that leaves  the best; a drained one, where there is no other

    better off is, in this order
    who stays        neither drained nor about to leave the members
    who is well      spoke lately, serves, and has a disk with room that is not slow
    company          more voters that are well in its zone
    disk             quicker syncs
    lag              the longer log

The engine has the last word: who is to lead votes, was heard lately, and holds all that is
committed (`cluster.raft.leading`).
"""

from collections import Counter
from collections.abc import Iterable

from cluster.heal.picture import Other, Seen
from cluster.heal.space import is_short
from cluster.vitals import Storage, Vitals

SLOW_MS = 50.0
"""Quicker syncs are never called slow: a commit behind them is not felt."""
SLOW_SYNCS_MIN = 3
"""One or two slow syncs are a hiccup; on an idle node they would make the percentile."""
SILENT_S = 1.0
LEVEL_ENTRIES = 1_000
"""More behind than that, it takes longer to catch up than a hand-over may wait."""


def is_slow(storage: Storage) -> bool:
    """Whether a node's syncs are slow, by its own account."""
    return storage.sync_p99_ms >= SLOW_MS and storage.syncs_slow >= SLOW_SYNCS_MIN


def is_well(vitals: Vitals) -> bool:
    """Whether a node serves, on a disk that is up to it."""
    storage = vitals.storage
    return vitals.standing == "serving" and not is_slow(storage) and not is_short(storage)


def company(seen: Seen) -> Counter[str]:
    """Return how many voters are well in each zone; who says no zone is in none."""
    spoken: dict[str, Vitals] = {name: one.vitals for name, one in seen.fresh.items()}
    spoken[seen.node] = seen.mine
    voters = (spoken[name] for name in seen.members.voters if name in spoken)
    return Counter(one.zone for one in voters if one.zone and is_well(one))


def candidates(seen: Seen) -> dict[str, Other]:
    """Return who is known to be fit to lead instead of this node, which leads."""
    committed = seen.raft.commit_index
    return {
        name: other
        for name, other in seen.fresh.items()
        if name in seen.members.voters
        and name not in seen.drained
        and seen.raft.match_index.get(name, 0) >= committed
        and is_well(other.vitals)
    }


def best(seen: Seen, among: Iterable[str]) -> str:
    """Return who of `among`, which is not empty, is best off."""
    return _in_order(seen, among)[0]


def in_order(seen: Seen, *, drained_too: bool = False) -> list[str]:
    """Return the other voters, the best first; those too of whom nothing was heard."""
    others = [name for name in seen.members.voters if name != seen.node]
    return _in_order(seen, (name for name in others if drained_too or name not in seen.drained))


def _in_order(seen: Seen, among: Iterable[str]) -> list[str]:
    zones, fresh = company(seen), seen.fresh

    def rank(name: str) -> tuple[bool, bool, int, float, int, str]:
        stays = name not in seen.drained and name not in seen.members.in_role("leaving")
        length = seen.raft.match_index.get(name, 0)
        other = fresh.get(name)
        if other is None:  # of the first release, perhaps, which says nothing of itself
            return (stays, False, 0, float("-inf"), length, name)
        vitals = other.vitals
        p99_ms = max(vitals.storage.sync_p99_ms, 0.0)
        return (stays, is_well(vitals), zones[vitals.zone], -p99_ms, length, name)

    return sorted(among, key=rank, reverse=True)


def reason_against(seen: Seen, to: str = "") -> str:
    """Return in words why this leader cannot hand over to `to`, or to anybody; else nothing."""
    if not to:
        if in_order(seen):
            return ""
        return "there is no other voter that takes clients: add one, or undrain one"
    if to == seen.node:
        return f"{to} leads already"
    member = seen.members.by_id.get(to)
    if member is None:
        return f"{to} is no member; there are {', '.join(seen.members.by_id)}"
    if not member.votes:
        return f"{to} is {member.role}, and only voters lead: `cluster members promote {to}`"
    if to in seen.drained:
        return f"{to} is drained: `unidesk cluster undrain {to}` first"
    silent_s = seen.raft.contact_age_s.get(to, 0.0)
    if silent_s > SILENT_S:
        return f"nothing was heard of {to} for {silent_s:.1f} s; see `unidesk cluster status`"
    behind = seen.raft.commit_index - seen.raft.match_index.get(to, 0)
    if behind > LEVEL_ENTRIES:
        return f"{to} is {behind} entries behind: wait until it is level"
    return ""
