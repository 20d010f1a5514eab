"""Real nodes of which one goes on in another process, and something dies, or is wrong."""

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from node.client import open_client
from node.local import LocalCluster
from node.local.adopted import Adopted, orphans_come_here
from node.protocol.catalogue import CvOpen
from tests.node.handover.talking import talking
from tests.node.local.children import children_of

pytestmark = pytest.mark.process


@contextmanager
def upgrading(cluster: LocalCluster, node: str) -> Iterator[subprocess.Popen[bytes]]:
    """`unidesk upgrade` runs; whatever becomes of it, nothing of it is left."""
    config = str(cluster.folder.config(node))
    process = subprocess.Popen(
        [sys.executable, "-m", "node", "upgrade", "--config", config, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def step(process: subprocess.Popen[bytes], words: str) -> str:
    """Wait until the upgrade tells of a step with these words; return what it told."""
    assert process.stdout is not None
    while line := await trio.to_thread.run_sync(process.stdout.readline):
        told: dict[str, str] = json.loads(line)
        if words in told["text"]:
            return told["text"]
    pytest.fail(f"never said: {words}")


async def kill_successor_at_start(cluster: LocalCluster, node: str) -> None:
    with upgrading(cluster, node) as process:
        told = await step(process, "starts")
        os.kill(int(told.split()[1]), signal.SIGKILL)
        assert await trio.to_thread.run_sync(process.wait) == 1


async def kill_successor_when_level(cluster: LocalCluster, node: str) -> None:
    with upgrading(cluster, node) as process:
        told = await step(process, "starts")
        await step(process, "level")
        os.kill(int(told.split()[1]), signal.SIGKILL)
        # It may have been the node by then: that is said too.
        assert await trio.to_thread.run_sync(process.wait) in (0, 1, 3)


async def kill_predecessor_when_level(cluster: LocalCluster, node: str) -> None:
    with orphans_come_here(), upgrading(cluster, node) as process:
        told = await step(process, "starts")
        await step(process, "level")
        await cluster.kill(node)
        successor = Adopted(int(told.split()[1]))
        if await trio.to_thread.run_sync(process.wait) == 0:
            successor.send_signal(signal.SIGKILL)  # it was the node by then
        with trio.fail_after(60):  # else it ends with the node's core, by itself
            while successor.poll() is None:
                await trio.sleep(0.02)


@pytest.mark.slow
async def test_a_successor_that_dies_at_its_start_leaves_the_node_as_it_was(
    tmp_path: Path,
) -> None:
    async with LocalCluster(tmp_path, nodes=1) as cluster, talking(cluster, "n1"):
        pid = cluster.pid("n1")
        await kill_successor_at_start(cluster, "n1")
        assert cluster.pid("n1") == pid
        with trio.fail_after(60):  # the node waits for who ended, after it said so
            while children_of(pid or 0):
                await trio.sleep(0.02)
        told = await cluster.upgrade("n1")
        assert told["done"], told


@pytest.mark.slow
@pytest.mark.parametrize("happens", [kill_successor_when_level, kill_predecessor_when_level])
async def test_whoever_dies_meanwhile_nothing_acknowledged_is_lost(
    tmp_path: Path, happens: Callable[[LocalCluster, str], Awaitable[None]]
) -> None:
    async with LocalCluster(tmp_path, nodes=3) as cluster:
        leader = await cluster.wait_leader()
        async with talking(cluster, leader, connections=None):
            await happens(cluster, leader)
            await trio.sleep(0.2)
            cluster.restart(leader)
            await cluster.wait_ready()


_FORGETFUL = '''"""Who goes on with a node opens conversations that it does not keep."""
import sys

if "node.handover" in sys.orig_argv:
    from cluster.state import commands, machine

    def forget(change, command):
        return {}

    machine._HANDLERS[commands.OpenConversation] = forget
'''


@pytest.mark.slow
async def test_a_program_that_makes_another_state_of_the_log_does_not_become_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would say that there is no such conversation, of one that was acknowledged."""
    changed = tmp_path / "changed" / "sitecustomize.py"
    changed.parent.mkdir()
    changed.write_text(_FORGETFUL)
    monkeypatch.setenv("PYTHONPATH", str(changed.parent))
    async with LocalCluster(tmp_path / "c", nodes=1) as cluster, talking(cluster, "n1"):
        pid = cluster.pid("n1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_again_and_again, cluster)
            told = await cluster.upgrade("n1")
            nursery.cancel_scope.cancel()
        assert told["refused"]
        assert "another state" in told["text"]
        assert cluster.pid("n1") == pid
        changed.unlink()
        told = await cluster.upgrade("n1")
        assert told["done"], told


async def open_again_and_again(cluster: LocalCluster) -> None:
    async with open_client(cluster.urls, cluster.mint("service", "shop")) as client:
        for number in itertools.count():
            await client.request(CvOpen(key=f"o{number}"))
            await trio.sleep(0.05)
