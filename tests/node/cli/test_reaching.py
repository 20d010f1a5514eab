"""`node.cli.reaching`: a cluster of which nobody is there, and one that is just coming."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import trio

from node.cli.app import run_app
from node.cli.problem import FAILED, Problem
from node.cli.reaching import SILENCE_S, open_patient, reach
from node.client import RequestFailed
from node.protocol.catalogue import QueueList
from tests.node.cli.test_every_command import COMMANDS
from tests.node.client.loopback import Link, node

QUICK_S = 2 * SILENCE_S


@contextmanager
def refusing(count: int) -> Iterator[list[str]]:
    """Give URLs at which nobody listens, and nobody will."""
    with ExitStack() as kept:
        urls = []
        for _ in range(count):
            one = kept.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            urls.append(f"ws://127.0.0.1:{one.getsockname()[1]}")
        yield urls


@contextmanager
def silent() -> Iterator[str]:
    """Give a URL at which packets are dropped: the queue of who waits to be accepted is full."""
    with ExitStack() as kept:
        one = kept.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            other = kept.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(one.getsockname())
        yield f"ws://127.0.0.1:{one.getsockname()[1]}"


@contextmanager
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield f"ws://127.0.0.1:{one.getsockname()[1]}"


async def test_one_that_listens_is_asked_first() -> None:
    with refusing(2) as gone, listening() as there:
        assert await reach([*gone, there]) == (there, *gone)


async def test_when_all_refuse_each_is_named_with_why_and_the_mend() -> None:
    with refusing(3) as gone, pytest.raises(Problem) as told:
        await reach(gone)
    for url in gone:
        assert f"{url.removeprefix('ws://')} connection refused" in str(told.value)
    assert "--wait-for-node" in str(told.value)


async def test_a_silent_address_is_no_answer_and_is_asked() -> None:
    with refusing(1) as gone, silent() as quiet:
        assert await reach([*gone, quiet], silence_s=0.2) == (*gone, quiet)


async def test_a_node_that_comes_is_waited_for_and_that_is_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    found: list[tuple[str, ...]] = []

    async def wait(url: str) -> None:
        found.append(await reach([url], 60))

    with socket.socket() as coming:
        coming.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{coming.getsockname()[1]}"
        said = ""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, f"ws://{address}")
            while not said:
                await trio.sleep(0.01)
                said = capfd.readouterr().err
            coming.listen()
    assert found == [(f"ws://{address}",)]
    assert said == f"waiting for a node: {address} connection refused (Ctrl-C to stop)\n"


async def test_what_an_answer_waits_for_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    async def electing(link: Link) -> None:
        await link.welcome()
        while True:
            await link.err(await link.next(), "not_leader", retry=True)

    async with node(electing) as one, open_patient([one.url], "t", name="t", trouble_s=0.1) as asks:
        with pytest.raises(RequestFailed, match="not_leader"):
            await asks.request(QueueList(), timeout_s=0.5)
    said = capfd.readouterr().err
    assert said == "waiting for an answer: it is not_leader (Ctrl-C to stop)\n"


_TALKING = sorted(
    name
    for name, command in COMMANDS.items()
    if any("--wait-for-node" in one.opts for one in command.params)
)


def test_every_command_that_names_a_cluster_may_wait_for_it() -> None:
    naming = {
        name
        for name, command in COMMANDS.items()
        if {"--url", "--token"} <= {option for one in command.params for option in one.opts}
    }
    assert naming == set(_TALKING)


@pytest.mark.parametrize(
    "command",
    ["queues", "audit", "sessions list", "cluster members", "cluster status", "cluster drain n1",
     "cluster transfer-leader", "upgrade check", "heal status", "canned export", "rules show"],
)  # fmt: skip
def test_a_cluster_of_which_nobody_is_there_is_said_at_once(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with refusing(2) as gone:
        began_s = time.monotonic()
        words = [*command.split(), "--token", "t", "--url", gone[0], "--url", gone[1]]
        assert run_app(words) == FAILED
        took_s = time.monotonic() - began_s
    err = capfd.readouterr().err
    assert err.count("no node answers") == 1
    assert all(url.removeprefix("ws://") in err for url in gone)
    assert took_s < QUICK_S + 3  # of 10 to 15 before; and a machine may be busy
