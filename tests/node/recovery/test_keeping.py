"""A copied data folder, and a node that dies for good, among real processes."""

import re
import shutil
from pathlib import Path

import pytest
import trio

from node.client import open_client
from node.local import LocalCluster
from node.local.ports import free_ports
from node.local.process import NodeProcess
from node.protocol.catalogue import CvHistory, CvOpen, MembersChange, MembersGet, MsgSend

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]

SOCKETS = shutil.ignore_patterns("*.sock")
SECTIONS = {"heal": {"replace_after": "10s"}}


def another(cluster: LocalCluster, like: str, name: str, folder: Path) -> NodeProcess:
    """A node with the id `name` that the others were not told of, or a twin of `like`."""
    text = cluster.folder.config(like).read_text()
    ports = re.findall(r'listen = "127.0.0.1:(\d+)"', text)
    text = text.replace(f'id = "{like}"', f'id = "{name}"', 1)
    text = text.replace(f"data/{like}", f"data/{folder.name}")
    if name != like:
        rows = re.search(rf"\[nodes\.{like}\]\n(?:\w.*\n?)+", text)
        assert rows is not None
        text += "\n" + rows[0].replace(f"nodes.{like}", f"nodes.{name}")
        text = text.replace(rows[0], rows[0].replace("127.0.0.1:", "127.0.0.1:kept"))
    for port, free in zip(ports, free_ports(len(ports)), strict=True):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
    text = text.replace("127.0.0.1:kept", "127.0.0.1:")
    config = folder.parent.parent / f"{folder.name}.toml"
    config.write_text(text)
    return NodeProcess(name, config, config.with_suffix(".log"))


async def roles(cluster: LocalCluster, name: str) -> dict[str, str]:
    """Return the members' roles, and who waits to be added, as node `name` says."""
    async with open_client([cluster.url(name)], cluster.mint("operator", "op")) as client:
        reply = await client.request(MembersGet())
    waiting = {row["id"]: "waits" for row in reply["waiting"]}
    return {row["id"]: row["role"] for row in reply["members"]} | waiting


async def wait_roles(cluster: LocalCluster, name: str, seconds: float, **wanted: str) -> None:
    found: dict[str, str] = {}
    with trio.move_on_after(seconds):
        while found != wanted:
            found = await roles(cluster, name)
            await trio.sleep(0.2)
    assert found == wanted


async def test_a_copy_ends_itself_and_a_standby_takes_the_place_of_the_dead(
    tmp_path: Path,
) -> None:
    async with LocalCluster(tmp_path, sections=SECTIONS) as cluster:
        leader = await cluster.wait_leader()
        dying = next(name for name in cluster.names if name != leader)
        async with open_client(cluster.urls, cluster.mint("visitor", "ada")) as client:
            cv = (await client.request(CvOpen(key="open", text="0")))["cv"]

            copy = tmp_path / "data" / "copy"
            shutil.copytree(cluster.folder.data(dying), copy, ignore=SOCKETS)
            twin = another(cluster, dying, dying, copy)
            twin.start()
            try:
                with trio.fail_after(60):
                    while twin.running:
                        await trio.sleep(0.05)
            finally:
                with trio.CancelScope(shield=True):
                    await twin.kill()
            assert "is this data folder a copy?" in twin.log_tail()
            await client.request(MsgSend(cv=cv, key="1", body="1"))
            assert cluster.process(dying).running

            standby = another(cluster, dying, "n4", tmp_path / "data" / "n4")
            standby.start()
            try:
                three = dict.fromkeys(cluster.names, "voter")
                await wait_roles(cluster, leader, 60, **three, n4="waits")
                async with open_client(
                    [cluster.url(leader)], cluster.mint("operator", "op")
                ) as operator:
                    await operator.request(MembersChange(change="add_standby", node="n4"))
                assert await roles(cluster, leader) == three | {"n4": "standby"}
                await cluster.kill(dying)
                del three[dying]
                await wait_roles(cluster, leader, 90, **three, n4="voter")
                await client.request(MsgSend(cv=cv, key="2", body="2"))

                cluster.restart(dying)  # it comes back, and is told that it is no member
                await wait_roles(cluster, leader, 60, **three, n4="voter", **{dying: "waits"})
            finally:
                with trio.CancelScope(shield=True):
                    await standby.kill()
        async with open_client(cluster.urls, cluster.mint("supervisor", "boss")) as client:
            events = (await client.request(CvHistory(cv=cv)))["events"]
    assert [one["data"]["body"] for one in events if one["type"] == "msg"] == ["0", "1", "2"]
