"""A real node whose state differs from that of the others, and the process that begins anew."""

import os
from pathlib import Path

import pytest
import trio

import node
from node.client import open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from tests.cluster.flipping import change_a_value

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]

SOONER = """
import cluster.heal.digests
import cluster.raft.compaction

cluster.heal.digests.DIGEST_EVERY = 40
cluster.raft.compaction.SNAPSHOT_EVERY_ENTRIES = 25
"""
"""Ten thousand entries are a matter of minutes here."""


def sooner(folder: Path) -> dict[str, str]:
    """Return an environment in which nodes compare their states often."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SOONER)
    root = str(Path(node.__file__).parent.parent)
    return {"PYTHONPATH": os.pathsep.join([str(folder / "site"), root])}


async def test_the_odd_one_begins_anew_in_its_own_process(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    environ = sooner(tmp_path)
    for name in cluster.names:
        cluster.process(name).environ = environ
    async with cluster:
        leader = await cluster.wait_leader()
        odd = next(name for name in cluster.names if name != leader)
        data = cluster.folder.data(odd)
        async with open_client([cluster.url(leader)], cluster.mint("visitor", "ada")) as client:
            cv = (await client.request(CvOpen(key="open", text="0")))["cv"]
            number = 0

            async def say() -> None:
                nonlocal number
                number += 1
                await client.request(MsgSend(cv=cv, key=str(number), body=str(number)))

            while not any(data.glob("*.snap")):
                await say()
            await cluster.kill(odd)
            change_a_value(data)
            cluster.restart(odd)
            await cluster.wait_ready(nodes=[odd])
            pid = cluster.pid(odd)
            with trio.fail_after(120):
                while not (data / "aside.json.damaged").exists():
                    await say()
            await cluster.wait_ready(timeout_s=90, nodes=[odd])
            assert cluster.pid(odd) == pid  # whoever supervises it saw no end
            found: list[str] = []
            with trio.move_on_after(60):
                while len(set(found)) != 1:
                    shown = [await cluster.status_of(one, digest=True) for one in cluster.names]
                    found = [str(one and one.state_digest) for one in shown]
            assert len(set(found)) == 1, found
