"""A snapshot that is asked for: at once, shared, never twice of the same; and why there is none."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from cluster import saving
from cluster.heal.rules import DISK_FULL
from cluster.port import NotSaved, SavedSnapshot, SnapshotWaits
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state.commands import By, OpenConversation, SendMessage
from cluster.state.levels import LEVEL
from cluster.state.outcome import Done
from tests.cluster.three import Cluster, until
from wal.disk import FileDisk
from wal.errors import DiskFull
from wal.snapfile import snapshot_name

ANN = By("visitor", "ann")


class Slow(FileDisk):
    """A real folder on which snapshots stand still, or find no room, from some moment on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.goes = threading.Event()
        self.goes.set()
        self.read_again = threading.Event()
        self.read_again.set()
        self.slow_to_read = ""
        """A file whose reading stands still meanwhile."""
        self.full = False
        self.begun: list[str] = []
        """Files whose writing was begun."""

    def truncate(self, name: str, size: int) -> None:
        if ".snap" in name and size == 0:
            self.begun.append(name)
            assert self.goes.wait(20)
            if self.full:
                raise DiskFull(self.path_of(name), "write", "No space left on device (ENOSPC)")
        super().truncate(name, size)

    def read(
        self, name: str, *, offset: int = 0, size: int | None = None, fresh: bool = False
    ) -> bytes:
        if name == self.slow_to_read:
            assert self.read_again.wait(20)
        return super().read(name, offset=offset, size=size, fresh=fresh)


class Alone:
    """A node that is the whole cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = Slow(folder)
        settings = ReplicaSettings("test", "n1", b"k" * 32, folder, ("127.0.0.1", 0), {})
        self.replica = Replica.open(settings, self.disk)
        self.said = 0

    @property
    def applied(self) -> int:
        return self.replica.status().applied_index

    def size_of(self, saved: SavedSnapshot) -> int:
        return Path(saved.file).stat().st_size

    def rot(self, saved: SavedSnapshot) -> None:
        data = bytearray(Path(saved.file).read_bytes())
        data[-30] ^= 1
        Path(saved.file).write_bytes(data)

    @property
    def snapshots(self) -> list[str]:
        return sorted(one.name for one in self.folder.glob("*.snap"))

    async def say(self) -> None:
        self.said += 1
        key = f"k{self.said}"
        answer = await self.replica.propose(SendMessage("cv", key, ANN, key, "text", "hi"))
        assert isinstance(answer, Done)

    async def save(self, index: int = 0) -> SavedSnapshot:
        with trio.fail_after(20):
            saved = await self.replica.save_snapshot(index)
        assert isinstance(saved, SavedSnapshot)
        return saved


@pytest.fixture
async def alone(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Alone]:
    one = Alone(tmp_path / "n1")
    await nursery.start(one.replica.run)
    await until(lambda: one.replica.status().standing == "serving")
    await until(lambda: one.replica.state.level == LEVEL)
    assert isinstance(await one.replica.propose(OpenConversation("cv", ANN, "o")), Done)
    # It is routed to a queue; from here on nothing is proposed that no test asks for.
    await until(lambda: one.replica.state.conversations["cv"].state == "waiting")
    yield one
    one.disk.goes.set()
    one.disk.read_again.set()
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await one.replica.wait_stopped()
    one.replica.close()


async def test_what_was_applied_is_in_it_and_the_newest_two_are_kept(alone: Alone) -> None:
    for _ in range(3):
        await alone.say()
        before = alone.applied
        saved = await alone.save()
        assert saved.index >= before
        assert saved.written
        assert Path(saved.file) == alone.folder / snapshot_name(saved.index)
        assert alone.size_of(saved) == saved.bytes
    assert len(alone.snapshots) == 2
    await until(lambda: alone.replica.status().snapshot_index == saved.index)


async def test_where_nothing_was_applied_since_nothing_is_written(alone: Alone) -> None:
    first = await alone.save()
    again = await alone.save()
    assert (again.index, again.bytes, again.written) == (first.index, first.bytes, False)
    assert again.write_ms == first.write_ms
    assert len(alone.disk.begun) == 1


async def test_who_asks_at_once_shares_one_and_who_asks_meanwhile_gets_the_next(
    alone: Alone,
) -> None:
    async def save() -> None:
        at_least = alone.applied
        saved = await alone.save()
        assert saved.index >= at_least
        assert saved.written

    alone.disk.goes.clear()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(save)
        await until(lambda: bool(alone.disk.begun))
        await alone.say()
        for _ in range(4):
            nursery.start_soon(save)
        await trio.testing.wait_all_tasks_blocked()
        alone.disk.goes.set()
    assert len(alone.disk.begun) == 2


async def test_who_waits_long_hears_why_and_asks_again_with_the_index(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "WAIT_S", 0.1)
    alone.disk.goes.clear()
    goal = alone.applied
    waits = await alone.replica.save_snapshot()
    assert waits == SnapshotWaits(goal, "it is being written")
    await alone.say()
    alone.disk.goes.set()
    await until(lambda: alone.replica.status().snapshot_index >= goal)
    saved = await alone.save(goal)
    assert goal <= saved.index < alone.applied
    assert saved.written
    assert len(alone.disk.begun) == 1


async def test_an_index_that_nobody_has_reached_is_all_that_is_here(alone: Alone) -> None:
    assert (await alone.save(10**12)).index == alone.applied


async def test_a_full_disk_is_named_and_what_was_there_stays(alone: Alone) -> None:
    first = await alone.save()
    await alone.say()
    alone.disk.full = True
    with pytest.raises(NotSaved, match=r"ENOSPC.*the snapshot before.*as they were"):
        await alone.save()
    alone.disk.full = False
    (note,) = (one for one in alone.replica._part.heal.recent if one.rule == DISK_FULL)
    assert (note.outcome, "ENOSPC" in note.seen) == ("failed", True)
    assert alone.snapshots == [snapshot_name(first.index)]
    assert alone.replica.status().standing == "serving"


async def test_after_a_failure_who_asks_hears_that_another_try_comes(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.disk.full = True
    with pytest.raises(NotSaved):
        await alone.save()
    monkeypatch.setattr(saving, "WAIT_S", 0.1)
    waits = await alone.replica.save_snapshot()
    assert isinstance(waits, SnapshotWaits)
    assert "ENOSPC" in waits.why
    assert "within 10 s" in waits.why


async def test_one_that_newer_ones_replace_while_it_is_read_is_no_failure(alone: Alone) -> None:
    first = await alone.save()
    alone.disk.slow_to_read = snapshot_name(first.index)
    alone.disk.read_again.clear()
    again: list[SavedSnapshot] = []

    async def save() -> None:
        again.append(await alone.save())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(save)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(2):
            await alone.say()
            newest = await alone.save()
        assert snapshot_name(first.index) not in alone.snapshots
        alone.disk.read_again.set()
    assert again == [newest]


async def test_a_snapshot_that_rotted_is_named_by_file_and_not_called_saved(alone: Alone) -> None:
    saved = await alone.save()
    alone.rot(saved)
    with pytest.raises(NotSaved, match=snapshot_name(saved.index)):
        await alone.save()


async def test_a_node_that_must_not_write_says_why(alone: Alone) -> None:
    alone.replica._part._judge.held = "its disk is full"
    alone.replica._part.settle()
    with pytest.raises(NotSaved, match="n1 writes nothing: its disk is full"):
        await alone.replica.save_snapshot()
    alone.replica._part._judge.held = ""


async def test_a_node_whose_disk_failed_says_so(alone: Alone) -> None:
    alone.replica._part.fail("the disk failed: EIO")
    with pytest.raises(NotSaved, match="EIO"):
        await alone.replica.save_snapshot()


async def test_a_node_that_has_applied_nothing_has_nothing_to_save(tmp_path: Path) -> None:
    one = Alone(tmp_path / "n1")
    try:
        with pytest.raises(NotSaved, match="nothing to save"):
            await one.replica.save_snapshot()
    finally:
        one.replica.close()


async def test_a_node_without_a_quorum_saves_what_it_has_and_starts_from_it(
    cluster: Cluster,
) -> None:
    await until(lambda: all(one.state.level >= 2 for one in cluster.replicas.values()))
    leader = cluster.leader()
    for name in list(cluster.replicas):
        if name != leader:
            await cluster.stop(name)
    left = cluster.replicas[leader]
    await until(lambda: left.status().standing == "fenced")
    applied = left.status().applied_index
    saved = await left.save_snapshot()
    assert isinstance(saved, SavedSnapshot)
    assert saved.index == applied
    await cluster.stop(leader)
    again = await cluster.start(leader)
    assert again.status().snapshot_index == saved.index
