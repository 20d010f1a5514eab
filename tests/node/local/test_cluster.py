"""`node.local`: real node processes on loopback, started, killed, paused, stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from node.client import open_client
from node.local import Folder, LocalCluster, LocalFailure, NodeDied
from node.protocol.catalogue import CvHistory, CvOpen, MsgSend

pytestmark = pytest.mark.process


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids(cluster: LocalCluster) -> list[int]:
    return [pid for name in cluster.names if (pid := cluster.pid(name)) is not None]


async def test_a_conversation_outlives_the_leader_and_a_restart_of_all(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path) as cluster:
        layout = cluster.folder.layout
        first = pids(cluster)
        leader = await cluster.wait_leader()
        token = cluster.mint("visitor", "ada")
        async with open_client(cluster.urls, token) as client:
            cv = (await client.request(CvOpen(key="open", text="one")))["cv"]
            await cluster.kill(leader)
            said = await client.request(MsgSend(cv=cv, key="k2", body="two"))
            again = await client.request(MsgSend(cv=cv, key="k2", body="two"))
        assert (again["seq"], again["dup"]) == (said["seq"], True)
        assert await cluster.wait_leader(but=leader) != leader
        cluster.restart(leader)
        await cluster.wait_ready()
        assert await cluster.wait_caught_up() > 0
    assert not any(alive(pid) for pid in first)

    async with LocalCluster(tmp_path) as cluster:
        assert cluster.folder.layout == layout
        token = cluster.mint("supervisor", "boss")
        async with open_client(cluster.urls, token) as client:
            events = (await client.request(CvHistory(cv=cv)))["events"]
    bodies = [event["data"]["body"] for event in events if event["type"] == "msg"]
    assert bodies == ["one", "two"]


@pytest.mark.slow
async def test_a_paused_leader_is_replaced_and_clients_go_elsewhere(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path) as cluster:
        leader = await cluster.wait_leader()
        others = [cluster.url(name) for name in cluster.names if name != leader]
        async with open_client(others, cluster.mint("visitor", "ada")) as client:
            await client.wait_welcome()
            cluster.pause(leader)
            reply = await client.request(CvOpen(key="k"))
            assert reply["seq"] >= 1
            assert await cluster.wait_leader(but=leader) != leader
            cluster.resume(leader)
        await cluster.wait_caught_up()


async def test_one_folder_runs_one_cluster_at_a_time(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1):
        with pytest.raises(LocalFailure, match="runs here already"):
            LocalCluster(tmp_path, nodes=1).start()


async def test_a_node_that_dies_at_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, nodes=1, sections={"timing": {"heartbeat": "soon"}})
    with pytest.raises(NodeDied, match=r"n\d ended with exit code 2(?s:.*)n\d\.toml:\d+: timing"):
        async with cluster:
            pass
    assert pids(cluster) == []


def test_another_number_of_nodes_is_refused(tmp_path: Path) -> None:
    LocalCluster(tmp_path, nodes=3)
    with pytest.raises(LocalFailure, match="holds a cluster of 3"):
        LocalCluster(tmp_path, nodes=5)


def test_a_folder_without_a_cluster_or_with_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalFailure, match="no cluster here"):
        Folder.find(tmp_path)
    LocalCluster(tmp_path)
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(LocalFailure, match=r"cluster\.json: .*put it right"):
        Folder.find(tmp_path)


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    LocalCluster(tmp_path)

    assert (tmp_path / "cluster.key").stat().st_mode & 0o077 == 0


PARENT = """
import sys, trio
from pathlib import Path
from node.local import LocalCluster

async def main():
    async with LocalCluster(Path(sys.argv[1])) as cluster:
        print(*[cluster.pid(name) for name in cluster.names], flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


@pytest.mark.slow
def test_a_killed_parent_leaves_no_orphans(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        children = [int(word) for word in parent.stdout.readline().split()]
        assert len(children) == 3
        assert all(alive(pid) for pid in children)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        deadline = time.monotonic() + 40
        while any(alive(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.02)

    assert not any(alive(pid) for pid in children)


@pytest.mark.slow
async def test_stopping_takes_a_paused_node_too(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with LocalCluster(tmp_path) as cluster:
            cluster.pause(cluster.names[0])
            found = pids(cluster)
    assert not any(alive(pid) for pid in found)
