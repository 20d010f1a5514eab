"""One node's part in the cluster, in steps and without waiting.  No I/O but the snapshot store's.

    a turn's step    what it does                                     the caller, before the next
    ---------------  -----------------------------------------------  ---------------------------
    deliver          peers' messages to the engine                    makes the log durable
    release          votes, acknowledgements and answers out
    advance          reads asked, time passes
    take_committed   what was committed: entries, installs            applies them, in order
    settle           who waits is answered; standing; the leader's
                     duties
    replicate        proposals in, appends out                        makes the log durable
    release          what waited for that

The order is the safety argument (Raft thesis 10.2.1): nothing that promises durability leaves
before the sync that makes it true.  `cluster.replica` drives this with trio, sockets and files;
`tests/sim` drives the same code on a simulated clock, network and disk.

Clocks, chance, ids and the way to the peers come in, so a run depends on nothing else.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from cluster.applying import Applying
from cluster.barriers import Barriers
from cluster.clock import ClusterClock
from cluster.duties import LeaderDuties
from cluster.figures import ReplicaFigures, Timings, by_rule, peer_vitals
from cluster.handing_over import HandingOver
from cluster.heal import rules, table
from cluster.heal.digests import Digests
from cluster.heal.hands import OwnHands
from cluster.heal.healing import LOOK_EVERY_S, Healing
from cluster.heal.journal import Journal
from cluster.heal.limits import HAND_OVERS_MAX
from cluster.heal.picture import Seen, others_in
from cluster.heal.rules import SLOW_DISK
from cluster.heal.starting import Filling
from cluster.inbox import Inbox, parse_vitals
from cluster.opening import Opened
from cluster.packing import pack
from cluster.peer.address import Address, parse_address
from cluster.peer.frames import PeerRefused, encode
from cluster.port import Answer, NotLeading, ReplicaStatus, Unavailable
from cluster.proposals import COMMAND_BYTES_MAX, Proposals
from cluster.raft.engine import Committed, Install
from cluster.raft.members import Members, MembersRefused
from cluster.raft.messages import PeerError
from cluster.raft.results import RaftStatus
from cluster.routing.dispatch import Dispatcher
from cluster.settings import ReplicaSettings
from cluster.standing import Judge
from cluster.state import commands, entry, heal_log, levels
from cluster.state.commands import Command
from cluster.state.drains import drained
from cluster.state.invariants import InvariantViolated
from cluster.state.machine import Applied, Machine, Skipped
from cluster.state.outcome import Outcome, Refused
from cluster.state.state import State
from cluster.status import status_of
from cluster.telling import Telling
from cluster.tracing import CURRENT, Traces
from cluster.vitals import Circle
from cluster.watchers import Watchers
from cluster.world import Peers, World
from wal.snapshot import SnapshotMeta

APPLIED_FIRST_BYTES_MAX = 32 * 1024
"""What is applied in about a millisecond: followers may wait for the news that long, not longer."""
WHISPER_BYTES_MAX = 16 * 1024
_UNSEEN = Unavailable("timeout", "it was applied, but its outcome was not seen here")

log = structlog.get_logger()


class Participant:
    """Synchronous; one task owns it."""

    def __init__(
        self,
        settings: ReplicaSettings,
        opened: Opened,
        *,
        boot: str,
        world: World,
        peers: Peers,
        next_number: int = 1,
        heal: Journal | None = None,
        rebuilt: bool = False,
    ) -> None:
        """`next_number`: of the first proposal, for a boot that goes on.

        `rebuilt`: the process before set the data aside because the state differed.
        """
        engine = opened.engine
        self.node = settings.node
        self.boot = boot
        self.engine = engine
        self._settings = settings
        self._now_s = world.clock
        self._world = world
        self._peers = peers
        self._clock = ClusterClock(world.wall_ms, world.clock)
        self._proposals = Proposals(settings.node, boot, next_number)
        self._inbox = Inbox()
        self._barriers = Barriers()
        self._members = engine.members
        self._judge = Judge(len(engine.members.voters), settings.fence_s)
        self._leadership = ("", -1)
        self._leader_changes = 0
        self._awaited_index = 0
        """The last entry of this leader that another node waits for."""
        self._catching_up = False
        self._violations = 0
        self.on_standing: Watchers[ReplicaStatus] = Watchers()
        self.on_whisper: Watchers[str, bytes] = Watchers()
        machine = Machine(opened.state, on_violation=self._on_violation)
        digests = Digests(settings.digest_every_entries)
        self.timings = Timings()
        self.traces = Traces(settings.node, world.clock, world.wall_ms)
        self.applying = Applying(
            machine,
            opened.applied_index,
            self._on_outcome,
            digests,
            clock=world.clock,
            took=self.timings.apply,
            traces=self.traces,
        )
        self.applying.on_applied.add(self._on_applied)
        self.circle = Circle(world.clock, world.wall_ms)
        self._telling = Telling(
            settings, boot, world, peers, engine=engine, applying=self.applying, circle=self.circle
        )
        self.heal = heal or Journal(world.wall_ms)
        self._filling = Filling(self.heal, world.clock, abstains=engine.journal.abstains)
        self._announced = False
        self.replaced_by = ""
        """Boot of another process that took this one's place in the log; this one must end."""
        self.hands = OwnHands(engine, self._judge)
        self._healing = Healing(table.watchers(), self.hands, self.heal)
        self._rebuilt_s = world.clock() if rebuilt else float("-inf")
        self._look_due_s = 0.0
        self._led_since_s = world.clock()
        dispatcher = Dispatcher(world.new_id, settings.offer_ttl_ms)
        self._duties = LeaderDuties(self, dispatcher, on_lost=self._note_lost)
        self._handing_over = HandingOver(engine, world.clock, settings.timing.election_min_s)

    # -- what is asked of it

    @property
    def state(self) -> State:
        return self.applying.state

    @property
    def reaches_leader(self) -> bool:
        leader = self.leader
        return self.engine.is_leader or (leader is not None and self._peers.connected(leader))

    @property
    def leader(self) -> str | None:
        """Who leads, as far as that was heard lately; Raft itself remembers for ever."""
        if self.engine.quorum_age_s() > self._settings.fence_s:
            return None
        return self.engine.leader

    @property
    def has_work(self) -> bool:
        """Whether the next turn has something to do at once."""
        if self._judge.held:
            return False
        can_propose = self._proposals.queued and self.reaches_leader
        waits = len(self._inbox) or can_propose or self._barriers.waiting
        return bool(waits) or self._duties.has_more

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        """See `Port.submit`."""
        data = commands.encode(command)
        if len(data) > COMMAND_BYTES_MAX:
            on_answer(Refused("too_large", f"{len(data)} bytes; at most {COMMAND_BYTES_MAX}"))
        elif self.cut_off is not None:
            on_answer(self.cut_off)
        elif (refused := levels.refusal(command, self.state.level)) is not None:
            on_answer(refused)
        elif not self._proposals.submit(data, on_answer, self._now_s()):
            on_answer(Unavailable("overloaded", "too many proposals wait at this node"))
        elif (trace := CURRENT.get()) is not None:
            number = self._proposals.next_number - 1
            self._telling.tell("trace", self.traces.begin(self.boot, number, trace))

    def next_wakeup(self) -> float:
        """Return in how many seconds a turn is needed if nothing else happens before."""
        return LOOK_EVERY_S if self._judge.held else self.engine.next_wakeup()

    @property
    def next_number(self) -> int:
        """Number of the next proposal."""
        return self._proposals.next_number

    @property
    def waits(self) -> bool:
        """Whether a proposal of this node has no outcome yet."""
        return len(self._proposals) > 0

    def add_barrier(self, on_passed: Callable[[Unavailable | None], None]) -> None:
        """Call `on_passed` once: with None when all that was acknowledged before is applied."""
        if self.cut_off is not None:
            on_passed(self.cut_off)
        elif not self._barriers.add(on_passed):
            on_passed(Unavailable("overloaded", "too many readers wait at this node"))

    def propose_members(self, change: Callable[[Members], Members]) -> tuple[int, int]:
        """Return (term, index) of the change; see `Port.change_members` for what is raised."""
        if not self.engine.is_leader:
            raise NotLeading(self.leader or "")
        members = change(self.engine.members)
        if members.in_role("standby") and self.state.level < levels.STANDBY:
            raise MembersRefused(
                "a standby needs all nodes of this release; see `unidesk upgrade check`"
            )
        index = self.engine.propose_members(members)
        return self.engine.term, index

    def whisper(self, payload: bytes) -> None:
        """See `Port.whisper`."""
        assert len(payload) <= WHISPER_BYTES_MAX
        frame = encode("whisper", payload)
        for peer in self._members.by_id:
            if peer != self.node:
                self._peers.send(peer, frame)

    # -- what peers say

    def receive(self, peer: str, kind: str, body: Any) -> None:
        """Take one frame of a peer for the next turn.  Raises `PeerRefused`."""
        match kind:
            case "raft" if isinstance(body, dict):
                if not self._judge.held:
                    self._inbox.take_message(peer, body)
            case "batch" if isinstance(body, bytes):
                if not self._judge.held:
                    self._inbox.take_batch(peer, body)
            case "trace" if self.traces.hear(peer, body):
                pass
            case "vitals" if isinstance(body, bytes):
                self.circle.take(peer, parse_vitals(peer, body))
            case "whisper" if isinstance(body, bytes) and len(body) <= WHISPER_BYTES_MAX:
                self.on_whisper.tell(peer, body)
            case _:
                raise PeerRefused(f"{peer}: a frame of kind {kind[:32]!r} that is not ours")

    # -- a turn

    def deliver(self) -> None:
        """Step 1; the log may be dirty after."""
        for _ in range(len(self._inbox.messages)):
            peer, message = self._inbox.messages.popleft()
            try:
                self.engine.deliver(peer, message)
            except PeerError as error:
                log.warning("peer message refused", peer=peer, why=str(error))
        self._follow_members()

    def release(self) -> None:
        """Steps 2 and 7, on a durable log."""
        self._send(self.engine.take_late())

    def advance(self) -> None:
        """Step 3, on a durable log, which may be dirty after."""
        self._barriers.ask(self.engine.read_index)
        self.engine.tick()
        if self._is_awaited:
            self.replicate()

    def take_committed(self) -> list[Committed | Install]:
        """Step 4: what to `apply`, or to load and `install`, in this order."""
        return self.engine.take_committed()

    def settle(self) -> None:
        """Step 5, when what was committed is applied."""
        self._barriers.passed(self.applying.applied_index)
        self._clock.note(self.state.now_ms)
        self._look_at_standing()
        begun_s = self._now_s()
        planned = self._duties.turn(
            leading=self.engine.is_leader and self._judge.caught_up,
            now_ms=self._clock.now_ms(),
            silent_s=self._silent_s(),
            level=self._telling.common_level(),
        )
        if planned:
            self.timings.dispatch_plan.observe(self._now_s() - begun_s)
        self._handing_over.turn(drained(self.state))
        self._telling.turn(self._judge.standing, self.leader)
        self._look_around()
        if self._judge.standing in ("serving", "draining") and self.state.level > levels.FIRST:
            self.heal.tell(self.submit)
        self._proposals.expire(self._now_s())

    @property
    def _is_awaited(self) -> bool:
        """Whether others should hear what was committed before it is applied here.

        Else it is applied first: who waits here has the answer then, and what they say next goes
        out with the news.
        """
        applied_index = self.applying.applied_index
        return self.engine.is_leader and (
            self._awaited_index > applied_index
            or self.engine.committed_bytes > APPLIED_FIRST_BYTES_MAX
        )

    def replicate(self) -> None:
        """Step 6; the log may be dirty after."""
        if self._judge.held:
            return
        self._propose()
        self.engine.record_members()
        self.engine.replicate()
        self._send(self.engine.take_early())

    @property
    def is_held(self) -> bool:
        """Whether this node must not take part now: it `rest`s instead of a turn."""
        return bool(self._judge.held)

    def rest(self) -> None:
        """Instead of a turn: hear, write and say nothing in Raft, as if it were stopped.

        The others elect without it.  What may end the rest is looked at.
        """
        self._inbox.clear()
        self.settle()

    def look_first(self) -> None:
        """Before the first turn: a disk that is full already must not be written to."""
        self._look_around()

    def note_stall(self) -> None:
        """Look, while a sync is under way and no turn can be taken, whether it hangs."""
        running_s = self._world.storage().sync_running_ms / 1000
        led = self.engine.is_leader
        with self._telling_standing():
            stalled = self._judge.stall(running_s)
        if stalled and self._settings.heal.mode != "off":
            ms = round(running_s * 1000)
            words = f"a sync of {'the leader' if led else 'a follower'} has taken {ms} ms so far"
            self.heal.note(SLOW_DISK, words, "fenced; the others elect", running_ms=ms, led=led)

    def snapshot_due(self) -> tuple[SnapshotMeta, State] | None:
        """Return what to save, once, right after a turn's entries were applied.

        When it is durable, or could not be saved, the engine wants to be told.
        """
        meta = self.engine.snapshot_wanted()
        if meta is None:
            return None
        assert meta.index == self.applying.applied_index
        return meta, self.state.frozen_copy()

    # -- inside a turn

    def _propose(self) -> None:
        """Put what waits into the log, or on its way to the leader."""
        now_s = self._now_s()
        leader = self.leader
        leadership = (leader or "", self.engine.term)
        if leadership != self._leadership:
            self._leader_changes += leader is not None
            self._leadership = leadership
            if leader is not None:
                self._proposals.resend(now_s)
        else:
            self._proposals.resend_overdue(now_s)
        if self.engine.is_leader:
            self._propose_here(now_s)
            return
        self._inbox.forwarded.clear()  # their senders will find the leader themselves
        if leader is not None and self.reaches_leader:
            while (batch := self._proposals.take(now_s)) is not None:
                self._peers.send(leader, encode("batch", entry.encode(batch)))

    def _propose_here(self, now_s: float) -> None:
        """At the leader: all that waits, here and from followers, as few entries."""
        while (batch := self._proposals.take(now_s)) is not None:
            self._inbox.forwarded.append(batch)
        while self._inbox.forwarded:
            is_ours = all(batch.node == self.node for batch in self._inbox.forwarded)
            if self.traces:
                self.traces.appended(_names(self._inbox.forwarded))
            proposed = self.engine.propose(pack(self._inbox.forwarded, self._clock.now_ms()))
            if proposed is None:
                return  # not sent: whoever proposed sends it again
            if not is_ours:
                _, self._awaited_index = proposed

    def _send(self, messages: list[tuple[str, dict[str, Any]]]) -> None:
        for peer, message in messages:
            self._peers.send(peer, encode("raft", message))

    def _on_outcome(self, node: str, boot: str, number: int, outcome: Outcome | Skipped) -> None:
        if (node, boot) != (self.node, self.boot):
            return
        match outcome:
            case Skipped(early=True):
                self._proposals.overtaken()
            case Skipped():
                self._proposals.answer(number, _UNSEEN)
            case _:
                waited_s = self._proposals.waited_s(number, self._now_s())
                if waited_s is not None:
                    self.timings.commit.observe(waited_s)
                self._proposals.answer(number, outcome)

    def _on_applied(self, applied: Applied) -> None:
        if self.engine.is_leader:
            self.timings.offered(applied, self.state)

    def _on_violation(self, violated: InvariantViolated) -> None:
        self._violations += 1
        log.error("invariant violated", name=violated.name, detail=violated.detail)

    # -- members

    def addresses(self) -> dict[str, Address]:
        """Return where the other members are; what this node was told itself goes first."""
        addresses: dict[str, Address] = {}
        for name, member in self._members.by_id.items():
            told = self._settings.peers.get(name)
            if name == self.node:
                continue
            if told is not None:
                addresses[name] = told
            elif member.address:
                with suppress(PeerRefused):  # no such port: nobody is there
                    addresses[name] = parse_address(member.address)
        return addresses

    def _follow_members(self) -> None:
        """Link up with who takes part, and with nobody else."""
        if self.engine.members is self._members:
            return
        self._members = self.engine.members
        self._judge.voters = len(self._members.voters)
        roles = {name: member.role for name, member in self._members.by_id.items()}
        log.info("members", roles=roles)
        self._peers.set_peers(self.addresses())

    def _silent_s(self) -> dict[str, float]:
        """Return for how long other nodes said nothing; who is no member is silent for ever.

        Followers do not hear each other by Raft: who has just begun to lead goes by their vitals,
        and waits for those who send none.
        """
        now_s = self._now_s()
        if not self.engine.is_leader:
            self._led_since_s = now_s
        said_s = {peer: one.at_s for peer, one in self.circle.all().items()}
        silent_s = {
            peer: min(age_s, now_s - max(said_s.get(peer, 0.0), self._led_since_s))
            for peer, age_s in self.engine.contact_age_s().items()
        }
        gone = self.state.nodes.keys() - self._members.by_id.keys()
        return silent_s | dict.fromkeys(sorted(gone), float("inf"))

    def _note_lost(self, node: str, silent_s: float, sessions: int) -> None:
        is_member = silent_s < float("inf")
        self.heal.note(
            rules.SILENT_NODE,
            f"{node} said nothing for {silent_s:.1f} s" if is_member else f"{node} is no member",
            "lost: the grace of its sessions begins, and offers to them go back with their age",
            node=node,
            silent_ms=int(silent_s * 1000) if is_member else -1,
            sessions=sessions,
        )

    # -- standing

    @property
    def cut_off(self) -> Unavailable | None:
        """What to answer while nothing can be acknowledged here, else None."""
        if self._judge.standing in ("fenced", "failed"):
            return Unavailable("minority", self._judge.why)
        return None

    def fail(self, why: str) -> None:
        """The disk failed: nothing is promised any more."""
        with self._telling_standing():
            self._judge.fail(why)
        self._telling.hurry()
        self._telling.turn(self._judge.standing, self.leader)

    def _look_around(self) -> None:
        """Let the rules of AutoHeal see what there is to see."""
        now_s = self._now_s()
        if now_s < self._look_due_s:
            return
        self._look_due_s = now_s + LOOK_EVERY_S
        self._healing.look(self._seen(self.engine.status()))

    def _seen(self, raft: RaftStatus) -> Seen:
        now_s = self._now_s()
        return Seen(
            now_s=now_s,
            node=self.node,
            mine=self._telling.vitals(self._judge.standing, self.leader),
            others=others_in(self.circle, now_s),
            raft=raft,
            members=self.engine.members,
            settings=self._settings.heal,
            replaced_s=heal_log.age_s(self.state, rules.DEAD_VOTER),
            handed_over_s=heal_log.hand_overs_s(self.state, HAND_OVERS_MAX),
            rebuilt_s=now_s - self._rebuilt_s,
            held=self._judge.held,
            troubles=self._peers.troubles(),
        )

    def figures(self) -> ReplicaFigures:
        """Return what was measured here so far."""
        return ReplicaFigures(
            commit=self.timings.commit.buckets(),
            apply=self.timings.apply.buckets(),
            dispatch_plan=self.timings.dispatch_plan.buckets(),
            dispatch_wait=self.timings.dispatch_wait.buckets(),
            leader_changes=self._leader_changes,
            level=self.state.level,
            heal=by_rule(self.heal.counts),
            vitals=peer_vitals(self.circle.fresh(), self._now_s()),
            storage=self._world.storage(),
        )

    @property
    def violations(self) -> int:
        """Return after how many commands an invariant of the state did not hold."""
        return self._violations

    def status(self) -> ReplicaStatus:
        """Return this node's standing in figures."""
        raft = self.engine.status()
        figures = self._peers.figures()
        for peer, one in figures.items():
            one["level"] = self._peers.level(peer)
        return status_of(
            self._seen(raft),
            self._judge,
            figures,
            leader=self.leader or "",
            pending=len(self._proposals),
            violations=self._violations,
            level_used=self.state.level,
        )

    def _look_at_standing(self) -> None:
        with self._telling_standing():
            known = self.state.nodes.get(self.node)
            announced = known is not None and known.boot == self.boot
            self._judge.look(
                led=self.leader is not None,
                silent_s=self.engine.quorum_age_s(),
                announced=announced,
                drained=known is not None and known.drained_ms > 0,
            )
        if known is not None and self._announced and not announced:
            self.replaced_by = known.boot
        self._announced = self._announced or announced
        before = self.state.proposers.get(self.node)
        self._filling.look(
            abstains=self.engine.journal.abstains,
            was_known=before is not None and bool(before.retired),
            index=self.applying.applied_index,
        )
        waits = self._judge.standing == "catching_up" and not self._judge.caught_up
        if waits and self.leader and not self._catching_up:
            self._catching_up = self._barriers.add(self._on_caught_up)

    def _on_caught_up(self, result: Unavailable | None) -> None:
        self._catching_up = False
        if result is None:
            self._judge.note_caught_up()

    @contextmanager
    def _telling_standing(self) -> Iterator[None]:
        """Tell the watchers, and answer who waits, when standing changes within."""
        before = self._judge.standing
        yield
        if (unavailable := self.cut_off) is not None:
            self._proposals.fail_all(unavailable)
        if self._judge.standing != before:
            log.info("standing", was=before, now=self._judge.standing, why=self._judge.why)
            self.on_standing.tell(self.status())


def _names(batches: Iterable[entry.Batch]) -> Iterator[tuple[str, str, int]]:
    """Yield what names each proposal."""
    for batch in batches:
        for proposal in batch.proposals:
            yield batch.node, batch.boot, proposal.number
