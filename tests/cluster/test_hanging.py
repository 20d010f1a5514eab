"""A sync of the leader that does not come back: its thread is blocked, as by a dead controller."""

import threading
from pathlib import Path

import trio

from cluster.heal import rules
from cluster.port import Answer, Unavailable
from cluster.state.commands import SendMessage
from cluster.state.snapshot import digest
from tests.cluster.three import VISITOR, Cluster, talk, until
from wal.disk import FileDisk


class HangingDisk(FileDisk):
    """A real folder whose syncs wait while it `hangs`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._answers = threading.Event()
        self._answers.set()
        self.waiting = threading.Event()
        """A sync hangs."""

    def hang(self) -> None:
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()

    def sync(self, name: str) -> None:
        if not self._answers.is_set():
            self.waiting.set()
            self._answers.wait()
        super().sync(name)


async def leader_on(cluster: Cluster, folder: Path) -> tuple[str, HangingDisk]:
    """Let the leader go on with a disk that can hang."""
    name = cluster.leader()
    await cluster.stop(name)
    disk = HangingDisk(folder / name)
    await cluster.start(name, disk)
    await cluster.serving()
    leader = cluster.replicas[cluster.leader()]
    if leader.node_id != name:
        assert await leader.hand_over(name) == name
    await until(lambda: cluster.replicas[name].is_leader)
    await cluster.serving()
    return name, disk


async def test_a_leader_whose_sync_never_returns_is_replaced_and_acknowledges_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    name, disk = await leader_on(cluster, tmp_path)
    hung = cluster.replicas[name]
    others = [replica for other, replica in cluster.replicas.items() if other != name]
    await talk(others[0], 1, 3)
    answers: list[Answer] = []
    try:
        disk.hang()
        message = SendMessage("cv", "hung", VISITOR, "hung", "text", "is anybody there?")
        hung.submit(message, answers.append)
        await until(disk.waiting.is_set)
        await until(lambda: any(replica.is_leader for replica in others))
        assert not answers
        await until(lambda: hung.status().standing == "fenced", 10)
        assert "the disk has not answered" in hung.status().why
        assert [type(answer) for answer in answers] == [Unavailable]
        late = SendMessage("cv", "late", VISITOR, "late", "text", "and now?")
        with trio.fail_after(1.0):
            assert isinstance(await hung.propose(late), Unavailable)
            assert isinstance(await hung.barrier(), Unavailable)
        await talk(others[0], 4, 6)
    finally:
        disk.answer()
    await cluster.serving()
    await until(lambda: len({digest(one.state) for one in cluster.replicas.values()}) == 1)
    said = [event.mid for event in hung.state.conversations["cv"].tail if event.type == "msg"]
    assert [mid for mid in said if mid != "hung"] == [f"m{number}" for number in range(1, 7)]
    assert said.count("hung") <= 1, "nobody was told, so either will do"
    await until(lambda: any(one.rule == rules.SLOW_DISK for one in hung.state.heal_log))
