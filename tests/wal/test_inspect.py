"""`wal.inspect`: says what is there, also of a damaged or a living folder."""

import json
from pathlib import Path

import pytest

from tests.sim.disk import SimDisk
from tests.wal.samples import IDENTITY, entries, open_log, segments_of, sim_disk
from wal.disk import FileDisk
from wal.errors import FileGone, ForeignLog, StorageFailed
from wal.identity import claim
from wal.inspect import TRIES_MAX, Inspection, inspect, inspect_reader, read_log
from wal.log import Log
from wal.record import Commit, Compact, HardState, encode_frame
from wal.segment import HEAD_BYTES
from wal.snapfile import snapshot_name
from wal.snapshot import SnapshotMeta, SnapshotStore

META = SnapshotMeta(4, 1, 3, 1, "a b")


def folder() -> SimDisk:
    disk = sim_disk()
    claim(disk, "shop", "a", now_ms=7)
    log, _ = open_log(disk, segment_bytes_max=1100)
    log.append(HardState(1, "a"), *entries(1, 4))
    log.sync()
    log.append(*entries(5, 10), Commit(6))
    log.sync()
    log.append(*entries(11, 14))
    log.sync()
    SnapshotStore(disk, IDENTITY).save(META, [b"state"])
    return disk


def problems(found: Inspection) -> list[tuple[str, int, str]]:
    return [(problem.file, problem.offset, problem.kind) for problem in found.problems]


def test_a_clean_folder_is_described() -> None:
    disk = folder()
    disk.write("notes.txt", 0, b"")
    found = inspect_reader(disk)
    assert (found.path, found.verdict, found.identity, found.problems) == (
        "sim",
        "clean",
        IDENTITY,
        [],
    )
    assert found.log is not None
    assert (found.log.entries, found.log.first_index, found.log.last_index) == (14, 1, 14)
    assert (found.log.term, found.log.vote, found.log.commit_index) == (1, "a", 6)
    first, second = found.segments
    assert (first.frames, first.first_index, first.last_index) == (3, 1, 10)
    assert first.records == {"Base": 1, "HardState": 2, "Commit": 2, "Entry": 10}
    assert (second.first_sequence, second.last_sequence, second.last_index) == (4, 5, 14)
    assert [(s.meta, s.whole, s.bytes) for s in found.snapshots] == [(META, True, 5)]
    assert found.other_files == ["notes.txt"]
    assert json.loads(json.dumps(found.to_builtins()))["log"]["last_index"] == 14


def test_a_torn_tail_is_called_torn() -> None:
    for tail in (b"torn", b"a frame header that was cut in its payload"):
        disk = folder()
        name = segments_of(disk)[-1]
        size = len(disk.read(name))
        disk.write(name, size, tail)
        found = inspect_reader(disk)
        assert found.verdict == "torn"
        assert problems(found) == [(name, size, "torn")]
        assert found.log is not None
        assert found.log.last_index == 14


def test_damage_in_the_middle_is_named_and_what_follows_is_counted() -> None:
    disk = folder()
    name = segments_of(disk)[0]
    disk.flip_bit(name, HEAD_BYTES + 130)
    found = inspect_reader(disk)
    assert (found.verdict, found.log) == ("corrupt", None)
    [problem] = found.problems
    assert (problem.file, problem.kind) == (name, "corrupt")
    assert "checksum" in problem.what
    assert found.segments[0].frames == 2
    assert found.segments[0].last_index == 10


def test_a_damaged_head_a_missing_segment_and_a_damaged_snapshot_are_named() -> None:
    disk = folder()
    name = segments_of(disk)[0]
    disk.flip_bit(name, 20)
    disk.flip_bit(snapshot_name(4), 60)
    found = inspect_reader(disk)
    assert found.verdict == "corrupt"
    assert [(p.file, p.kind) for p in found.problems] == [
        (snapshot_name(4), "corrupt"),
        (name, "corrupt"),
    ]
    assert [(s.meta, s.whole) for s in found.snapshots] == [(None, False)]
    assert found.segments[0].frames == 0
    disk.remove(name)
    found = inspect_reader(disk)
    assert found.verdict == "corrupt"
    assert (name, 0, "corrupt") in problems(found)


def test_a_damaged_block_keeps_the_snapshots_meta() -> None:
    disk = folder()
    name = snapshot_name(4)
    disk.flip_bit(name, len(disk.read(name)) - 1)
    [snapshot] = inspect_reader(disk).snapshots
    assert (snapshot.meta, snapshot.whole) == (META, False)


def test_records_that_make_no_sense_are_named() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    name = segments_of(disk)[0]
    at = log._at
    frame, _ = encode_frame(
        b"\x63", sequence=at.sequence, segment=1, previous=at.previous, salt=at.salt
    )
    disk.write(name, at.offset, frame)
    found = inspect_reader(disk)
    assert found.verdict == "corrupt"
    assert problems(found) == [(name, at.offset + 40, "corrupt")]


def test_a_folder_without_a_log_is_empty() -> None:
    disk = sim_disk()
    assert inspect_reader(disk).verdict == "empty"
    disk.write("identity.json", 0, b"?")
    found = inspect_reader(disk)
    assert problems(found) == [("identity.json", 0, "corrupt")]


def test_anothers_segment_and_a_newer_version_are_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = sim_disk()
    claim(disk, "shop", "b", now_ms=7)
    open_log(disk)
    found = inspect_reader(disk)
    assert (found.verdict, problems(found)) == (
        "foreign",
        [("0000000000000001.wal", 0, "foreign")],
    )
    disk = sim_disk()
    monkeypatch.setattr("wal.segment.VERSION", 2)
    open_log(disk)
    monkeypatch.undo()
    found = inspect_reader(disk)
    assert (found.verdict, problems(found)) == (
        "foreign",
        [("0000000000000001.wal", 8, "foreign")],
    )


def test_segments_left_over_are_not_needed() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=600)
    log.append(*entries(1, 9))
    log.sync()
    old = disk.read("0000000000000001.wal")
    log.append(Compact(10))
    log.sync()
    log.append(*entries(10, 18))
    log.sync()
    disk.write("0000000000000001.wal", 0, old)
    found = inspect_reader(disk)
    assert found.verdict == "clean"
    assert [segment.needed for segment in found.segments] == [False, True]


def test_a_folder_that_a_node_holds_is_read_all_the_same(tmp_path: Path) -> None:
    disk = FileDisk(tmp_path)
    log, _ = Log.open(disk, identity=claim(disk, "shop", "a"))
    log.append(*entries(1, 3))
    log.sync()
    found = inspect(tmp_path)
    assert (found.path, found.verdict) == (str(tmp_path), "clean")
    disk.close()
    with pytest.raises(StorageFailed, match="list failed"):
        inspect(tmp_path / "nowhere")


class Vanishing(SimDisk):
    """A running node removes a segment under the reader's eyes, `times` times."""

    times = 0

    def read(
        self, name: str, *, offset: int = 0, size: int | None = None, fresh: bool = False
    ) -> bytes:
        if self.times:
            self.times -= 1
            raise FileGone(name)
        return super().read(name, offset=offset, size=size, fresh=fresh)


def test_a_file_that_goes_while_we_read_is_looked_for_again() -> None:
    disk = folder()
    disk.__class__ = Vanishing
    assert isinstance(disk, Vanishing)
    disk.times = TRIES_MAX - 1
    assert inspect_reader(disk).verdict == "clean"
    disk.times = TRIES_MAX
    with pytest.raises(FileGone):
        inspect_reader(disk)


@pytest.mark.parametrize("whose", [("shop", "b"), ("other", "a"), ("", "")])
def test_a_log_that_is_not_the_folders_own_is_not_recovered(whose: tuple[str, str]) -> None:
    disk = folder()
    assert read_log(disk) is not None
    disk.remove("identity.json")
    if any(whose):
        other = sim_disk()
        claim(other, *whose, now_ms=7)
        disk.write_atomic("identity.json", [other.read("identity.json")])
    with pytest.raises(ForeignLog, match=r"\.wal: a segment of .*'shop'.* own folder"):
        read_log(disk)
