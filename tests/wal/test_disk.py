"""`wal.disk` on a real folder, and the simulated disk as hostile as it claims to be."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.sim.disk import SECTOR_BYTES, SimCrash, SimDisk
from wal.disk import Disk, FileDisk, Folder, is_held
from wal.errors import FileGone, LogLocked, StorageFailed
from wal.identity import claim
from wal.log import Log
from wal.record import Entry


@pytest.fixture(params=["real", "simulated"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return FileDisk(tmp_path / "data") if request.param == "real" else SimDisk(Random(1))


def test_both_disks_do_the_same(disk: Disk) -> None:
    assert disk.names() == []
    disk.write("b", 3, b"defg")
    disk.write("b", 0, b"abc")
    disk.sync("b")
    assert disk.read("b") == b"abcdefg"
    assert disk.read("b", offset=2, size=3, fresh=True) == b"cde"
    assert disk.read("b", offset=5, size=9) == b"fg"
    assert disk.read("b", offset=50) == b""
    disk.truncate("b", 2)
    disk.truncate("b", 4)
    assert disk.read("b") == b"ab\0\0"
    disk.write_atomic("a", [b"one", b"", b"two"])
    assert disk.names() == ["a", "b"]
    disk.rename("b", "a")
    disk.sync_folder()
    assert (disk.names(), disk.read("a")) == (["a"], b"ab\0\0")
    disk.release("a")
    disk.remove("a")
    disk.remove("a")
    assert disk.names() == []
    with pytest.raises(FileGone, match="no such file"):
        disk.read("a")
    assert disk.path_of("a").endswith("/a")
    assert disk.bytes_free() > 0
    disk.close()
    disk.close()


def test_an_atomic_write_that_fails_leaves_the_old_file_and_no_other(disk: Disk) -> None:
    disk.write_atomic("a", [b"old"])

    def broken() -> "list[bytes]":
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        disk.write_atomic("a", (broken() for _ in range(1)))  # type: ignore[misc]
    assert (disk.names(), disk.read("a")) == (["a"], b"old")
    disk.close()


def test_a_folder_has_one_owner_until_it_lets_go(tmp_path: Path) -> None:
    first = FileDisk(tmp_path)
    with pytest.raises(LogLocked, match="another process holds this folder"):
        FileDisk(tmp_path)
    first.write("a", 0, b"x")
    first.close()
    FileDisk(tmp_path).close()


def test_two_processes_cannot_have_one_folder(tmp_path: Path) -> None:
    script = (
        "import sys; from wal.disk import FileDisk; from wal.errors import LogLocked\n"
        "try: FileDisk(sys.argv[1])\n"
        "except LogLocked as error: print(error); sys.exit(3)\n"
    )
    ours = FileDisk(tmp_path)
    argv = [sys.executable, "-c", script, str(tmp_path)]
    root = Path(__file__).parents[2]
    other = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (other.returncode, str(tmp_path) in other.stdout) == (3, True)
    ours.close()
    other = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert other.returncode == 0, other.stderr


def test_the_log_runs_on_a_real_folder(tmp_path: Path) -> None:
    wanted = [Entry(index, 1, os.urandom(100)) for index in range(1, 100)]
    disk = FileDisk(tmp_path / "deep" / "data")
    identity = claim(disk, "shop", "a")
    log, _ = Log.open(disk, identity=identity, segment_bytes_max=3000)
    for entry in wanted:
        log.append(entry)
        log.sync()
    log.close()
    disk.close()
    disk = FileDisk(tmp_path / "deep" / "data")
    _, found = Log.open(disk, identity=claim(disk, "shop", "a"))
    assert found.entries == wanted
    assert len(found.segments) > 3
    disk.close()


WRITER = """
import itertools, sys
from wal.disk import FileDisk
from wal.identity import claim
from wal.log import Log
from wal.record import Entry
disk = FileDisk(sys.argv[1])
log, found = Log.open(disk, identity=claim(disk, "shop", "a"), segment_bytes_max=20_000)
for index in itertools.count(len(found.entries) + 1):
    log.append(Entry(index, 1, b"%d" % index * 50))
    log.sync()
    print(index, flush=True)
"""


@pytest.mark.process
def test_a_killed_process_loses_nothing_that_it_promised(tmp_path: Path) -> None:
    promised = 0
    for promises in (1, 40, 150):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        ) as writer:
            assert writer.stdout is not None
            for _ in range(promises):
                promised = int(writer.stdout.readline())
            writer.kill()
            promised = max([promised, *map(int, writer.stdout.read().split(b"\n")[:-1])])
        disk = FileDisk(tmp_path)
        _, found = Log.open(disk, identity=claim(disk, "shop", "a"))
        assert promised <= len(found.entries) <= promised + 1
        assert all(entry.payload == b"%d" % entry.index * 50 for entry in found.entries)
        disk.close()


def test_what_the_system_refuses_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match=r"file: open failed: .*EEXIST"):
        FileDisk(tmp_path / "file")
    with pytest.raises(StorageFailed, match=r"nowhere: list failed: .*ENOENT"):
        Folder(tmp_path / "nowhere").names()
    disk = FileDisk(tmp_path / "data")
    (tmp_path / "data" / "folder").mkdir()
    assert disk.names() == []
    with pytest.raises(StorageFailed, match=r"folder: write failed: .*EISDIR"):
        disk.write("folder", 0, b"x")
    with pytest.raises(StorageFailed, match="rename failed"):
        disk.rename("nothing", "something")
    with pytest.raises(StorageFailed, match="remove failed"):
        disk.remove("folder")
    disk.close()


def test_short_reads_and_writes_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel moves at most 2 GiB at once, and less when it likes."""
    pwrite, pread = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, bytes(data[:3]), at))
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, 4), at))
    disk = FileDisk(tmp_path)
    disk.write("a", 0, b"0123456789")
    assert disk.read("a") == b"0123456789"
    disk.close()


def test_a_full_real_disk_is_a_storage_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full here")
    disk = FileDisk.__new__(FileDisk)
    Folder.__init__(disk, "/dev")
    monkeypatch.setattr(disk, "_open", {}, raising=False)
    with pytest.raises(StorageFailed, match=r"/dev/full: write failed: No space left.*ENOSPC"):
        disk.write("full", 0, b"x")
    disk.release("full")


def test_an_unsynced_write_may_tear_at_any_sector() -> None:
    seen = set()
    for seed in range(40):
        disk = SimDisk(Random(seed))
        disk.write_atomic("a", [b"-" * 3 * SECTOR_BYTES])
        disk.write("a", 0, b"+" * 3 * SECTOR_BYTES)
        disk.crash(power=True)
        seen.add(bytes(disk.read("a")[::SECTOR_BYTES]))
    assert {b"---", b"+++", b"+-+", b"-+-"} <= seen


def test_an_unsynced_size_may_be_the_old_one() -> None:
    sizes = set()
    for seed in range(40):
        disk = SimDisk(Random(seed))
        disk.write_atomic("a", [b"x" * 100])
        disk.truncate("a", 10)
        disk.crash(power=True)
        sizes.add(len(disk.read("a")))
    assert sizes == {10, 100}


def test_an_unsynced_name_may_be_lost_and_a_killed_process_loses_nothing() -> None:
    seen = set()
    for seed in range(20):
        disk = SimDisk(Random(seed))
        disk.write_atomic("old", [b"1"])
        disk.write("new", 0, b"2")
        disk.sync("new")
        disk.rename("new", "old")
        disk.crash(power=False)
        assert (disk.names(), disk.read("old")) == (["old"], b"2")
        disk.crash(power=True)
        seen.add(disk.read("old"))
    assert seen == {b"1", b"2"}


def test_after_a_failed_sync_the_next_one_lies() -> None:
    seen = set()
    for seed in range(20):
        disk = SimDisk(Random(seed))
        disk.write_atomic("a", [b"old"])
        disk.write("a", 0, b"new")
        disk.fail_sync_once()
        with pytest.raises(StorageFailed, match="EIO"):
            disk.sync("a")
        disk.sync("a")
        disk.crash(power=True)
        seen.add(disk.read("a"))
    assert seen == {b"old", b"new"}


def test_a_crashed_disk_does_nothing_until_the_next_start() -> None:
    disk = SimDisk(Random(1))

    def die(_op: str, _name: str) -> None:
        raise SimCrash

    disk.on_call = die
    with pytest.raises(SimCrash):
        disk.write("a", 0, b"x")
    disk.on_call = None
    for call in (disk.names, disk.sync_folder, lambda: disk.read("a"), lambda: disk.release("a")):
        with pytest.raises(SimCrash):
            call()
    disk.crash(power=False)
    assert disk.names() == []
    disk.full_after(7)
    assert disk.bytes_free() == 7


def test_whether_a_process_has_a_folder_can_be_asked_without_taking_it(tmp_path: Path) -> None:
    disk = FileDisk(tmp_path)
    assert is_held(tmp_path)
    disk.close()
    assert not is_held(tmp_path)
    FileDisk(tmp_path).close()
    with pytest.raises(StorageFailed, match="No such file"):
        is_held(tmp_path / "nowhere")
