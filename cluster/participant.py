"""One node's part in the cluster, in steps and without waiting.  No I/O but the snapshot store's.

    a turn's step    what it does                                     the caller, before the next
    ---------------  -----------------------------------------------  ---------------------------
    deliver          peers' messages to the engine; a new leader's    makes the log durable
                     first append out
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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from cluster.applying import Applying
from cluster.barriers import Barriers
from cluster.clock import ClusterClock
from cluster.duties import LeaderDuties
from cluster.figures import ReplicaFigures, Timings, by_rule, peer_vitals
from cluster.handing_over import HandingOver
from cluster.heal.digests import Digests
from cluster.heal.healing import LOOK_EVERY_S
from cluster.heal.journal import Journal
from cluster.hearing import Hearing
from cluster.inbox import Inbox, parse_vitals
from cluster.judging import Judging
from cluster.lookout import Lookout
from cluster.membership import Membership
from cluster.opening import Opened
from cluster.peer.frames import PeerRefused, encode
from cluster.port import Answer, NotLeading, ReplicaStatus, Unavailable
from cluster.proposals import COMMAND_BYTES_MAX
from cluster.proposing import Proposing
from cluster.raft.engine import Committed, Install
from cluster.raft.members import Members, MembersRefused
from cluster.raft.messages import PeerError
from cluster.routing.dispatch import Dispatcher
from cluster.settings import ReplicaSettings
from cluster.state import commands, levels
from cluster.state.commands import Command
from cluster.state.drains import drained
from cluster.state.invariants import InvariantViolated
from cluster.state.machine import Applied, Machine
from cluster.state.outcome import Refused
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
        self._inbox = Inbox()
        self._barriers = Barriers()
        self.membership = Membership(settings, engine, peers)
        self._violations = 0
        self.on_standing: Watchers[ReplicaStatus] = Watchers()
        self.on_whisper: Watchers[str, bytes] = Watchers()
        machine = Machine(opened.state, on_violation=self._on_violation)
        digests = Digests(settings.digest_every_entries)
        self.timings = Timings()
        self.traces = Traces(settings.node, world.clock, world.wall_ms)
        self._proposing = Proposing(
            settings.node,
            boot,
            next_number,
            engine=engine,
            peers=peers,
            inbox=self._inbox,
            clock=world.clock,
            cluster_clock=self._clock,
            timings=self.timings,
            traces=self.traces,
        )
        self._proposals = self._proposing.proposals
        self.applying = Applying(
            machine,
            opened.applied_index,
            self._proposing.on_outcome,
            digests,
            clock=world.clock,
            took=self.timings.apply,
            traces=self.traces,
        )
        self.applying.on_applied.add(self._on_applied)
        self.circle = Circle(world.clock, world.wall_ms)
        self._hearing = Hearing(settings.node, settings.timing, world.clock, self.circle)
        self._judging = Judging(
            settings, boot, engine=engine, hearing=self._hearing, barriers=self._barriers
        )
        self._judge = self._judging.judge
        self._telling = Telling(
            settings,
            boot,
            world,
            peers,
            engine=engine,
            applying=self.applying,
            circle=self.circle,
            hearing=self._hearing,
        )
        self.heal = heal or Journal(world.wall_ms)
        self._lookout = Lookout(
            settings,
            world,
            peers,
            engine=engine,
            judge=self._judge,
            circle=self.circle,
            vitals=lambda: self._telling.vitals(self._judge.standing, self.leader),
            state=lambda: self.state,
            cluster_ms=self._clock.now_ms,
            heal=self.heal,
            rebuilt=rebuilt,
        )
        self.hands = self._lookout.hands
        dispatcher = Dispatcher(world.new_id, settings.offer_ttl_ms)
        self._duties = LeaderDuties(self, dispatcher, on_lost=self._lookout.note_lost)
        self.picture = self._lookout.picture
        every_s = settings.timing.election_min_s
        self._handing_over = HandingOver(engine, self.picture, world.clock, every_s)

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
        """See `Judging.leader`."""
        return self._judging.leader

    @property
    def replaced_by(self) -> str:
        """See `Judging.replaced_by`."""
        return self._judging.replaced_by

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
        elif not self._proposing.submit(data, on_answer):
            on_answer(Unavailable("overloaded", "too many proposals wait at this node"))
        elif (trace := CURRENT.get()) is not None:
            number = self._proposals.next_number - 1
            self._telling.tell("trace", self.traces.begin(self.boot, number, trace))

    def next_wakeup(self) -> float:
        """Return in how many seconds a turn is needed if nothing else happens before."""
        if self._judge.held:
            return LOOK_EVERY_S
        return min(self.engine.next_wakeup(), self._hearing.next_look_s())

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
        for peer in self.membership.others():
            self._peers.send(peer, frame)

    # -- what peers say

    def receive(self, peer: str, kind: str, body: Any) -> None:
        """Take one frame of a peer for the next turn.  Raises `PeerRefused`."""
        self._hearing.note(peer)
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
        self._send(self.engine.take_early())  # who has just been elected says so before it syncs
        self.membership.follow()

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
            silent_s=self._lookout.silent_s(),
            level=self._telling.common_level(),
        )
        if planned:
            self.timings.dispatch_plan.observe(self._now_s() - begun_s)
        if self.node in drained(self.state):
            self._handing_over.turn()
        self._telling.turn(self._judge.standing, self.leader)
        self._lookout.look()
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
            self._proposing.is_awaited(applied_index)
            or self.engine.committed_bytes > APPLIED_FIRST_BYTES_MAX
        )

    def replicate(self) -> None:
        """Step 6; the log may be dirty after."""
        if self._judge.held:
            return
        self._proposing.take_turn(self.leader, reached=self.reaches_leader)
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
        self._lookout.look()

    def note_stall(self) -> None:
        """Look, while a sync is under way and no turn can be taken, whether it hangs."""
        running_s = self._world.storage().sync_running_ms / 1000
        led = self.engine.is_leader
        with self._telling_standing():
            stalled = self._judge.stall(running_s)
        if stalled:
            self._lookout.note_stall(running_s, led=led)

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

    def _send(self, messages: list[tuple[str, dict[str, Any]]]) -> None:
        for peer, message in messages:
            self._peers.send(peer, encode("raft", message))

    def _on_applied(self, applied: Applied) -> None:
        if self.engine.is_leader:
            self.timings.offered(applied, self.state)

    def _on_violation(self, violated: InvariantViolated) -> None:
        self._violations += 1
        log.error("invariant violated", name=violated.name, detail=violated.detail)

    # -- standing

    @property
    def cut_off(self) -> Unavailable | None:
        """See `Judging.cut_off`."""
        return self._judging.cut_off

    def fail(self, why: str) -> None:
        """The disk failed: nothing is promised any more."""
        with self._telling_standing():
            self._judge.fail(why)
        self._telling.hurry()
        self._telling.turn(self._judge.standing, self.leader)

    def figures(self) -> ReplicaFigures:
        """Return what was measured here so far."""
        return ReplicaFigures(
            commit=self.timings.commit.buckets(),
            apply=self.timings.apply.buckets(),
            dispatch_plan=self.timings.dispatch_plan.buckets(),
            dispatch_wait=self.timings.dispatch_wait.buckets(),
            leader_changes=self._proposing.leader_changes,
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
            self._lookout.seen(raft),
            self._judge,
            figures,
            leader=self.leader or "",
            pending=len(self._proposals),
            violations=self._violations,
            level_used=self.state.level,
        )

    def _look_at_standing(self) -> None:
        with self._telling_standing():
            self._judging.look(self.state)
        self._lookout.look_at_memory(self.applying.applied_index)
        self._judging.catch_up()

    @contextmanager
    def _telling_standing(self) -> Iterator[None]:
        """Tell the watchers, and answer who waits, when standing changes within."""
        before = self._judge.standing
        yield
        if (unavailable := self.cut_off) is not None:
            self._proposals.fail_all(unavailable)
        if self._judge.standing != before:
            log.info("standing", was=before, now=self._judge.standing, why=self._judge.why)
            self._lookout.hurry()
            self._telling.hurry()
            self.on_standing.tell(self.status())
