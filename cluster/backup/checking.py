"""What is in a backup, or in the data folder of a node that is stopped.  Talks to files; blocks.

    a backup   every checksum, the state loaded, its invariants, counts
    a folder   identity, newest snapshot, log: the same, and the entries behind the snapshot applied
               as far as the log knows that they are committed

The log's commit index is a hint that may be behind (`cluster.raft.journal`): what a folder is saved
with was committed, and others may have seen more.
"""

from dataclasses import dataclass

import msgspec

from cluster.backup.file import BackupRefused, Header, Read, Reader
from cluster.backup.origin import origin_of
from cluster.backup.restore import load, refuse_unfinished
from cluster.raft.messages import COMMAND
from cluster.state import snapshot
from cluster.state.invariants import InvariantViolated
from cluster.state.machine import Machine
from cluster.state.state import State
from wal.disk import Disk
from wal.epoch import name_of
from wal.errors import ForeignLog, StorageError
from wal.identity import read_identity
from wal.opening import recover_folder
from wal.snapshot import SnapshotStore

COUNTED = ("conversations", "sessions", "agents", "offers", "accounts", "keys", "rule_sets")


class Counts(msgspec.Struct, frozen=True):
    """How many there are of what people ask for first."""

    messages: int
    sections: dict[str, int]


@dataclass(frozen=True, slots=True)
class Checked:
    """A state that is whole, and what it is of."""

    cluster: str
    node: str
    index: int
    term: int
    state: State
    header: Header | None
    """Of a backup; None for a folder."""
    sha256: str = ""


def check_backup(name: str, read: Read) -> Checked:
    """Return what is in the backup that `read` gives, all of it checked.

    Raises `BackupRefused`, and what `read` raises; `name` is what people are told.
    """
    reader = Reader(name, read)
    state = load(reader)
    header, end = reader.header, reader.end
    assert end is not None
    if header.index != state.applied_index:
        raise BackupRefused(
            f"{name}: its header says index {header.index}, its state {state.applied_index}"
        )
    return Checked(
        header.cluster, header.node, header.index, header.term, state, header, end.sha256
    )


def check_folder(disk: Disk) -> Checked:
    """Return what a node would go on from in the folder; a torn tail of its log is cut, as at a
    start.

    Raises `StorageError`, also when nothing is there.
    """
    refuse_unfinished(disk)
    identity = read_identity(disk)
    if identity is None:
        raise ForeignLog(disk.path_of("."), "no node's data", "Name the [node] data of a node.toml")
    store, state, index, term = SnapshotStore(disk, identity), State(), 1, 0
    newest = store.latest()
    if newest is not None:
        meta, payload = store.open_latest()
        index, term = meta.index, meta.term
        try:
            state = snapshot.load(payload)
        except snapshot.SnapshotRefused as refused:
            raise StorageError(f"{disk.path_of('*.snap')}: {refused}") from None
    recovered = recover_folder(disk, identity)
    machine = Machine(state, checked=True)
    for entry in recovered.entries if recovered is not None else ():
        assert recovered is not None
        if not index < entry.index <= recovered.commit_index:
            continue
        if entry.index != index + 1:
            raise StorageError(
                f"{disk.path_of('.')}: the log goes on at {entry.index}, and {index} is the end of"
                " the snapshot: entries are missing; let the other nodes fill this one"
            )
        index, term = entry.index, entry.term
        if entry.payload[:1] == COMMAND:
            try:
                machine.apply(entry.index, entry.payload[1:])
            except InvariantViolated as violated:
                raise StorageError(
                    f"{disk.path_of('.')}: entry {entry.index} of the log breaks an invariant,"
                    f" {violated}; take a backup of another node"
                ) from None
    return Checked(identity.cluster_id, identity.node_id, index, term, state, None)


def counts_of(state: State) -> Counts:
    """Return how much is in `state`."""
    messages = sum(
        event.type == "msg" for one in state.conversations.values() for event in one.tail
    )
    return Counts(messages, {name: len(getattr(state, name)) for name in COUNTED})


def header_of(checked: Checked, *, created_ms: int, release: str) -> Header:
    """Return the header of a backup of what a folder holds: one that no quorum confirmed."""
    state = checked.state
    origin = origin_of(state)
    return Header(
        cluster=name_of(checked.cluster),
        node=checked.node,
        index=state.applied_index,
        term=checked.term,
        cluster_ms=state.now_ms,
        created_ms=created_ms,
        release=release,
        level=state.level,
        stale=True,
        origin="" if origin == "first" else origin,
    )
