"""Service levels, and what is beside them, on a real cluster of three nodes."""

import sys
from pathlib import Path

import pytest
import trio

from node.client import Client, open_client
from node.local import LocalCluster
from node.protocol.catalogue import (
    CannedFind,
    CvClose,
    CvGet,
    CvHistory,
    CvMissed,
    CvOpen,
    RulesApply,
)

pytestmark = [pytest.mark.process, pytest.mark.slow]

RULES = """\
[sla.gold]
first_response = "4s"
warn = "40%"

[queue.general]

[rule.all]
when = 'true'
set = { sla = "gold" }
route = "general"

[fallback]
route = "general"
"""
CANNED = """\
[canned.refund-time]
title = "How long a refund takes"
text.en = "3 to 5 days"
text.zh = "退款三到五天到账"
"""


async def told(client: Client, cv: str, level: str) -> list[str]:
    """Wait until `level` is told; return all levels told so far, in order."""
    with trio.fail_after(60):
        while True:
            events = (await client.request(CvHistory(cv=cv)))["events"]
            levels = [event["data"]["level"] for event in events if event["type"] == "sla"]
            if level in levels:
                return levels
            await trio.sleep(0.1)


async def test_a_leader_killed_between_warning_and_breach_leaves_one_of_each(
    tmp_path: Path,
) -> None:
    async with LocalCluster(tmp_path) as cluster:
        leader = await cluster.wait_leader()
        operator = open_client(cluster.urls, cluster.mint("operator", "olga"))
        visitor = open_client(cluster.urls, cluster.mint("visitor", "ann"))
        async with operator as staff, visitor as ann:
            await staff.request(RulesApply(files={"main.toml": RULES}))
            cv = (await ann.request(CvOpen(key="o", text="Is anybody there?")))["cv"]
            assert await told(staff, cv, "warning") == ["warning"]
            await cluster.kill(leader)
            assert await told(staff, cv, "breach") == ["warning", "breach"]
            cluster.restart(leader)
            await cluster.wait_caught_up()
            conv = (await staff.request(CvGet(cv=cv)))["conv"]
            assert conv["sla"]["breaches"] == {"first_response": 1}
            await ann.request(CvClose(cv=cv, key="c"))
            (row,) = (await staff.request(CvMissed()))["items"]
            assert (row["cv"], row["why"]) == (cv, "abandoned")
            assert await told(staff, cv, "breach") == ["warning", "breach"]
            await _canned(cluster, staff, tmp_path)
            with trio.fail_after(60):
                while len(await _digests(cluster)) > 1:
                    await trio.sleep(0.1)


async def _digests(cluster: LocalCluster) -> set[str]:
    """Return the checksums of the nodes' states."""
    found = [await cluster.status_of(name, digest=True) for name in cluster.names]
    return {str(one and one.state_digest and one.state_digest["digest"]) for one in found}


async def _canned(cluster: LocalCluster, staff: Client, folder: Path) -> None:
    """Import a file, find what is in it, and export the same."""

    async def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "node", "canned", *arguments]
        command += ["--data", str(cluster.folder.path)]
        done = await trio.run_process(command, capture_stdout=True)
        return done.stdout.decode()

    file = folder / "canned.toml"
    file.write_text(CANNED, encoding="utf-8")
    assert await run("import", str(file)) == "1 new, 0 changed, 0 unchanged, 0 removed\n"
    assert "refund-time" in await run("find", "退款", "--lang", "zh")
    (hit,) = (await staff.request(CannedFind(q="refund")))["items"]
    assert hit["text"] == "3 to 5 days"
    assert await run("export") == CANNED
