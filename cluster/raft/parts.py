"""What the sides of one engine share: the core, the journal, timers, and the outbox.  No I/O."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

from cluster.raft.election import Elections, Timing
from cluster.raft.journal import RaftJournal
from cluster.raft.messages import Message, NewerTerm
from cluster.raft.pysyncobj_core import Core

Role = Literal["follower", "candidate", "leader"]
Addressed = tuple[str, Message]


@dataclass(slots=True)
class Outbox:
    """Messages by when they may leave; both lists are emptied every turn."""

    early: list[Addressed] = field(default_factory=list)
    """Before the sync: appends, which promise nothing."""
    late: list[Addressed] = field(default_factory=list)
    """After the sync: whatever promises what the log says."""


@dataclass(slots=True)
class Parts:
    """Made by the engine, used by its leading, following and voting sides."""

    node_id: str
    others: tuple[str, ...]
    """The other voters, sorted; changes with the members."""
    timing: Timing
    clock: Callable[[], float]
    journal: RaftJournal
    core: Core
    elections: Elections
    off: Set[str]
    life: int
    """Of this process, drawn at its start; see `cluster.raft.abstaining`."""
    outbox: Outbox = field(default_factory=Outbox)
    choose: Callable[[Sequence[str]], str] = lambda able: able[-1]
    """Who leads next, of those who could, the furthest last."""

    @property
    def votes(self) -> bool:
        """Whether this node is a voter as far as it knows."""
        return self.node_id in self.journal.members.voters

    @property
    def abstains(self) -> bool:
        """Whether this node may have forgotten promises, and decides nothing."""
        return self.journal.abstains and "abstain" not in self.off

    @property
    def forgetful_life(self) -> int:
        """For an answer: this life while the node abstains, else 0."""
        return self.life if self.abstains else 0

    def promise(self, peer: str, message: Message) -> None:
        """Send after the sync."""
        early = "late_answers" in self.off
        (self.outbox.early if early else self.outbox.late).append((peer, message))

    def object(self, peer: str) -> None:
        """Tell `peer` that the term it spoke in is over."""
        if "newer_term" not in self.off:
            self.promise(peer, NewerTerm(self.core.term))

    def promise_all(self, message: Message) -> None:
        for peer in self.others:
            self.promise(peer, message)
