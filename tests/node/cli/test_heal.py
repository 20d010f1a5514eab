"""`unidesk heal` on a real cluster."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from cluster.heal.rules import RULES
from node.local import LocalCluster

pytestmark = pytest.mark.process


async def unidesk(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "node", "heal", *words, "--data", str(folder)]
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    ran: subprocess.CompletedProcess[str] = await trio.to_thread.run_sync(run)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


async def test_status_shows_the_table_and_every_node_and_the_log_what_was_done(
    tmp_path: Path,
) -> None:
    async with LocalCluster(tmp_path) as cluster:
        leader = await cluster.wait_leader()
        status = json.loads(await unidesk(tmp_path, "status", "--json"))
        shown = await unidesk(tmp_path, "status")
        log = json.loads(await unidesk(tmp_path, "log", "--json"))
        page = await cluster.status_of(leader)
    assert status["mode"] == "act"
    assert [one["rule"] for one in status["rules"]] == list(RULES)
    assert {one["id"] for one in status["nodes"]} == set(cluster.names)
    assert all(one["known"] for one in status["nodes"])
    assert all(one["disk_free_bytes"] > 0 for one in status["nodes"])
    assert "slow disk" in shown
    assert "GiB free" in shown
    assert all(line["name"] == RULES[line["rule"]].name for line in log["lines"])
    assert page is not None
    vitals = {row["id"]: row["vitals"] for row in page.nodes}
    assert {one["version"] for one in vitals.values()} == {page.version}
