"""A worker's port: a copy of the state that follows the core's, and answers behind their events."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from cluster import saving
from cluster.port import (
    Answer,
    HandOverRefused,
    NotSaved,
    SavedSnapshot,
    SnapshotWaits,
    Unavailable,
)
from cluster.raft.members import Members, MembersRefused
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state import commands, snapshot
from cluster.state.commands import By, OpenConversation, SendMessage
from cluster.state.machine import Applied
from cluster.state.outcome import Appended, Done, Refused
from node.local.ports import free_ports
from node.workers.feed import Feed
from node.workers.holders import Holders
from node.workers.messages import Answered, Figures, Frames, Measured, Submit, encode, from_core
from node.workers.remote import CoreGone, RemotePort
from tests.cluster.three import until

VISITOR = By("visitor", "ann")


class Pair:
    """A replica alone, and a worker's port that is fed by it."""

    def __init__(self, replica: Replica, nursery: trio.Nursery) -> None:
        self.replica = replica
        self.nursery = nursery
        self.holders = Holders(replica)
        self.whispered: list[bytes] = []
        self.measured: list[Measured] = []

    async def worker(self) -> tuple[RemotePort, Feed]:
        port, feed, _ = await self.worker_with_its_life()
        return port, feed

    async def worker_with_its_life(self) -> tuple[RemotePort, Feed, trio.CancelScope]:
        """The scope ends the core's side of it."""
        ours, theirs = (
            trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in socket.socketpair()
        )
        feed = Feed(
            self.replica,
            ours,
            self.holders,
            on_whisper=lambda _, payload: self.whispered.append(payload),
            on_measured=lambda _, measured: self.measured.append(measured),
        )
        life = trio.CancelScope()

        async def live() -> None:
            with life:
                await feed.run()

        async def follow(*, task_status: trio.TaskStatus[None]) -> None:
            try:
                await port.run(task_status=task_status)
            except* CoreGone:
                assert life.cancel_called

        self.nursery.start_soon(live)
        port = RemotePort(theirs)
        await self.nursery.start(follow)
        return port, feed, life

    async def say(self, port: RemotePort | Replica, cv: str, count: int) -> list[Answer]:
        """Say so many messages at once, and wait for their answers."""
        answers: list[Answer] = []
        first = len(port.state.conversations[cv].tail)
        for number in range(first, first + count):
            said = SendMessage(cv, f"{cv}{number}", VISITOR, f"k{number}", "text", "hi")
            port.submit(said, answers.append)
        await until(lambda: len(answers) == count)
        return answers


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    (port,) = free_ports(1)
    settings = ReplicaSettings(
        cluster="test",
        node="n1",
        key=b"k" * 32,
        data=folder / "n1",
        listen=("127.0.0.1", port),
        peers={},
    )
    replica = Replica.open(settings)
    async with trio.open_nursery() as nursery:
        await nursery.start(replica.run)
        await until(lambda: replica.status().standing == "serving" and bool(replica.state.nodes))
        yield Pair(replica, nursery)
        nursery.cancel_scope.cancel()
    replica.close()


def same(port: RemotePort, replica: Replica) -> bool:
    mine, its = port.state, replica.state
    return mine.applied_index == its.applied_index and snapshot.digest(mine) == snapshot.digest(its)


async def test_a_worker_has_the_state_follows_it_and_is_answered_behind_its_events(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as two:
        assert isinstance(await two.replica.propose(OpenConversation("a", VISITOR, key="o")), Done)
        port, _ = await two.worker()
        assert (port.node_id, port.boot) == ("n1", two.replica.boot)
        await until(lambda: same(port, two.replica))
        told: list[str] = []

        def on_applied(applied: Applied) -> None:
            events = [one.event for one in applied.notices if isinstance(one, Appended)]
            told.extend(event.type for event in events if event.type == "msg")

        stop = port.watch(on_applied)
        port.submit(
            SendMessage("a", "m1", VISITOR, "k1", "text", "hi"),
            lambda answer: told.append(type(answer).__name__),
        )
        await until(lambda: len(told) == 2)
        assert told == ["msg", "Done"]
        stop()
        assert await two.say(port, "a", 200)
        assert await port.barrier() is None
        assert same(port, two.replica)
        again = await port.propose(SendMessage("a", "m9", VISITOR, "k1", "text", "hi"))
        assert isinstance(again, Done)
        assert again.dup
        refused = await port.propose(SendMessage("b", "m1", VISITOR, "x", "text", "hi"))
        assert isinstance(refused, Refused)
        assert refused.code == "not_found"
        assert port.members() == two.replica.members()
        assert port.guests() == {}
        await until(lambda: port.status().applied_index == two.replica.status().applied_index)


async def test_workers_that_come_while_much_happens_have_it_all(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        for name in "ab":
            opened = await two.replica.propose(OpenConversation(name, VISITOR, key=f"o{name}"))
            assert isinstance(opened, Done)
        ports = []

        async def talk(name: str) -> None:
            for _ in range(20):
                await two.say(two.replica, name, 20)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk, "a")
            nursery.start_soon(talk, "b")
            for _ in range(4):
                ports.append(await two.worker())
                await trio.sleep(0.02)
        for port, _ in ports:
            assert await port.barrier() is None
            assert same(port, two.replica)


async def test_a_state_that_is_sent_anew_loses_neither_entries_nor_answers(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        assert isinstance(await two.replica.propose(OpenConversation("a", VISITOR, key="o")), Done)
        port, feed = await two.worker()
        installs: list[int] = []
        port.watch_installs(lambda: installs.append(port.state.applied_index))

        async def jump() -> None:
            for _ in range(10):
                feed._on_install()
                feed._on_install()
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(jump)
            for _ in range(10):
                answers = await two.say(port, "a", 30)
                assert all(isinstance(answer, Done) for answer in answers)
        assert await port.barrier() is None
        assert same(port, two.replica)
        assert installs == sorted(installs)
        assert 1 <= len(installs) <= 20


async def test_what_is_applied_while_a_copy_is_made_is_not_applied_twice(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        assert isinstance(await two.replica.propose(OpenConversation("a", VISITOR, key="o")), Done)
        feeds: list[Feed] = []

        def jump(index: int, payload: bytes) -> None:
            """Before the feed hears of an entry that the copy will hold."""
            for feed in feeds:
                feed._on_install()

        two.replica.watch_entries(jump)
        port, feed = await two.worker()
        feeds.append(feed)
        for _ in range(3):
            await two.say(port, "a", 5)
        assert await port.barrier() is None
        assert same(port, two.replica)


async def test_what_a_worker_says_that_is_no_command_is_refused_and_no_message_ends_it(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as two:
        ours, theirs = (
            trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in socket.socketpair()
        )
        ended: list[str] = []

        async def serve(feed: Feed) -> None:
            try:
                await feed.run()
            except* ValueError as errors:
                ended.append(str(errors.exceptions[0]))

        feed = Feed(
            two.replica,
            ours,
            two.holders,
            on_whisper=lambda *_: None,
            on_measured=lambda *_: None,
        )
        two.nursery.start_soon(serve, feed)
        await theirs.send_all(encode(Submit(1, b"\x81\xa2op\x01")))
        frames = Frames()
        heard: list[Answered] = []
        while not heard:
            data = await theirs.receive_some(100_000)
            said = [from_core.decode(frame) for frame in frames.feed(data)]
            heard += [one for one in said if isinstance(one, Answered)]
        assert (heard[0].number, heard[0].code) == (1, "bad_request")
        await theirs.send_all(len(b"\xc0").to_bytes(4, "big") + b"\xc0")
        await until(lambda: bool(ended))
        assert "Expected `object`" in ended[0]
        await theirs.aclose()


async def test_members_are_changed_only_from_what_the_worker_saw(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        port, _ = await two.worker()
        assert (
            await port.change_members(lambda now: now.add("n2", "127.0.0.1:1", role="learner"))
            is None
        )
        await until(lambda: "n2" in port.members().by_id)
        with pytest.raises(MembersRefused):
            await port.change_members(lambda now: now.add("n2", "127.0.0.1:1", role="learner"))
        stale = Members.of({"n1": ""})
        port._members = stale
        with pytest.raises(MembersRefused, match="changed meanwhile"):
            await port.change_members(lambda now: now.add("n3", "127.0.0.1:2", role="learner"))


async def test_a_worker_hears_why_leadership_stays(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        port, _ = await two.worker()
        with pytest.raises(HandOverRefused, match="no other voter"):
            await port.hand_over()
        with pytest.raises(HandOverRefused, match="n7 is no member"):
            await port.hand_over("n7")


async def test_a_worker_has_the_core_save_a_snapshot_or_hears_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path) as two:
        port, _ = await two.worker()
        saved = await port.save_snapshot()
        assert isinstance(saved, SavedSnapshot)
        assert saved.bytes > 0
        with monkeypatch.context() as patched:
            patched.setattr(saving, "WAIT_S", 0.0)
            await port.propose(OpenConversation("a", VISITOR, key="o"))
            waits = await port.save_snapshot()
        assert isinstance(waits, SnapshotWaits)
        assert saved.index < waits.index <= two.replica.status().applied_index
        two.replica._part.fail("the disk failed: EIO")
        with pytest.raises(NotSaved, match="EIO"):
            await port.save_snapshot(waits.index)


async def test_whispers_and_figures_pass_in_both_directions(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        port, feed = await two.worker()
        heard: list[tuple[str, bytes]] = []
        port.watch_whispers(lambda node, payload: heard.append((node, payload)))
        port.whisper(b"mine")
        port.measured(Measured({"connections": 1}, {"resumes_total": 2}))
        feed.whisper("n2", b"theirs")
        feed.send_figures(Figures([{"connections": 1}], [{}], [], {}))
        await until(lambda: bool(heard and two.whispered and two.measured and port.figures))
        assert heard == [("n2", b"theirs")]
        assert two.whispered == [b"mine"]
        assert two.measured[0].edge == {"connections": 1}


async def test_a_change_of_standing_reaches_the_worker(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        port, feed = await two.worker()
        told: list[str] = []
        port.watch_standing(lambda status: told.append(status.standing))
        two.replica._part.fail("the disk failed")
        await until(lambda: port.status().standing == "failed")
        assert told == ["failed"]
        answer = await port.propose(OpenConversation("a", VISITOR, key="o"))
        assert isinstance(answer, Unavailable)
        assert feed is not None


async def test_without_its_core_a_worker_ends(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with pytest.RaisesGroup(CoreGone, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                RemotePort(trio.SocketStream(trio.socket.from_stdlib_socket(theirs))).run
            )
            await trio.sleep(0.01)
            ours.close()


def test_a_command_is_the_same_behind_the_port() -> None:
    command = OpenConversation("a", VISITOR, key="o")
    assert commands.decode(commands.encode(command)) == command


async def test_workers_may_begin_while_entries_are_applied_all_the_time(tmp_path: Path) -> None:
    async with pair(tmp_path) as two:
        assert isinstance(await two.replica.propose(OpenConversation("a", VISITOR, key="o")), Done)
        asked = 0

        def ask_again(_: object = None) -> None:
            nonlocal asked
            asked += 1
            said = SendMessage("a", f"m{asked}", VISITOR, f"k{asked}", "text", "hi")
            two.replica.submit(said, ask_again)

        async def follow() -> None:
            port, _ = await two.worker()
            before = port.state.applied_index
            await until(lambda: port.state.applied_index > before)

        for _ in range(4):
            ask_again()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(follow)
                await trio.lowlevel.checkpoint()
