"""A log's folder when a node starts: recovered, or begun.  Talks to a `Disk`; blocks.

    list · sync the folder · read the newest head: whose log, which segments count
    · for each: sync, read past the page cache, replay · cut the torn tail, sync
    · remove what an interrupted roll left over

The syncs come first because a process that was killed may have left a name or a frame that
only the page cache knows; what this node goes by must not vanish with the power later.  A process
that ended its part in order has synced all of it: whoever goes on at once (`synced`) may read what
the page cache has, and waits for no disk.
"""

from wal.disk import TMP, Disk
from wal.errors import CorruptLog, ForeignLog
from wal.identity import Identity
from wal.ledger import Ledger, Mark
from wal.record import encode_frame, encode_records
from wal.recovery import Position, Recovered, Replay, Segment, read_head
from wal.segment import (
    HEAD_BYTES,
    SegmentHead,
    UnknownVersion,
    encode_head,
    segment_name,
    segment_number,
)


def recover_folder(disk: Disk, identity: Identity, *, synced: bool = False) -> Recovered | None:
    """Return what the folder's log holds, all of it durable; None when there is no log.

    A torn tail and what an interrupted roll left over are gone after.  Raises `CorruptLog`
    and `ForeignLog`, and has then changed nothing; `StorageFailed`.
    """
    names = disk.names()
    numbers = sorted(n for n in map(segment_number, names) if n is not None)
    if not numbers:
        return None
    # A process that was killed may have left what only the page cache knows: a name, a frame.
    if not synced:
        disk.sync_folder()
    oldest = _check_head(disk, identity, numbers[-1]).oldest
    live = [number for number in numbers if number >= oldest]
    for wanted, number in zip(range(oldest, numbers[-1] + 1), live, strict=False):
        if wanted != number:
            path = disk.path_of(segment_name(wanted))
            raise CorruptLog(path, 0, "the segment is missing, and later ones need it")
    replay = Replay()
    for number in live:
        name = segment_name(number)
        _check_head(disk, identity, number)
        if not synced:
            disk.sync(name)
        data = disk.read(name, fresh=not synced)
        replay.segment(disk.path_of(name), data, number=number, last=number == numbers[-1])
        disk.release(name)
    recovered = replay.finish()
    _tidy(disk, names, recovered, oldest)
    return recovered


def begin(disk: Disk, identity: Identity, salt: int) -> Recovered:
    """Begin a log in a folder that has none; return its content: nothing."""
    ledger = Ledger()
    mark = ledger.mark()
    end = begin_segment(disk, identity, mark, Position(1, 0, 1, 0, salt), oldest=1)
    segments = (Segment(1, 0, end.offset, 1),)
    return Recovered([], mark.hard_state, 0, end, None, segments, ledger, fresh=True)


def begin_segment(
    disk: Disk, identity: Identity, mark: Mark, at: Position, *, oldest: int
) -> Position:
    """Make segment `at.segment`, durable with its head frame; return where the next one goes."""
    head = SegmentHead(
        number=at.segment,
        oldest=oldest,
        sequence=at.sequence,
        previous=at.previous,
        salt=at.salt,
        cluster_id=identity.cluster_id,
        node_id=identity.node_id,
        incarnation=identity.incarnation,
    )
    frame, link = encode_frame(
        encode_records(mark.records),
        sequence=at.sequence,
        segment=at.segment,
        previous=at.previous,
        salt=at.salt,
        head=True,
    )
    disk.write_atomic(segment_name(at.segment), [encode_head(head), frame])
    return Position(at.segment, HEAD_BYTES + len(frame), at.sequence + 1, link, at.salt)


def _check_head(disk: Disk, identity: Identity, number: int) -> SegmentHead:
    """Return the head of a segment of this very node.  Raises `CorruptLog`, `ForeignLog`."""
    name = segment_name(number)
    path = disk.path_of(name)
    try:
        head = read_head(path, disk.read(name, size=HEAD_BYTES))
    except UnknownVersion as newer:
        mend = "Start the version of the program that wrote it"
        raise ForeignLog(path, newer.reason, mend) from None
    found = Identity(head.cluster_id, head.node_id, head.incarnation)
    if not identity.owns(found):
        raise ForeignLog(
            path,
            f"a segment of node {found.node_id!r} of cluster {found.cluster_id!r}, incarnation"
            f" {found.incarnation}, among those of node {identity.node_id!r} of cluster"
            f" {identity.cluster_id!r}, incarnation {identity.incarnation}",
            "Point the node to its own folder; a copied one must not run",
        )
    return head


def _tidy(disk: Disk, names: list[str], recovered: Recovered, oldest: int) -> None:
    """Cut the torn tail, so that its bytes never revive, and remove what a crash left over."""
    end = recovered.end
    if recovered.torn is not None:
        disk.truncate(segment_name(end.segment), end.offset)
        disk.sync(segment_name(end.segment))
    for name in names:
        number = segment_number(name.removesuffix(TMP))
        if number is not None and (name.endswith(TMP) or number < oldest):
            disk.remove(name)
