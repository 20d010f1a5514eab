"""`wal.snapshot`: saved whole or not at all, handed on, never silently older or damaged."""

from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.disk import SimDisk
from tests.wal.samples import IDENTITY, sim_disk
from wal.blocks import BLOCK_BYTES_MAX
from wal.errors import (
    CorruptSnapshot,
    DiskFull,
    FileGone,
    ForeignLog,
    SnapshotRefused,
    StorageFailed,
)
from wal.identity import Identity
from wal.snapfile import snapshot_index, snapshot_name
from wal.snapshot import SnapshotMeta, SnapshotStore


def meta(index: int) -> SnapshotMeta:
    return SnapshotMeta(index, 3, index - 1, 2, "a b c")


def store_with(*indexes: int) -> tuple[SimDisk, SnapshotStore]:
    disk = sim_disk()
    store = SnapshotStore(disk, IDENTITY)
    for index in indexes:
        assert store.save(meta(index), [b"state at %d" % index]) == meta(index)
    return disk, store


def state_of(store: SnapshotStore) -> bytes:
    return b"".join(store.open_latest()[1])


def raw_of(store: SnapshotStore, at: SnapshotMeta, *, size: int = 1 << 20) -> list[bytes]:
    chunks: list[bytes] = []
    while chunk := store.read_chunk(at, sum(map(len, chunks)), size):
        chunks.append(chunk)
    return chunks


def test_there_is_no_snapshot_at_first() -> None:
    _, store = store_with()
    assert store.latest() is None
    with pytest.raises(FileGone):
        store.open_latest()


@given(st.lists(st.integers(0, 3 * BLOCK_BYTES_MAX // 2), max_size=4), st.integers(0, 99))
def test_a_state_of_any_size_is_read_back(sizes: list[int], seed: int) -> None:
    rng = Random(seed)
    chunks = [rng.randbytes(size) for size in sizes]
    disk = sim_disk()
    store = SnapshotStore(disk, IDENTITY)
    store.save(meta(5), chunks)
    disk.crash(power=True)
    store = SnapshotStore(disk, IDENTITY)
    found, blocks = store.open_latest()
    assert found == meta(5) == store.latest()
    assert b"".join(blocks) == b"".join(chunks)


def test_the_newest_two_are_kept() -> None:
    disk, store = store_with(10, 20, 30)
    assert disk.names() == [snapshot_name(20), snapshot_name(30)]
    assert store.latest() == meta(30)
    with pytest.raises(FileGone):
        store.read_chunk(meta(10), 0, 10)


def test_an_older_snapshot_is_refused_and_the_same_one_is_not() -> None:
    _, store = store_with(20)
    with pytest.raises(SnapshotRefused, match="a snapshot at 10; here is one at 20"):
        store.save(meta(10), [])
    store.save(meta(20), [b"again"])
    assert state_of(store) == b"again"


def test_each_flipped_byte_is_seen() -> None:
    size = sum(map(len, raw_of(store_with(10)[1], meta(10))))
    for at in range(size):
        disk, store = store_with(10)
        disk.flip_bit(snapshot_name(10), at, bit=3)
        with pytest.raises((CorruptSnapshot, ForeignLog)):
            store.open_latest()


def test_a_snapshot_cut_or_continued_is_seen() -> None:
    size = sum(map(len, raw_of(store_with(10)[1], meta(10))))
    for cut in range(size):
        disk, store = store_with(10)
        disk.truncate(snapshot_name(10), cut)
        with pytest.raises(CorruptSnapshot, match=snapshot_name(10)):
            store.open_latest()
    disk, store = store_with(10)
    disk.write(snapshot_name(10), size, b"x")
    with pytest.raises(CorruptSnapshot, match="bytes behind its end block"):
        store.open_latest()


def test_blocks_swapped_or_lost_are_seen() -> None:
    disk = sim_disk()
    store = SnapshotStore(disk, IDENTITY)
    store.save(meta(10), [b"a" * BLOCK_BYTES_MAX, b"b" * BLOCK_BYTES_MAX])
    name = snapshot_name(10)
    raw = disk.read(name)
    at, step = raw.index(b"a" * 99) - 8, BLOCK_BYTES_MAX + 8
    swapped = raw[:at] + raw[at + step : at + 2 * step] + raw[at : at + step] + raw[at + 2 * step :]
    lost = raw[:at] + raw[at + step :]
    for bad in (swapped, lost):
        disk.write_atomic(name, [bad])
        with pytest.raises(CorruptSnapshot, match="checksum of a block"):
            store.open_latest()


def test_a_damaged_newest_snapshot_is_not_passed_over() -> None:
    disk, store = store_with(10, 20)
    disk.flip_bit(snapshot_name(20), 30)
    for use in (store.latest, store.open_latest):
        with pytest.raises(CorruptSnapshot, match=snapshot_name(20)):
            use()


def test_a_snapshot_under_another_name_is_refused() -> None:
    disk, store = store_with(10)
    disk.rename(snapshot_name(10), snapshot_name(11))
    with pytest.raises(CorruptSnapshot, match="this is snapshot 10 under another's name"):
        store.latest()


def test_a_snapshot_of_another_cluster_is_refused() -> None:
    disk, _ = store_with(10)
    with pytest.raises(ForeignLog, match="of cluster 'shop', not 'other'"):
        SnapshotStore(disk, Identity("other", "a", 1)).latest()


def test_damage_in_the_head_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, store = store_with(10)
    name = snapshot_name(10)
    good = disk.read(name)
    for bad, reason in [
        (b"", "no snapshot"),
        (b"UDWF" + good[4:], "no snapshot"),
        (good[:12] + b"\xff\xff\xff\xff" + good[16:], "bytes of meta data"),
    ]:
        disk.write_atomic(name, [bad])
        with pytest.raises(CorruptSnapshot, match=reason):
            store.latest()
    monkeypatch.setattr("wal.snapfile.VERSION", 2)
    store.save(meta(10), [])
    monkeypatch.undo()
    with pytest.raises(ForeignLog, match="version 2 of the snapshot"):
        store.latest()


def test_meta_data_that_is_not_ours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, store = store_with()
    monkeypatch.setattr("msgspec.json.encode", lambda _: b'{"index": "ten"}')
    with pytest.raises(CorruptSnapshot, match="meta data"):
        store.save(meta(10), [])
    assert disk.names() == []


def test_a_wrong_total_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    _, store = store_with()
    monkeypatch.setattr("wal.snapfile._TOTAL", _Off())
    with pytest.raises(CorruptSnapshot, match="are not what was written"):
        store.save(meta(10), [b"abc"])


class _Off:
    """Packs one more at each call, so writer and reader disagree."""

    size = 8
    calls = 0

    def pack(self, total: int) -> bytes:
        self.calls += 1
        return (total + self.calls).to_bytes(8, "little")


def test_a_block_that_is_too_long_is_refused() -> None:
    disk, store = store_with(10)
    raw = disk.read(snapshot_name(10))
    at = raw.index(b"state at") - 8
    disk.write(snapshot_name(10), at, (BLOCK_BYTES_MAX + 1).to_bytes(4, "little"))
    with pytest.raises(CorruptSnapshot, match=f"a block of {BLOCK_BYTES_MAX + 1} bytes"):
        store.open_latest()


@pytest.mark.parametrize("room", [0, 10, 100, 150])
def test_a_full_disk_leaves_the_old_snapshot_and_a_later_save_works(room: int) -> None:
    disk, store = store_with(10)
    disk.full_after(room)
    with pytest.raises(StorageFailed, match="ENOSPC"):
        store.save(meta(20), [b"x" * 500])
    assert disk.names() == [snapshot_name(10)]
    assert state_of(store) == b"state at 10"
    disk.full_after(None)
    store.save(meta(20), [b"y"])
    assert state_of(store) == b"y"


def test_some_room_is_kept_for_the_log_from_snapshots_saved_or_received() -> None:
    _, sender = store_with(20)
    disk, _ = store_with(10)
    store = SnapshotStore(disk, IDENTITY, keeps_free=lambda total: total >> 30)
    kept = disk.bytes_total() >> 30
    disk.full_after(kept + 400)
    assert store.room() == 400
    with pytest.raises(DiskFull, match=r"may take \d+ bytes more: the rest is kept for the log"):
        store.save(meta(20), [b"x" * 500])
    assert disk.bytes_free() >= kept
    disk.full_after(kept + 10)
    incoming = store.incoming()
    with pytest.raises(DiskFull, match="may take 10 bytes more"):
        incoming.write(0, b"".join(raw_of(sender, meta(20))))
    assert disk.bytes_free() == kept + 10
    assert disk.names() == [snapshot_name(10)]


def test_a_disk_that_does_not_say_how_large_it_is_takes_what_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk, store = store_with(10)
    monkeypatch.setattr(disk, "bytes_free", lambda: 0)
    monkeypatch.setattr(disk, "bytes_total", lambda: 0)
    store.save(meta(20), [b"x" * 500])
    assert state_of(store) == b"x" * 500


@pytest.mark.parametrize("received", [False, True])
def test_a_snapshot_that_there_is_no_room_to_name_takes_none(received: bool) -> None:
    _, sender = store_with(20)
    disk, store = store_with(10)

    def refuse(op: str, name: str) -> None:
        if op == "rename":
            raise DiskFull(name, op, "No space left on device (ENOSPC)")

    incoming = store.incoming()
    incoming.write(0, b"".join(raw_of(sender, meta(20))))
    if not received:
        incoming.abandon()
    disk.on_call = refuse
    publish = incoming.install if received else partial(store.save, meta(20), [b"x" * 50])
    with pytest.raises(DiskFull):
        publish()
    disk.on_call = None
    assert disk.names() == [snapshot_name(10)]
    assert state_of(store) == b"state at 10"


def test_a_snapshot_that_the_disk_garbles_is_never_published() -> None:
    disk, store = store_with(10)

    def garble(op: str, name: str) -> None:
        if (op, name) == ("sync.done", snapshot_name(20) + ".tmp"):
            disk.flip_bit(name, 20)

    disk.on_call = garble
    with pytest.raises(CorruptSnapshot):
        store.save(meta(20), [b"x" * 50])
    disk.on_call = None
    assert disk.names() == [snapshot_name(10)]
    assert store.latest() == meta(10)


def test_a_state_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wal.snapfile.SNAPSHOT_BYTES_MAX", 300)
    disk, store = store_with(10)
    with pytest.raises(SnapshotRefused, match="may have 300 bytes"):
        store.save(meta(20), [b"x" * 400])
    assert disk.names() == [snapshot_name(10)]


def test_what_a_crash_left_half_written_is_removed() -> None:
    disk, _ = store_with(10)
    disk.write(snapshot_name(20) + ".tmp", 0, b"half")
    disk.write("incoming.snap.tmp", 0, b"half")
    SnapshotStore(disk, IDENTITY)
    assert disk.names() == [snapshot_name(10)]


# -- from peer to peer


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_a_snapshot_travels_in_chunks(size: int) -> None:
    _, sender = store_with(10, 20)
    disk, receiver = store_with(10)
    incoming = receiver.incoming()
    for chunk in raw_of(sender, meta(20), size=size):
        incoming.write(incoming.received, chunk)
    assert incoming.install() == meta(20)
    disk.crash(power=True)
    assert state_of(SnapshotStore(disk, IDENTITY)) == b"state at 20"


def test_chunks_out_of_place_are_refused_and_the_transfer_goes_on() -> None:
    _, sender = store_with(20)
    raw = b"".join(raw_of(sender, meta(20)))
    _, receiver = store_with()
    incoming = receiver.incoming()
    incoming.write(0, raw[:50])
    for offset in (0, 49, 51):
        with pytest.raises(SnapshotRefused, match=f"a chunk at {offset} where 50 is next"):
            incoming.write(offset, raw[offset:])
    incoming.write(50, raw[50:])
    assert incoming.install() == meta(20)
    for use in (lambda: incoming.write(0, b""), incoming.install):
        with pytest.raises(SnapshotRefused, match="has ended"):
            use()
    incoming.abandon()
    assert receiver.latest() == meta(20)


def test_a_transfer_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wal.snapshot.SNAPSHOT_BYTES_MAX", 10)
    _, receiver = store_with()
    incoming = receiver.incoming()
    incoming.write(0, b"x" * 10)
    with pytest.raises(SnapshotRefused, match="may have 10 bytes"):
        incoming.write(10, b"x")


def test_what_arrives_damaged_short_foreign_or_old_is_not_installed() -> None:
    _, sender = store_with(20)
    raw = b"".join(raw_of(sender, meta(20)))
    other = SnapshotStore(sim_disk(), Identity("other", "b", 1))
    other.save(meta(99), [b"other"])
    foreign = b"".join(raw_of(other, meta(99)))
    _, behind = store_with(5)
    old = b"".join(raw_of(behind, meta(5)))
    for data, refusal in [
        (raw[:-1], CorruptSnapshot),
        (raw[:60] + bytes([raw[60] ^ 1]) + raw[61:], CorruptSnapshot),
        (b"", CorruptSnapshot),
        (foreign, ForeignLog),
        (old, SnapshotRefused),
    ]:
        disk, receiver = store_with(10)
        incoming = receiver.incoming()
        incoming.write(0, data)
        with pytest.raises(refusal):
            incoming.install()
        assert disk.names() == [snapshot_name(10)]
        assert state_of(receiver) == b"state at 10"


def test_an_abandoned_or_failed_transfer_leaves_nothing() -> None:
    disk, receiver = store_with(10)
    incoming = receiver.incoming()
    incoming.write(0, b"x")
    incoming.abandon()
    assert disk.names() == [snapshot_name(10)]
    incoming = receiver.incoming()
    disk.full_after(0)
    with pytest.raises(StorageFailed):
        incoming.write(0, b"x")
    assert disk.names() == [snapshot_name(10)]


@pytest.mark.parametrize("name", ["1.snap", "0000000000000001.snap.tmp", "00000000000000001.snap"])
def test_other_names_are_no_snapshots(name: str) -> None:
    assert snapshot_index(name) is None


@given(st.lists(st.integers(0, 3 * BLOCK_BYTES_MAX // 2), max_size=3))
def test_a_snapshot_is_measured_while_it_is_checked(sizes: list[int]) -> None:
    disk, store = store_with()
    saved = store.save(meta(7), [bytes(size) for size in sizes])
    assert store.measure(7) == (saved, len(disk.read(snapshot_name(7))))
    disk.write(snapshot_name(7), 40, b"?!")
    with pytest.raises(CorruptSnapshot):
        store.measure(7)
    with pytest.raises(FileGone):
        store.measure(6)
