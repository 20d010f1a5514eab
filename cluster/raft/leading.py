"""The leader's side: its term, the acks that come in, reads.  No I/O but reading chunks from the
snapshot store.

    an ack that came             what PySyncObj sees of it
    of another term, or late     nothing
    a reset already served       that the peer is alive
    one below what was proven    the same; the peer is asked (`cluster.raft.doubting`)
    any other                    match index, or where to go on

What goes out is in `cluster.raft.sending`, who comes after in `cluster.raft.transfer`.

Source: Raft thesis (Ongaro 2014), sections 3.5, 6.4; DESIGN.md, holes 4, 5, 6, 14.
"""

from typing import Any

from cluster.raft.leadership import Follower, Leadership
from cluster.raft.messages import (
    COUNT_MAX,
    NO_OP,
    AppendAck,
    MemoryLost,
    PeerError,
    ReadAck,
    ReadAnswer,
    ReadProbe,
    ReadRequest,
    SnapshotAck,
)
from cluster.raft.parts import Parts
from cluster.raft.reads import OnIndex
from cluster.raft.sending import Sending
from cluster.raft.transfer import Transfer
from wal.snapshot import SnapshotStore


class Leading:
    """Acts only while PySyncObj says that this node leads."""

    def __init__(self, parts: Parts, store: SnapshotStore, chunk_bytes: int) -> None:
        self._parts = parts
        self._sending = Sending(parts, store, chunk_bytes)
        self._transfer = Transfer(parts)
        self._leadership: Leadership | None = None

    @property
    def current(self) -> Leadership | None:
        """The term that this node leads, None when it does not."""
        core = self._parts.core
        if not core.is_leader:
            return None
        if self._leadership is None or self._leadership.term != core.term:
            self.resign()
            now_s = self._parts.clock()
            learners = self._parts.journal.members.learners
            self._leadership = Leadership(core.term, self._parts.others, learners, now_s)
        return self._leadership

    def set_peers(self) -> None:
        """The members are others from now on."""
        if self._leadership is not None:
            learners = self._parts.journal.members.learners
            self._leadership.set_peers(self._parts.others, learners, self._parts.clock())

    def tick(self, now_s: float) -> None:
        """After PySyncObj's own tick: what it does not know of."""
        leadership = self.current
        if leadership is None:
            self.resign()
            return
        for peer, follower in leadership.followers.items():
            if follower.paused:
                self._sending.keep_up(leadership, peer, follower, now_s)
            elif follower.lagging:
                follower.lagging = False
                self._parts.core.resume(peer)
        self._probe(leadership)
        confirmed = COUNT_MAX if "read_quorum" in self._parts.off else None
        leadership.reads.settle(
            now_s,
            confirmed_request=confirmed or leadership.confirmed_request(),
            index=self.own_commit_index(),
        )
        self._transfer.tick(leadership, now_s)

    def due_s(self, now_s: float) -> float:
        """Return when the next tick is needed: for a heartbeat, or to give up."""
        heartbeat_s, leadership = self._parts.core.heartbeat_due_s, self.current
        if leadership is None:
            return heartbeat_s
        quorum_s = leadership.quorum_heard_s(now_s) + self._parts.timing.quorum_s
        return min(heartbeat_s, quorum_s) if quorum_s > now_s else heartbeat_s

    def send_append(self, peer: str, message: dict[str, Any]) -> None:
        """Send what PySyncObj wants `peer` to have."""
        leadership = self.current
        assert leadership is not None
        self._sending.append(leadership, peer, message)

    def is_sending_snapshot(self, now_s: float) -> bool:
        """Whether a transfer goes on that another snapshot would set back."""
        leadership = self.current
        followers = leadership.followers.values() if leadership else ()
        return any(f.sender is not None and f.sender.holds_back(now_s) for f in followers)

    # -- in

    def on_append_ack(self, source: str, ack: AppendAck) -> None:
        leadership = self._addressed(source, ack.term)
        if leadership is None:
            return
        core = self._parts.core
        follower = leadership.followers[source]
        if not self._is_of_this_life(leadership, source, follower, ack):
            return
        self._doubt(leadership, source, follower, ack)
        admitted = follower.answers.admit(
            ack,
            request_last=leadership.request,
            match_index=follower.proven_index,
            last_index=self._parts.journal.last_index,
            off=self._parts.off,
        )
        self._heard(source, follower, ack.request)
        counts = not follower.memory.life
        if admitted is None:
            if counts:
                core.alive(source)
            return
        if not admitted.success:
            if counts:
                core.rejected(source, admitted.next_index)
            else:
                core.send_from(source, admitted.next_index)
            core.hurry()
            return
        follower.proven_index = max(follower.proven_index, admitted.next_index - 1)
        sender = follower.sender
        if sender is not None and follower.proven_index >= sender.meta.index:
            follower.sender = None
        if counts:
            core.acknowledged(source, admitted.next_index)
        else:
            core.sent_to(source, admitted.next_index)

    def _doubt(
        self, leadership: Leadership, source: str, follower: Follower, ack: AppendAck
    ) -> None:
        """See whether a follower's disk lost what it proved to hold; it is counted no more then.

        Where the cluster cannot do without its vote, it is only filled again: abstaining, it
        would stop the others, and this leader has what it lost.
        """
        if follower.memory.life or "lost_frames" in self._parts.off:
            return
        core, doubt, now_s = self._parts.core, follower.doubt, self._parts.clock()
        index_term = self._parts.journal.term_at(follower.proven_index)
        if index_term is None:
            return  # below the base: it is sent the snapshot
        if doubt.is_confirmed(ack) and doubt.index == follower.proven_index:
            core.forget(source)
            if leadership.can_spare(source):
                lost = MemoryLost(leadership.term, follower.proven_index, index_term)
                self._parts.promise(source, lost)
            else:
                follower.proven_index = 1
                core.send_from(source, ack.next_index)
                core.hurry()
        elif doubt.arises(ack, follower.proven_index, now_s):
            again_s = now_s + self._parts.timing.election_min_s
            self._sending.question(leadership, source, follower, follower.proven_index)
            doubt.asked(follower.proven_index, leadership.request, again_s=again_s)

    def on_snapshot_ack(self, source: str, ack: SnapshotAck) -> None:
        leadership = self._addressed(source, ack.term)
        if leadership is None:
            return
        follower = self._answered(leadership, source, ack)
        if follower is None or follower.sender is None:
            return
        now_s = self._parts.clock()
        follower.sender.acked(ack, request_last=leadership.request, now_s=now_s)
        self._sending.snapshot(leadership, source, follower, now_s)

    def on_read_ack(self, source: str, ack: ReadAck) -> None:
        leadership = self._addressed(source, ack.term)
        if leadership is not None:
            self._answered(leadership, source, ack)

    def on_read_request(self, source: str, message: ReadRequest) -> None:
        def on_index(index: int | None) -> None:
            term = self._parts.core.term
            self._parts.promise(source, ReadAnswer(term, message.number, index))

        self.read_index(on_index)

    def _addressed(self, source: str, term: int) -> Leadership | None:
        """Return the leadership that an answer is for, None when it is over, or to nobody's."""
        leadership = self.current
        if leadership is None or source not in leadership.followers:
            return None
        if term != leadership.term and "ack_term" not in self._parts.off:
            return None
        return leadership

    def _answered(
        self, leadership: Leadership, source: str, ack: SnapshotAck | ReadAck
    ) -> Follower | None:
        """Note an answer; return whose, None when it is of an earlier life."""
        follower = leadership.followers[source]
        if not self._is_of_this_life(leadership, source, follower, ack):
            return None
        answers = follower.answers
        answers.answered_request = max(answers.answered_request, ack.request)
        self._heard(source, follower, ack.request)
        if not follower.memory.life:
            self._parts.core.alive(source)
        return follower

    def _is_of_this_life(
        self,
        leadership: Leadership,
        source: str,
        follower: Follower,
        ack: AppendAck | SnapshotAck | ReadAck,
    ) -> bool:
        """Whether to go by an answer; notes when a follower forgot what it had promised."""
        if ack.request > leadership.request and "ack_term" not in self._parts.off:
            raise PeerError(f"request {ack.request} was never made")
        memory, core = follower.memory, self._parts.core
        if memory.is_stale(ack.request, ack.life):
            return False
        if ack.life and ack.life != memory.life:
            core.forget(source)
            follower.proven_index = 1
            proof_index = core.propose(NO_OP)
            memory.changed(ack.life, request_last=leadership.request, proof_index=proof_index)
        elif ack.life != memory.life:
            memory.changed(0, request_last=leadership.request, proof_index=0)
        return True

    def _heard(self, source: str, follower: Follower, request: int) -> None:
        """Note an answer; send on to a follower that was full until now."""
        follower.answered(request, self._parts.clock())
        if follower.paused and not follower.full:
            follower.paused = False
            self._parts.core.resume(source)
            self._parts.core.hurry()

    # -- reads

    def read_index(self, on_index: OnIndex) -> None:
        """Ask on behalf of `on_index`; see `Engine.read_index`."""
        leadership = self.current
        if leadership is None:
            on_index(None)
            return
        deadline_s = self._parts.clock() + self._parts.timing.election_max_s
        leadership.reads.ask(on_index, index=self.own_commit_index(), deadline_s=deadline_s)

    def own_commit_index(self) -> int | None:
        """Return the commit index, None while nothing of this leader's own term is committed."""
        core, journal = self._parts.core, self._parts.journal
        index = core.commit_index
        return index if journal.term_at(index) == core.term else None

    def _probe(self, leadership: Leadership) -> None:
        if leadership.reads.unprobed:
            request = leadership.next_request()
            leadership.reads.probed(request)
            self._parts.promise_all(ReadProbe(leadership.term, request))

    # -- the end of a term

    def hand_over(self, target: str | None) -> bool:
        """Begin to hand leadership to `target`; see `Engine.transfer_leadership`."""
        leadership = self.current
        return leadership is not None and self._transfer.begin(leadership, target)

    @property
    def handing_over(self) -> bool:
        """Whether new proposals would only delay the successor."""
        leadership = self.current
        return leadership is not None and self._transfer.is_under_way(leadership)

    def is_unheard(self, now_s: float) -> bool:
        """Whether the term that this node leads, or led until now, has no majority's answers."""
        if self._leadership is None:
            return False
        silent_s = now_s - self._leadership.quorum_heard_s(now_s)
        return silent_s >= self._parts.timing.quorum_s

    def resign(self) -> None:
        """Forget a term that is over; everyone may be sent to again."""
        leadership, self._leadership = self._leadership, None
        if leadership is None:
            return
        if self._parts.core.term == leadership.term:
            self._transfer.say_farewell(leadership)
        for peer, follower in leadership.followers.items():
            if follower.paused or follower.lagging:
                self._parts.core.resume(peer)
        leadership.reads.fail_all()
