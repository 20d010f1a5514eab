"""What an engine hands to its driver: entries, installs, figures.  No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass

from cluster.raft.parts import Role
from cluster.raft.room import Lack
from wal.snapshot import SnapshotMeta


@dataclass(frozen=True, slots=True)
class Committed:
    """One committed entry; `payload` is None for entries of the engine's own."""

    index: int
    term: int
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Install:
    """The state at `meta.index`, from the leader: it replaces everything before."""

    meta: SnapshotMeta
    payload: Iterable[bytes]
    """Read from the disk as it is iterated; once."""


@dataclass(frozen=True, slots=True)
class RaftStatus:
    """A node's Raft in figures; ages are seconds, since start when nothing was heard."""

    node_id: str
    members: dict[str, str]
    """Role of each, by id."""
    is_unknown: bool
    """A majority of the voters does not know this node as a member: not yet, or not any more."""
    role: Role
    leader: str | None
    term: int
    commit_index: int
    applied_index: int
    last_index: int
    first_index: int
    snapshot_index: int
    quorum_contact_age_s: float
    """Since a majority followed this leader, or this follower heard its leader."""
    contact_age_s: dict[str, float]
    """Per other member: since anything came from it."""
    match_index: dict[str, int]
    """At the leader, per other voter: what it proved to hold."""
    paused: tuple[str, ...]
    """At the leader: who has too much unanswered and gets heartbeats only."""
    abstains: bool
    """This node may have forgotten promises: it follows, and decides nothing yet."""
    empty: bool
    """Whether it holds nothing of any leader: its cluster has not begun, or it lost its data."""
    pre_votes_total: int
    peer_errors_total: int
    unheard_total: int = 0
    """How often this node led, and stepped down as no majority answered."""
    lack: Lack | None = None
    """The leader's snapshot that there is no room for here."""
