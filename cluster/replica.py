"""One node's replica: the loop that drives Raft, the log and the state machine.  Talks to
the peers' links, the disk (in threads) and the clock.

One task owns all of it.  The order of a turn is the safety argument (Raft thesis 10.2.1):

    deliver messages · sync · propose one batch · tick · send what needs no durability
    · sync (in a thread, while the next batch gathers) · send what does · apply · answer

Nothing that promises durability (a vote, an acknowledgement, the leader's own count) leaves
before the `fdatasync` that makes it true.  A disk that fails ends the process: the only way
to learn what is really on it is to start again (Rebello et al., "Can Applications Recover
from fsync Failures?", ATC 2020).
"""

import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
import trio

from cluster.applying import Applying
from cluster.barriers import Barriers
from cluster.clock import ClusterClock
from cluster.duties import LeaderDuties
from cluster.ids import Ulids
from cluster.opening import open_data
from cluster.packing import pack
from cluster.peer.frames import PeerRefused, encode
from cluster.peer.handshake import Self
from cluster.peer.links import Address, Links, parse_address
from cluster.port import Answer, NotLeading, ReplicaStatus, Unavailable
from cluster.proposals import COMMAND_BYTES_MAX, Proposals
from cluster.raft.engine import Engine
from cluster.raft.members import Members
from cluster.raft.messages import PeerError
from cluster.raft.results import RaftStatus
from cluster.routing.dispatch import Dispatcher
from cluster.settings import ReplicaSettings
from cluster.standing import Judge
from cluster.state import commands, entry
from cluster.state.commands import BootNode, Command
from cluster.state.invariants import InvariantViolated
from cluster.state.machine import Applied, Machine, Skipped
from cluster.state.outcome import Outcome, Refused
from cluster.state.state import State
from cluster.watchers import Watchers
from wal.disk import Disk, FileDisk
from wal.errors import StorageError
from wal.log import Log, LogStatistics
from wal.recovery import Recovered
from wal.snapshot import SnapshotStore

INBOX_MAX = 10_000
"""Messages of peers that wait for a turn; the rest is dropped, and Raft sends it again."""
FORWARDED_MAX = 1_000
BARRIER_S = 3.0
MEMBERS_POLL_S = 0.02
WHISPER_BYTES_MAX = 16 * 1024

_ABSTAINS = "it lost its data: it is filled by the others, and decides nothing until they say so"
_UNSEEN = Unavailable("timeout", "it was applied, but its outcome was not seen here")

log = structlog.get_logger()


class Replica:
    """Implements `cluster.port.Port`.  `open` it in a thread, then `run` it."""

    def __init__(
        self,
        settings: ReplicaSettings,
        disk: Disk,
        wal: Log,
        snapshots: SnapshotStore,
        engine: Engine,
        state: State,
        applied_index: int,
    ) -> None:
        boot = secrets.token_hex(8)
        self._settings = settings
        self._disk = disk
        self._wal = wal
        self._engine = engine
        self._boot = boot
        self._clock = ClusterClock(_wall_ms, time.monotonic)
        self._proposals = Proposals(settings.node, boot)
        self._inbox: deque[tuple[str, Any]] = deque()
        self._forwarded: deque[entry.Batch] = deque()
        self._barriers = Barriers()
        self._members = engine.members
        self._judge = Judge(len(engine.members.voters), settings.fence_s)
        self._leadership = ("", -1)
        self._catching_up = False
        self._wake = trio.Event()
        self._on_standing: Watchers[ReplicaStatus] = Watchers()
        self._on_whisper: Watchers[str, bytes] = Watchers()
        self._violations = 0
        machine = Machine(state, on_violation=self._on_violation)
        self._applying = Applying(engine, snapshots, machine, applied_index, self._on_outcome)
        self._sync_limiter = trio.CapacityLimiter(1)
        self._duties = LeaderDuties(
            self, Dispatcher(Ulids(_wall_ms, secrets.token_bytes).new, settings.offer_ttl_ms)
        )
        self._links = Links(
            Self(settings.cluster, settings.node, boot, settings.key, settings.reached_at),
            settings.listen,
            self._addresses(),
            on_frame=self._on_frame,
            on_lost=self._on_lost,
            tls=settings.tls,
        )

    @classmethod
    def open(cls, settings: ReplicaSettings, disk: Disk | None = None) -> "Replica":
        """Return the replica as its disk remembers it.  Blocks; raises `StorageError`.

        Damaged data is set aside, and the replica then abstains; see `cluster.opening`.
        """
        disk = disk or FileDisk(settings.data)
        addresses = {name: f"{host}:{port}" for name, (host, port) in settings.peers.items()}
        configured = Members.of({settings.node: settings.reached_at, **addresses})

        def make_engine(wal: Log, recovered: Recovered, snapshots: SnapshotStore) -> Engine:
            return Engine(
                settings.node,
                configured,
                log=wal,
                recovered=recovered,
                snapshots=snapshots,
                clock=time.monotonic,
                rng=random.Random(secrets.randbits(64)),  # noqa: S311 - jitter, no secret
                timing=settings.timing,
                snapshot_every_entries=settings.snapshot_every_entries,
            )

        opened = open_data(disk, settings.cluster, settings.node, configured.voters, make_engine)
        if opened.damage:
            log.error("damaged data set aside", folder=str(settings.data), why=opened.damage)
        return cls(
            settings,
            disk,
            opened.wal,
            opened.snapshots,
            opened.engine,
            opened.state,
            opened.applied_index,
        )

    def close(self) -> None:
        """Let go of the data folder; the replica must not run any more."""
        self._wal.close()
        self._disk.close()

    # -- the port

    @property
    def node_id(self) -> str:
        return self._settings.node

    @property
    def boot(self) -> str:
        return self._boot

    @property
    def state(self) -> State:
        return self._applying.state

    @property
    def is_leader(self) -> bool:
        return self._engine.is_leader

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        """See `Port.submit`."""
        data = commands.encode(command)
        if len(data) > COMMAND_BYTES_MAX:
            on_answer(Refused("too_large", f"{len(data)} bytes; at most {COMMAND_BYTES_MAX}"))
            return
        if self._cut_off:
            on_answer(self._minority)
            return
        if not self._proposals.submit(data, on_answer, time.monotonic()):
            on_answer(Unavailable("overloaded", "too many proposals wait at this node"))
            return
        self._wake.set()

    async def propose(self, command: Command) -> Answer:
        """See `Port.propose`."""
        done = trio.Event()
        answers: list[Answer] = []

        def on_answer(answer: Answer) -> None:
            answers.append(answer)
            done.set()

        self.submit(command, on_answer)
        await done.wait()
        return answers[0]

    def watch(self, watcher: Callable[[Applied], None]) -> Callable[[], None]:
        """See `Port.watch`."""
        return self._applying.on_applied.add(watcher)

    def watch_standing(self, watcher: Callable[[ReplicaStatus], None]) -> Callable[[], None]:
        """See `Port.watch_standing`."""
        return self._on_standing.add(watcher)

    def watch_installs(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """See `Port.watch_installs`."""
        return self._applying.on_install.add(watcher)

    async def barrier(self) -> Unavailable | None:
        """See `Port.barrier`."""
        if self._cut_off:
            return self._minority
        done = trio.Event()
        results: list[Unavailable | None] = []

        def on_passed(result: Unavailable | None) -> None:
            results.append(result)
            done.set()

        if not self._barriers.add(on_passed):
            return Unavailable("overloaded", "too many readers wait at this node")
        self._wake.set()
        with trio.move_on_after(BARRIER_S):
            await done.wait()
            return results[0]
        return Unavailable("timeout", "no quorum confirmed a read in time")

    def whisper(self, payload: bytes) -> None:
        """See `Port.whisper`."""
        assert len(payload) <= WHISPER_BYTES_MAX
        frame = encode("whisper", payload)
        for peer in self._members.by_id:
            self._links.send(peer, frame)

    def watch_whispers(self, watcher: Callable[[str, bytes], None]) -> Callable[[], None]:
        """See `Port.watch_whispers`."""
        return self._on_whisper.add(watcher)

    def status(self) -> ReplicaStatus:
        """Return this node's standing in figures."""
        raft = self._engine.status()
        links = self._links.statistics()
        return ReplicaStatus(
            node=self._settings.node,
            boot=self._boot,
            standing=self._judge.standing,
            why=_why(self._judge.why, raft),
            role=raft.role,
            leader=self._leader or "",
            term=raft.term,
            commit_index=raft.commit_index,
            applied_index=self._applying.applied_index,
            last_index=raft.last_index,
            first_index=raft.first_index,
            quorum_heard_s=raft.quorum_contact_age_s,
            peers={
                peer: {
                    "connected": link.connected,
                    "why": link.refused,
                    "last_heard_s": raft.contact_age_s.get(peer, -1.0),
                    "match_index": raft.match_index.get(peer, 0),
                    "queued_bytes": link.queued_bytes,
                    "dropped_total": link.dropped_total,
                    "connects_total": link.connects_total,
                }
                for peer, link in links.items()
            },
            snapshot_index=raft.snapshot_index,
            pending=len(self._proposals),
            violations=self._violations,
            abstains=raft.abstains,
        )

    @property
    def _leader(self) -> str | None:
        """Who leads, as far as that was heard lately; Raft itself remembers for ever."""
        if self._engine.quorum_age_s() > self._settings.fence_s:
            return None
        return self._engine.leader

    @property
    def _reaches_leader(self) -> bool:
        leader = self._leader
        return self._engine.is_leader or (leader is not None and self._links.connected(leader))

    def wal_statistics(self) -> LogStatistics:
        """Return the log's own figures."""
        return self._wal.statistics()

    # -- peers, called by the links' tasks

    def _on_frame(self, peer: str, kind: str, body: Any) -> None:
        match kind:
            case "raft" if isinstance(body, dict):
                if len(self._inbox) < INBOX_MAX:
                    self._inbox.append((peer, body))
            case "batch" if isinstance(body, bytes):
                if len(self._forwarded) < FORWARDED_MAX:
                    self._forwarded.append(_parse_batch(peer, body))
            case "whisper" if isinstance(body, bytes) and len(body) <= WHISPER_BYTES_MAX:
                self._on_whisper.tell(peer, body)
                return
            case _:
                raise PeerRefused(f"{peer}: a frame of kind {kind[:32]!r} that is not ours")
        self._wake.set()

    def _on_lost(self, peer: str) -> None:
        self._engine.peer_lost(peer)
        self._wake.set()

    # -- the loop

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take part in the cluster until cancelled; started once the peer port is bound.

        Raises `StorageError` when the disk fails, `OSError` when the port cannot be had.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._links.run)
            task_status.started()
            nursery.start_soon(self._announce)
            try:
                while True:
                    await self._wait_for_work()
                    await self._turn(nursery)
            except StorageError as error:
                with self._telling_standing():
                    self._judge.fail(f"the disk failed: {error}")
                raise

    def _wake_up(self) -> None:
        self._wake.set()

    async def _wait_for_work(self) -> None:
        can_propose = self._proposals.queued and self._reaches_leader
        if not (self._inbox or self._forwarded or can_propose or self._barriers.waiting):
            with trio.move_on_after(self._engine.next_wakeup()):
                await self._wake.wait()
        self._wake = trio.Event()

    async def _turn(self, nursery: trio.Nursery) -> None:
        self._deliver()
        self._follow_members()
        await self._sync()
        self._propose()
        self._engine.record_members()
        self._barriers.ask(self._engine.read_index)
        self._engine.tick()
        self._send(self._engine.take_early())
        await self._sync()
        self._send(self._engine.take_late())
        await self._applying.apply_committed()
        self._barriers.passed(self._applying.applied_index)
        self._clock.note(self._applying.state.now_ms)
        self._look_at_standing()
        self._applying.start_snapshot(nursery, self._wake_up)
        self._duties.turn(
            leading=self._engine.is_leader and self._judge.caught_up,
            now_ms=self._clock.now_ms(),
            silent_s=self._silent_s(),
        )
        self._proposals.expire(time.monotonic())
        await trio.lowlevel.checkpoint()

    def _deliver(self) -> None:
        for _ in range(len(self._inbox)):
            peer, message = self._inbox.popleft()
            try:
                self._engine.deliver(peer, message)
            except PeerError as error:
                log.warning("peer message refused", peer=peer, why=str(error))

    async def _sync(self) -> None:
        """Make what the engine wrote durable: one `fdatasync` for all of it."""
        batch = self._wal.take()
        if batch is not None:
            await trio.to_thread.run_sync(self._wal.write, batch, limiter=self._sync_limiter)

    def _propose(self) -> None:
        """Put what waits into the log, or on its way to the leader."""
        now_s = time.monotonic()
        leader = self._leader
        leadership = (leader or "", self._engine.term)
        if leadership != self._leadership:
            self._leadership = leadership
            if leader is not None:
                self._proposals.resend(now_s)
        else:
            self._proposals.resend_overdue(now_s)
        if self._engine.is_leader:
            self._propose_here(now_s)
            return
        self._forwarded.clear()  # their senders will find the leader themselves
        if leader is not None and self._reaches_leader:
            while (batch := self._proposals.take(now_s)) is not None:
                self._links.send(leader, encode("batch", entry.encode(batch)))

    def _propose_here(self, now_s: float) -> None:
        """At the leader: all that waits, here and from followers, as few entries."""
        while (batch := self._proposals.take(now_s)) is not None:
            self._forwarded.append(batch)
        while self._forwarded:
            if self._engine.propose(pack(self._forwarded, self._clock.now_ms())) is None:
                return  # not sent: whoever proposed sends it again

    def _send(self, messages: list[tuple[str, dict[str, Any]]]) -> None:
        for peer, message in messages:
            self._links.send(peer, encode("raft", message))

    def _on_outcome(self, node: str, boot: str, number: int, outcome: Outcome | Skipped) -> None:
        if (node, boot) != (self._settings.node, self._boot):
            return
        match outcome:
            case Skipped(early=True):
                self._proposals.overtaken()
            case Skipped():
                self._proposals.answer(number, _UNSEEN)
            case _:
                self._proposals.answer(number, outcome)

    def _on_violation(self, violated: InvariantViolated) -> None:
        self._violations += 1
        log.error("invariant violated", name=violated.name, detail=violated.detail)

    # -- members

    def members(self) -> Members:
        """See `Port.members`."""
        return self._engine.members

    @property
    def reached_at(self) -> str:
        """`host:port` for the other nodes."""
        return self._settings.reached_at

    def guests(self) -> dict[str, str]:
        """See `Port.guests`."""
        return self._links.guests

    async def change_members(self, change: Callable[[Members], Members]) -> Unavailable | None:
        """See `Port.change_members`."""
        if not self._engine.is_leader:
            raise NotLeading(self._leader or "")
        wanted = change(self._engine.members)
        index, term = self._engine.propose_members(wanted), self._engine.term
        self._wake.set()
        with trio.move_on_after(BARRIER_S):
            while self._engine.term == term:
                if self._applying.applied_index >= index:
                    return None
                await trio.sleep(MEMBERS_POLL_S)
        return Unavailable("timeout", "it may still happen; look at the members again")

    def _follow_members(self) -> None:
        """Link up with who takes part, and with nobody else."""
        if self._engine.members is self._members:
            return
        self._members = self._engine.members
        self._judge.voters = len(self._members.voters)
        roles = {name: member.role for name, member in self._members.by_id.items()}
        log.info("members", roles=roles)
        self._links.set_peers(self._addresses())

    def _silent_s(self) -> dict[str, float]:
        """Return for how long other nodes said nothing; who is no member is silent for ever."""
        gone = self._applying.state.nodes.keys() - self._members.by_id.keys()
        return self._engine.contact_age_s() | dict.fromkeys(sorted(gone), float("inf"))

    def _addresses(self) -> dict[str, Address]:
        """Return where the other members are; what this node was told itself goes first."""
        addresses: dict[str, Address] = {}
        for name, member in self._members.by_id.items():
            told = self._settings.peers.get(name)
            if name == self._settings.node:
                continue
            if told is not None:
                addresses[name] = told
            elif member.address:
                with suppress(PeerRefused):  # no such port: nobody is there
                    addresses[name] = parse_address(member.address)
        return addresses

    # -- standing

    @property
    def _cut_off(self) -> bool:
        return self._judge.standing in ("fenced", "failed")

    @property
    def _minority(self) -> Unavailable:
        return Unavailable("minority", self._judge.why)

    def _look_at_standing(self) -> None:
        with self._telling_standing():
            silent_s = self._engine.quorum_age_s()
            self._judge.look(led=self._leader is not None, silent_s=silent_s)
        if self._judge.standing == "catching_up" and not self._catching_up:
            self._catching_up = self._barriers.add(self._on_caught_up)
            self._wake.set()

    def _on_caught_up(self, result: Unavailable | None) -> None:
        self._catching_up = False
        if result is None:
            self._judge.note_caught_up()

    @contextmanager
    def _telling_standing(self) -> Iterator[None]:
        """Tell the watchers, and answer who waits, when standing changes within."""
        before = self._judge.standing
        yield
        if self._cut_off:
            self._proposals.fail_all(self._minority)
        if self._judge.standing != before:
            now, why = self._judge.standing, self._judge.why
            log.info("standing", was=before, now=now, why=why)
            self._on_standing.tell(self.status())

    async def _announce(self) -> None:
        """Tell the cluster that this boot lives, until it has heard."""
        while True:
            answer = await self.propose(
                BootNode(self._settings.node, self._boot, self._settings.url)
            )
            if not isinstance(answer, Unavailable):
                return
            await trio.sleep(0.2)


def _why(judged: str, raft: RaftStatus) -> str:
    """Return in words what there is to say about a node's standing."""
    if raft.is_unknown:
        return (
            "it is no member of this cluster (any more);"
            f" `unidesk cluster members add {raft.node_id}` lets it join"
        )
    return judged or (_ABSTAINS if raft.abstains else "")


def _parse_batch(peer: str, body: bytes) -> entry.Batch:
    try:
        batch = entry.decode_batch(body)
    except (ValueError, RecursionError) as error:
        raise PeerRefused(f"{peer}: a batch that is none: {error}") from None
    if batch.node != peer:
        raise PeerRefused(f"{peer}: a batch in the name of {batch.node[:64]!r}")
    return batch


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
