"""A node's standing in figures and in words, for people.  No I/O."""

from cluster.heal.nodes import rows
from cluster.heal.one_way import hint
from cluster.heal.picture import Seen
from cluster.port import Figures, ReplicaStatus
from cluster.raft.results import RaftStatus
from cluster.standing import Judge
from cluster.state import levels

MISSING_S = 1.0
"""Without a word for so long a node that is waited for is called missing."""

_ABSTAINS = "it lost its data: it is filled by the others, and decides nothing until they say so"


def status_of(
    seen: Seen,
    judge: Judge,
    figures: dict[str, Figures],
    *,
    leader: str,
    pending: int,
    violations: int,
    level_used: int,
) -> ReplicaStatus:
    """Return the status; `figures` of the links get what Raft knows of each peer."""
    raft = seen.raft
    for peer, one in figures.items():
        one["last_heard_s"] = raft.contact_age_s.get(peer, -1.0)
        one["match_index"] = raft.match_index.get(peer, 0)
    return ReplicaStatus(
        node=seen.node,
        boot=seen.mine.boot,
        standing=judge.standing,
        why="; ".join(filter(None, (_why(judge.why, raft), hint(seen)))),
        role="follower" if judge.held else raft.role,
        leader="" if judge.held else leader,
        term=raft.term,
        commit_index=raft.commit_index,
        applied_index=seen.mine.applied_index,
        last_index=raft.last_index,
        first_index=raft.first_index,
        quorum_heard_s=raft.quorum_contact_age_s,
        peers=figures,
        snapshot_index=raft.snapshot_index,
        pending=pending,
        violations=violations,
        abstains=raft.abstains,
        level=levels.LEVEL,
        level_used=level_used,
        heal_mode=seen.settings.mode,
        nodes=rows(seen),
    )


def _why(judged: str, raft: RaftStatus) -> str:
    """Return in words what there is to say about a node's standing."""
    if raft.is_unknown:
        return (
            "it is no member of this cluster (any more);"
            f" `unidesk cluster members add {raft.node_id}` lets it join"
        )
    if raft.abstains and raft.leader is None and raft.empty:
        silent = [peer for peer, age_s in raft.contact_age_s.items() if age_s > MISSING_S]
        missing = f"; missing: {', '.join(silent)}" if silent else ""
        if raft.last_index > 1:
            return f"a cluster begins when all its nodes, restored alike, have met{missing}"
        return f"a new cluster begins when all its nodes have met{missing}"
    return judged or (_ABSTAINS if raft.abstains else "")
