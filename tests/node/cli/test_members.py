"""Members of a real cluster, looked at and changed from the command line."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from node.local import LocalCluster
from node.local.ports import free_ports
from node.local.process import NodeProcess


async def unidesk(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", "cluster", "members", *words, "--data", str(folder)]
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, timeout=90)
    ran: subprocess.CompletedProcess[str] = await trio.to_thread.run_sync(run)
    return ran


async def ask(folder: Path, *words: str) -> Any:
    ran = await unidesk(folder, *words, "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def roles(reply: Any) -> dict[str, str]:
    return {row["id"]: row["role"] for row in reply["members"]}


@contextmanager
def fourth(cluster: LocalCluster, folder: Path) -> Iterator[NodeProcess]:
    """A node that the others were not told of."""
    text = cluster.folder.config("n3").read_text()
    client, peer = free_ports(2)
    text = text.replace('id = "n3"', 'id = "n4"').replace("data/n3", "data/n4")
    text = re.sub(r'(\[client\]\nlisten = "127.0.0.1:)\d+', rf"\g<1>{client}", text)
    text = re.sub(r'url = "[^"]+"', f'url = "ws://127.0.0.1:{client}/v1/ws"', text, count=1)
    text = re.sub(r'(\[peer\]\nlisten = "127.0.0.1:)\d+', rf"\g<1>{peer}", text)
    text += f'\n[nodes.n4]\npeer = "127.0.0.1:{peer}"\nurl = "ws://127.0.0.1:{client}/v1/ws"\n'
    config = folder / "n4.toml"
    config.write_text(text)
    process = NodeProcess("n4", config, folder / "n4.log")
    process.start()
    try:
        yield process
    finally:
        process.kill_nowait()


@pytest.mark.slow
async def test_a_node_is_added_and_another_replaced_while_the_cluster_runs(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path) as cluster:
        await cluster.wait_leader()
        shown = await ask(tmp_path)
        assert roles(shown) == dict.fromkeys(("n1", "n2", "n3"), "voter")
        with fourth(cluster, tmp_path) as process:
            with trio.fail_after(30):
                while not shown["waiting"]:
                    shown = await ask(tmp_path)
            assert [row["id"] for row in shown["waiting"]] == ["n4"]
            leader = await cluster.wait_leader()
            changed = await ask(tmp_path, "replace", leader, "n4")
            assert roles(changed).get("n4") == "voter", process.log_tail()
            assert leader not in roles(changed)

            refused = await unidesk(tmp_path, "remove", "n9")
            assert refused.returncode == 1
            assert "n9 is no member" in refused.stderr
            table = await unidesk(tmp_path)
            assert "voter, leads" in table.stdout
            await process.kill()
