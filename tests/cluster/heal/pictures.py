"""Pictures of a cluster for the rules of healing: three nodes in zones, n1 leads and sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.heal.decision import Decision, Watcher
from cluster.heal.picture import Other, Seen, Troubles
from cluster.heal.settings import HealMode, HealSettings
from cluster.raft.members import Members
from cluster.raft.results import RaftStatus
from cluster.vitals import Storage, Vitals

GIB = 1024**3
HEALTHY = Storage(free_bytes=50 * GIB, total_bytes=100 * GIB, sync_p99_ms=2.0)
SLOW = Storage(free_bytes=50 * GIB, total_bytes=100 * GIB, sync_p99_ms=400.0, syncs_slow=20)


def vitals(storage: Storage = HEALTHY, *, zone: str = "", **fields: Any) -> Vitals:
    known = {"boot": "b", "level": 2, "standing": "serving", "leader": "n1", "applied_index": 100}
    return Vitals(storage=storage, zone=zone, **{**known, **fields})


def raft(role: str = "leader", *, voters: tuple[str, ...], **fields: Any) -> RaftStatus:
    known: dict[str, Any] = {
        "node_id": "n1",
        "members": dict.fromkeys(voters, "voter"),
        "is_unknown": False,
        "role": role,
        "leader": "n1",
        "term": 3,
        "commit_index": 100,
        "applied_index": 100,
        "last_index": 100,
        "first_index": 2,
        "snapshot_index": 1,
        "quorum_contact_age_s": 0.0,
        "contact_age_s": {},
        "match_index": dict.fromkeys(voters[1:], 100),
        "paused": (),
        "abstains": False,
        "empty": False,
        "pre_votes_total": 0,
        "peer_errors_total": 0,
    }
    return RaftStatus(**{**known, **fields})


@dataclass
class Scene:
    """What can be changed between two looks."""

    mine: Vitals = field(default_factory=vitals)
    others: dict[str, Other] = field(default_factory=dict)
    voters: tuple[str, ...] = ("n1", "n2", "n3")
    role: str = "leader"
    mode: HealMode = "act"
    held: str = ""
    now_s: float = 1_000.0
    raft: dict[str, Any] = field(default_factory=dict)
    troubles: Mapping[str, Troubles] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.voters[1:]:
            self.others.setdefault(name, Other(vitals(), 0.1))

    def seen(self) -> Seen:
        return Seen(
            now_s=self.now_s,
            node="n1",
            mine=self.mine,
            others=dict(self.others),
            raft=raft(self.role, voters=self.voters, **self.raft),
            members=Members.of(self.voters),
            settings=HealSettings(self.mode),
            held=self.held,
            troubles=self.troubles,
        )

    def look(self, watcher: Watcher, *, for_s: float = 0.0) -> list[Decision]:
        """Look twice a second for `for_s`, once at least; return all that was decided."""
        decisions = list(watcher.look(self.seen()))
        for _ in range(int(for_s / 0.5)):
            self.now_s += 0.5
            decisions += watcher.look(self.seen())
        return decisions
