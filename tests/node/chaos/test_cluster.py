"""Chaos in real nodes: who may, what it does, and that it always ends."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from node.client import Client, RequestFailed, new_key, open_client
from node.client.http import Unreachable, get
from node.local import LocalCluster
from node.local.folder import Sections
from node.protocol.catalogue import AuditList, ChaosStart, ChaosStatus, ChaosStop

NO_FAULT = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

pytestmark = pytest.mark.process

ZONES = {"n1": "dc1", "n2": "dc2", "n3": "dc3"}


async def unidesk(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", "chaos", *words, "--data", str(folder)]
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    ran: subprocess.CompletedProcess[str] = await trio.to_thread.run_sync(run)
    return ran


async def run_plan(plan: Path, page: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", "chaos", "run", str(plan), "-o", str(page), *words]
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, timeout=150)
    ran: subprocess.CompletedProcess[str] = await trio.to_thread.run_sync(run)
    return ran


@asynccontextmanager
async def cluster_with_chaos(
    folder: Path, *, workers: int = 0
) -> AsyncIterator[tuple[LocalCluster, Client]]:
    """With workers, by gRPC too."""
    sections: Sections = {"chaos": {"enabled": True}, "node": {"workers": workers}}
    async with (
        LocalCluster(folder, sections=sections, zones=ZONES, grpc=bool(workers)) as cluster,
        open_client(cluster.urls, cluster.mint("operator", "ops")) as operator,
    ):
        await enabled(operator)
        yield cluster, operator


async def enabled(operator: Client) -> None:
    with trio.fail_after(60):
        while True:
            found = await operator.request(ChaosStatus())
            if all(one["enabled"] for one in found["nodes"]):
                assert {one["node"]: one["zone"] for one in found["nodes"]} == ZONES
                return
            await trio.sleep(0.1)


async def until(condition: Callable[[], Any], *, seconds: float = 60) -> None:
    with trio.fail_after(seconds):
        while not await condition():
            await trio.sleep(0.05)


async def faults(operator: Client) -> list[dict[str, Any]]:
    found = await operator.request(ChaosStatus())
    return list(found["faults"])


async def nothing_broken(operator: Client) -> bool:
    return not await faults(operator)


async def answers(cluster: LocalCluster, name: str) -> bool:
    try:
        return (await get(cluster.address(name), "/livez", timeout_s=0.5)).status == 200
    except Unreachable:
        return False


async def is_silent(cluster: LocalCluster, name: str) -> bool:
    return not await answers(cluster, name)


def lines(cluster: LocalCluster, name: str, words: str, fault: str) -> int:
    text = cluster.folder.log(name).read_text()
    return sum(words in line and fault in line for line in text.splitlines())


async def test_a_cluster_with_chaos_off_breaks_nothing(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1) as cluster:
        kill = ChaosStart(key="k", kind="kill", groups=["n1"])
        async with open_client(cluster.urls, cluster.mint("operator", "ops")) as operator:
            with pytest.raises(RequestFailed, match="chaos is off at n1") as refused:
                await operator.request(kill)
            assert refused.value.code == "forbidden"
        for role in ("visitor", "agent", "supervisor", "service"):
            token = cluster.mint(role, "eve")
            async with open_client(cluster.urls, token) as client:
                with pytest.raises(RequestFailed) as refused:
                    await client.request(kill)
                assert refused.value.code == "forbidden"
        ran = await unidesk(tmp_path, "kill", "n1")
        assert (ran.returncode, "chaos is off at n1" in ran.stderr) == (1, True)
        assert cluster.pid("n1")


@pytest.mark.slow
async def test_a_zone_without_network_is_back_when_its_time_is_over_or_it_is_told(
    tmp_path: Path,
) -> None:
    async with cluster_with_chaos(tmp_path) as (cluster, operator):
        # Whoever asked is gone at once: the nodes count the time themselves.
        zone = ChaosStart(key="k", kind="partition", zone="dc3", for_ms=6_000, clients=True)
        async with open_client(cluster.urls, cluster.mint("operator", "gone")) as somebody:
            begun = await somebody.request(zone)
        assert begun["groups"] == ["n3", "n1,n2"]
        await until(partial(is_silent, cluster, "n3"))
        await until(partial(nothing_broken, operator))
        await until(partial(answers, cluster, "n3"))
        for name in cluster.names:
            assert lines(cluster, name, "chaos begins", begun["fault"]) == 1
        # An operator ends it, also where nobody can be reached any more.
        ran = await unidesk(tmp_path, "isolate-zone", "dc3", "--for", "9m", "--json")
        fault = json.loads(ran.stdout)["fault"]
        await until(partial(is_silent, cluster, "n3"))
        ran = await unidesk(tmp_path, "stop", "--json")
        assert json.loads(ran.stdout) == {"ended": [fault]}
        await until(partial(answers, cluster, "n3"))
        await cluster.wait_ready()
        # A node that is started again has no part in what was broken before.
        slow = await operator.request(
            ChaosStart(key="slow", kind="slow_disk", groups=["n3"], amount=50, for_ms=500_000)
        )

        async def begun_at_n3() -> bool:
            return lines(cluster, "n3", "chaos begins", slow["fault"]) == 1

        await until(begun_at_n3)
        await cluster.kill("n3")
        cluster.restart("n3")
        await cluster.wait_ready()
        await enabled(operator)
        assert lines(cluster, "n3", "chaos begins", slow["fault"]) == 1
        await operator.request(ChaosStop())
        audit = await operator.request(AuditList())
        told = [(line["what"], line["detail"].get("why")) for line in audit["lines"]]
        assert sorted(told, key=str).count(("chaos.end", "over")) == 1


KINDS: dict[str, dict[str, Any]] = {
    "partition": {"groups": ["n3", "n1,n2"]},
    "one_way": {"groups": ["n3", "n1"]},
    "delay": {"groups": ["n3"], "amount": 50, "jitter_ms": 20},
    "loss": {"groups": ["n3"], "amount": 30},
    "reset": {"groups": ["n3"], "amount": 200},
    "pause": {"groups": ["n3"]},
    "slow_disk": {"groups": ["n3"], "amount": 100},
    "clock_skew": {"groups": ["n3"], "amount": -5_000},
    "kill": {"groups": ["n3"]},
    "full_disk": {"groups": ["n3"]},
    "fsync_error": {"groups": ["n3"]},
}
DEADLY = {"kill", "full_disk", "fsync_error"}


@pytest.mark.slow
async def test_every_kind_begins_where_it_should_and_ends_by_itself(tmp_path: Path) -> None:
    async with cluster_with_chaos(tmp_path) as (cluster, operator):
        for kind, fields in KINDS.items():
            for_ms = 6_000 if kind in DEADLY else 1_000
            request = ChaosStart(key=new_key(), kind=kind, for_ms=for_ms, **fields)  # type: ignore[arg-type]
            fault = (await operator.request(request))["fault"]

            async def begun(fault: str = fault) -> bool:
                return lines(cluster, "n3", "chaos begins", fault) == 1

            await until(begun)
            if kind in DEADLY:

                async def dead() -> bool:
                    await operator.request(ChaosStop(faults=[NO_FAULT]))  # something to write
                    return cluster.pid("n3") is None

                await until(dead)
                cluster.restart("n3")
            await until(partial(nothing_broken, operator))
            await cluster.wait_ready()
            await enabled(operator)
            assert await begun(), f"{kind} began again"
        await cluster.wait_caught_up()


@pytest.mark.slow
async def test_a_scenario_on_five_nodes_in_three_zones_holds_and_is_reported(
    tmp_path: Path,
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        """\
title = "dc2 away"
[load]
visitors = 6
agents = 5
pace = "100ms"
[run]
warm_up = "3s"
[step.lose-dc2]
at = "0s"
fault = "isolate-zone"
zone = "dc2"
for = "5s"
"""
    )
    page = tmp_path / "out.html"
    ran = await run_plan(plan, page, "--demo")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["ok"]
    assert record["acknowledged"] > 50
    (fault,) = record["faults"]
    assert (fault["kind"], fault["healed_s"] is not None) == ("partition", True)
    assert 0 < fault["stall_s"] < 20
    silent = {one["node"] for one in record["events"] if one["standing"] == "silent"}
    assert silent >= {"n3", "n4"}, "the zone's nodes, whoever else was slow to answer"
    assert "Every guarantee held" in page.read_text()
