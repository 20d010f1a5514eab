"""One replica alone: what it refuses, and how it ends when its disk does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from cluster import barriers, inbox, proposals
from cluster.port import Answer, ReplicaStatus, Unavailable
from cluster.proposals import COMMAND_BYTES_MAX
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state.commands import By, OpenConversation, SendMessage
from cluster.state.outcome import Done, Refused
from cluster.tracing import Trace, within
from wal.disk import FileDisk
from wal.errors import CorruptSnapshot, SnapshotRefused, StorageFailed
from wal.snapshot import SnapshotMeta

ANN = By("visitor", "ann")


class FailingDisk(FileDisk):
    """A real folder whose syncs fail from some moment on."""

    fails = False

    def sync(self, name: str) -> None:
        if self.fails:
            raise StorageFailed(self.path_of(name), "fdatasync", "Input/output error (EIO)")
        super().sync(name)


class Alone:
    """A cluster of one node."""

    def __init__(self, folder: Path, port: int, **settings: int) -> None:
        self.disk = FailingDisk(folder)
        self.replica = Replica.open(
            ReplicaSettings(
                cluster="test",
                node="n1",
                key=b"k" * 32,
                data=folder,
                listen=("127.0.0.1", port),
                peers={},
                **settings,  # type: ignore[arg-type]
            ),
            self.disk,
        )
        self.failure: BaseException | None = None

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self.replica.run(task_status=task_status)
        except* StorageFailed as failed:
            self.failure = failed
        finally:
            self.replica.close()

    async def open_conversations(self) -> None:
        """Let 20 be opened, one after the other."""
        for number in range(20):
            await self.replica.propose(OpenConversation(f"cv{number}", ANN, f"k{number}"))

    async def wait_saved(self) -> None:
        """Return when there is a snapshot."""
        with trio.fail_after(30):
            while self.replica.status().snapshot_index == 1:
                await trio.sleep(0.01)


async def started(folder: Path, nursery: trio.Nursery, **settings: int) -> Alone:
    alone = Alone(folder, 0, **settings)
    await nursery.start(alone.run)
    await serving(alone.replica)
    return alone


async def serving(one: Replica) -> None:
    with trio.fail_after(30):
        while one.status().standing != "serving":
            await trio.sleep(0.01)


@pytest.fixture
async def alone(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Alone]:
    yield await started(tmp_path, nursery)
    nursery.cancel_scope.cancel()


def opening(cv: str = "cv", text: str = "hi") -> SendMessage:
    return SendMessage(cv, "m", ANN, "k", "text", text)


async def test_a_command_beyond_all_limits_is_refused_before_it_leaves(alone: Alone) -> None:
    answer = await alone.replica.propose(opening(text="x" * COMMAND_BYTES_MAX))
    assert isinstance(answer, Refused)
    assert answer.code == "too_large"


async def test_a_node_with_too_much_to_do_says_so_at_once(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "PENDING_MAX", 0)
    monkeypatch.setattr(barriers, "BARRIERS_MAX", 0)
    for answer in (await alone.replica.propose(opening()), await alone.replica.barrier()):
        assert isinstance(answer, Unavailable)
        assert answer.code == "overloaded"


async def test_whoever_watches_a_replica_is_told_until_it_stops(alone: Alone) -> None:
    replica = alone.replica
    entries: list[tuple[int, bytes]] = []
    spans: list[str] = []
    stops = (
        replica.watch_entries(lambda index, payload: entries.append((index, payload))),
        replica.watch_spans(lambda span: spans.append(span.name)),
        replica.watch_installs(lambda: entries.clear()),
    )
    before = replica.wal_statistics().bytes
    assert isinstance(await replica.propose(OpenConversation("cv", ANN, "o")), Done)
    assert entries[-1][0] == replica.state.applied_index
    assert b"cv.open" in entries[-1][1]
    assert replica.wal_statistics().bytes > before
    assert sum(replica.figures().commit.counts) > 0
    with trio.fail_after(20):
        while replica.waits or replica.saves:  # what a leader proposes by itself
            await trio.sleep(0.01)
    assert spans == [], "nobody asked for a trace"
    with within(Trace("a" * 32, "b" * 16)):
        assert isinstance(await replica.propose(opening()), Done)
    assert spans == ["propose", "replicate", "apply", "fan_out"]
    for stop in stops:
        stop()
    told = len(entries), len(spans)
    assert isinstance(await replica.propose(opening()), Done), "which it remembers"
    assert (len(entries), len(spans)) == told


async def test_messages_of_peers_beyond_the_limit_are_dropped(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MESSAGES_MAX", 1)
    monkeypatch.setattr(inbox, "FORWARDED_MAX", 0)
    alone.replica._on_frame("n2", "raft", {"type": "vote", "term": 0})
    alone.replica._on_frame("n2", "raft", {"type": "vote", "term": 0})
    assert len(alone.replica._part._inbox) == 1
    alone.replica._on_frame("n2", "batch", b"\x94\xa2n2\xa1b\x01\x90")
    assert not alone.replica._part._inbox.forwarded
    assert await alone.replica.barrier() is None  # what no voter sent harms nobody


async def test_a_disk_that_fails_ends_the_replica_and_acknowledges_nothing(alone: Alone) -> None:
    told: list[ReplicaStatus] = []
    alone.replica.watch_standing(told.append)
    assert isinstance(await alone.replica.propose(OpenConversation("cv", ANN, "k")), Done)
    alone.disk.fails = True
    answer = await alone.replica.propose(opening())
    assert isinstance(answer, Unavailable)
    assert answer.code in ("timeout", "minority"), "on the disk or not: nobody says it is"
    assert [status.standing for status in told] == ["failed"]
    assert "EIO" in told[0].why
    after = await alone.replica.propose(opening())
    assert isinstance(after, Unavailable)
    assert after.code == "minority"
    with trio.fail_after(30):
        while alone.failure is None:
            await trio.sleep(0.01)


async def test_an_outcome_that_was_not_seen_is_a_timeout_not_a_success(alone: Alone) -> None:
    """A snapshot took the place of the entry in which it was applied."""
    answers: list[Answer] = []
    assert isinstance(await alone.replica.propose(OpenConversation("cv0", ANN, "k0")), Done)
    alone.replica.submit(OpenConversation("cv", ANN, "k"), answers.append)
    number = max(alone.replica._part._proposals._pending)
    proposer = alone.replica.state.proposers["n1"]
    proposer.next_number = number + 1
    with trio.fail_after(30):
        while not answers:
            await trio.sleep(0.01)
    assert isinstance(answers[0], Unavailable)
    assert answers[0].code == "timeout"


async def test_a_snapshot_that_came_too_late_is_forgotten(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = await started(tmp_path, nursery, snapshot_every_entries=5)
    refused: list[SnapshotMeta] = []

    def save(meta: SnapshotMeta, _: object) -> SnapshotMeta:
        refused.append(meta)
        raise SnapshotRefused("a newer one is here")

    monkeypatch.setattr(alone.replica._snapshots, "save", save)
    await alone.open_conversations()
    assert refused
    assert await alone.replica.barrier() is None
    assert alone.replica.status().snapshot_index == 1
    nursery.cancel_scope.cancel()


async def test_a_restart_goes_on_behind_its_snapshot(tmp_path: Path, nursery: trio.Nursery) -> None:
    async with trio.open_nursery() as life:
        alone = await started(tmp_path, life, snapshot_every_entries=5)
        await alone.open_conversations()
        await alone.wait_saved()
        life.cancel_scope.cancel()
    again = await started(tmp_path, nursery)
    assert len(again.replica.state.conversations) == 20
    assert again.replica.status().snapshot_index > 1
    nursery.cancel_scope.cancel()


def test_a_damaged_snapshot_is_refused_at_start(tmp_path: Path) -> None:
    async def fill() -> None:
        async with trio.open_nursery() as life:
            alone = await started(tmp_path, life, snapshot_every_entries=5)
            await alone.open_conversations()
            await alone.wait_saved()
            life.cancel_scope.cancel()

    trio.run(fill)
    newest = max(tmp_path.glob("*.snap"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    with pytest.raises(CorruptSnapshot, match=newest.name):
        Alone(tmp_path, 0)
