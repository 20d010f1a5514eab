"""Chaos in nodes that are several processes each: all of them take part, and all go on."""

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from node.chaos.faults import BEGINS_AFTER_S
from node.client import Client
from node.local import LocalCluster
from node.protocol.catalogue import ChaosStart, ChaosStop, TokenRevoke
from tests.node.chaos.test_cluster import (
    answers,
    cluster_with_chaos,
    enabled,
    lines,
    nothing_broken,
    run_plan,
    until,
)
from tests.node.chaos.test_stopping import state_of
from tests.node.rpc.caller import Caller, Refusal, channel_to
from tests.node.workers.test_processes import alive, two_workers, workers_of

CONNECTIONS = 8
"""Enough that each of two workers is dealt one, but for one time in 128."""
LONG_MS = 500_000

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]


@asynccontextmanager
async def broken(folder: Path) -> AsyncIterator[tuple[LocalCluster, Client]]:
    async with cluster_with_chaos(folder, workers=2) as (cluster, operator):
        yield cluster, operator


async def processes(cluster: LocalCluster, name: str) -> list[int]:
    core = cluster.pid(name)
    assert core is not None
    await two_workers(core)
    return [core, *workers_of(core)]


async def how_many_answer(cluster: LocalCluster, name: str) -> int:
    found: list[bool] = []

    async def ask() -> None:
        found.append(await answers(cluster, name))

    async with trio.open_nursery() as nursery:
        for _ in range(CONNECTIONS):
            nursery.start_soon(ask)
    return sum(found)


async def no_worker_answers(cluster: LocalCluster, name: str) -> bool:
    return not await how_many_answer(cluster, name)


async def all_workers_answer(cluster: LocalCluster, name: str) -> bool:
    return await how_many_answer(cluster, name) == CONNECTIONS


async def how_many_callers_are_heard(callers: list[Caller], cv: str) -> int:
    heard: list[str] = []

    async def ask(caller: Caller) -> None:
        try:
            heard.append((await caller.call("cv.get", 0.5, cv=cv))["conv"]["cv"])
        except Refusal as refusal:
            if refusal.status not in ("DEADLINE_EXCEEDED", "UNAVAILABLE"):
                raise

    async with trio.open_nursery() as nursery:
        for caller in callers:
            nursery.start_soon(ask, caller)
    return len(heard)


async def all_callers_are_heard(callers: list[Caller], cv: str) -> bool:
    return await how_many_callers_are_heard(callers, cv) == len(callers)


async def test_a_zone_without_network_loses_the_clients_of_all_its_workers(tmp_path: Path) -> None:
    async with broken(tmp_path) as (cluster, operator):
        await processes(cluster, "n3")
        token = cluster.mint("service", "crm")
        callers = [Caller(channel_to(cluster.grpc_target("n3")), token) for _ in range(CONNECTIONS)]
        cv = (await callers[0].call("cv.open", key="k"))["cv"]
        await until(partial(all_callers_are_heard, callers, cv))
        # Long: a worker that is started meanwhile may take its time.
        zone = ChaosStart(key="z", kind="partition", zone="dc3", for_ms=LONG_MS, clients=True)
        fault = (await operator.request(zone))["fault"]
        await until(partial(no_worker_answers, cluster, "n3"))
        assert await how_many_callers_are_heard(callers, cv) == 0
        assert await how_many_answer(cluster, "n1") == CONNECTIONS
        # A worker that is started meanwhile is in the same place.
        core, first, _ = await processes(cluster, "n3")
        os.kill(first, signal.SIGKILL)

        async def begun_again() -> bool:
            return first not in workers_of(core) and lines(cluster, "n3", "begins", fault) == 4

        await until(begun_again)
        assert await no_worker_answers(cluster, "n3")
        assert await how_many_callers_are_heard(callers, cv) == 0
        await operator.request(ChaosStop())
        await until(partial(all_workers_answer, cluster, "n3"))
        # Another ends at each of them without anybody's help.
        short = ChaosStart(key="s", kind="partition", zone="dc3", for_ms=3_000, clients=True)
        fault = (await operator.request(short))["fault"]

        async def begun_at_all() -> bool:
            return lines(cluster, "n3", "begins", fault) == 3

        await until(begun_at_all)
        await until(partial(all_workers_answer, cluster, "n3"))
        await until(partial(nothing_broken, operator))
        # Those that were cut off say again what was lost.
        await until(partial(all_callers_are_heard, callers, cv))


async def test_what_is_stopped_while_it_starts_never_begins(tmp_path: Path) -> None:
    async with broken(tmp_path) as (cluster, operator):
        await processes(cluster, "n3")
        for number in range(5):
            await operator.request(
                ChaosStart(key=f"z{number}", kind="partition", zone="dc3", clients=True)
            )
            await operator.request(
                ChaosStart(key=f"p{number}", kind="pause", groups=["n1,n2"], for_ms=LONG_MS)
            )
            await operator.request(ChaosStop())
        await trio.sleep(2 * BEGINS_AFTER_S)
        for name in cluster.names:
            assert lines(cluster, name, "chaos begins", "") == 0
            await until(partial(all_workers_answer, cluster, name))


async def test_all_processes_of_a_node_stop_and_go_on_and_die_together(tmp_path: Path) -> None:
    async with broken(tmp_path) as (cluster, operator):
        before = await processes(cluster, "n3")

        async def all_are(states: str) -> bool:
            return all(state_of(pid) in states for pid in before)

        # Several at once, and a clock that is an hour off: no timer minds.
        skew = ChaosStart(key="c", kind="clock_skew", groups=["n3"], amount=3_600_000, for_ms=4_000)
        slow = ChaosStart(key="s", kind="slow_disk", groups=["n3"], amount=50, for_ms=4_000)
        stops = [
            ChaosStart(key=f"p{for_ms}", kind="pause", groups=["n3"], for_ms=for_ms)
            for for_ms in (3_000, 1, 5_000)
        ]
        for fault in (skew, slow, *stops):
            await operator.request(fault)
        await until(partial(all_are, "T"))
        await until(partial(nothing_broken, operator))
        await until(partial(all_are, "SRD"))
        await until(partial(all_workers_answer, cluster, "n3"))
        assert await processes(cluster, "n3") == before

        await operator.request(ChaosStart(key="k", kind="kill", groups=["n3"]))
        with trio.fail_after(60):
            while alive(*before[1:]) or cluster.pid("n3"):
                await trio.sleep(0.02)
        assert "its core has gone" not in cluster.folder.log("n3").read_text()
        cluster.restart("n3")
        await cluster.wait_ready()


async def test_a_node_that_is_killed_while_it_is_stopped_comes_back_whole(tmp_path: Path) -> None:
    async with broken(tmp_path) as (cluster, operator):
        before = await processes(cluster, "n3")
        await enabled(operator)
        slow = ChaosStart(key="s", kind="slow_disk", groups=["n3"], amount=300, for_ms=LONG_MS)
        pause = ChaosStart(key="p", kind="pause", groups=["n3"], for_ms=LONG_MS)
        for fault in (slow, pause):
            await operator.request(fault)

        async def stopped() -> bool:
            return all(state_of(pid) == "T" for pid in before)

        await until(stopped)
        await cluster.kill("n3")
        cluster.restart("n3")  # the ports are free: stopped workers have woken and gone
        await cluster.wait_ready()
        assert not set(before) & set(await processes(cluster, "n3"))
        await enabled(operator)
        assert lines(cluster, "n3", "chaos begins", "") == 2  # in the life before


async def test_a_scenario_on_nodes_with_workers_holds_and_is_reported(tmp_path: Path) -> None:
    plan, page = tmp_path / "plan.toml", tmp_path / "out.html"
    plan.write_text(PLAN.replace("[load]", WORKERS + "[load]"))
    ran = await run_plan(plan, page, "--demo")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["ok"], record["undone"], record["trouble"]) == (True, [], [])
    assert [one["kind"] for one in record["faults"]] == ["partition", "pause", "slow_disk", "kill"]
    assert all(one["healed_s"] is not None for one in record["faults"][-1:])


async def test_a_run_whose_operator_is_revoked_meanwhile_says_what_it_could_not_do(
    tmp_path: Path,
) -> None:
    plan, page = tmp_path / "plan.toml", tmp_path / "out.html"
    plan.write_text(PLAN)
    async with cluster_with_chaos(tmp_path / "c") as (cluster, operator):
        ran: list[subprocess.CompletedProcess[str]] = []

        async def run_it() -> None:
            ran.append(await run_plan(plan, page, "--data", str(tmp_path / "c"), "--yes"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_it)
            await until(partial(something_broken, operator), seconds=60)
            revoke = TokenRevoke(key="r", kind="operator", user="chaos")
            await operator.request(revoke)
        record = json.loads((tmp_path / "out.json").read_text())
        assert ran[0].returncode == 1
        assert record["ok"]
        assert [one["kind"] for one in record["faults"]] == ["partition"]
        assert [one.partition(":")[0] for one in record["undone"]] == [
            "step stop",
            "step slow",
            "step kill",
        ]
        assert "were NOT done" in ran[0].stdout
        await until(partial(nothing_broken, operator))
        await cluster.wait_ready()


async def something_broken(operator: Client) -> bool:
    return not await nothing_broken(operator)


PLAN = """\
title = "everything at once"
[load]
visitors = 6
agents = 6
pace = "100ms"
[run]
warm_up = "3s"
[step.lose-dc3]
at = "0s"
fault = "isolate-zone"
zone = "dc3"
for = "5s"
[step.stop]
at = "10s"
fault = "pause"
nodes = "n1"
for = "5s"
[step.slow]
at = "11s"
fault = "slow-disk"
nodes = "n1"
by = "100ms"
for = "5s"
[step.kill]
at = "20s"
fault = "kill"
nodes = "n2"
"""
WORKERS = """\
[cluster]
zones = { dc1 = 1, dc2 = 1, dc3 = 1 }
workers = 2
"""
