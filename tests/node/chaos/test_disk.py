"""A disk that is broken on purpose says what a broken disk says."""

import time
from pathlib import Path

import pytest

from node.chaos.disk import ChaosDisk
from node.chaos.faults import WHOLE, Part
from wal.disk import FileDisk
from wal.errors import StorageFailed


class Broken:
    def __init__(self) -> None:
        self.part = WHOLE

    def __call__(self) -> Part:
        return self.part


def test_whole_again_it_is_the_disk_it_was(tmp_path: Path) -> None:
    broken = Broken()
    disk = ChaosDisk(FileDisk(tmp_path / "data"), broken)
    disk.write_atomic("a", [b"one"])
    broken.part = Part(sync_fails=True)
    with pytest.raises(StorageFailed, match=r"fdatasync.*EIO"):
        disk.write_atomic("a", [b"two"])
    broken.part = Part(disk_full=True)
    assert disk.bytes_free() == 0
    with pytest.raises(StorageFailed, match=r"write.*ENOSPC"):
        disk.write("b", 0, b"two")
    broken.part = WHOLE
    assert (disk.names(), disk.read("a")) == (["a"], b"one")
    assert disk.bytes_free() > 0
    disk.write_atomic("a", [b"three"])
    assert disk.read("a") == b"three"
    disk.close()


def test_a_slow_sync_is_slow_and_ends_with_the_fault(tmp_path: Path) -> None:
    broken = Broken()
    disk = ChaosDisk(FileDisk(tmp_path / "data"), broken)
    disk.write("a", 0, b"one")
    broken.part = Part(sync_ms=100)
    began_s = time.monotonic()
    disk.sync("a")
    assert time.monotonic() - began_s >= 0.1
    disk.close()
