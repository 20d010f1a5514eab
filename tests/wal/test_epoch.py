"""Cluster ids with their epochs."""

import pytest

from tests.wal.samples import IDENTITY, entries, open_log, sim_disk
from wal.epoch import epoch_of, name_of, next_epoch, precedes
from wal.errors import ForeignLog
from wal.identity import Identity, claim, move_on, read_identity
from wal.log import Log
from wal.snapshot import SnapshotMeta, SnapshotStore

PLAN = "5f0c2a9b11d07e63"


def test_each_epoch_follows_the_one_before_and_keeps_the_name() -> None:
    first = next_epoch("shop", PLAN)
    second = next_epoch(first, "0" * 16)
    assert (first, second) == ("shop+1.5f0c2a9b", "shop+2.00000000")
    assert [name_of(one) for one in ("shop", first, second)] == ["shop"] * 3
    assert [epoch_of(one) for one in ("shop", first, second)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("older", "newer", "is_so"),
    [
        ("shop", "shop+1.5f0c2a9b", True),
        ("shop+1.5f0c2a9b", "shop+2.00000000", True),
        ("shop+1.5f0c2a9b", "shop+1.00000000", False),
        ("shop", "shop", False),
        ("shop+1.5f0c2a9b", "shop", False),
        ("store", "shop+1.5f0c2a9b", False),
        ("shop", "shop+0.5f0c2a9b", False),
    ],
)
def test_only_a_lower_epoch_of_the_same_cluster_precedes(
    older: str, newer: str, is_so: bool
) -> None:
    assert precedes(older, newer) == is_so


def test_a_folder_moves_on_and_keeps_its_log() -> None:
    disk = sim_disk()
    identity = claim(disk, "shop", "a", now_ms=7)
    assert identity == IDENTITY
    log, _ = open_log(disk)
    log.append(*entries(1, 5))
    log.sync()
    store = SnapshotStore(disk, identity)
    store.save(SnapshotMeta(3, 1, 2, 1, "{}"), [b"state"])
    moved = move_on(disk, "shop+1.5f0c2a9b")
    assert moved == move_on(disk, "shop+1.5f0c2a9b") == read_identity(disk)
    assert claim(disk, "shop", "a") == moved == Identity("shop+1.5f0c2a9b", "a", 7)
    _, recovered = Log.open(disk, identity=moved)
    assert [entry.index for entry in recovered.entries] == [1, 2, 3, 4, 5]
    latest = SnapshotStore(disk, moved).latest()
    assert latest is not None
    assert latest.index == 3


def test_what_was_written_in_a_later_epoch_is_foreign_before() -> None:
    disk = sim_disk()
    later = Identity("shop+1.5f0c2a9b", "a", 7)
    Log.open(disk, identity=later)
    with pytest.raises(ForeignLog):
        Log.open(disk, identity=IDENTITY)
    with pytest.raises(ForeignLog):
        Log.open(disk, identity=Identity("shop+1.00000000", "a", 7))
