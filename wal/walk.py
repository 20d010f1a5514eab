"""The records of a log in the order in which they were written.  Reads files; locks nothing.

    segment ──▶ frames ──▶ records     what a start would read, and no more: the needed segments,
                                       up to the first damaged place

What was overwritten later is still there: `Truncate` says from which index.  One segment is in
memory at a time.  Works while the node runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wal.disk import Folder, Reader
from wal.errors import CorruptRecord, TornRecord
from wal.record import Record, decode_frame, decode_records
from wal.recovery import read_head
from wal.segment import HEAD_BYTES, segment_name, segment_number


@dataclass(frozen=True, slots=True)
class Written:
    """One record, and where it is."""

    segment: str
    offset: int
    """Of its frame, in bytes."""
    sequence: int
    """Of its frame."""
    record: Record


@dataclass(frozen=True, slots=True)
class End:
    """Where the walk ended, and why, when not at the end of the last segment."""

    segment: str
    offset: int
    why: str


def walk(path: Path | str) -> Iterator[Written | End]:
    """Yield the records of the folder at `path`; an `End` is the last, where something is damaged.

    Raises `StorageFailed` when it cannot be read, `FileGone` when a running node removed a segment
    meanwhile, `CorruptLog` and `UnknownVersion` for a segment's damaged head.
    """
    reader = Folder(path)
    numbers = sorted(n for n in map(segment_number, reader.names()) if n is not None)
    if not numbers:
        return
    newest = segment_name(numbers[-1])
    oldest = read_head(newest, reader.read(newest, size=HEAD_BYTES)).oldest
    for number in numbers:
        if number < oldest:
            continue  # what an interrupted removal left over
        for found in _walk_segment(reader, number):
            yield found
            if isinstance(found, End):
                return


def _walk_segment(reader: Reader, number: int) -> Iterator[Written | End]:
    name = segment_name(number)
    data = reader.read(name)
    head = read_head(name, data[:HEAD_BYTES])
    offset = HEAD_BYTES
    while offset < len(data):
        try:
            frame = decode_frame(data, offset, segment=head.number, salt=head.salt)
            records = decode_records(data[frame.start : frame.start + frame.length])
        except (TornRecord, CorruptRecord) as damage:
            yield End(name, offset, str(damage))
            return
        for record in records:
            yield Written(name, offset, frame.sequence, record)
        offset = frame.end
