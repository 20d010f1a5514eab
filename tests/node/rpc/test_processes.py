"""gRPC at real nodes: by workers that are killed, and at a port that is taken."""

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from node import server
from node.config_file import load
from node.front import StartFailed
from node.local import LocalCluster
from node.local.ports import free_ports
from tests.node.rpc.caller import Caller, Refusal, channel_to
from tests.node.server.test_start import NODE
from tests.node.workers.test_processes import figure, two_workers, workers_of

pytestmark = pytest.mark.process
Answer = TypeVar("Answer")


async def until_served(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What one that lives answers: a connection may have come to one that just ends."""
    with trio.fail_after(60):
        while True:
            try:
                return await ask()
            except Refusal as refusal:
                if refusal.status != "UNAVAILABLE":
                    raise
                await trio.sleep(0.05)


async def missed(caller: Caller, cv: str, place: str) -> list[int]:
    """The numbers of the events of a conversation that came after `place`."""

    async def ask() -> list[int]:
        told = await caller.listen(cv, place=place).until("caught")
        return [event["seq"] for name, event in told if name == "ev"]

    return await until_served(ask)


@pytest.mark.slow
async def test_workers_share_the_port_and_a_stream_outlives_its_worker(tmp_path: Path) -> None:
    sections = {"node": {"workers": 2}}
    async with LocalCluster(
        tmp_path, nodes=1, grpc=True, observe=True, sections=sections
    ) as cluster:
        core = cluster.pid("n1")
        assert core is not None
        await two_workers(core)
        target, boss = cluster.grpc_target("n1"), cluster.mint("supervisor", "boss")
        crm = Caller(channel_to(target), cluster.mint("service", "crm"))
        cv = (await crm.call("cv.open", key="o"))["cv"]
        ears = [Caller(channel_to(target), boss).listen(cv) for _ in range(12)]
        for ear in ears:
            await ear.until("caught")
        said = (await crm.call("msg.send", cv=cv, key="k", body="one"))["seq"]
        for ear in ears:
            while (await ear.until("ev"))[-1][1]["seq"] != said:
                pass
        with trio.fail_after(60):
            while figure(cluster, "n1", "unidesk_grpc_streams") != len(ears):
                await trio.sleep(0.1)
        os.kill(workers_of(core)[0], signal.SIGKILL)
        told = await until_served(lambda: crm.call("msg.send", cv=cv, key="j", body="two"))
        assert await missed(Caller(channel_to(target), boss), cv, ears[0].place) == [told["seq"]]
    for ear in ears:
        assert (await ear.end()).status == "UNAVAILABLE"


async def test_a_grpc_port_that_is_taken_is_told_before_a_log_is_opened(tmp_path: Path) -> None:
    client, peer = free_ports(2)
    text = NODE.replace("{client}", str(client)).replace("{peer}", str(peer))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text += f'[grpc]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n'
        (tmp_path / "node.toml").write_text(text)
        with pytest.raises(StartFailed, match=f"{taken.getsockname()[1]}: the port is taken"):
            await server.serve(load(tmp_path / "node.toml"))
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
async def test_in_an_upgrade_streams_are_told_to_come_back_and_do(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1, grpc=True) as cluster:
        target = cluster.grpc_target("n1")
        crm = Caller(channel_to(target), cluster.mint("service", "crm"))
        cv = (await crm.call("cv.open", key="o"))["cv"]
        ear = crm.listen(cv)
        await ear.until("caught")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cluster.upgrade, "n1")
            (_, bye) = (await ear.until("bye"))[-1]
        assert (bye["code"], bye["resume"]) == (4001, True)
        assert (await ear.end()).status == "UNAVAILABLE"
        told = await until_served(lambda: crm.call("msg.send", cv=cv, key="j", body="two"))
        again = Caller(channel_to(target), cluster.mint("service", "crm"))
        assert await missed(again, cv, ear.place) == [told["seq"]]
