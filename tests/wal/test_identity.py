"""`wal.identity`: a folder belongs to one node of one cluster, from its first day on."""

import json
from random import Random

import pytest

from tests.sim.disk import SimDisk
from tests.wal.samples import open_log, sim_disk
from wal.errors import CorruptLog, ForeignLog
from wal.identity import FILE, Identity, claim, raise_format, read_format, read_identity


def test_a_claimed_folder_keeps_its_identity() -> None:
    disk = sim_disk()
    assert read_identity(disk) is None
    first = claim(disk, "shop", "a", now_ms=1_795_431_600_123)
    assert first == Identity("shop", "a", 1_795_431_600_123)
    disk.crash(power=True)
    assert claim(disk, "shop", "a", now_ms=5) == first == read_identity(disk)
    assert json.loads(disk.read(FILE))["created"] == "2026-11-23T11:00:00.123Z"


def test_a_node_that_lost_its_folder_comes_back_as_another() -> None:
    assert claim(sim_disk(), "shop", "a", now_ms=1) != claim(sim_disk(), "shop", "a")


@pytest.mark.parametrize(("cluster", "node"), [("shop", "b"), ("other", "a")])
def test_a_foreign_folder_is_refused(cluster: str, node: str) -> None:
    disk = sim_disk()
    claim(disk, "shop", "a")
    with pytest.raises(ForeignLog, match=r"node 'a' of cluster 'shop', not node .*own folder"):
        claim(disk, cluster, node)


@pytest.mark.parametrize("name", ["0000000000000001.wal", "0000000000000007.snap"])
def test_a_folder_with_data_but_no_identity_is_refused(name: str) -> None:
    disk = SimDisk(Random(1))
    disk.write("notes.txt", 0, b"")
    disk.write(name, 0, b"")
    with pytest.raises(ForeignLog, match=f"{name}: the folder holds data but no identity.json"):
        claim(disk, "shop", "a")


def test_a_log_without_its_identity_file_is_refused() -> None:
    disk = sim_disk()
    claim(disk, "shop", "a")
    open_log(disk)
    disk.remove(FILE)
    with pytest.raises(ForeignLog, match="cannot be told whose"):
        claim(disk, "shop", "a")


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format": 1}', b"\xff\xfe", b"[]"])
def test_a_damaged_identity_is_refused(damage: bytes) -> None:
    disk = sim_disk()
    disk.write(FILE, 0, damage)
    with pytest.raises(CorruptLog, match="not an identity file"):
        claim(disk, "shop", "a")


def test_an_identity_of_a_newer_format_is_refused() -> None:
    disk = sim_disk()
    claim(disk, "shop", "a")
    newer = json.loads(disk.read(FILE)) | {"format": 2}
    disk.write_atomic(FILE, [json.dumps(newer).encode()])
    with pytest.raises(ForeignLog, match="format 2 of the identity"):
        claim(disk, "shop", "a")


@pytest.mark.parametrize(("cluster", "node"), [("", "a"), ("shop", ""), ("shop", "ü" * 101)])
def test_ids_that_do_not_fit_are_refused(cluster: str, node: str) -> None:
    with pytest.raises(ForeignLog, match="cannot be used"):
        claim(sim_disk(), cluster, node)


def test_a_format_that_rises_is_refused_by_programs_from_before_and_by_no_other() -> None:
    disk = sim_disk()
    first = claim(disk, "shop", "a", now_ms=1_795_431_600_123)
    fields = json.loads(disk.read(FILE))
    raise_format(disk, 3)
    disk.crash(power=True)
    assert read_format(disk) == 3
    # Exactly these fields: for the first releases one more would be damage, to be set aside.
    assert json.loads(disk.read(FILE)) == fields | {"format": 3}
    for reads in (3, 4):
        assert claim(disk, "shop", "a", format_max=reads) == first
    for reads in (1, 2):
        with pytest.raises(ForeignLog, match=f"format 3 .* up to {reads}.*Start the version"):
            claim(disk, "shop", "a", format_max=reads)
    raise_format(disk, 2)
    assert read_format(disk) == 3


def test_a_format_with_other_fields_is_no_damage() -> None:
    disk = sim_disk()
    disk.write_atomic(FILE, [b'{"format": 9, "of": "later releases"}'])
    with pytest.raises(ForeignLog, match="format 9 of the identity"):
        claim(disk, "shop", "a", format_max=8)
    with pytest.raises(CorruptLog, match="not an identity file"):
        claim(disk, "shop", "a", format_max=9)
