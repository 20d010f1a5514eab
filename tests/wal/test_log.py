"""`wal.log`: durable when `write` returns, poisoned by a failure, nobody else's."""

from dataclasses import replace

import pytest

from tests.sim.disk import SimCrash, SimDisk
from tests.wal.samples import IDENTITY, entries, open_log, segments_of, sim_disk
from wal.errors import CorruptLog, ForeignLog, StorageFailed
from wal.log import Log
from wal.record import Base, Commit, Compact, Entry, HardState, Reset, Truncate
from wal.segment import HEAD_BYTES


def reopened(disk: SimDisk) -> list[Entry]:
    disk.crash(power=True)
    return open_log(disk)[1].entries


def test_a_new_log_is_empty_and_says_that_it_is_new() -> None:
    disk = sim_disk()
    _, found = open_log(disk)
    assert (found.entries, found.hard_state, found.commit_index) == (
        [],
        HardState(0, None, abstains=True),
        0,
    )
    assert found.fresh
    disk.crash(power=True)
    _, found = open_log(disk)
    assert not found.fresh


def test_what_was_synced_survives_a_power_cut_and_the_rest_need_not() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(HardState(3, "b"), *entries(1, 5), Commit(4))
    gathered = log.dirty
    log.sync()
    assert (gathered, log.dirty) == (True, False)
    log.append(*entries(6, 9))
    disk.crash(power=True)
    _, found = open_log(disk)
    assert (found.entries, found.hard_state, found.commit_index) == (
        entries(1, 5),
        HardState(3, "b"),
        4,
    )


def test_what_gathers_while_a_batch_is_written_is_the_next_batch() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(*entries(1, 2))
    first = log.take()
    assert first is not None
    log.append(*entries(3, 4))
    log.write(first)
    assert log.dirty
    second = log.take()
    assert second is not None
    assert log.take() is None
    log.sync()
    log.write(second)
    assert log.statistics().frames == 2
    assert reopened(disk) == entries(1, 4)


def test_batches_out_of_order_are_a_programmers_error() -> None:
    log, _ = open_log(sim_disk())
    log.append(*entries(1, 1))
    first = log.take()
    log.append(*entries(2, 2))
    second = log.take()
    assert first is not None
    assert second is not None
    with pytest.raises(AssertionError):
        log.write(second)
    log.write(first)
    with pytest.raises(AssertionError):
        log.write(first)


def test_two_writes_at_once_are_a_programmers_error() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(*entries(1, 1))
    first = log.take()
    log.append(*entries(2, 2))
    second = log.take()
    assert first is not None
    assert second is not None
    tried: list[str] = []

    def meanwhile(op: str, _name: str) -> None:
        if op == "sync" and not tried:
            tried.append(op)
            with pytest.raises(AssertionError):
                log.write(second)

    disk.on_call = meanwhile
    log.write(first)
    log.write(second)
    assert tried
    assert reopened(disk) == entries(1, 2)


def test_a_batch_says_the_highest_index_of_its_own_entries() -> None:
    log, _ = open_log(sim_disk())
    log.append(*entries(1, 50))
    log.sync()
    log.append(Reset(), *entries(5, 6))
    batch = log.take()
    assert batch is not None
    assert batch.highest_index == 6


def test_records_that_make_no_sense_are_a_programmers_error() -> None:
    log, _ = open_log(sim_disk())
    log.append(*entries(1, 1))
    with pytest.raises(AssertionError, match="entry 3 where 2 is next"):
        log.append(Entry(3, 1, b""))
    with pytest.raises(AssertionError):
        log.append(Base(1, 2, 1))


def test_segments_roll_and_go_when_their_entries_are_compacted() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=2000)
    log.append(HardState(2, "a"))
    for index in range(1, 41):
        log.append(Entry(index, 1, b"x" * 100))
        log.sync()
    many = segments_of(disk)
    assert len(many) == log.statistics().segments > 3
    log.append(Commit(39), Compact(38))
    log.sync()
    for index in range(41, 61):
        log.append(Entry(index, 1, b"x" * 100))
        log.sync()
    assert many[0] not in segments_of(disk)
    assert len(segments_of(disk)) == log.statistics().segments < len(many)
    disk.crash(power=True)
    _, found = open_log(disk, segment_bytes_max=2000)
    assert [entry.index for entry in found.entries] == list(range(38, 61))
    assert (found.hard_state, found.commit_index) == (HardState(2, "a"), 39)


def test_a_roll_leaves_one_segment_when_no_entry_is_left() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=600)
    for last in (10, 20, 30):
        log.append(*entries(last - 9, last))
        log.sync()
    log.append(Compact(31))
    log.sync()
    log.append(Commit(30))
    log.sync()
    assert len(segments_of(disk)) == 1
    assert log.statistics().segments == 1
    log.append(*entries(31, 32))
    log.sync()
    log.append(Reset())
    log.sync()
    log.append(*entries(7, 8))
    log.sync()
    assert len(segments_of(disk)) == 1
    assert reopened(disk) == entries(7, 8)


def test_one_batch_larger_than_a_segment_has_room() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=1000)
    for index in (1, 2):
        log.append(Entry(index, 1, b"y" * 5000))
        log.sync()
    assert log.statistics().segments == 2
    assert [len(entry.payload) for entry in reopened(disk)] == [5000, 5000]


def test_truncation_is_remembered_over_segments() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=700)
    for index in range(1, 20):
        log.append(*entries(index, index))
        log.sync()
    log.append(Truncate(5), *entries(5, 6, term=2))
    log.sync()
    log.append(Commit(6))
    log.sync()
    assert reopened(disk) == [*entries(1, 4), *entries(5, 6, term=2)]


def test_a_failed_sync_poisons_the_log() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(*entries(1, 1))
    log.sync()
    log.append(*entries(2, 2))
    disk.fail_sync_once()
    with pytest.raises(StorageFailed, match=r"0000000000000001\.wal: fdatasync failed.*EIO"):
        log.sync()
    assert log.statistics().poisoned
    log.append(*entries(3, 3))
    with pytest.raises(StorageFailed, match=r"an earlier one failed .*EIO.* so nothing is tried"):
        log.sync()
    assert reopened(disk) in (entries(1, 1), entries(1, 2))


@pytest.mark.parametrize("room", [0, 1, 39, 40, 100])
def test_a_full_disk_poisons_the_log_and_leaves_it_readable(room: int) -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(*entries(1, 3))
    log.sync()
    disk.full_after(room)
    log.append(*entries(4, 9))
    with pytest.raises(StorageFailed, match="ENOSPC"):
        log.sync()
    disk.crash(power=False)
    _, found = open_log(disk)
    assert found.entries == entries(1, 3)
    assert (found.torn is None) == (room == 0)


def test_a_full_disk_at_a_roll_leaves_the_log_readable() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=600)
    log.append(*entries(1, 9))
    log.sync()
    disk.full_after(520)
    log.append(*entries(10, 12))
    with pytest.raises(StorageFailed, match=r"0000000000000002\.wal\.tmp: write failed"):
        log.sync()
    assert reopened(disk) == entries(1, 9)


def test_an_interrupted_write_poisons_the_log() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(*entries(1, 1))

    def interrupt(op: str, _name: str) -> None:
        if op == "sync":
            raise KeyboardInterrupt

    disk.on_call = interrupt
    with pytest.raises(KeyboardInterrupt):
        log.sync()
    disk.on_call = None
    log.append(*entries(2, 2))
    with pytest.raises(StorageFailed, match="interrupted"):
        log.sync()


def test_a_frame_known_to_the_page_cache_alone_is_synced_before_it_counts() -> None:
    """Killed between write and sync, the next life reads the frame; power may go then."""
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(*entries(1, 2))

    def die(op: str, _name: str) -> None:
        if op == "write.done":
            raise SimCrash

    disk.on_call = die
    with pytest.raises(SimCrash):
        log.sync()
    disk.crash(power=False)
    assert open_log(disk)[1].entries == entries(1, 2)
    for _ in range(20):
        assert reopened(disk) == entries(1, 2)


def test_a_torn_tail_is_cut_for_good() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    log.append(*entries(1, 2))
    log.sync()
    name = segments_of(disk)[0]
    size = len(disk.read(name))
    disk.write(name, size, b"half a frame")
    _, found = open_log(disk)
    assert found.torn is not None
    assert (found.torn.offset, found.torn.bytes) == (size, 12)
    assert len(disk.read(name)) == size
    disk.crash(power=True)
    log, found = open_log(disk)
    assert found.torn is None
    log.append(*entries(3, 3))
    log.sync()
    assert reopened(disk) == entries(1, 3)


def test_a_corrupt_log_is_refused_and_left_as_it_is() -> None:
    disk = sim_disk()
    log, _ = open_log(disk)
    for index in (1, 2):
        log.append(*entries(index, index))
        log.sync()
    name = segments_of(disk)[0]
    disk.flip_bit(name, HEAD_BYTES + 3)
    before = disk.read(name)
    with pytest.raises(CorruptLog, match=rf"sim/{name}: corrupt at byte 512"):
        open_log(disk)
    assert disk.read(name) == before


@pytest.mark.parametrize("change", [{"cluster_id": "x"}, {"node_id": "x"}, {"incarnation": 8}])
def test_a_foreign_log_is_refused(change: dict[str, str]) -> None:
    disk = sim_disk()
    open_log(disk)
    with pytest.raises(ForeignLog, match="a copied one must not run"):
        Log.open(disk, identity=replace(IDENTITY, **change))  # type: ignore[arg-type]


def test_a_log_of_a_newer_version_is_refused_as_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = sim_disk()
    monkeypatch.setattr("wal.segment.VERSION", 2)
    open_log(disk)
    monkeypatch.undo()
    with pytest.raises(ForeignLog, match="version 2 of the log; this program reads 1"):
        open_log(disk)


def test_a_missing_segment_is_named() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=600)
    for index in range(1, 30):
        log.append(*entries(index, index))
        log.sync()
    disk.remove("0000000000000002.wal")
    with pytest.raises(CorruptLog, match=r"0000000000000002\.wal.*the segment is missing"):
        open_log(disk)
    disk.remove("0000000000000001.wal")
    with pytest.raises(CorruptLog, match=r"0000000000000001\.wal.*the segment is missing"):
        open_log(disk)


def test_what_an_interrupted_roll_left_over_is_removed() -> None:
    disk = sim_disk()
    log, _ = open_log(disk, segment_bytes_max=600)
    for index in range(1, 20):
        log.append(*entries(index, index))
        log.sync()
    gone = {name: disk.read(name) for name in segments_of(disk)}
    log.append(Compact(20))
    log.sync()
    log.append(*entries(20, 28))
    log.sync()
    kept = segments_of(disk)
    for name, data in gone.items():
        if name not in kept:
            disk.write(name, 0, data)
    disk.write("0000000000000099.wal.tmp", 0, b"half")
    disk.write("notes.txt", 0, b"a person's")
    log, found = open_log(disk)
    assert found.entries == entries(20, 28)
    assert disk.names() == [*kept, "notes.txt"]


def test_statistics_count_what_was_done() -> None:
    ticks = iter(range(0, 1000, 2))
    disk = sim_disk()
    log, _ = Log.open(disk, identity=IDENTITY, clock=lambda: float(next(ticks)))
    log.append(HardState(4, None), *entries(1, 3), Commit(2))
    assert log.statistics().gathered_records == 5
    assert log.statistics().gathered_bytes > 0
    log.sync()
    figures = log.statistics()
    assert (figures.frames, figures.syncs, figures.sync_seconds_total) == (1, 1, 2.0)
    assert (figures.sync_seconds_last, figures.sync_seconds_max) == (2.0, 2.0)
    assert (figures.first_index, figures.last_index, figures.commit_index) == (1, 3, 2)
    assert (figures.term, figures.gathered_records, figures.gathered_bytes) == (4, 0, 0)
    assert figures.bytes == len(disk.read(segments_of(disk)[0]))
    assert not figures.poisoned
    log.close()
