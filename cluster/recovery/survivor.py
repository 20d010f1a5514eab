"""What one node's folder has left, read without changing it.  Reads files; blocks.

    condition   means                                              may the cluster go on from it?
    ---------   -------------------------------------------------  ------------------------------
    whole       log and snapshot make one history                  yes
    torn        the same, behind a last frame that is cut off      yes: that was never promised
    abstains    it lost its data before, and was not filled again  only if nothing better is left
    empty       no entry and no snapshot                           no
    damaged     damage inside, or a part is missing                no

The state is put together from the newest snapshot and *all* entries behind it, committed or not:
that is what the cluster would go on with.
"""

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from cluster.raft.boot import LogRefused, restore
from cluster.raft.journal import RaftJournal
from cluster.raft.members import Members
from cluster.raft.messages import COMMAND
from cluster.state import snapshot
from cluster.state.invariants import InvariantViolated
from cluster.state.machine import Machine
from cluster.state.state import State
from wal.disk import Disk, Folder, Reader, is_held
from wal.errors import StorageError
from wal.identity import Identity, read_identity
from wal.inspect import read_log
from wal.ledger import Ledger
from wal.log import Log
from wal.recovery import Position, Recovered
from wal.segment import UnknownVersion
from wal.snapfile import SnapshotMeta, read_blocks, read_prefix, snapshot_index

NEWEST_SHOWN = 10
"""Conversations that are named, those with the newest events."""

Condition = Literal["whole", "torn", "abstains", "empty", "damaged"]


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest event of one conversation."""

    cv: str
    seq: int
    type: str
    at_ms: int
    """Cluster time, milliseconds UTC."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """One node of the lost cluster that still has a folder."""

    node: str
    folder: str
    cluster_id: str
    """With its epoch."""
    incarnation: int
    condition: Condition
    why: str
    """What is wrong, in words; empty for what is whole."""
    runs: bool
    """Whether a process has the folder now."""
    term: int = 0
    last_index: int = 0
    last_term: int = 0
    commit_index: int = 0
    """As far as this node knew; more may have been committed."""
    snapshot_index: int = 0
    members: tuple[tuple[str, str, str], ...] = ()
    """(node, role, address) by the newest entry that says so."""
    members_index: int = 1
    """Of that entry; 1: they are those of the beginning."""
    reaches_ms: int = 0
    """Cluster time of its last entry, milliseconds UTC."""
    conversations: int = 0
    newest: tuple[Newest, ...] = ()

    @property
    def usable(self) -> bool:
        return self.condition in ("whole", "torn", "abstains")

    @property
    def voters(self) -> tuple[str, ...]:
        return tuple(node for node, role, _ in self.members if role in ("voter", "leaving"))

    @property
    def settled(self) -> bool:
        """Whether no change of the members was under way, as far as this node knew."""
        known_index = max(self.commit_index, self.snapshot_index, 1)
        moving = [node for node, role, _ in self.members if role in ("joining", "leaving")]
        return self.members_index <= known_index and not moving

    def to_builtins(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return asdict(self)


def read_survivor(node: str, folder: Path, configured: Members) -> Survivor:
    """Return what `folder` has left of `node`; `configured` are its members if the log names none.

    Raises `StorageFailed` when it cannot be read.
    """
    return survivor_of(node, Folder(folder), configured, runs=is_held(folder))


def survivor_of(node: str, reader: Reader, configured: Members, *, runs: bool = False) -> Survivor:
    """Like `read_survivor`, for any `Reader`."""
    identity: Identity | None = None
    cluster_id, incarnation = "", 0
    path = reader.path_of("").rstrip("/")

    def found(condition: Condition, why: str = "", **figures: Any) -> Survivor:
        return Survivor(node, path, cluster_id, incarnation, condition, why, runs, **figures)

    try:
        identity = read_identity(reader)
        if identity is None:
            return found("empty", "there is no data in it")
        cluster_id, incarnation = identity.cluster_id, identity.incarnation
        if identity.node_id != node:
            return found("damaged", f"it is the folder of {identity.node_id}, not of {node}")
        journal, meta, torn = read_journal(reader, identity, configured)
        if journal.empty:
            return found("empty", "there is no entry in it")
        state = read_state(reader, journal, meta)
    except (StorageError, LogRefused, UnknownVersion, snapshot.SnapshotRefused) as damage:
        return found("damaged", str(damage))
    condition: Condition = "torn" if torn else "whole"
    if journal.abstains:
        condition, torn = "abstains", "it lost its data before, and was not counted again"
    members = journal.members.by_id.items()
    return found(
        condition,
        torn,
        term=journal.getCurrentTerm(),
        last_index=journal.last_index,
        last_term=journal.last_term,
        commit_index=journal.getRaftCommitIndex(),
        snapshot_index=meta.index if meta is not None else 0,
        members=tuple((name, one.role, one.address) for name, one in members),
        members_index=journal.members_index,
        reaches_ms=state.now_ms,
        conversations=len(state.conversations),
        newest=_newest(state),
    )


def read_journal(
    reader: Reader, identity: Identity, configured: Members
) -> tuple[RaftJournal, SnapshotMeta | None, str]:
    """Return the journal that a start would begin with, its snapshot, and what is torn, in words.

    The journal is for reading: what it records goes nowhere.  Raises what a start would.
    """
    recovered = read_log(reader)
    if recovered is None:
        recovered = Recovered(
            [], Ledger().hard_state, 0, Position(1, 0, 1, 0, 0), None, (), Ledger()
        )
    meta = _newest_snapshot(reader)
    log = Log(
        cast("Disk", reader),  # nothing is written: what is recorded is never taken
        identity,
        recovered,
        segment_bytes_max=1,
        draw_salt=int,
        clock=time.monotonic,
    )
    journal = restore(log, recovered, meta, configured)
    torn = recovered.torn
    said = f"{torn.bytes} bytes at its end are no whole frame ({torn.reason})" if torn else ""
    return journal, meta, said


def read_state(reader: Reader, journal: RaftJournal, meta: SnapshotMeta | None) -> State:
    """Return the state after the last entry of the log."""
    state, index = State(), journal.base_index
    if meta is not None:
        state, index = snapshot.load(_blocks(reader, meta)), meta.index
    machine = Machine(state, on_violation=_ignore)
    if index < journal.last_index:
        for command, at, _ in journal.between(index + 1, journal.last_index):
            if command[:1] == COMMAND:
                machine.apply(at, command[1:])
    return machine.state


def moment(ms: int) -> str:
    """Return a time for people."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(sep=" ", timespec="milliseconds")


def _newest_snapshot(reader: Reader) -> SnapshotMeta | None:
    names = [name for name in reader.names() if snapshot_index(name) is not None]
    if not names:
        return None
    name = names[-1]
    return read_prefix(
        reader.path_of(name), lambda at, size: reader.read(name, offset=at, size=size)
    ).meta


def _blocks(reader: Reader, meta: SnapshotMeta) -> list[bytes]:
    name = next(one for one in reader.names() if snapshot_index(one) == meta.index)

    def read(offset: int, size: int) -> bytes:
        return reader.read(name, offset=offset, size=size)

    path = reader.path_of(name)
    return list(read_blocks(path, read, read_prefix(path, read)))


def _newest(state: State) -> tuple[Newest, ...]:
    last = [(one.cv, one.tail[-1]) for one in state.conversations.values() if len(one.tail)]
    last.sort(key=lambda item: item[1].ts, reverse=True)
    return tuple(Newest(cv, event.seq, event.type, event.ts) for cv, event in last[:NEWEST_SHOWN])


def _ignore(violated: InvariantViolated) -> None:
    """A bug, seen when the entry was applied first; here the figures are enough."""
