"""One node's Raft: messages and time in, messages and committed entries out.  No I/O but the
snapshot store's.

The driver's turn, and why it is safe:

    deliver*        messages of peers; may write records (entries, term, vote) to the log
    sync            if the log is dirty
    take_late       votes, acks, answers: all that promises what the log says
    tick            counts this node itself: everything it holds is durable (asserted)
    take_committed  to the state machine, then to who waits
    propose*        takes commands for this turn's entries
    replicate       appends them, and hands them out for sending with what was committed
    take_early      appends may leave before this node made its own copy durable: they promise
                    nothing, and the leader counts itself at the next tick only
    sync            if the log is dirty
    take_late       what the tick promised

Who waits for an answer has it before the followers hear of the commit: their next commands go
out with the news, and one append says both.

An entry handed out by `take_committed` is on a majority of disks, or the leader said so.
Each index comes once, in order; an `Install` stands for all indices up to its own.  What the
newest local snapshot holds at start is not handed out: the caller loads it (`snapshots.
open_latest()`) before the first turn.

Only `deliver`, `tick`, `replicate` and the constructor write to the log; every other method
may also be called while a sync is under way in a thread.  Times are seconds of `clock`.

Source: Raft thesis (Ongaro 2014), figure 3.1, sections 3.10, 6.4, 10.2.1; DESIGN.md.
"""

from collections.abc import Callable, Sequence, Set
from typing import Any, cast

from cluster.raft.boot import check_applied, restore
from cluster.raft.changing import Changing
from cluster.raft.compaction import (
    SNAPSHOT_EVERY_BYTES,
    SNAPSHOT_EVERY_ENTRIES,
    Compaction,
    Every,
)
from cluster.raft.contact import Contact
from cluster.raft.dispatch import make_handlers
from cluster.raft.election import Elections, Timing
from cluster.raft.following import Following
from cluster.raft.guard import RULES
from cluster.raft.handout import Handout
from cluster.raft.journal import RaftJournal
from cluster.raft.leading import Leading
from cluster.raft.members import Members
from cluster.raft.messages import (
    CHUNK_BYTES_MAX,
    COMMAND,
    PAYLOAD_BYTES_MAX,
    PeerError,
    ReadRequest,
    Vote,
    parse,
    to_wire,
)
from cluster.raft.parts import Addressed, Parts, Role
from cluster.raft.pysyncobj_core import Chance, Core
from cluster.raft.reads import ForwardedReads, OnIndex
from cluster.raft.results import Committed, Install, RaftStatus
from cluster.raft.voting import Voting
from wal.log import Log
from wal.recovery import Recovered
from wal.snapshot import SnapshotMeta, SnapshotStore

__all__ = ["Committed", "Engine", "Install", "PeerError", "RaftStatus", "Timing"]

PROPOSALS_MAX = 1_024
"""Entries that may wait for one `replicate`."""
PROPOSED_BYTES_MAX = 32 * 1024 * 1024
"""Bytes that may wait for one `replicate`: they become one frame, which holds 256 MiB at most."""
WAKEUP_S_MIN = 0.001


class Engine:
    """Synchronous; one task owns it."""

    def __init__(
        self,
        node_id: str,
        members: Members,
        *,
        log: Log,
        recovered: Recovered,
        snapshots: SnapshotStore,
        clock: Callable[[], float],
        rng: Chance,
        timing: Timing | None = None,
        snapshot_every_entries: int = SNAPSHOT_EVERY_ENTRIES,
        snapshot_every_bytes: int = SNAPSHOT_EVERY_BYTES,
        chunk_bytes: int = CHUNK_BYTES_MAX,
        off: Set[str] = frozenset(),
        applied_index: int = 1,
    ) -> None:
        """Start where log and snapshot end; the log may be dirty after.

        What is committed up to `applied_index` is not handed out again: the caller's state has it.

        `members` count until the log or a snapshot names others.  `off` names rules of the
        guard to leave out, for tests.
        Raises `LogRefused` when log, snapshot and `applied_index` do not fit, `LibraryRefused`
        when PySyncObj is not the one this was written for.
        """
        assert off <= RULES
        timing = timing or Timing()
        newest = snapshots.latest()
        journal = restore(log, recovered, newest, members, off=off)
        others = tuple(voter for voter in journal.members.voters if voter != node_id)
        core = Core(
            node_id,
            others,
            journal,
            clock=clock,
            rng=rng,
            heartbeat_s=timing.heartbeat_s,
            quorum_timeout_s=timing.quorum_s,
            send=self._on_core_send,
            on_appended=self._follow_members,
        )
        elections = Elections(timing, rng, frozenset(others), off)
        life = rng.getrandbits(48) | 1
        self._parts = Parts(node_id, others, timing, clock, journal, core, elections, off, life)
        self._contact = Contact(self._parts)
        snapshot_index = 1 if newest is None else newest.index
        start_index = max(snapshot_index, applied_index)
        check_applied(journal, start_index)
        core.jump_to(start_index)
        every = Every(snapshot_every_entries, snapshot_every_bytes)
        self._compaction = Compaction(journal, every, snapshot_index)
        for command, _, _ in journal.between(snapshot_index + 1, start_index):
            self._compaction.applied(len(command))
        self._handout = Handout(self._parts, snapshots, self._compaction, start_index)
        self._leading = Leading(self._parts, snapshots, chunk_bytes)
        self._changing = Changing(self._parts, self._leading)
        self._following = Following(self._parts, snapshots, self._handout.install)
        self._voting = Voting(self._parts)
        self._forwarded = ForwardedReads(rng.getrandbits(48))
        self._members: Members | None = None
        self._peer_errors = 0
        self._unheard = 0
        self._led = False
        self._handlers = make_handlers(
            self._leading, self._following, self._voting, self._forwarded
        )
        elections.deadline_s = now_s = clock()
        if others:
            elections.rearm(now_s)
        self._follow_members()

    # -- the turn

    def deliver(self, source: str, message: object) -> None:
        """Take one message of a peer, as msgpack made it.

        The peer need not be a member as far as this node knows: whoever is behind in the log
        may not know its leader yet (thesis 4.2.2).

        Raises `PeerError` when what it says cannot be; the log is then as it was, and so are
        term and vote, unless a leader's bad chunk began its term here.
        """
        try:
            parsed = parse(message)
            self._contact.heard(source)
            self._handlers[type(parsed)](source, parsed)
        except PeerError:
            self._peer_errors += 1
            raise
        finally:
            self._note_role()
            self._follow_members()

    def propose(self, payload: bytes) -> tuple[int, int] | None:
        """Return the (term, index) that the entry will have; None when it cannot be taken.

        None: this node does not lead, is handing over, or too much waits already
        (PROPOSALS_MAX, PROPOSED_BYTES_MAX).
        The entry is committed if `take_committed` hands out that index with that term, and
        lost if with another; a deposed leader learns neither before it follows again.
        """
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"a payload of {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")
        core = self._parts.core
        if not core.is_leader or self._leading.handing_over:
            return None
        if core.proposals_waiting >= PROPOSALS_MAX:
            return None
        if core.proposed_bytes + len(payload) > PROPOSED_BYTES_MAX:
            return None
        return core.term, core.propose(COMMAND + payload)

    def tick(self) -> None:
        """Let time pass: elections, commit, heartbeats, reads.  Log synced before."""
        assert not self._parts.journal.dirty, "sync before tick: the leader counts itself"
        now_s = self._parts.clock()
        self._voting.tick(now_s)
        self._parts.core.tick()
        self._note_role()
        self._follow_members()
        self._leading.tick(now_s)
        self._changing.tick()
        self._forwarded.expire(now_s)
        self._handout.collect()
        self._compaction.cut()

    def replicate(self) -> None:
        """Append what was proposed and send it, with what was committed; the log may be dirty."""
        self._parts.core.replicate()
        self._follow_members()

    def take_early(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the messages that may leave before the next sync: appends."""
        early, self._parts.outbox.early = self._parts.outbox.early, []
        return _to_wire(early)

    def take_late(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the messages that may leave only after a sync: all the rest."""
        late, self._parts.outbox.late = self._parts.outbox.late, []
        return _to_wire(late)

    def take_committed(self) -> list[Committed | Install]:
        """Return what was committed since the last call, in order of index."""
        return self._handout.take()

    @property
    def committed_bytes(self) -> int:
        """How much `take_committed` will hand out."""
        return self._handout.bytes

    def next_wakeup(self) -> float:
        """Return in how many seconds `tick` is needed if nothing else happens before."""
        parts = self._parts
        now_s = parts.clock()
        if self._voting.urgent:
            return WAKEUP_S_MIN
        if self._handout.commits_alone:
            return 0.0
        due_s = self._leading.due_s(now_s) if parts.core.is_leader else parts.elections.deadline_s
        if len(self._forwarded):
            due_s = min(due_s, now_s + parts.timing.heartbeat_s)
        return max(due_s - now_s, 0.0) + WAKEUP_S_MIN

    # -- reads

    def read_index(self, on_index: OnIndex) -> None:
        """Call `on_index` with the index to have applied before a read is not stale.

        At a follower the question goes to the leader.  Called once: from `tick` or `deliver`,
        or at once with None when no leader is known.  None also when no majority confirmed
        the leader after this call, within an election timeout.
        """
        parts = self._parts
        if parts.core.is_leader:
            self._leading.read_index(on_index)
            return
        leader = parts.core.leader
        if leader is None:
            on_index(None)
            return
        deadline_s = parts.clock() + parts.timing.election_max_s
        number = self._forwarded.ask(on_index, deadline_s=deadline_s)
        if number is not None:
            parts.promise(leader, ReadRequest(parts.core.term, number))

    # -- what the driver knows

    def peer_lost(self, peer: str) -> None:
        """The link to `peer` broke and it refused a new one: it is most likely dead.

        If it leads, pre-votes are asked for within a heartbeat.  A leader that lives is safe:
        who still hears it refuses them.
        """
        self._voting.peer_lost(peer)

    def transfer_leadership(self, target: str | None = None) -> bool:
        """Begin to hand over to `target`, or to whom is preferred; return whether it began.

        Only a voter that was heard lately and holds all that is committed is chosen.  Proposals
        are refused until it campaigns or the shortest election timeout has passed.
        """
        return self._leading.hand_over(target)

    def prefer(self, choose: Callable[[Sequence[str]], str]) -> None:
        """Let `choose` say who leads next, of some who could, where nobody is named.

        Else it is whoever is furthest.
        """
        self._parts.choose = choose

    # -- members

    @property
    def members(self) -> Members:
        """Who takes part, by the newest entry of this node's log that says so."""
        return self._parts.journal.members

    def propose_members(self, members: Members) -> int:
        """Begin to change the members; return the index of the entry.

        They count from the next `replicate` on, committed or not; see `cluster.raft.members`.
        Raises `MembersRefused` when this node does not lead or another change is under way.
        """
        return self._changing.propose(members)

    def record_members(self) -> None:
        """Let the log name the members that only configuration knows, if this node leads."""
        self._changing.record()

    # -- snapshots of this node's own state

    def snapshot_wanted(self) -> SnapshotMeta | None:
        """Return, once per snapshot, what to save: the state right after `take_committed`.

        The caller copies its state at once, saves it in a thread and then calls
        `snapshot_saved`, or `snapshot_failed`: also when the store raised `SnapshotRefused`,
        because a newer snapshot came from the leader meanwhile.
        """
        if self._handout.waits or self.snapshot_held_back:
            return None
        return self._compaction.wanted(self._handout.index, self._parts.clock())

    def compact(self) -> bool:
        """Want a snapshot soon, however few the entries; return whether it would be of use."""
        return self._compaction.hurry(self._handout.index)

    @property
    def snapshot_held_back(self) -> bool:
        """Whether one is on its way to a follower, which would have to begin again."""
        return self._leading.is_sending_snapshot(self._parts.clock())

    @property
    def snapshot_index(self) -> int:
        """Of the newest one here; 1 when there is none."""
        return self._compaction.snapshot_index

    def snapshot_saved(self, meta: SnapshotMeta) -> None:
        """The snapshot is durable: the next tick cuts the log."""
        self._compaction.saved(meta)

    @property
    def snapshot_retry_s(self) -> float:
        """How long another is waited with since one could not be saved; 0: the last one was."""
        return self._compaction.retry_s

    def snapshot_failed(self) -> None:
        """It could not be saved; another will be wanted in a while."""
        self._compaction.failed(self._parts.clock())

    # -- views

    @property
    def journal(self) -> RaftJournal:
        """The log as it is held in memory; to look at."""
        return self._parts.journal

    @property
    def is_leader(self) -> bool:
        return self._parts.core.is_leader

    @property
    def leader(self) -> str | None:
        """Who leads as far as this node knows; perhaps itself."""
        return self._parts.core.leader

    @property
    def term(self) -> int:
        return self._parts.core.term

    def contact_age_s(self) -> dict[str, float]:
        """Return per other voter how long nothing came from it, since start at most."""
        return self._contact.ages_s()

    def status(self) -> RaftStatus:
        """Return the figures of this moment."""
        parts = self._parts
        leadership = self._leading.current
        followers = leadership.followers if leadership else {}
        return RaftStatus(
            node_id=parts.node_id,
            members={name: one.role for name, one in self.members.by_id.items()},
            is_unknown=self._voting.is_unknown,
            role=cast("Role", parts.core.role),
            leader=parts.core.leader,
            term=parts.core.term,
            commit_index=parts.core.commit_index,
            applied_index=self._handout.index,
            last_index=parts.journal.last_index,
            first_index=parts.journal.base_index + 1,
            snapshot_index=self._compaction.snapshot_index,
            quorum_contact_age_s=self.quorum_age_s(),
            contact_age_s=self.contact_age_s(),
            match_index={peer: parts.core.match_index(peer) for peer in followers},
            paused=tuple(peer for peer, follower in followers.items() if follower.paused),
            pre_votes_total=parts.elections.pre_votes_total,
            peer_errors_total=self._peer_errors,
            abstains=parts.abstains,
            empty=parts.journal.empty,
            lack=self._following.room.lack(parts.core.commit_index),
            unheard_total=self._unheard,
        )

    def quorum_age_s(self) -> float:
        """Return how long no majority followed this leader, or this node heard no leader."""
        return self._contact.quorum_age_s(self._leading.current)

    # -- inside

    def _on_core_send(self, peer: str, message: dict[str, Any]) -> None:
        """Send, in our form, what PySyncObj wants `peer` to have."""
        match message["type"]:
            case "append_entries":
                self._leading.send_append(peer, message)
            case "next_node_idx":
                self._following.send_ack(peer, message)
            case "request_vote":
                self._voting.send_vote_request(peer, message)
            case "response_vote":
                self._parts.promise(peer, Vote(message["term"]))
            case kind:
                raise AssertionError(f"PySyncObj sends {kind}")

    def _note_role(self) -> None:
        """After anything that may have made or unmade a leader."""
        leads = self._parts.core.is_leader
        if self._led and not leads:
            now_s = self._parts.clock()
            self._unheard += self._leading.is_unheard(now_s)
            self._leading.resign()
            self._parts.elections.rearm(now_s)
        self._led = leads

    def _follow_members(self) -> None:
        """After anything that may have changed who takes part.

        A leader does so before it sends what it appended: who is removed must not get that
        entry.  It would not stand for election any more, and with a longer log than the others
        not vote for them either.
        """
        parts = self._parts
        members = parts.journal.members
        if members is self._members:
            return
        self._members = members
        parts.others = tuple(voter for voter in members.voters if voter != parts.node_id)
        learners = [name for name in members.learners if name != parts.node_id]
        parts.core.set_peers(parts.others, learners)
        parts.elections.others = frozenset(parts.others)
        self._leading.set_peers()
        self._contact.set_peers((*parts.others, *learners))


def _to_wire(messages: list[Addressed]) -> list[tuple[str, dict[str, Any]]]:
    return [(peer, to_wire(message)) for peer, message in messages]
