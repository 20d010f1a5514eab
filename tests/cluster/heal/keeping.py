"""Pictures for the rules about members and state."""

from typing import Any

from cluster.heal.picture import Other, Seen
from cluster.heal.settings import HealSettings
from cluster.raft.members import Member, Members
from cluster.raft.results import RaftStatus
from cluster.vitals import Vitals


def members(**roles: Any) -> Members:
    return Members({name: Member(role) for name, role in sorted(roles.items())})


THREE = members(n1="voter", n2="voter", n3="voter")


def vitals(index: int = 0, digest: str = "", **more: Any) -> Vitals:
    return Vitals("boot", 2, standing="serving", digest=(index, digest), **more)


def raft(role: Any = "leader", silent_s: dict[str, float] | None = None) -> RaftStatus:
    return RaftStatus(
        node_id="n1",
        members={},
        is_unknown=False,
        role=role,
        leader="n1",
        term=3,
        commit_index=100,
        applied_index=100,
        last_index=100,
        first_index=2,
        snapshot_index=0,
        quorum_contact_age_s=0.0,
        contact_age_s=silent_s or {},
        match_index={"n2": 100, "n3": 100},
        paused=(),
        abstains=False,
        empty=False,
        pre_votes_total=0,
        peer_errors_total=0,
    )


def seen(now_s: float, **more: Any) -> Seen:
    """What n1 sees; it leads unless another `raft` is given."""
    given: dict[str, Any] = {
        "node": "n1",
        "mine": vitals(),
        "others": {},
        "raft": raft(),
        "members": THREE,
        "settings": HealSettings(replace_after_s=60.0),
    }
    return Seen(now_s=now_s, **(given | more))


def said(one: Vitals, age_s: float = 0.1) -> Other:
    return Other(one, age_s)
