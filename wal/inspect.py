"""What is in a node's folder, in words and figures.  Reads files; changes and locks nothing.

    Inspection ── identity
               ├─ verdict, and what recovery would start with
               ├─ segments     frames, records by kind, indexes
               ├─ snapshots    what they cover, whole or not
               └─ problems     file, byte, what is wrong

Works on damaged folders: behind a damaged place it looks for the next whole frame and goes
on.  Works while the node runs; then the last frame may be one that is just being written, and
is called torn.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from wal.disk import Folder, Reader
from wal.errors import (
    CorruptLog,
    CorruptRecord,
    CorruptSnapshot,
    FileGone,
    ForeignLog,
    StorageError,
    TornRecord,
)
from wal.identity import FILE, Identity, read_identity
from wal.record import Entry, Frame, decode_frame, decode_records, find_frame
from wal.recovery import Recovered, Replay, read_head
from wal.segment import HEAD_BYTES, SegmentHead, UnknownVersion, segment_name, segment_number
from wal.snapfile import SnapshotMeta, read_blocks, read_prefix, snapshot_index

TRIES_MAX = 5
"""A running node removes files while we read; then we look again."""

Verdict = Literal["empty", "clean", "torn", "corrupt", "foreign"]
Kind = Literal["torn", "corrupt", "foreign"]


@dataclass(frozen=True, slots=True)
class Problem:
    file: str
    offset: int
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class SegmentReport:
    name: str
    bytes: int
    needed: bool
    """False for what an interrupted removal left over."""
    frames: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    first_index: int = 0
    """The lowest and the highest entry index among its whole frames; 0 when there is none."""
    last_index: int = 0
    records: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    name: str
    bytes: int
    """Of state."""
    meta: SnapshotMeta | None
    whole: bool


@dataclass(frozen=True, slots=True)
class LogReport:
    """What recovery would start with."""

    entries: int
    first_index: int
    last_index: int
    last_term: int
    term: int
    vote: str | None
    commit_index: int


@dataclass(frozen=True, slots=True)
class Inspection:
    path: str
    identity: Identity | None
    verdict: Verdict
    """On the log; snapshots speak for themselves."""
    log: LogReport | None
    segments: list[SegmentReport]
    snapshots: list[SnapshotReport]
    problems: list[Problem]
    other_files: list[str]

    def to_builtins(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return asdict(self)


def inspect(path: Path | str) -> Inspection:
    """Return what is in the folder at `path`.  Raises `StorageFailed` when it cannot be read."""
    return inspect_reader(Folder(path))


def read_log(reader: Reader) -> Recovered | None:
    """Return what a start would find in the log, None where there is none; changes nothing.

    Raises `CorruptLog`, `UnknownVersion`, and `ForeignLog` for what is not of the folder's node.
    """
    return _Inspector(reader).recovered()


def inspect_reader(reader: Reader) -> Inspection:
    """Like `inspect`, for any `Reader`."""
    for _ in range(TRIES_MAX - 1):
        try:
            return _Inspector(reader).report()
        except FileGone:
            continue
    return _Inspector(reader).report()


class _Inspector:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._names = reader.names()
        self._problems: list[Problem] = []

    def report(self) -> Inspection:
        identity = self._identity()
        numbers = sorted(n for n in map(segment_number, self._names) if n is not None)
        heads = {number: self._head(number) for number in numbers}
        newest = heads[numbers[-1]] if numbers else None
        oldest = newest.oldest if newest else 0
        segments = [self._segment(n, heads[n], needed=n >= oldest) for n in numbers]
        snapshots = [self._snapshot(n) for n in self._names if snapshot_index(n) is not None]
        verdict, log = self._log([n for n in numbers if n >= oldest], heads, identity)
        return Inspection(
            path=self._reader.path_of("").rstrip("/"),
            identity=identity,
            verdict=verdict,
            log=log,
            segments=segments,
            snapshots=snapshots,
            problems=self._problems,
            other_files=[name for name in self._names if not is_ours(name)],
        )

    def recovered(self) -> Recovered | None:
        identity = read_identity(self._reader)
        numbers = sorted(n for n in map(segment_number, self._names) if n is not None)
        if not numbers:
            return None
        read = self._reader.read
        heads: dict[int, SegmentHead | None] = {}
        for number in numbers:
            name = segment_name(number)
            heads[number] = head = read_head(name, read(name, size=HEAD_BYTES))
            found = Identity(head.cluster_id, head.node_id, head.incarnation)
            if identity is None or not identity.owns(found):
                mend = "Point the node to its own folder"
                raise ForeignLog(self._reader.path_of(name), f"a segment of {found}", mend)
        newest = heads[numbers[-1]]
        assert newest is not None
        return self._replay([n for n in numbers if n >= newest.oldest], heads)

    def _identity(self) -> Identity | None:
        try:
            return read_identity(self._reader)
        except (CorruptLog, ForeignLog) as error:
            self._problem(FILE, 0, error)
            return None

    def _head(self, number: int) -> SegmentHead | None:
        name = segment_name(number)
        try:
            return read_head(name, self._reader.read(name, size=HEAD_BYTES))
        except (CorruptLog, UnknownVersion) as damage:
            self._problem(name, damage.offset, damage)
            return None

    def _segment(self, number: int, head: SegmentHead | None, *, needed: bool) -> SegmentReport:
        name = segment_name(number)
        data = self._reader.read(name)
        if head is None:
            return SegmentReport(name, len(data), needed)
        kinds: Counter[str] = Counter()
        sequences: list[int] = []
        indexes: list[int] = []
        for frame in self._frames(name, data, head):
            sequences.append(frame.sequence)
            try:
                records = decode_records(data[frame.start : frame.start + frame.length])
            except CorruptRecord as damage:
                self._problem(name, frame.start + damage.offset, damage)
                continue
            kinds.update(type(record).__name__ for record in records)
            indexes += [record.index for record in records if type(record) is Entry]
        return SegmentReport(
            name,
            len(data),
            needed,
            len(sequences),
            min(sequences, default=0),
            max(sequences, default=0),
            min(indexes, default=0),
            max(indexes, default=0),
            dict(kinds),
        )

    def _frames(self, name: str, data: bytes, head: SegmentHead) -> Iterator[Frame]:
        """Yield the whole frames; note each damaged place between them."""
        offset, wanted = HEAD_BYTES, head.sequence
        while offset < len(data):
            try:
                frame = decode_frame(data, offset, segment=head.number, salt=head.salt)
            except (TornRecord, CorruptRecord) as damage:
                self._problem(name, offset, damage)
                found = find_frame(
                    data, offset, segment=head.number, salt=head.salt, sequence_min=wanted
                )
                if found is None:
                    return
                offset, frame = found
            yield frame
            offset, wanted = frame.end, frame.sequence + 1

    def _snapshot(self, name: str) -> SnapshotReport:
        def read(offset: int, size: int) -> bytes:
            return self._reader.read(name, offset=offset, size=size)

        meta, size = None, 0
        try:
            prefix = read_prefix(name, read)
            meta = prefix.meta
            for block in read_blocks(name, read, prefix):
                size += len(block)
        except (CorruptSnapshot, ForeignLog) as error:
            self._problem(name, getattr(error, "offset", 0), error)
            return SnapshotReport(name, size, meta, whole=False)
        return SnapshotReport(name, size, meta, whole=True)

    def _log(
        self,
        numbers: list[int],
        heads: dict[int, SegmentHead | None],
        identity: Identity | None,
    ) -> tuple[Verdict, LogReport | None]:
        """Do what recovery would, and say how it ends."""
        if not numbers:
            return "empty", None
        for number in numbers:
            head = heads[number]
            if head is not None and identity is not None:
                found = Identity(head.cluster_id, head.node_id, head.incarnation)
                if not identity.owns(found):
                    what = f"a segment of {found}, in the folder of {identity}"
                    self._note(segment_name(number), 0, "foreign", what)
                    return "foreign", None
        try:
            recovered = self._replay(numbers, heads)
        except UnknownVersion:
            return "foreign", None
        except CorruptLog as damage:
            self._problem(Path(damage.path).name, damage.offset, damage)
            return "corrupt", None
        torn = recovered.torn
        if torn is not None:
            self._note(torn.path, torn.offset, "torn", torn.reason)
        return ("torn" if torn else "clean"), _log_report(recovered)

    def _replay(self, numbers: list[int], heads: dict[int, SegmentHead | None]) -> Recovered:
        replay = Replay()
        newest = heads[numbers[-1]]
        if newest is not None and numbers[0] != newest.oldest:
            raise CorruptLog(segment_name(newest.oldest), 0, "the segment is missing")
        for number in numbers:
            name = segment_name(number)
            data = self._reader.read(name)
            replay.segment(name, data, number=number, last=number == numbers[-1])
        return replay.finish()

    def _problem(self, file: str, offset: int, error: StorageError) -> None:
        kind: Kind = "corrupt"
        if isinstance(error, ForeignLog | UnknownVersion):
            kind = "foreign"
        elif isinstance(error, TornRecord):
            kind = "torn"
        self._note(file, offset, kind, getattr(error, "reason", str(error)))

    def _note(self, file: str, offset: int, kind: Kind, what: str) -> None:
        """Note a place once; what recovery says of it, coming last, counts."""
        self._problems = [p for p in self._problems if (p.file, p.offset) != (file, offset)]
        self._problems.append(Problem(file, offset, kind, what))


def _log_report(recovered: Recovered) -> LogReport:
    entries, ledger = recovered.entries, recovered.ledger
    return LogReport(
        entries=len(entries),
        first_index=ledger.first_index,
        last_index=ledger.last_index,
        last_term=entries[-1].term if entries else 0,
        term=recovered.hard_state.term,
        vote=recovered.hard_state.vote,
        commit_index=recovered.commit_index,
    )


def is_ours(name: str) -> bool:
    """Say whether a node keeps its data in a file of that name."""
    return name == FILE or segment_number(name) is not None or snapshot_index(name) is not None
