"""This node's proposals on their way: into the log where it leads, else to who does.  No I/O.

    submit ──▶ Proposals ──▶ take_turn ──▶ leads:   with the followers' batches, as few entries
                                           follows: one frame "batch" a batch, to the leader
    on_outcome ◀── every proposal that is applied, anybody's

A change of leader sends again what has no outcome yet, and so does time (`cluster.proposals`).
"""

from collections.abc import Callable, Iterable, Iterator

from cluster.clock import ClusterClock
from cluster.figures import Timings
from cluster.inbox import Inbox
from cluster.packing import pack
from cluster.peer.frames import encode
from cluster.port import Answer, Unavailable
from cluster.proposals import Proposals
from cluster.raft.engine import Engine
from cluster.state import entry
from cluster.state.machine import Skipped
from cluster.state.outcome import Outcome
from cluster.tracing import Traces
from cluster.world import Peers

_UNSEEN = Unavailable("timeout", "it was applied, but its outcome was not seen here")


class Proposing:
    """One boot's; `take_turn` once a turn, before appends leave."""

    def __init__(
        self,
        node: str,
        boot: str,
        next_number: int,
        *,
        engine: Engine,
        peers: Peers,
        inbox: Inbox,
        clock: Callable[[], float],
        cluster_clock: ClusterClock,
        timings: Timings,
        traces: Traces,
    ) -> None:
        self._node, self._boot = node, boot
        self.proposals = Proposals(node, boot, next_number)
        self._engine = engine
        self._peers = peers
        self._inbox = inbox
        self._now_s = clock
        self._cluster_clock = cluster_clock
        self._timings = timings
        self._traces = traces
        self._leadership = ("", -1)
        self.leader_changes = 0
        self._awaited_index = 0

    def submit(self, data: bytes, on_answer: Callable[[Answer], None]) -> bool:
        """Take one encoded command; return False where too many wait."""
        return self.proposals.submit(data, on_answer, self._now_s())

    def is_awaited(self, applied_index: int) -> bool:
        """Whether another node waits for what this leader proposed and has not applied."""
        return self._awaited_index > applied_index

    def take_turn(self, leader: str | None, *, reached: bool) -> None:
        """Put what waits into the log, or on its way to `leader`, where that is `reached`."""
        now_s = self._now_s()
        leadership = (leader or "", self._engine.term)
        if leadership != self._leadership:
            self.leader_changes += leader is not None
            self._leadership = leadership
            if leader is not None:
                self.proposals.resend(now_s)
        else:
            self.proposals.resend_overdue(now_s)
        if self._engine.is_leader:
            self._propose_here(now_s)
            return
        self._inbox.forwarded.clear()  # their senders will find the leader themselves
        if leader is not None and reached:
            while (batch := self.proposals.take(now_s)) is not None:
                self._peers.send(leader, encode("batch", entry.encode(batch)))

    def _propose_here(self, now_s: float) -> None:
        """At the leader: all that waits, here and from followers, as few entries."""
        forwarded = self._inbox.forwarded
        while (batch := self.proposals.take(now_s)) is not None:
            forwarded.append(batch)
        while forwarded:
            is_ours = all(batch.node == self._node for batch in forwarded)
            if self._traces:
                self._traces.appended(_names(forwarded))
            proposed = self._engine.propose(pack(forwarded, self._cluster_clock.now_ms()))
            if proposed is None:
                return  # not sent: whoever proposed sends it again
            if not is_ours:
                _, self._awaited_index = proposed

    def on_outcome(self, node: str, boot: str, number: int, outcome: Outcome | Skipped) -> None:
        """Answer whoever waits here for this proposal, if it is this boot's."""
        if (node, boot) != (self._node, self._boot):
            return
        match outcome:
            case Skipped(early=True):
                self.proposals.overtaken()
            case Skipped():
                self.proposals.answer(number, _UNSEEN)
            case _:
                waited_s = self.proposals.waited_s(number, self._now_s())
                if waited_s is not None:
                    self._timings.commit.observe(waited_s)
                self.proposals.answer(number, outcome)


def _names(batches: Iterable[entry.Batch]) -> Iterator[tuple[str, str, int]]:
    """Yield what names each proposal."""
    for batch in batches:
        for proposal in batch.proposals:
            yield batch.node, batch.boot, proposal.number
