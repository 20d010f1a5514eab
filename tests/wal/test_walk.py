"""`wal.walk`: every record in the order of writing, up to the first damaged place."""

from pathlib import Path

import pytest

from tests.wal.samples import IDENTITY, entries
from wal.disk import FileDisk
from wal.errors import CorruptLog
from wal.log import Log
from wal.record import Base, Commit, Compact, Entry, HardState, Record, Truncate
from wal.segment import HEAD_BYTES, segment_name
from wal.walk import End, Written, walk


def write(folder: Path, *batches: tuple[Record, ...], segment_bytes_max: int = 1 << 20) -> None:
    disk = FileDisk(folder)
    log, _ = Log.open(
        disk, identity=IDENTITY, segment_bytes_max=segment_bytes_max, draw_salt=lambda: 5
    )
    for batch in batches:
        log.append(*batch)
        log.sync()
    disk.close()


def records(folder: Path) -> list[Record]:
    return [one.record for one in walk(folder) if isinstance(one, Written)]


def indexes(folder: Path) -> list[int]:
    return [one.index for one in records(folder) if isinstance(one, Entry)]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.wal"))


def test_nothing_is_in_an_empty_folder(tmp_path: Path) -> None:
    assert list(walk(tmp_path)) == []


def test_records_come_as_they_were_written_also_what_was_overwritten_later(tmp_path: Path) -> None:
    first: tuple[Record, ...] = (HardState(2, "b"), *entries(1, 3))
    second: tuple[Record, ...] = (Truncate(3), *entries(3, 4, term=2))
    write(tmp_path, first, (Commit(2),), second)
    found = [one for one in walk(tmp_path) if isinstance(one, Written)]
    told = [one.record for one in found if not isinstance(one.record, Base)]
    assert [*first, Commit(2), *second] == told[-len(first) - 1 - len(second) :]
    assert {one.segment for one in found} == {segment_name(1)}
    by_frame = sorted({(one.sequence, one.offset) for one in found})
    assert [sequence for sequence, _ in by_frame] == list(range(1, len(by_frame) + 1))
    assert by_frame[0][1] == HEAD_BYTES
    assert by_frame == sorted(by_frame, key=lambda one: one[1])


def test_segments_follow_each_other_and_those_below_the_oldest_are_passed_over(
    tmp_path: Path,
) -> None:
    batches = [tuple(entries(n, n)) for n in range(1, 31)]
    write(tmp_path, *batches, segment_bytes_max=600)
    assert len(segments(tmp_path)) > 2
    assert indexes(tmp_path) == list(range(1, 31))
    left_over = {path: path.read_bytes() for path in segments(tmp_path)}
    write(tmp_path, (Commit(30), Compact(29)), (Commit(30),), segment_bytes_max=600)
    kept = segments(tmp_path)
    assert len(kept) < len(left_over)
    told = indexes(tmp_path)
    for path, data in left_over.items():
        if path not in kept:
            path.write_bytes(data)  # the removal was interrupted
    assert indexes(tmp_path) == told


def test_the_walk_ends_at_the_first_damaged_place_and_says_where(tmp_path: Path) -> None:
    write(tmp_path, *[tuple(entries(n, n)) for n in range(1, 31)], segment_bytes_max=600)
    whole = list(walk(tmp_path))
    damaged = next(one for one in whole if isinstance(one, Written) and one.sequence == 9)
    path = tmp_path / damaged.segment
    data = bytearray(path.read_bytes())
    data[damaged.offset + 20] ^= 1
    path.write_bytes(data)
    *told, end = walk(tmp_path)
    assert isinstance(end, End)
    assert (end.segment, end.offset) == (damaged.segment, damaged.offset)
    assert end.why
    assert told == [one for one in whole if isinstance(one, Written) and one.sequence < 9]


def test_a_torn_tail_is_an_end(tmp_path: Path) -> None:
    write(tmp_path, tuple(entries(1, 2)))
    (path,) = segments(tmp_path)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"half a frame")
    *_, end = walk(tmp_path)
    assert isinstance(end, End)
    assert (end.segment, end.offset) == (path.name, size)
    assert indexes(tmp_path) == [1, 2]


def test_a_damaged_head_of_a_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, tuple(entries(1, 2)))
    (path,) = segments(tmp_path)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    with pytest.raises(CorruptLog, match=path.name):
        list(walk(tmp_path))
