"""Clusters that begin with a backup: real replicas, real files."""

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import trio

from cluster.backup import restore as restoring
from cluster.backup.checking import Checked, header_of
from cluster.backup.file import BackupRefused, Header, Reader, encode
from cluster.backup.origin import origin_of
from cluster.raft.members import Members
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state import snapshot
from cluster.state.machine import Machine
from cluster.state.state import State
from node.local.ports import free_ports
from tests.cluster.three import NAMES, Cluster, talk, until
from tests.sim.disk import SimDisk
from wal.disk import FileDisk
from wal.errors import DiskFull, ForeignLog

Backup = Callable[[], Reader]


def backup_of(state: State, cluster: str = "old") -> Backup:
    header = Header(cluster, "n1", state.applied_index, 1, state.now_ms, 1, "0.1.0", state.level)
    data = b"".join(encode(header, snapshot.dump(state)))
    return lambda: Reader("a.backup", io.BytesIO(data).read)


def restore(folder: Path, name: str, ports: list[int], backup: Backup) -> None:
    addresses = {n: f"127.0.0.1:{p}" for n, p in zip(NAMES, ports, strict=True)}
    disk = FileDisk(folder / name)
    try:
        restoring.restore(disk, "test", name, Members.of(addresses), backup)
    finally:
        disk.close()


async def said(folder: Path, nursery: trio.Nursery, last: int) -> State:
    """Return the state of a cluster in which so many messages were said."""
    old = Cluster(folder, free_ports(len(NAMES)), nursery)
    for name in NAMES:
        await old.start(name)
    await old.serving()
    await talk(old.replicas["n1"], 1, last)
    state = old.replicas["n1"].state.frozen_copy()
    for name in NAMES:
        await old.stop(name)
    return state


async def test_a_restored_cluster_begins_with_the_backup_and_goes_on(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    state = await said(tmp_path / "old", nursery, 5)
    ports = free_ports(len(NAMES))
    for name in NAMES:
        restore(tmp_path / "new", name, ports, backup_of(state))
    new = Cluster(tmp_path / "new", ports, nursery)
    await new.start("n1")
    await new.start("n2")
    await trio.sleep(0.8)
    assert "restored alike" in new.replicas["n1"].status().why
    await new.start("n3")
    await new.serving()
    await talk(new.replicas["n2"], 6, 7)
    events = new.replicas["n2"].state.conversations["cv"].tail
    bodies = [event.data.get("body") for event in events if event.type == "msg"]
    assert bodies == [f"text {number}" for number in range(1, 8)]
    seqs = [event.seq for event in events]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    origins = {origin_of(replica.state) for replica in new.replicas.values()}
    assert len(origins) == 1
    assert len(origins.pop()) == 64

    # One that lost its disk is filled by the others, and one that is restored again is as well.
    follower = next(name for name in NAMES if name != new.leader())
    await new.stop(follower)
    for file in (tmp_path / "new" / follower).iterdir():
        file.unlink()
    restore(tmp_path / "new", follower, ports, backup_of(state))
    await new.start(follower)
    await new.serving()
    await until(lambda: not new.replicas[follower].status().abstains)
    digests = {snapshot.digest(one.state) for one in new.replicas.values()}
    assert len(digests) == 1 or await settled(new)


async def settled(cluster: Cluster) -> bool:
    await until(lambda: len({one.state.applied_index for one in cluster.replicas.values()}) == 1)
    return len({snapshot.digest(one.state) for one in cluster.replicas.values()}) == 1


async def test_nodes_that_were_restored_from_two_backups_never_meet(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    state = await said(tmp_path / "old", nursery, 2)
    other = snapshot.load(snapshot.dump(state))
    other.now_ms += 1  # another backup, which ends at the same index
    ports = free_ports(len(NAMES))
    for name in NAMES:
        restore(tmp_path, name, ports, backup_of(other if name == "n3" else state))
    new = Cluster(tmp_path, ports, nursery)
    for name in NAMES:
        await new.start(name)
    await trio.sleep(1.2)
    assert all(replica.status().standing == "starting" for replica in new.replicas.values())
    why = str(new.replicas["n1"].status().peers["n3"]["why"])
    assert "restored from another backup" in why
    assert "empty its data folder" in why


async def test_a_node_without_the_backup_does_not_begin_with_those_that_have_it(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    state = await said(tmp_path / "old", nursery, 2)
    ports = free_ports(len(NAMES))
    restore(tmp_path, "n1", ports, backup_of(state))
    new = Cluster(tmp_path, ports, nursery)
    for name in NAMES:
        await new.start(name)
    await trio.sleep(1.2)
    assert all(replica.status().leader == "" for replica in new.replicas.values())


def empty_state() -> State:
    state = Machine().state
    state.applied_index = 9
    return state


def test_a_folder_that_holds_anything_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / "notes.txt").write_text("mine")
    with pytest.raises(restoring.NotEmpty, match=r"notes\.txt"):
        restore(tmp_path, "n1", [1, 2, 3], backup_of(empty_state()))
    assert [file.name for file in (tmp_path / "n1").iterdir()] == ["notes.txt"]


def test_a_damaged_backup_leaves_the_folder_empty(tmp_path: Path) -> None:
    header = Header("old", "n1", 9, 1, 0, 1, "0.1.0", 1)
    data = b"".join(encode(header, [b"no state at all"]))
    with pytest.raises(BackupRefused, match="not its state"):
        restore(tmp_path, "n1", [1, 2, 3], lambda: Reader("a", io.BytesIO(data).read))
    assert not list((tmp_path / "n1").iterdir())


def test_a_backup_of_a_later_release_is_refused_by_its_name(tmp_path: Path) -> None:
    header = Header("old", "n1", 9, 1, 0, 1, "9.9.9", 1_000)
    data = b"".join(encode(header, snapshot.dump(empty_state())))
    with pytest.raises(BackupRefused, match=r"level 1000, of release 9\.9\.9"):
        restore(tmp_path, "n1", [1, 2, 3], lambda: Reader("a", io.BytesIO(data).read))


class PowerCut(Exception):
    pass


class FailingDisk(FileDisk):
    """Fails at its n-th change."""

    def __init__(self, path: Path, last: int) -> None:
        super().__init__(path)
        self.left = last

    def _step(self) -> None:
        if not self.left:
            raise PowerCut
        self.left -= 1

    def write(self, name: str, offset: int, data: bytes) -> None:
        self._step()
        super().write(name, offset, data)

    def rename(self, old: str, new: str) -> None:
        self._step()
        super().rename(old, new)

    def remove(self, name: str) -> None:
        self._step()
        super().remove(name)


def settings(folder: Path) -> ReplicaSettings:
    return ReplicaSettings("test", "n1", b"k" * 32, folder, ("127.0.0.1", 1), {})


def test_a_crash_at_any_place_leaves_what_no_node_starts_on_and_what_can_be_restored(
    tmp_path: Path,
) -> None:
    backup = backup_of(empty_state())
    refused = 0
    for place in range(100):
        folder = tmp_path / str(place)
        disk = FailingDisk(folder, place)
        try:
            restoring.restore(disk, "test", "n1", Members.of({"n1": "127.0.0.1:1"}), backup)
        except PowerCut:
            disk.close()
            if "restoring.json" in [file.name for file in folder.iterdir()]:
                left = FileDisk(folder)
                with pytest.raises(ForeignLog, match="unidesk restore"):
                    Replica.open(settings(folder), left)
                left.close()
                refused += 1
            again = FileDisk(folder)
            restoring.restore(again, "test", "n1", Members.of({"n1": "127.0.0.1:1"}), backup)
            again.close()
            replica = Replica.open(settings(folder))
            assert replica.state.origin
            replica.close()
        else:
            disk.close()
            break
    assert 3 < refused <= place


def test_a_full_disk_ends_a_restore_and_with_room_it_begins_anew(tmp_path: Path) -> None:
    """No node starts on what is left."""
    backup, disk = backup_of(empty_state()), SimDisk(Random(1))
    members = Members.of({"n1": "127.0.0.1:1"})
    ends = 0
    for room in range(0, 2_000, 50):
        disk.full_after(room)
        with suppress(DiskFull):
            restoring.restore(disk, "test", "n1", members, backup)
            break
        ends += 1
        if restoring.FILE in disk.names():
            with pytest.raises(ForeignLog, match="unidesk restore"):
                restoring.refuse_unfinished(disk)
    assert ends > 3
    assert restoring.FILE not in disk.names()


def test_a_backup_of_a_recovered_clusters_folder_has_its_name_without_the_epoch() -> None:
    checked = Checked("shop+1.5f0c2a9b", "n1", 9, 3, empty_state(), None)
    assert header_of(checked, created_ms=1, release="0.1.0").cluster == "shop"
