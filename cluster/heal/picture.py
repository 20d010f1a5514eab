"""What one node sees at one moment, for the rules of `cluster.heal`.  No I/O.

    Seen     itself, who else there is, Raft, the members, the settings, the time
    Other    one other node: what it said last, how old that is, how far its clock is ahead

Evidence that is not fresh is no evidence: `fresh` has who spoke within `vitals.STALE_S`, and no
rule that acts looks at anybody else.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.heal.settings import HealSettings
from cluster.raft.members import Members
from cluster.raft.results import RaftStatus
from cluster.vitals import STALE_S, Circle, Storage, Vitals


@dataclass(frozen=True, slots=True)
class Other:
    """Another node, as far as it is known here."""

    vitals: Vitals
    age_s: float
    ahead_ms: int = 0
    """How far its clock is ahead of this node's; negative: behind."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """What went wrong with a peer, or with who calls, since the start."""

    total: int
    why: str
    """The last one, in words."""
    pause_ms: int = 0
    """How long this node waits before it dials again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a rule goes by."""

    now_s: float
    """Monotonic, here."""
    node: str
    mine: Vitals
    others: Mapping[str, Other]
    """Other members that have spoken since the start, however long ago."""
    raft: RaftStatus
    members: Members
    settings: HealSettings
    replaced_s: float = float("inf")
    """Since a standby was given a dead voter's place, by the members' own entry."""
    handed_over_s: Sequence[float] = ()
    """Since healing gave leadership away anywhere, by the heal log: the last few, newest first."""
    rebuilt_s: float = float("inf")
    """Since this node's data was set aside because its state differed."""
    drained: Collection[str] = ()
    """Nodes that operators let take no clients: they are not to lead."""
    held: str = ""
    """Why it was told not to take part; empty when it may."""
    troubles: Mapping[str, Troubles] = field(default_factory=dict)
    """By peer's name, or by address of who calls and proves nothing."""

    @property
    def leads(self) -> bool:
        return self.raft.role == "leader"

    @property
    def acts(self) -> bool:
        """Whether what is decided is done, too."""
        return self.settings.mode == "act"

    @property
    def storage(self) -> Storage:
        """This node's own disk."""
        return self.mine.storage

    @property
    def fresh(self) -> dict[str, Other]:
        """Return who spoke lately."""
        return {name: one for name, one in self.others.items() if one.age_s <= STALE_S}


def others_in(circle: Circle, now_s: float) -> dict[str, Other]:
    """Return what is known of the other nodes."""
    return {
        name: Other(one.vitals, now_s - one.at_s, one.ahead_ms)
        for name, one in circle.all().items()
    }
