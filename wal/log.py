"""The write-ahead log: what was written is there after any crash.  Talks to a `Disk`.

    owner's task                         a thread (one at a time)
    ------------                         ------------------------
    append(records)  gathered
    append(records)  gathered
    batch = take()   one frame   ----->  write(batch): roll if full, write, fdatasync
    append(records)  gathered                         durable when it returns
    batch = take()   one frame   ----->  write(batch)

Group commit: while one batch syncs, the next one gathers.  A frame is written only after the
sync of the one before returned; that is what lets `wal.recovery` tell a torn tail from
corruption.  When the current segment is full, `write` begins the next one, whole and durable,
before the batch goes there; then the oldest segments go that hold no entry any more.

After a failed write or sync the log is poisoned: nothing is tried again, every later `write`
raises (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from wal.disk import Disk
from wal.errors import StorageFailed
from wal.histogram import DISK_BOUNDS_S, Buckets, Histogram
from wal.identity import Identity
from wal.ledger import Mark, OutOfOrder
from wal.opening import begin, begin_segment, recover_folder
from wal.record import (
    PAYLOAD_BYTES_MAX,
    Base,
    Record,
    encode_frame,
    encode_records,
    highest_index,
    size_bytes,
)
from wal.recovery import Position, Recovered, Segment
from wal.segment import segment_name
from wal.syncs import SyncFigures, Syncs

SEGMENT_BYTES_MAX = 16 * 1024 * 1024
GATHERED_BYTES_MAX = PAYLOAD_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Batch:
    """What one `take` closed; give it to `write` once, in order."""

    number: int
    payload: bytes
    before: Mark
    """The ledger before this batch: what a new segment's head frame says."""
    highest_index: int
    """Of the entries in the batch; 0 when there is none."""


@dataclass(frozen=True, slots=True)
class LogStatistics:
    """Figures since the log was opened; sizes and indexes are those of now."""

    segments: int
    bytes: int
    first_index: int
    last_index: int
    commit_index: int
    """As the log knows it; the engine may be further."""
    term: int
    gathered_records: int
    gathered_bytes: int
    frames: int
    frame_bytes: int
    syncs: int
    sync_seconds_total: float
    sync_seconds_last: float
    sync_seconds_max: float
    rolls: int
    poisoned: bool
    sync_buckets: Buckets
    """How long each sync took, in seconds."""


class Log:
    """One owner; `write` may run in a thread, one at a time."""

    def __init__(
        self,
        disk: Disk,
        identity: Identity,
        recovered: Recovered,
        *,
        segment_bytes_max: int,
        draw_salt: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._disk = disk
        self._identity = identity
        self._segment_bytes_max = segment_bytes_max
        self._draw_salt = draw_salt
        self._clock = clock
        # The owner's.
        self._ledger = recovered.ledger
        self._before = recovered.ledger.mark()
        self._gathered: list[Record] = []
        self._gathered_bytes = 0
        self._highest_index = 0
        self._taken = 0
        # The writer's.
        self._at = recovered.end
        self._segments = list(recovered.segments)
        self._written = 0
        self._writing = False
        self._failure = ""
        self._frame_bytes = self._frames = self._syncs = self._rolls = 0
        self._sync_total = self._sync_last = self._sync_max = 0.0
        self._sync_histogram = Histogram(DISK_BOUNDS_S)
        self._recent = Syncs(clock)

    @classmethod
    def open(
        cls,
        disk: Disk,
        *,
        identity: Identity,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        draw_salt: Callable[[], int] = lambda: secrets.randbits(32),
        clock: Callable[[], float] = time.monotonic,
        synced: bool = False,
    ) -> tuple["Log", Recovered]:
        """Return the log in `disk`'s folder, begun now when there is none, and what it holds.

        All that is returned is durable.  A torn tail was cut.  `synced`: whoever wrote it closed it
        a moment ago, after its last sync returned; it is not made durable once more.

        Raises `CorruptLog` and `ForeignLog`, and has then changed nothing; `StorageFailed`.
        """
        recovered = recover_folder(disk, identity, synced=synced)
        if recovered is None:
            recovered = begin(disk, identity, draw_salt())
        log = cls(
            disk,
            identity,
            recovered,
            segment_bytes_max=segment_bytes_max,
            draw_salt=draw_salt,
            clock=clock,
        )
        return log, recovered

    @property
    def dirty(self) -> bool:
        """Whether records wait for `take`."""
        return bool(self._gathered)

    def append(self, *records: Record) -> None:
        """Gather `records`; they are not durable yet.

        The order must make sense (see `wal.ledger`), and at most GATHERED_BYTES_MAX may wait.
        """
        apply = self._ledger.apply
        size = 0
        try:
            for record in records:
                assert type(record) is not Base
                apply(record)
                size += size_bytes(record)
        except OutOfOrder as mistake:
            raise AssertionError(str(mistake)) from None
        self._gathered += records
        self._gathered_bytes += size
        self._highest_index = max(self._highest_index, highest_index(records))
        assert self._gathered_bytes <= GATHERED_BYTES_MAX

    def take(self) -> Batch | None:
        """Close what was gathered into one batch; None when there is nothing."""
        if not self._gathered:
            return None
        self._taken += 1
        payload = encode_records(self._gathered)
        batch = Batch(self._taken, payload, self._before, self._highest_index)
        self._before = self._ledger.mark()
        self._gathered = []
        self._gathered_bytes = self._highest_index = 0
        return batch

    def write(self, batch: Batch) -> None:
        """Make `batch` durable: one write, one fdatasync.  Blocks; see the module for threads.

        Raises `StorageFailed`, now and on every later call: what is on the disk is unknown.
        """
        assert not self._writing
        if self._failure:
            raise StorageFailed(
                self._path, "write", f"an earlier one failed ({self._failure}), so nothing is tried"
            )
        assert batch.number == self._written + 1
        self._writing = True
        self._failure = "it was interrupted"  # until the end is reached
        try:
            with self._recent.timed():
                if self._full(len(batch.payload)):
                    self._roll(batch.before)
                self._append(batch)
        except StorageFailed as failed:
            self._failure = f"{failed.operation}: {failed.reason}"
            raise
        finally:
            self._writing = False
        self._written = batch.number
        self._failure = ""

    def sync(self) -> None:
        """Make durable all that was appended.  Raises as `write` does."""
        batch = self.take()
        if batch is not None:
            self.write(batch)

    def move_on(self, identity: Identity) -> None:
        """Begin segments as `identity` from here on: a later epoch of the same node."""
        assert not self._writing
        assert identity.owns(self._identity)
        self._identity = identity

    def statistics(self) -> LogStatistics:
        """Return the figures of this moment."""
        return LogStatistics(
            segments=len(self._segments),
            bytes=sum(segment.bytes for segment in self._segments),
            first_index=self._ledger.first_index,
            last_index=self._ledger.last_index,
            commit_index=self._ledger.commit_index,
            term=self._ledger.hard_state.term,
            gathered_records=len(self._gathered),
            gathered_bytes=self._gathered_bytes,
            frames=self._frames,
            frame_bytes=self._frame_bytes,
            syncs=self._syncs,
            sync_seconds_total=self._sync_total,
            sync_seconds_last=self._sync_last,
            sync_seconds_max=self._sync_max,
            rolls=self._rolls,
            poisoned=bool(self._failure) and not self._writing,
            sync_buckets=self._sync_histogram.buckets(),
        )

    def recent_syncs(self) -> SyncFigures:
        """Return how the writes of the last seconds did, syncs included.  From any thread."""
        return self._recent.figures()

    def close(self) -> None:
        """Let go of the current segment.  What was not written is lost."""
        self._disk.release(segment_name(self._at.segment))

    # -- the writer's

    @property
    def _path(self) -> str:
        return self._disk.path_of(segment_name(self._at.segment))

    def _full(self, payload_bytes: int) -> bool:
        """A segment takes at least one batch behind its head frame."""
        begun = self._segments[-1].frames > 1
        return begun and self._at.offset + payload_bytes > self._segment_bytes_max

    def _append(self, batch: Batch) -> None:
        at = self._at
        frame, link = encode_frame(
            batch.payload,
            sequence=at.sequence,
            segment=at.segment,
            previous=at.previous,
            salt=at.salt,
        )
        name = segment_name(at.segment)
        self._disk.write(name, at.offset, frame)
        begun = self._clock()
        self._disk.sync(name)
        self._count_sync(self._clock() - begun)
        self._frames += 1
        self._frame_bytes += len(frame)
        end = at.offset + len(frame)
        self._at = Position(at.segment, end, at.sequence + 1, link, at.salt)
        current = self._segments[-1]
        highest = max(current.last_index, batch.highest_index)
        self._segments[-1] = Segment(at.segment, highest, end, current.frames + 1)

    def _roll(self, mark: Mark) -> None:
        """Begin the next segment, then remove those that hold no entry at `mark` any more."""
        at, old = self._at, self._segments
        first_index = mark.base.first_index
        kept: list[Segment] = []
        if mark.base.first_index < mark.base.next_index:  # else no entry is left anywhere
            needed = next(n for n, s in enumerate(old) if s.last_index >= first_index)
            kept = old[needed:]
        number = at.segment + 1
        begun = begin_segment(
            self._disk,
            self._identity,
            mark,
            Position(number, 0, at.sequence, at.previous, self._draw_salt()),
            oldest=kept[0].number if kept else number,
        )
        self._at = begun
        self._segments = [*kept, Segment(number, 0, begun.offset, 1)]
        self._rolls += 1
        self._disk.release(segment_name(at.segment))
        for segment in old[: len(old) - len(kept)]:
            self._disk.remove(segment_name(segment.number))

    def _count_sync(self, seconds: float) -> None:
        self._syncs += 1
        self._sync_histogram.observe(seconds)
        self._sync_total += seconds
        self._sync_last = seconds
        self._sync_max = max(self._sync_max, seconds)
