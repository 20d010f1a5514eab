"""Real nodes whose clients other processes serve: workers and cores that are killed."""

import os
import signal
import urllib.request
from pathlib import Path

import pytest
import trio

from node.client import open_client
from node.client.http import get
from node.local import LocalCluster
from node.protocol.catalogue import CvHistory, CvOpen, MsgSend
from node.replay.run import Plan, Replay
from node.workers.core import SILENCE_S
from tests.node.local.children import children_of
from tests.node.replay.test_run import DIALOGUE

pytestmark = pytest.mark.process
TWO_WORKERS = {"node": {"workers": 2}}


def workers_of(pid: int) -> list[int]:
    return children_of(pid)


def alive(*pids: int) -> bool:
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


async def two_workers(core: int) -> None:
    with trio.fail_after(60):
        while len(workers_of(core)) != 2:
            await trio.sleep(0.05)


def figure(cluster: LocalCluster, node: str, name: str) -> float:
    address = cluster.observe_address(node)
    with urllib.request.urlopen(f"http://{address.authority}/metrics") as page:
        lines = page.read().decode().splitlines()
    found = [float(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
    return found[0] if found else -1.0  # a worker that has just begun has told nothing yet


async def until_figure(cluster: LocalCluster, node: str, name: str, wanted: float) -> None:
    with trio.fail_after(60):
        while await trio.to_thread.run_sync(figure, cluster, node, name) != wanted:
            await trio.sleep(0.1)


async def until_more(cluster: LocalCluster, node: str, name: str, than: float) -> None:
    with trio.fail_after(60):
        while await trio.to_thread.run_sync(figure, cluster, node, name) <= than:
            await trio.sleep(0.1)


async def test_workers_are_killed_and_nobody_loses_a_word(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1, observe=True, sections=TWO_WORKERS) as cluster:
        core = cluster.pid("n1")
        assert core is not None
        await two_workers(core)
        first = workers_of(core)
        token = cluster.mint("visitor", "ada")
        said = []
        async with open_client(cluster.urls, token) as client:
            cv = (await client.request(CvOpen(key="open", text="0")))["cv"]
            await until_figure(cluster, "n1", "unidesk_edge_connections", 1)
            for number in range(1, 60):
                if number == 30:
                    old = workers_of(core)
                    os.kill(old[0], signal.SIGKILL)
                    os.kill(old[-1], signal.SIGKILL)
                said.append(str(number))
                await client.request(MsgSend(cv=cv, key=f"k{number}", body=str(number)))
            await two_workers(core)
            events = (await client.request(CvHistory(cv=cv)))["events"]
        bodies = [event["data"]["body"] for event in events if event["type"] == "msg"]
        assert bodies == ["0", *said]
        assert not set(first) & set(workers_of(core))
        await until_more(cluster, "n1", "unidesk_commit_seconds_count", 0)
        for process in ("core", "worker-1", "worker-2"):
            name = f'process_resident_memory_bytes{{process="{process}"}}'
            await until_more(cluster, "n1", name, 0)
        page = await get(cluster.address("n1"), "/metrics", timeout_s=30)
        assert (page.status, "[observe]" in page.text) == (404, True)
        status = await cluster.status_of("n1")
        assert status is not None
        assert status.pid == core
        await until_figure(cluster, "n1", "unidesk_edge_connections", 0)
        last = workers_of(core)
    assert not alive(core, *last)


@pytest.mark.slow
async def test_workers_end_with_a_core_that_is_killed(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1, sections=TWO_WORKERS) as cluster:
        core = cluster.pid("n1")
        assert core is not None
        workers = workers_of(core)
        await cluster.kill("n1")
        with trio.fail_after(60):
            while alive(*workers):
                await trio.sleep(0.02)
        cluster.restart("n1")
        await cluster.wait_ready()


@pytest.mark.slow
async def test_nothing_is_lost_with_workers_while_leaders_are_killed(tmp_path: Path) -> None:
    plan = Plan([DIALOGUE], 20, concurrency=6, kill_leader_every_s=1.0, pace_s=0.1, workers=2)
    report = await Replay(plan, tell=lambda _: None, progress=lambda _: None).run(tmp_path)
    assert report.good, report.to_json()
    assert report.messages_acknowledged == 20 * len(DIALOGUE.turns)
    assert report.kills >= 1


@pytest.mark.slow
async def test_a_core_that_stood_still_does_not_take_its_workers_for_silent(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1, sections=TWO_WORKERS) as cluster:
        core = cluster.pid("n1")
        assert core is not None
        await two_workers(core)
        before = workers_of(core)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in (*before, core):
                os.kill(pid, number)
            await trio.sleep(SILENCE_S + 3)
        assert sorted(workers_of(core)) == sorted(before)
        os.kill(before[0], signal.SIGSTOP)  # but one that is silent alone is
        with trio.fail_after(SILENCE_S + 60):
            while before[0] in workers_of(core):
                await trio.sleep(0.1)
