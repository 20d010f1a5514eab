"""One node's replica: its part in the cluster, with links, disk and clock.  Talks to all three.

    open ──▶ run ──cancelled──▶ close           a stop, or a crash: the next start reads the disk
              └───stop, wait_stopped──▶ close   another process takes over (`Succession`)

One task owns all of it, in turns: `cluster.turns` takes them, `cluster.participant` says what their
steps are.  What is asked and waits for turns is in `cluster.asking`.
"""

import random
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import structlog
import trio
from msgspec.structs import replace

from cluster.answering import answer_to
from cluster.asking import Asking
from cluster.backup.origin import origin_of
from cluster.disk_watch import DiskWatch
from cluster.figures import ReplicaFigures
from cluster.heal import left
from cluster.heal.ending import MustEnd
from cluster.heal.journal import Journal
from cluster.heal.left import Left
from cluster.heal.neighbours import Neighbours
from cluster.heal.rules import DIVERGENCE
from cluster.heal.starting import tell_start
from cluster.hooks import NO_HOOKS, Hooks
from cluster.ids import Ulids
from cluster.opening import Opened, Succession, open_data
from cluster.participant import Participant
from cluster.peer.handshake import Self
from cluster.peer.links import Links
from cluster.port import (
    Answer,
    Figures,
    ReplicaStatus,
    SavedSnapshot,
    SnapshotWaits,
    Unavailable,
)
from cluster.raft.engine import Engine
from cluster.raft.members import Members
from cluster.settings import ReplicaSettings
from cluster.state.commands import BootNode, Command
from cluster.state.machine import Applied
from cluster.state.state import State
from cluster.tracing import Span
from cluster.turns import Turns
from cluster.world import World
from wal.disk import Disk, FileDisk
from wal.epoch import epoch_of
from wal.identity import move_on
from wal.log import Log, LogStatistics
from wal.recovery import Recovered
from wal.snapshot import SnapshotStore

log = structlog.get_logger()


class _LinkedPeers(Links):
    """The links, as a participant sees them."""

    def figures(self) -> dict[str, Figures]:
        return {
            peer: {
                "connected": link.connected,
                "why": link.refused,
                "queued_bytes": link.queued_bytes,
                "dropped_total": link.dropped_total,
                "connects_total": link.connects_total,
                "remade_total": link.remade_total,
            }
            for peer, link in self.statistics().items()
        }


class Replica:
    """Implements `cluster.port.Port`.  `open` it in a thread, then `run` it."""

    def __init__(
        self,
        settings: ReplicaSettings,
        disk: Disk,
        opened: Opened,
        *,
        boot: str = "",
        next_number: int = 1,
        listeners: Sequence[socket.socket] = (),
        left_notes: Sequence[Left] = (),
        hooks: Hooks = NO_HOOKS,
    ) -> None:
        """`left_notes`: of the process before, for the heal log."""
        boot = boot or secrets.token_hex(8)
        self._settings = settings
        self._disk = disk
        self._identity = opened.identity
        self._ending: MustEnd | None = None
        self._moving_to = ""
        self._wal = opened.wal
        self._snapshots = opened.snapshots
        heal = Journal(_wall_ms)
        self._links = _LinkedPeers(
            Self(
                self.cluster_id,
                settings.node,
                boot,
                settings.key,
                settings.reached_at,
                lambda: origin_of(self._part.state),
                uses=lambda: self.state.level,
            ),
            settings.listen,
            {},
            on_frame=self._on_frame,
            on_lost=self._on_lost,
            tls=settings.tls,
            listeners=listeners,
            meetings=Neighbours(self, heal, time.monotonic),
            wire=hooks.wire,
        )
        self._stopped = trio.Event()
        tell_start(heal, opened, left_notes)
        wall_ms = _wall_ms if hooks.wall_ms is None else hooks.wall_ms(_wall_ms)
        self._watch = DiskWatch(disk, opened.wal)
        self._watch.sample()
        world = World(
            time.monotonic,
            wall_ms,
            Ulids(wall_ms, secrets.token_bytes).new,
            self._watch.storage,
        )
        self._part = Participant(
            settings,
            opened,
            boot=boot,
            world=world,
            peers=self._links,
            next_number=next_number,
            heal=heal,
            rebuilt=any(note.rule == DIVERGENCE for note in left_notes),
        )
        self._turns = Turns(
            self._part,
            disk,
            opened.wal,
            opened.snapshots,
            wall_ms=_wall_ms,
            before=self._before_turn,
        )
        self._asking = Asking(
            self._part, self._turns.wake, election_min_s=settings.timing.election_min_s
        )
        self._links.set_peers(self._part.membership.addresses())

    @classmethod
    def open(
        cls,
        settings: ReplicaSettings,
        disk: Disk | None = None,
        *,
        succession: Succession | None = None,
        listeners: Sequence[socket.socket] = (),
        hooks: Hooks = NO_HOOKS,
    ) -> "Replica":
        """Return the replica as its disk remembers it.  Blocks; raises `StorageError`.

        Damaged data is set aside, and the replica then abstains; see `cluster.opening`.  With a
        `succession` it goes on where another process stopped, on the `listeners` of its peers'
        port; damage is then raised.  `hooks` are between it and the world.
        """
        disk = disk or FileDisk(settings.data)
        if hooks.disk is not None:
            disk = hooks.disk(disk)
        configured = settings.configured

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
                applied_index=succession.applied_index if succession is not None else 1,
            )

        opened = open_data(
            disk,
            settings.cluster,
            settings.node,
            configured.voters,
            make_engine,
            succession=succession,
        )
        if opened.damage:
            log.error("damaged data set aside", folder=str(settings.data), why=opened.damage)
        if succession is None:
            notes = left.take(disk)
            return cls(settings, disk, opened, listeners=listeners, left_notes=notes, hooks=hooks)
        return cls(
            settings,
            disk,
            opened,
            boot=succession.boot,
            next_number=succession.next_number,
            listeners=listeners,
            hooks=hooks,
        )

    def close(self) -> None:
        """Let go of the data folder; the replica must not run any more.  Harmless when repeated."""
        self._wal.close()
        self._disk.close()

    # -- the end, where another process goes on

    @property
    def peers_listening(self) -> list[int]:
        """Descriptors of the peers' port, while this runs."""
        return self._links.listening

    @property
    def waits(self) -> bool:
        """Whether a proposal of this node has no outcome yet."""
        return self._part.waits

    @property
    def saves(self) -> bool:
        """Whether a snapshot is being written, which `stop` would wait for."""
        return self._turns.saving.runs

    async def hand_over_leadership(self, s_max: float) -> bool:
        """Return whether another node leads, after `s_max` at most; begin that if need be."""
        return await self._asking.hand_over_leadership(s_max)

    def stop(self) -> None:
        """End `run` after its present turn: everything it said is durable then."""
        self._turns.stop()

    async def wait_stopped(self) -> tuple[int, int]:
        """Return the next proposal's number and the applied index, once `run` has ended.

        Nothing is written or sent any more; `close` lets another process have the folder.  Where
        `run` was cancelled meanwhile, that holds too: what was applied is durable.
        """
        await self._stopped.wait()
        return self._part.next_number, self._part.applying.applied_index

    # -- the port

    @property
    def node_id(self) -> str:
        return self._settings.node

    @property
    def cluster_id(self) -> str:
        """The cluster's id with its epoch; see `wal.epoch`."""
        return self._identity.cluster_id

    @property
    def is_blank(self) -> bool:
        """Whether nothing of any leader is here and no promise that counts: the folder was empty,
        or restored from a backup, and its cluster has not begun.
        """
        journal = self._part.engine.journal
        return journal.empty and journal.abstains

    @property
    def boot(self) -> str:
        return self._part.boot

    @property
    def state(self) -> State:
        return self._part.state

    @property
    def is_leader(self) -> bool:
        return self._part.engine.is_leader

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        """See `Port.submit`."""
        self._part.submit(command, on_answer)
        self._turns.wake()

    async def propose(self, command: Command) -> Answer:
        """See `Port.propose`."""
        return await answer_to(self.submit, command)

    def watch(self, watcher: Callable[[Applied], None]) -> Callable[[], None]:
        """See `Port.watch`."""
        return self._part.applying.on_applied.add(watcher)

    def watch_entries(self, watcher: Callable[[int, bytes], None]) -> Callable[[], None]:
        """Call `watcher(index, payload)` for each applied entry, before `watch` does.

        Applied to a copy of the state, in order, they keep it equal.
        """
        return self._part.applying.on_entry.add(watcher)

    def watch_standing(self, watcher: Callable[[ReplicaStatus], None]) -> Callable[[], None]:
        """See `Port.watch_standing`."""
        return self._part.on_standing.add(watcher)

    def watch_installs(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """See `Port.watch_installs`."""
        return self._part.applying.on_install.add(watcher)

    async def barrier(self) -> Unavailable | None:
        """See `Port.barrier`."""
        return await self._asking.barrier()

    def members(self) -> Members:
        """See `Port.members`."""
        return self._part.engine.members

    @property
    def reached_at(self) -> str:
        """`host:port` for the other nodes."""
        return self._settings.reached_at

    def guests(self) -> dict[str, str]:
        """See `Port.guests`."""
        return self._links.guests

    async def change_members(self, change: Callable[[Members], Members]) -> Unavailable | None:
        """See `Port.change_members`."""
        return await self._asking.change_members(change)

    async def hand_over(self, to: str = "") -> str | Unavailable:
        """See `Port.hand_over`."""
        return await self._asking.hand_over(to)

    async def save_snapshot(self, index: int = 0) -> SavedSnapshot | SnapshotWaits:
        """See `Port.save_snapshot`."""
        return await self._turns.saving.ask(index)

    def whisper(self, payload: bytes) -> None:
        """See `Port.whisper`."""
        self._part.whisper(payload)

    def watch_whispers(self, watcher: Callable[[str, bytes], None]) -> Callable[[], None]:
        """See `Port.watch_whispers`."""
        return self._part.on_whisper.add(watcher)

    def status(self) -> ReplicaStatus:
        """Return this node's standing in figures."""
        tls = self._links.tls_statistics()
        return replace(
            self._part.status(),
            peer_tls={} if tls is None else asdict(tls),
            epoch=epoch_of(self.cluster_id),
        )

    def wal_statistics(self) -> LogStatistics:
        """Return the log's own figures."""
        return self._wal.statistics()

    def figures(self) -> ReplicaFigures:
        """Return what this node measured of its part in the cluster."""
        return self._part.figures()

    def watch_spans(self, watcher: Callable[[Span], None]) -> Callable[[], None]:
        """Call `watcher` for each span of a traced proposal here; return how to stop."""
        return self._part.traces.on_span.add(watcher)

    # -- peers, called by the links' tasks

    def _on_frame(self, peer: str, kind: str, body: Any) -> None:
        self._part.receive(peer, kind, body)
        if kind != "whisper":
            self._turns.wake()

    def _on_lost(self, peer: str) -> None:
        self._part.engine.peer_lost(peer)
        self._turns.wake()

    # -- the end, or another epoch, decided by `cluster.heal.neighbours`

    def end(self, why: MustEnd) -> None:
        """End `run` by raising `why`, before anything more is said."""
        self._ending = self._ending or why
        self._turns.wake()

    def move_on(self, cluster_id: str) -> None:
        """Be of `cluster_id`, a later epoch, from the next turn on."""
        self._moving_to = cluster_id
        self._turns.wake()

    async def _before_turn(self) -> None:
        if self._ending is not None:
            raise self._ending
        if self._moving_to:
            await self._follow_epoch()

    async def _follow_epoch(self) -> None:
        cluster_id, self._moving_to = self._moving_to, ""
        if not self.is_blank or cluster_id == self.cluster_id:
            return
        self._identity = await trio.to_thread.run_sync(move_on, self._disk, cluster_id)
        self._wal.move_on(self._identity)
        self._snapshots.move_on(self._identity)
        self._links.move_on(cluster_id)
        log.warning("moved on to a later epoch of the cluster", cluster=cluster_id)

    # -- the loop

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take part in the cluster until cancelled or stopped; started once the peer port is bound.

        Raises `StorageError` when the disk fails, `OSError` when the port cannot be had, `Outgrown`
        or `snapshot.SnapshotRefused` when the cluster's log is not for this release.
        """
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._links.run)
                task_status.started()
                nursery.start_soon(self._announce)
                nursery.start_soon(self._watch.run)
                await self._turns.take(nursery)
                nursery.cancel_scope.cancel()
        finally:
            self._stopped.set()

    async def _announce(self) -> None:
        """Tell the cluster that this boot lives, until it has heard."""
        known = self.state.nodes.get(self._settings.node)
        if known is not None and (known.boot, known.url) == (self.boot, self._settings.url):
            return  # this process goes on with it
        command = BootNode(self._settings.node, self.boot, self._settings.url)
        while isinstance(await self.propose(command), Unavailable):
            await trio.sleep(0.2)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
