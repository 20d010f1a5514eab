"""A node that lost its data, or part of it, is filled by the others, by itself."""

import shutil
from pathlib import Path

import pytest
import trio

from cluster.opening import Opened, open_data
from cluster.raft.boot import LogRefused
from cluster.raft.engine import Engine
from cluster.state.snapshot import digest
from node.local.ports import free_ports
from tests.cluster.three import NAMES, Cluster, talk, until
from wal.disk import FileDisk
from wal.errors import CorruptLog, CorruptSnapshot, ForeignLog
from wal.log import Log
from wal.recovery import Recovered
from wal.snapshot import SnapshotStore


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def flip_in_log(folder: Path) -> None:
    """Damage the oldest frame behind the head of the newest segment."""
    flip(max(folder.glob("*.wal")), 700)


def flip_in_snapshot(folder: Path) -> None:
    newest = max(folder.glob("*.snap"))
    flip(newest, newest.stat().st_size // 2)


@pytest.mark.parametrize("damage", [shutil.rmtree, flip_in_log, flip_in_snapshot])
@pytest.mark.parametrize("victim", ["leader", "follower"])
async def test_a_node_whose_data_is_damaged_or_gone_is_filled_again(
    cluster: Cluster, damage: object, victim: str, tmp_path: Path
) -> None:
    leader = cluster.leader()
    name = leader if victim == "leader" else next(n for n in cluster.replicas if n != leader)
    await talk(cluster.replicas[name], 1, 15)
    await cluster.stop(name)
    await until(lambda: any(r.is_leader for r in cluster.replicas.values()))
    damage(tmp_path / name)  # type: ignore[operator]
    other = next(iter(cluster.replicas.values()))
    await talk(other, 16, 20)
    replica = await cluster.start(name)
    await until(lambda: replica.status().standing == "serving" and not replica.status().abstains)
    await talk(replica, 21, 22)
    await until(lambda: len({digest(r.state) for r in cluster.replicas.values()}) == 1)
    if damage is not shutil.rmtree:
        assert (tmp_path / name / "aside.json.damaged").exists()


async def test_a_node_without_memory_elects_nobody(cluster: Cluster, tmp_path: Path) -> None:
    leader = cluster.leader()
    wiped, other = (name for name in cluster.replicas if name != leader)
    await talk(cluster.replicas[leader], 1, 3)
    for name in (wiped, other, leader):
        await cluster.stop(name)
    shutil.rmtree(tmp_path / wiped)
    await cluster.start(wiped)
    await cluster.start(other)
    for _ in range(100):
        assert not any(replica.is_leader for replica in cluster.replicas.values())
        await trio.sleep(0.02)
    assert cluster.replicas[wiped].status().abstains
    await cluster.start(leader)
    await cluster.serving()
    await until(lambda: not cluster.replicas[wiped].status().abstains)
    # That it does no more is written down: one of them may be an entry ahead for a moment.
    await until(lambda: len({digest(r.state) for r in cluster.replicas.values()}) == 1)


async def test_a_new_cluster_says_whom_it_waits_for(tmp_path: Path, nursery: trio.Nursery) -> None:
    cluster = Cluster(tmp_path, free_ports(len(NAMES)), nursery)
    one, two = await cluster.start("n1"), await cluster.start("n2")
    await until(lambda: "have met; missing: n3" in one.status().why)
    assert (one.status().standing, two.status().role) == ("starting", "follower")
    await cluster.start("n3")
    await cluster.serving()
    assert one.status().why == ""
    for name in NAMES:
        await cluster.stop(name)


# -- what is not mended


@pytest.fixture
async def folder(cluster: Cluster, tmp_path: Path) -> Path:
    """A stopped node's folder."""
    await talk(cluster.replicas["n1"], 1, 15)
    await cluster.stop("n1")
    return tmp_path / "n1"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(folder: Path, *, node: str = "n1", voters: int = 3) -> Opened:
    disk = FileDisk(folder)

    def make_engine(wal: Log, recovered: Recovered, snapshots: SnapshotStore) -> Engine:
        raise LogRefused("not of this version")

    try:
        return open_data(disk, "test", node, NAMES[:voters], make_engine)
    finally:
        disk.close()


@pytest.mark.parametrize("damage", [flip_in_log, flip_in_snapshot])
async def test_with_two_voters_damage_is_refused_and_nothing_is_touched(
    folder: Path, damage: object
) -> None:
    damage(folder)  # type: ignore[operator]
    before = content(folder)
    with pytest.raises((CorruptLog, CorruptSnapshot), match="Move the folder away"):
        start(folder, voters=2)
    assert content(folder) == before


async def test_what_is_another_nodes_or_of_another_version_is_never_set_aside(
    folder: Path,
) -> None:
    before = content(folder)
    with pytest.raises(ForeignLog):
        start(folder, node="n9")
    with pytest.raises(LogRefused):
        start(folder)
    assert content(folder) == before
