"""Two of three real nodes are lost for good, and a person lets the cluster go on."""

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from node.cli.app import run_app
from node.client import Client, RequestFailed, open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvHistory, CvOpen, MembersChange, MembersGet, MsgSend

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]

LOAD_S = 1.5
LONG_S = 60.0
"""A process may need many seconds to start where much else runs."""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def unidesk(*words: str) -> Ran:
    """Run a command in this process: on a busy machine a new one takes seconds to start."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_app(list(words))
    return Ran(code, out.getvalue(), err.getvalue())


async def talk(client: Client, said: list[str]) -> str:
    """Say numbers until cancelled; those in `said` were acknowledged.  Returns the conversation."""
    cv = (await client.request(CvOpen(key="open", text="0")))["cv"]
    said.append("0")
    with trio.move_on_after(LOAD_S):
        while True:
            number = str(len(said))
            await client.request(MsgSend(cv=cv, key=f"k{number}", body=number))
            said.append(number)
    return str(cv)


async def bodies(cluster: LocalCluster, url: str, cv: str) -> list[str]:
    async with open_client([url], cluster.mint("supervisor", "boss")) as client:
        events = (await client.request(CvHistory(cv=cv)))["events"]
    return [event["data"]["body"] for event in events if event["type"] == "msg"]


async def roles(cluster: LocalCluster) -> dict[str, str]:
    """Return the members' roles, and who waits to be added."""
    async with open_client([cluster.url("n1")], cluster.mint("operator", "op")) as client:
        reply = await client.request(MembersGet())
    waiting = {row["id"]: "waits" for row in reply["waiting"]}
    return {row["id"]: row["role"] for row in reply["members"]} | waiting


async def change(cluster: LocalCluster, request: MembersChange) -> None:
    async with open_client([cluster.url("n1")], cluster.mint("operator", "op")) as client:
        await client.request(request)


async def test_a_survivor_goes_on_and_the_lost_are_refused(tmp_path: Path) -> None:
    said: list[str] = []
    async with LocalCluster(tmp_path) as cluster:
        config = str(cluster.folder.config("n1"))
        token = cluster.mint("visitor", "ada")
        async with open_client(cluster.urls, token) as client:
            cv = await talk(client, said)
        await cluster.wait_caught_up()
        for name in ("n2", "n3"):
            await cluster.kill(name)
            shutil.move(cluster.folder.data(name), tmp_path / f"old-{name}")

        # the survivor alone: it says so, and takes nothing
        with trio.fail_after(LONG_S):
            while (status := await cluster.status_of("n1")) is None or status.standing != "fenced":
                await trio.sleep(0.05)
        async with open_client([cluster.url("n1")], token) as client:
            with pytest.raises(RequestFailed, match=r"minority|timeout"):
                await client.request(MsgSend(cv=cv, key="late", body="late"), timeout_s=2)

        planned = unidesk("cluster", "recover", "plan", "--config", config, "--json")
        assert planned.code == 0, planned.err
        plan = json.loads(planned.out)["plan"]
        survivor = json.loads(planned.out)["survivors"][0]
        assert (plan["best"], [node for node, _ in plan["lost"]]) == ("n1", ["n2", "n3"])
        assert not plan["complete"]
        assert survivor["newest"][0]["cv"] == cv
        apply = ("cluster", "recover", "apply", "--config", config, "--plan", plan["hash"])
        refused = unidesk(*apply, "--yes-lose-what-is-listed")
        assert refused.code == 1
        assert "n1 runs on" in refused.err

        await cluster.process("n1").stop(timeout_s=10)
        refused = unidesk(*apply)
        assert "a person must consent" in refused.err
        stale = unidesk(*apply[:-1], "0" * 16, "--yes-lose-what-is-listed")
        assert "not of these survivors" in stale.err
        applied = unidesk(*apply, "--yes-lose-what-is-listed")
        assert applied.code == 0, applied.err
        assert "n2: confirm that it is off" in applied.out

        cluster.restart("n1")
        await cluster.wait_ready(nodes=["n1"])
        kept = await bodies(cluster, cluster.url("n1"), cv)
        assert kept[: len(said)] == said
        assert len(kept) <= len(said) + 1  # what was on its way when they stopped
        async with open_client([cluster.url("n1")], token) as client:  # the old token is good
            await client.request(MsgSend(cv=cv, key="after", body="after"))
        assert await roles(cluster) == {"n1": "voter"}

        # the lost come back with their old folders: they are two of three, and must not serve
        for name in ("n2", "n3"):
            shutil.move(tmp_path / f"old-{name}", cluster.folder.data(name))
            cluster.restart(name)
        for name in ("n2", "n3"):
            process = cluster.process(name)
            with trio.fail_after(LONG_S):
                while process.running:
                    status = await cluster.status_of(name)
                    assert status is None or status.standing != "serving"
                    await trio.sleep(0.02)
            assert "the cluster went on without this node" in process.log_tail()

        # on empty folders they are welcome
        for name in ("n2", "n3"):
            shutil.rmtree(cluster.folder.data(name))
            cluster.restart(name)
        with trio.fail_after(LONG_S):
            while await roles(cluster) != {"n1": "voter", "n2": "waits", "n3": "waits"}:
                await trio.sleep(0.2)
        for name in ("n2", "n3"):
            await change(cluster, MembersChange(change="add", node=name))
            with trio.fail_after(LONG_S):
                while (await roles(cluster))[name] != "voter":
                    await trio.sleep(0.2)
        await cluster.wait_ready()
        await cluster.kill("n1")  # and the others know all of it
        await cluster.wait_leader(but="n1")
        assert await bodies(cluster, cluster.url("n2"), cv) == [*kept, "after"]
