"""Accounts and revocation among real nodes: what one was told, all know, also after they died."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from node.client import Stopped, Timing, open_client
from node.client.http import post_form
from node.local import LocalCluster
from node.protocol.catalogue import StatusSet, TokenRevoke, UserGet, UserPut

pytestmark = pytest.mark.process
SECRET = "correct horse battery"


async def stopped(client: Any) -> Stopped:
    """Wait until the client is sent away for good."""
    with trio.fail_after(60):
        try:
            async for _ in client.events():
                pass
        except Stopped as end:
            return end
    raise AssertionError("it went on")


async def log_in(cluster: LocalCluster, node: str, user: str, secret: str = SECRET) -> Any:
    fields = {"grant_type": "password", "username": user, "password": secret}
    answer = await post_form(cluster.address(node), "/v1/token", fields, timeout_s=20)
    return json.loads(answer.body) | {"status": answer.status}


def holding(folder: Path, secret: bytes) -> list[Path]:
    """The files that hold `secret`."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if secret in path.read_bytes()]


@pytest.mark.slow
async def test_an_agents_token_revoked_at_one_node_stops_working_at_all_others(
    tmp_path: Path,
) -> None:
    async with LocalCluster(tmp_path) as cluster:
        first, second, third = cluster.names
        olga = cluster.mint("operator", "olga")
        async with open_client([cluster.url(first)], olga, pinned=True) as operator:
            put = UserPut(key="k1", user="ada", kind="agent", name="Ada", secret=SECRET)
            await operator.request(put)
            token = (await log_in(cluster, second, "ada"))["access_token"]
            async with (
                open_client([cluster.url(second)], token, pinned=True) as here,
                open_client([cluster.url(third)], token, pinned=True) as there,
            ):
                await here.request(StatusSet(status="online"))
                await there.wait_welcome()
                await operator.request(TokenRevoke(key="k2", token=token))
                for client in (here, there):
                    end = await stopped(client)
                    assert (end.code, "revoked" in end.reason) == (4109, True)
        # A node that is killed comes back knowing it, from its log or a snapshot.
        await cluster.kill(third)
        cluster.restart(third)
        await cluster.wait_ready()
        for node in cluster.names:
            async with open_client([cluster.url(node)], token, pinned=True) as late:
                assert (await stopped(late)).code == 4109
        assert (await log_in(cluster, third, "ada"))["status"] == 200


@pytest.mark.slow
async def test_workers_send_away_whom_the_log_revokes(tmp_path: Path) -> None:
    sections = {"node": {"workers": 2}}
    async with LocalCluster(tmp_path, nodes=1, sections=sections) as cluster:
        token = cluster.mint("service", "crm")
        async with (
            open_client(cluster.urls, token) as one,
            open_client(cluster.urls, token) as two,
            open_client(cluster.urls, token) as three,
            open_client(cluster.urls, cluster.mint("operator", "olga")) as operator,
        ):
            for client in (one, two, three):
                await client.wait_welcome()
            await operator.request(TokenRevoke(key="k", kind="service", user="crm"))
            for client in (one, two, three):
                assert (await stopped(client)).code == 4109
            put = UserPut(key="k2", user="ada", kind="agent", secret=SECRET)
            await operator.request(put)
            assert (await log_in(cluster, "n1", "ada"))["status"] == 200


@pytest.mark.slow
async def test_an_account_that_was_acknowledged_survives_the_end_of_all_nodes(
    tmp_path: Path,
) -> None:
    """kill -9 of everybody, again and again while accounts are made: none is lost or half made."""
    async with LocalCluster(tmp_path) as cluster:
        made: list[str] = []
        token = cluster.mint("operator", "olga", ttl_s=3600)
        timing = Timing(request_s=60.0)

        async def make() -> None:
            async with open_client(cluster.urls, token, timing=timing) as operator:
                number = 0
                while True:
                    name = f"user{number}"
                    put = UserPut(key=name, user=name, kind="service", secret=f"{SECRET} {name}")
                    await operator.request(put)
                    made.append(name)
                    number += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(make)
            for _ in range(2):
                await trio.sleep(1.0)
                for node in cluster.names:
                    await cluster.kill(node)
                for node in cluster.names:
                    cluster.restart(node)
                await cluster.wait_ready()
            await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
        assert made
        for node in cluster.names:
            async with open_client([cluster.url(node)], token, pinned=True) as operator:
                for name in made:
                    account = (await operator.request(UserGet(user=name)))["user"]
                    assert (account["rev"], account["secrets"]) == (1, 1)
        for name in (made[0], made[-1]):
            fields = {
                "grant_type": "client_credentials",
                "client_id": name,
                "client_secret": f"{SECRET} {name}",
            }
            answer = await post_form(cluster.address("n1"), "/v1/token", fields, timeout_s=20)
            assert answer.status == 200
        assert await trio.to_thread.run_sync(holding, tmp_path, SECRET.encode()) == []
