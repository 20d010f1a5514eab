"""A crash at every call to the disk: what was promised is there, nothing is invented."""

from collections.abc import Callable, Iterator
from random import Random

import pytest

from tests.sim.disk import SimCrash, SimDisk
from tests.wal.samples import IDENTITY, entries, open_log, segments_of
from wal.identity import claim
from wal.record import Commit, Compact, Entry, HardState, Record, Reset, Truncate
from wal.snapshot import SnapshotMeta, SnapshotStore

SEEDS = range(4)
SEGMENT_BYTES_MAX = 900

BATCHES: list[list[Record]] = [
    [HardState(1, "a"), *entries(1, 2)],
    [*entries(3, 12), Commit(2)],
    [Truncate(9), *entries(9, 10, term=2), HardState(2, None)],
    [*entries(11, 30, term=2)],
    [Commit(30), Compact(28)],
    [*entries(31, 60, term=2)],
    [Reset(), HardState(3, "b"), Entry(90, 3, b"n" * 700)],
    [Entry(91, 3, b"m" * 700)],
    [*entries(92, 93, term=3), Commit(93)],
]

State = tuple[list[Entry], HardState, int]


def states() -> list[State]:
    """What the log holds after each batch, by a plain list."""
    held: list[Entry] = []
    hard, commit = HardState(0, None, abstains=True), 0
    after: list[State] = [([], hard, commit)]
    for batch in BATCHES:
        for record in batch:
            match record:
                case Entry():
                    held = [*held, record]
                case HardState():
                    hard = record
                case Commit(index):
                    commit = index
                case Truncate(index):
                    held = [entry for entry in held if entry.index < index]
                case Compact(index):
                    held = [entry for entry in held if entry.index >= index]
                case Reset():
                    held, commit = [], 0
        after.append((held, hard, commit))
    return after


STATES = states()


def crash_at(call: int, *, done: bool) -> Callable[[str, str], None]:
    """Die before the `call`-th operation, or right after it."""
    left = [call]

    def on_call(op: str, _name: str) -> None:
        if op.endswith(".done") == done:
            left[0] -= 1
            if left[0] < 0:
                raise SimCrash

    return on_call


def every_crash(run: Callable[[SimDisk], object]) -> Iterator[SimDisk]:
    """Yield a disk for each place where `run` may be cut off, after the crash."""
    whole = SimDisk(Random(0))
    run(whole)
    for call in range(whole.calls):
        for done in (False, True):
            for power in (False, True):
                for seed in SEEDS:
                    disk = SimDisk(Random(seed))
                    disk.on_call = crash_at(call, done=done)
                    with pytest.raises(SimCrash):
                        run(disk)
                    disk.crash(power=power)
                    yield disk


def test_the_log_after_a_crash_at_every_call_holds_what_was_synced() -> None:
    promised = 0

    def run(disk: SimDisk) -> None:
        nonlocal promised
        promised = 0
        log, _ = open_log(disk, segment_bytes_max=SEGMENT_BYTES_MAX)
        for batch in BATCHES:
            log.append(*batch)
            log.sync()
            promised += 1
        assert log.statistics().rolls > 3

    crashes = 0
    for disk in every_crash(run):
        crashes += 1
        log, found = open_log(disk, segment_bytes_max=SEGMENT_BYTES_MAX)
        state = (found.entries, found.hard_state, found.commit_index)
        assert state in STATES[promised : promised + 2]
        if crashes % 2:  # else what comes next relies on what only the page cache may know
            disk.crash(power=True)
            log, again = open_log(disk, segment_bytes_max=SEGMENT_BYTES_MAX)
            assert (again.entries, again.hard_state, again.commit_index) == state, "it stays so"
            assert again.torn is None
        log.append(Reset(), *entries(500, 520, term=9))
        log.sync()
        disk.crash(power=True)
        assert open_log(disk)[1].entries == entries(500, 520, term=9)
        assert not [name for name in disk.names() if name.endswith(".tmp")]
    assert crashes > 200


def meta(index: int) -> SnapshotMeta:
    return SnapshotMeta(index, 2, index - 1, 2, "a b c")


def state(index: int) -> list[bytes]:
    return [b"state at %d " % index] * 60


def test_after_a_crash_at_every_call_of_a_save_there_is_the_old_or_the_new_snapshot() -> None:
    saved = 0

    def run(disk: SimDisk) -> None:
        nonlocal saved
        saved = 0
        store = SnapshotStore(disk, IDENTITY)
        for index in (10, 20, 30, 30):
            store.save(meta(index), state(index))
            saved = index

    check_snapshots(run, lambda: saved, step=10)


def test_after_a_crash_at_every_call_of_an_install_there_is_the_old_or_the_new_snapshot() -> None:
    peer = SnapshotStore(SimDisk(Random(1)), IDENTITY)
    raw = {}
    for index in (10, 20):
        peer.save(meta(index), state(index))
        raw[index] = peer.read_chunk(meta(index), 0, 1 << 20)
    installed = 0

    def run(disk: SimDisk) -> None:
        nonlocal installed
        installed = 0
        store = SnapshotStore(disk, IDENTITY)
        for index, data in raw.items():
            incoming = store.incoming()
            for offset in range(0, len(data), 200):
                incoming.write(offset, data[offset : offset + 200])
            assert incoming.install() == meta(index)
            installed = index

    check_snapshots(run, lambda: installed, step=10)


def check_snapshots(
    run: Callable[[SimDisk], object], promised: Callable[[], int], step: int
) -> None:
    for disk in every_crash(run):
        before = promised()
        store = SnapshotStore(disk, IDENTITY)
        found = store.latest()
        index = found.index if found else 0
        assert index in (before, before + step)
        disk.crash(power=True)
        store = SnapshotStore(disk, IDENTITY)
        if index:
            latest, blocks = store.open_latest()
            assert latest == meta(index)
            assert b"".join(blocks) == b"".join(state(index))
        else:
            assert store.latest() is None
        assert not [name for name in disk.names() if name.endswith(".tmp")]


def test_after_a_crash_at_every_call_of_the_first_start_the_node_starts() -> None:
    def run(disk: SimDisk) -> None:
        identity = claim(disk, "shop", "a", now_ms=1)
        open_log_as(disk, identity.incarnation)

    def open_log_as(disk: SimDisk, incarnation: int) -> None:
        assert incarnation == 1
        open_log(disk)

    for disk in every_crash(run):
        first = claim(disk, "shop", "a", now_ms=2)
        _, found = open_log(disk)
        assert found.entries == []
        assert segments_of(disk) == ["0000000000000001.wal"]
        disk.crash(power=True)
        assert claim(disk, "shop", "a", now_ms=3) == first
