"""A stopped node's data folder, damaged as disks do it and as bugs do it.  Talks to files.

    tear_tail        half a frame behind the last one: a write that a power cut stopped
    lose_tail        the log ends before its last entries: the disk lied about syncs
    flip_in_log      one bit, in a frame with whole frames behind it
    flip_in_snapshot one bit, in the middle of the newest snapshot
    lose_log         the log is gone, and with it term and vote; what else there is stays
    save_snapshot    the node's state, saved as the node itself would, changed on request

Snapshots are made by the production code on the node's own log, since a node takes its own only
after many thousands of entries.
"""

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from cluster.opening import Opened, open_data
from cluster.raft.engine import Engine, Install
from cluster.raft.members import Members
from cluster.state import snapshot
from cluster.state.machine import Machine
from cluster.state.state import State
from wal.disk import FileDisk
from wal.identity import Identity, read_identity
from wal.log import Log
from wal.record import Entry, decode_frame, decode_records, encode_frame
from wal.recovery import Recovered
from wal.segment import HEAD_BYTES, decode_head, segment_name
from wal.snapshot import SnapshotStore

TORN_PAYLOAD = bytes(range(256))
EARLY_BYTES = 200
"""Behind the head of a segment: inside its head frame, or the first after it."""
LOST_FRAMES = 3


def tear_tail(data: Path) -> None:
    """Begin the frame that would have been the next."""
    with closing(FileDisk(data)) as disk:
        log, recovered = Log.open(disk, identity=_whose(disk))
        log.close()
    end = recovered.end
    frame, _ = encode_frame(
        TORN_PAYLOAD,
        sequence=end.sequence,
        segment=end.segment,
        previous=end.previous,
        salt=end.salt,
    )
    with (data / segment_name(end.segment)).open("r+b") as file:
        file.seek(end.offset)
        file.write(frame[: len(frame) // 2])


def _whose(disk: FileDisk) -> Identity:
    identity = read_identity(disk)
    assert identity is not None, "no node has ever run on this folder"
    return identity


def lose_tail(data: Path) -> None:
    """Cut the newest segment where the last frames with entries begin.

    The very last may have been written just before the kill, and acknowledged to nobody.
    """
    newest = max(data.glob("*.wal"))
    content = newest.read_bytes()
    head = decode_head(content)
    offset, frames = HEAD_BYTES, [HEAD_BYTES]
    while offset < len(content):
        frame = decode_frame(content, offset, segment=head.number, salt=head.salt)
        records = decode_records(content[frame.start : frame.start + frame.length])
        if any(isinstance(record, Entry) for record in records):
            frames.append(offset)
        offset = frame.end
    with newest.open("r+b") as file:
        file.truncate(frames[-LOST_FRAMES:][0])


def flip_in_log(data: Path) -> None:
    """Flip a bit early in the newest segment."""
    _flip(max(data.glob("*.wal")), HEAD_BYTES + EARLY_BYTES)


def flip_in_snapshot(data: Path) -> None:
    """Flip a bit of the newest snapshot."""
    newest = max(data.glob("*.snap"))
    _flip(newest, newest.stat().st_size // 2)


def lose_log(data: Path) -> None:
    """Remove every segment."""
    for segment in data.glob("*.wal"):
        segment.unlink()


def _flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def save_snapshot(
    data: Path, cluster: str, node: str, *, change: Callable[[State], None] = lambda _: None
) -> int:
    """Save what the node has committed, after `change`; return the log index it covers."""
    with closing(FileDisk(data)) as disk:
        opened = open_data(disk, cluster, node, (node, "-", "--"), _engine_of(node))
        state = _apply_all(opened)
        meta = opened.engine.snapshot_wanted()
        assert meta is not None, "a node that has committed nothing has no snapshot"
        change(state)
        store = SnapshotStore(disk, opened.identity)
        store.save(meta, snapshot.dump(state))
        opened.wal.close()
    return meta.index


def _engine_of(node: str) -> Callable[[Log, Recovered, SnapshotStore], Engine]:
    def make(wal: Log, recovered: Recovered, snapshots: SnapshotStore) -> Engine:
        return Engine(
            node,
            Members.of({node: "", "-": "", "--": ""}),
            log=wal,
            recovered=recovered,
            snapshots=snapshots,
            clock=lambda: 0.0,
            rng=random.Random(),
            snapshot_every_entries=2,
        )

    return make


def _apply_all(opened: Opened) -> State:
    machine = Machine(opened.state, checked=False)
    opened.wal.sync()
    opened.engine.tick()
    while committed := opened.engine.take_committed():
        for item in committed:
            assert not isinstance(item, Install)
            if item.payload is not None:
                machine.apply(item.index, item.payload)
        opened.engine.tick()
    return machine.state


def swap_subject(state: State) -> None:
    """Change one replicated value, as a bug or a bad memory would."""
    cv, conversation = next(iter(state.conversations.items()))
    state.conversations[cv] = msgspec.structs.replace(conversation, subject="what nobody wrote")
