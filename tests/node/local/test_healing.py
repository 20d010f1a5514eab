"""AutoHeal on real processes: slow and full disks, a leader that is stopped, a link that flaps."""

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from cluster.heal import rules
from node.client import Client, open_client
from node.client.status import NodeStatus
from node.local import LocalCluster
from node.protocol.catalogue import CvHistory, CvOpen, HealLog, MsgSend
from scripts.nemesis import shim
from scripts.nemesis.proxy import Network

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(180)]

MIB = 1024**2


@pytest.fixture
def shims(tmp_path: Path) -> Callable[[LocalCluster], dict[str, shim.Shim]]:
    """Return what lets every node's process run on a disk that can be spoilt."""
    library = shim.build(tmp_path)
    if library is None:
        pytest.skip("no C compiler here")

    def spoil(cluster: LocalCluster) -> dict[str, shim.Shim]:
        made = {name: shim.Shim(library, tmp_path / f"{name}.shim") for name in cluster.names}
        for name, one in made.items():
            cluster.process(name).environ |= one.environ
        return made

    return spoil


async def until(
    cluster: LocalCluster, name: str, holds: Callable[[NodeStatus], bool]
) -> NodeStatus:
    """Return the first status of a node that `holds`."""
    with trio.fail_after(60):
        while True:
            status = await cluster.status_of(name)
            if status is not None and holds(status):
                return status
            await trio.sleep(0.1)


async def heal_lines(client: Client, rule: int, *, at_least: int = 1) -> list[dict[str, Any]]:
    """Return the lines of a rule, once there are so many."""
    with trio.fail_after(60):
        while True:
            found: list[dict[str, Any]] = (await client.request(HealLog(rule=rule)))["lines"]
            if len(found) >= at_least:
                return found
            await trio.sleep(0.2)


async def talk(client: Client, cv: str, *, times: int, key: str = "m") -> list[int]:
    """Say something again and again; return the numbers that were acknowledged."""
    said = []
    for number in range(times):
        request = MsgSend(cv=cv, key=f"{key}{number}", body=f"{key} {number}")
        said.append(int((await client.request(request, timeout_s=30))["seq"]))
    return said


async def test_a_leader_on_a_slow_disk_hands_over_and_the_log_says_why(
    tmp_path: Path, shims: Callable[[LocalCluster], dict[str, shim.Shim]]
) -> None:
    cluster = LocalCluster(tmp_path / "c")
    disks = shims(cluster)
    async with cluster, open_client(cluster.urls, cluster.mint("visitor", "ada")) as client:
        leader = await cluster.wait_leader()
        cv = (await client.request(CvOpen(key="o", text="one")))["cv"]
        disks[leader].slow_syncs(0.15)
        with trio.fail_after(60):
            while await cluster.wait_leader() == leader:
                await talk(client, cv, times=3, key=str(random.random()))
        async with open_client(cluster.urls, cluster.mint("supervisor", "boss")) as boss:
            (line, *_) = await heal_lines(boss, rules.SLOW_DISK)
        disks[leader].heal()
    assert (line["node"], line["outcome"]) == (leader, "done")
    assert line["figures"]["p99_ms"] >= 100


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB, where that can be had."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system here")
    yield folder
    subprocess.run([shutil.which("umount") or "umount", "-l", str(folder)], check=True)


async def test_a_full_disk_makes_a_node_read_only_also_at_its_start_and_room_brings_it_back(
    tmp_path: Path, small_disk: Path
) -> None:
    cluster = LocalCluster(tmp_path / "c")
    full = cluster.names[0]
    cluster.folder.data(full).parent.mkdir(parents=True, exist_ok=True)
    cluster.folder.data(full).symlink_to(small_disk, target_is_directory=True)
    ballast = small_disk / "ballast"
    async with cluster, open_client(cluster.urls, cluster.mint("visitor", "ada")) as client:
        cv = (await client.request(CvOpen(key="o", text="one")))["cv"]
        _fill(ballast, small_disk)
        status = await until(cluster, full, lambda one: one.standing == "fenced")
        assert "its disk is full" in status.why
        acked = await talk(client, cv, times=20)
        await cluster.kill(full)
        cluster.restart(full)
        status = await until(cluster, full, lambda one: one.standing == "fenced")
        assert "its disk is full" in status.why
        acked += await talk(client, cv, times=20, key="n")
        ballast.unlink()
        await until(cluster, full, lambda one: one.standing == "serving")
        await cluster.wait_caught_up()
        token = cluster.mint("supervisor", "boss")
        async with open_client([cluster.url(full)], token) as boss:
            events = (await boss.request(CvHistory(cv=cv, limit=200)))["events"]
            lines = await heal_lines(boss, rules.DISK_FULL, at_least=2)
    seqs = [event["seq"] for event in events if event["type"] == "msg"]
    assert set(acked) <= set(seqs)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "takes part again" in {line["done"] for line in lines}


def _fill(ballast: Path, disk: Path) -> None:
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(free - 2 * MIB))


async def test_a_leader_stopped_for_ten_seconds_commits_nothing_twice_and_serves_nothing_stale(
    tmp_path: Path,
) -> None:
    async with LocalCluster(tmp_path) as cluster:
        leader = await cluster.wait_leader()
        token = cluster.mint("visitor", "ada")
        others = [cluster.url(name) for name in cluster.names if name != leader]
        async with (
            open_client(others, token) as client,
            open_client([cluster.url(leader)], cluster.mint("supervisor", "boss")) as reader,
        ):
            cv = (await client.request(CvOpen(key="o", text="one")))["cv"]
            cluster.pause(leader)
            began_s = trio.current_time()
            acked: list[int] = []
            number = 0
            while trio.current_time() < began_s + 10 or len(acked) < 20:
                acked += await talk(client, cv, times=1, key=f"k{number}-")
                number += 1
            # Asked while it sleeps, by who knows of the last one, answered when it wakes.
            seen: list[int] = []

            async def read() -> None:
                request = CvHistory(cv=cv, after=acked[-1] - 1)
                page = await reader.request(request, timeout_s=30)
                seen.extend(event["seq"] for event in page["events"])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await trio.sleep(0.2)
                cluster.resume(leader)
            again = await client.request(MsgSend(cv=cv, key="k0-0", body="k0- 0"), timeout_s=30)
            assert again["dup"] is True
            assert again["seq"] == acked[0]
        await cluster.wait_ready()
        await cluster.wait_caught_up()
        histories = {}
        for name in cluster.names:
            token = cluster.mint("supervisor", "boss")
            async with open_client([cluster.url(name)], token) as boss:
                page = await boss.request(CvHistory(cv=cv, limit=1000))
            histories[name] = [(one["seq"], one["data"].get("body")) for one in page["events"]]
    assert len(acked) == len(set(acked)) >= 20
    assert acked == sorted(acked)
    (history,) = {tuple(one) for one in histories.values()}
    assert [seq for seq, _ in history] == list(range(1, len(history) + 1))
    assert seen[:1] == acked[-1:], "a read was served as fresh without what was acknowledged"


async def test_a_link_that_flaps_for_a_minute_changes_the_leader_three_times_at_most(
    tmp_path: Path,
) -> None:
    """The link between the leader and a follower, both ways, each 200 ms down and 200 ms up."""
    cluster = LocalCluster(tmp_path)
    network = Network(cluster.names, random.Random(1))
    async with trio.open_nursery() as proxies:
        for (_, target), link in network.links.items():
            await proxies.start(link.serve, cluster.folder.layout.nodes[target].peer)
        cluster.folder.via = {
            pair: f"127.0.0.1:{link.port}" for pair, link in network.links.items()
        }
        async with cluster, open_client(cluster.urls, cluster.mint("visitor", "ada")) as client:
            cv = (await client.request(CvOpen(key="o", text="one")))["cv"]
            leader = await cluster.wait_leader()
            follower = next(name for name in cluster.names if name != leader)
            before = await until(cluster, leader, lambda one: one.leads)
            flapping = network.between({leader}, {follower}) + network.between({follower}, {leader})
            for number in range(150):
                for link in flapping:
                    link.cut()
                await trio.sleep(0.2)
                for link in flapping:
                    link.mend()
                await trio.sleep(0.2)
                if number % 10 == 0:
                    await talk(client, cv, times=1, key=f"f{number}")
            await cluster.wait_ready()
            now = await cluster.wait_leader()
            after = await until(cluster, now, lambda one: one.leads)
        proxies.cancel_scope.cancel()
    assert after.term - before.term <= 3
