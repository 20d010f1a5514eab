"""Who may be given leadership, and which of them is best off.  No I/O.

A candidate votes, spoke lately, serves, holds all that is committed, and has a disk with room that
is not slow.  Best off is who has most company in its zone, then the quicker disk, then the
longer log.
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
    """Return who may lead instead of this node, which leads."""
    committed = seen.raft.commit_index
    return {
        name: other
        for name, other in seen.fresh.items()
        if name in seen.members.voters
        and seen.raft.match_index.get(name, 0) >= committed
        and is_well(other.vitals)
    }


def best(seen: Seen, among: Iterable[str]) -> str:
    """Return who of `among`, which is not empty, is best off."""
    zones = company(seen)

    def rank(name: str) -> tuple[int, float, int, str]:
        vitals = seen.others[name].vitals
        p99_ms = max(vitals.storage.sync_p99_ms, 0.0)
        return (zones[vitals.zone], -p99_ms, seen.raft.match_index.get(name, 0), name)

    return max(among, key=rank)
