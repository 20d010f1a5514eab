"""The door of a node: whoever is at it, one upgrade at a time, no stale name in the way."""

import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from node.handover.asking import Asked, Told, line, read_told
from node.handover.control import ASKING_MAX, NAME, Control, connect
from node.handover.errors import HandoverFailed, NodeLost
from node.handover.notifying import VARIABLE, goes_on_in, ready, reloading

ASKED = Asked("/usr/bin/python", "/opt/unidesk", "/etc/unidesk/node.toml")


class Upgrades:
    """What stands behind the door."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.go = trio.Event()
        self.fails: Exception | None = None
        self.done = 0

    async def __call__(self, asked: Asked, tell: Callable[[str], None]) -> int:
        self.asked.append(asked)
        tell("it has begun")
        await self.go.wait()
        if self.fails is not None:
            raise self.fails
        return 17

    def on_done(self) -> None:
        self.done += 1


@asynccontextmanager
async def door(folder: Path, upgrades: Upgrades) -> AsyncIterator[Control]:
    control = Control(folder, upgrades, on_done=upgrades.on_done)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.serve)
        with trio.fail_after(30):
            while not control.bound:
                await trio.sleep(0.01)
        yield control
        nursery.cancel_scope.cancel()
    assert not (folder / NAME).exists()


async def told(folder: Path, said: bytes) -> list[Told]:
    """Say something at the door and return all that comes back."""
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(connect(folder)))
    async with stream:
        await stream.send_all(said)
        data = b""
        with trio.fail_after(20):
            while more := await stream.receive_some():
                data += more
    return [read_told(one) for one in data.splitlines()]


async def test_steps_and_the_end_are_told_and_then_the_process_may_end(tmp_path: Path) -> None:
    upgrades = Upgrades()
    upgrades.go.set()
    async with door(tmp_path, upgrades):
        first, last = await told(tmp_path, line(ASKED))
    assert (first.text, first.is_last) == ("it has begun", False)
    assert (last.done, last.pid) == (True, 17)
    assert (upgrades.asked, upgrades.done) == ([ASKED], 1)


async def test_a_second_upgrade_is_refused_while_the_first_goes_on(tmp_path: Path) -> None:
    upgrades = Upgrades()
    async with door(tmp_path, upgrades), trio.open_nursery() as nursery:
        nursery.start_soon(told, tmp_path, line(ASKED))
        while not upgrades.asked:
            await trio.sleep(0.01)
        (answer,) = await told(tmp_path, line(ASKED))
        assert (answer.refused, answer.text) == (True, "an upgrade is under way already")
        upgrades.go.set()
    assert len(upgrades.asked) == 1


async def test_whoever_goes_away_meanwhile_stops_nothing(tmp_path: Path) -> None:
    upgrades = Upgrades()
    async with door(tmp_path, upgrades):
        with connect(tmp_path) as handle:
            handle.sendall(line(ASKED))
        while not upgrades.asked:
            await trio.sleep(0.01)
        upgrades.go.set()
        with trio.fail_after(30):
            while not upgrades.done:
                await trio.sleep(0.01)


async def test_an_upgrade_that_failed_may_be_tried_again(tmp_path: Path) -> None:
    upgrades = Upgrades()
    upgrades.go.set()
    upgrades.fails = HandoverFailed("it had enough")
    async with door(tmp_path, upgrades):
        assert (await told(tmp_path, line(ASKED)))[-1] == Told("it had enough", refused=True)
        upgrades.fails = None
        assert (await told(tmp_path, line(ASKED)))[-1].done


async def test_a_node_that_is_lost_is_told_of_and_ends(tmp_path: Path) -> None:
    upgrades = Upgrades()
    upgrades.go.set()
    upgrades.fails = NodeLost("gone")
    heard: list[Told] = []
    with pytest.RaisesGroup(NodeLost, flatten_subgroups=True):
        async with door(tmp_path, upgrades):
            heard += await told(tmp_path, line(ASKED))
            await trio.sleep_forever()
    assert heard[-1] == Told("gone", refused=True, lost=True)


@pytest.mark.parametrize(
    "garbage",
    [b"\n", b"{}\n", b"\xff\xfe\n", b"[" * 10_000 + b"\n", b"x" * 20_000, b'{"ask":"upgrade"}\n'],
)
async def test_garbage_is_answered_with_what_is_wrong(tmp_path: Path, garbage: bytes) -> None:
    upgrades = Upgrades()
    async with door(tmp_path, upgrades):
        (answer,) = await told(tmp_path, garbage)
        assert answer.refused
        assert answer.text.startswith("not understood: ")
    assert not upgrades.asked


async def test_many_who_say_nothing_do_not_keep_the_door(tmp_path: Path) -> None:
    upgrades = Upgrades()
    upgrades.go.set()
    async with door(tmp_path, upgrades):
        silent = [connect(tmp_path) for _ in range(ASKING_MAX)]
        with trio.fail_after(20):
            while True:
                try:
                    if (await told(tmp_path, line(ASKED)))[-1:]:
                        break
                except (trio.BrokenResourceError, BlockingIOError):
                    pass
                await trio.sleep(0.5)
        for handle in silent:
            handle.close()


async def test_a_stale_name_is_replaced_and_the_folder_may_have_a_long_one(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 50)
    folder.mkdir()
    (folder / NAME).write_text("left over")
    async with door(folder, Upgrades()):
        mode = (folder / NAME).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert mode & 0o777 == 0o600


async def test_a_name_that_was_left_is_another_process_own(tmp_path: Path) -> None:
    upgrades = Upgrades()
    control = Control(tmp_path, upgrades)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.serve)
        while not control.bound:
            await trio.sleep(0.01)
        control.leave()
        (tmp_path / NAME).write_text("the successor's")
        nursery.cancel_scope.cancel()
    assert (tmp_path / NAME).read_text() == "the successor's"


def test_the_service_manager_hears_which_process_to_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        monkeypatch.setenv(VARIABLE, str(tmp_path / "n"))
        reloading()
        goes_on_in(17)
        ready()
        heard = [manager.recv(200).decode().splitlines() for _ in range(3)]
    assert heard[0][0] == "RELOADING=1"
    assert heard[0][1].startswith("MONOTONIC_USEC=")
    assert heard[1:] == [["MAINPID=17", "READY=1"], ["READY=1"]]


def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    ready()
    monkeypatch.setenv(VARIABLE, "/nowhere/at/all")
    ready()
