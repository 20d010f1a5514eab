"""What a folder's segments say: bytes to entries, hard state and commit index.  No I/O.

A frame is written only after the `fdatasync` of the frame before it returned, and a segment
comes into being whole, after all frames before it.  Therefore:

    found                                          means            outcome
    ---------------------------------------------  ---------------  -------------------------
    the last segment ends behind a whole frame     clean            -
    a bad frame in the last segment, no whole      torn tail: it    reported as `torn`; the
    later frame behind it                          was never        shell cuts it and syncs
                                                   acknowledged
    a bad frame, a whole later frame behind it     durable bytes    CorruptLog
                                                   were damaged
    a bad frame, a later segment exists            the same         CorruptLog
    a bad segment head or head frame               the same         CorruptLog
    a whole frame that is not the next one         frames are lost  CorruptLog
    entries with a gap, a term that falls          the same         CorruptLog

Damage to the very last frame looks like a torn tail and cannot be told from one: `torn` says
that something was cut, so that the node can let the leader confirm its tail before it votes.

Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018;
etcd, server/storage/wal (zero what follows the tail).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from wal.errors import CorruptLog, CorruptRecord, TornRecord
from wal.ledger import Ledger, OutOfOrder
from wal.record import (
    Base,
    Compact,
    Entry,
    Frame,
    HardState,
    Record,
    Reset,
    Truncate,
    decode_frame,
    decode_records,
    find_frame,
    highest_index,
)
from wal.segment import HEAD_BYTES, SegmentHead, decode_head, segment_name


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next frame goes, and what it must carry."""

    segment: int
    offset: int
    sequence: int
    previous: int
    salt: int


@dataclass(frozen=True, slots=True)
class TornTail:
    """Bytes behind the last whole frame, as a crash during a write leaves them."""

    path: str
    offset: int
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One live segment; it can go when the log begins behind its `last_index`."""

    number: int
    last_index: int
    """The highest index ever written to it; 0 when there is none."""
    bytes: int
    frames: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the log holds."""

    entries: list[Entry]
    hard_state: HardState
    commit_index: int
    end: Position
    torn: TornTail | None
    segments: tuple[Segment, ...]
    ledger: Ledger
    fresh: bool = False
    """There was no segment; the log begins now."""


class Replay:
    """Feed it the live segments in order, then ask it to `finish`."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._entries: list[Entry] = []
        self._segments: list[Segment] = []
        self._end: Position | None = None
        self._torn: TornTail | None = None

    def segment(self, path: str, data: bytes, *, number: int, last: bool) -> None:
        """Take in one segment's bytes.  Raises `CorruptLog`.

        `number` is the one in the file's name; `last` says that no segment follows.
        """
        assert self._torn is None
        head = read_head(path, data)
        self._check_head(path, head, number)
        walk = _Walk(path, data, head, last=last)
        highest = 0
        for frame in walk:
            highest = max(highest, self._frame(path, data, frame))
        self._torn = walk.torn
        self._end = Position(number, walk.offset, walk.sequence, walk.previous, head.salt)
        self._segments.append(Segment(number, highest, walk.offset, walk.frames))

    def finish(self) -> Recovered:
        """Return what the segments held.  Raises `CorruptLog` when entries are missing."""
        assert self._end is not None
        ledger, entries = self._ledger, self._entries
        if len(entries) != ledger.next_index - ledger.first_index:
            first_held = entries[0].index if entries else ledger.next_index
            raise CorruptLog(
                segment_name(self._segments[0].number),
                HEAD_BYTES,
                f"entries {ledger.first_index} to {first_held - 1} are in no segment",
            )
        return Recovered(
            entries,
            ledger.hard_state,
            ledger.commit_index,
            self._end,
            self._torn,
            tuple(self._segments),
            ledger,
        )

    def _check_head(self, path: str, head: SegmentHead, number: int) -> None:
        if head.number != number:
            raise CorruptLog(path, 16, f"this is segment {head.number} under another's name")
        if self._end is None:
            return
        if number != self._end.segment + 1:
            raise CorruptLog(path, 16, f"segment {self._end.segment + 1} is missing before it")
        if (head.sequence, head.previous) != (self._end.sequence, self._end.previous):
            raise CorruptLog(
                path,
                40,
                f"it begins with frame {head.sequence}, the segment before ends where frame"
                f" {self._end.sequence} is next: frames between them are lost",
            )

    def _frame(self, path: str, data: bytes, frame: Frame) -> int:
        """Apply a frame's records; return the highest entry index among them, or 0."""
        apply, keep = self._ledger.apply, self._entries.append
        try:
            records = decode_records(data[frame.start : frame.start + frame.length])
            for record in records:
                if type(record) is Entry:
                    apply(record)
                    keep(record)
                elif type(record) is Base and not frame.head:
                    raise OutOfOrder("a base outside a segment's head frame")
                else:
                    apply(record)
                    self._trim(record)
        except CorruptRecord as damage:
            raise CorruptLog(path, frame.start + damage.offset, damage.reason) from None
        except OutOfOrder as mistake:
            raise CorruptLog(path, frame.start, f"frame {frame.sequence}: {mistake}") from None
        return highest_index(records)

    def _trim(self, record: Record) -> None:
        entries = self._entries
        first = entries[0].index if entries else 0
        if type(record) is Truncate:
            del entries[max(0, record.from_index - first) :]
        elif type(record) is Compact:
            del entries[: max(0, record.below_index - first)]
        elif type(record) is Reset:
            entries.clear()


class _Walk:
    """Iterates over a segment's frames, and says afterwards where and how they ended."""

    def __init__(self, path: str, data: bytes, head: SegmentHead, *, last: bool) -> None:
        self.path, self.data, self.head, self.last = path, data, head, last
        self.offset = HEAD_BYTES
        self.sequence, self.previous = head.sequence, head.previous
        self.frames = 0
        self.torn: TornTail | None = None

    def __iter__(self) -> "_Walk":
        return self

    def __next__(self) -> Frame:
        if self.torn is not None or (self.frames and self.offset >= len(self.data)):
            raise StopIteration
        try:
            frame = self._next()
        except (TornRecord, CorruptRecord) as damage:
            self._damaged(damage.reason)
            raise StopIteration from None
        self.offset = frame.end
        self.sequence, self.previous = frame.sequence + 1, frame.link
        self.frames += 1
        return frame

    def _next(self) -> Frame:
        head = self.head
        frame = decode_frame(self.data, self.offset, segment=head.number, salt=head.salt)
        if frame.sequence < self.sequence:
            reason = f"frame {frame.sequence} again where {self.sequence} is next"
            raise CorruptRecord(self.offset, reason)
        if (frame.sequence, frame.previous) != (self.sequence, self.previous):
            reason = f"frame {frame.sequence} does not follow frame {self.sequence - 1}"
            raise CorruptLog(self.path, self.offset, f"{reason}: frames between them are lost")
        if frame.head != (self.frames == 0):
            raise CorruptLog(self.path, self.offset, f"frame {frame.sequence} is out of place")
        return frame

    def _damaged(self, reason: str) -> None:
        """Tell a torn tail from corruption."""
        if self.frames == 0:
            reason += ", and a segment's head frame is never torn"
            raise CorruptLog(self.path, self.offset, reason)
        if not self.last:
            reason += ", and a later segment exists"
            raise CorruptLog(self.path, self.offset, reason)
        later = find_frame(
            self.data,
            self.offset,
            segment=self.head.number,
            salt=self.head.salt,
            sequence_min=self.sequence,
        )
        if later is not None:
            at, frame = later
            reason += f", and frame {frame.sequence} at byte {at}, written later, is whole"
            raise CorruptLog(self.path, self.offset, reason)
        self.torn = TornTail(self.path, self.offset, len(self.data) - self.offset, reason)


def read_head(path: str, data: bytes) -> SegmentHead:
    """Return the head of a segment.  Raises `CorruptLog`; `UnknownVersion` passes through."""
    try:
        return decode_head(data)
    except TornRecord as damage:
        reason = f"{damage.reason}, and a segment's head is never torn"
        raise CorruptLog(path, damage.offset, reason) from None
    except CorruptRecord as damage:
        if type(damage) is not CorruptRecord:
            raise
        raise CorruptLog(path, damage.offset, damage.reason) from None


def recover(segments: Iterable[tuple[int, str, bytes]]) -> Recovered:
    """Return what `(number, path, bytes)` of all live segments, in order, hold.

    Raises `CorruptLog`.  At least one segment.
    """
    found = list(segments)
    replay = Replay()
    for place, (number, path, data) in enumerate(found, start=1):
        replay.segment(path, data, number=number, last=place == len(found))
    return replay.finish()
