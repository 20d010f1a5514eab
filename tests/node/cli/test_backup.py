"""The drill: a cluster under load is backed up, destroyed, and begins anew from the file."""

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from node.client import Client, RequestFailed, Stopped, open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvHistory, CvOpen, MsgSend, UserPut

pytestmark = pytest.mark.process

UNIDESK = [sys.executable, "-m", "node"]
SPEAKERS = 12
Said = dict[str, list[tuple[int, str]]]
"""Acknowledged messages of each conversation: seq and text, in the order they were said."""


async def unidesk(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [*UNIDESK, *map(str, arguments)]
    return await trio.run_process(
        command, capture_stdout=True, capture_stderr=True, check=False, stdin=stdin
    )


async def told(*arguments: object, stdin: bytes = b"") -> dict[str, Any]:
    done = await unidesk(*arguments, "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def speak(client: Client, cv: str, said: Said) -> None:
    """Say one thing after the other, and note what was acknowledged."""
    number = len(said[cv])
    while True:
        number += 1
        body = f"{cv}: {number}"
        try:
            reply = await client.request(MsgSend(cv=cv, key=f"{cv}.{number}", body=body))
        except (RequestFailed, Stopped):
            return
        said[cv].append((reply["seq"], body))


@asynccontextmanager
async def speaking(cluster: LocalCluster, said: Said) -> AsyncIterator[None]:
    """Let visitors speak meanwhile, each in a conversation of their own."""
    token = cluster.mint("service", "load")
    async with open_client(cluster.urls, token) as client, trio.open_nursery() as nursery:
        for number in range(SPEAKERS):
            opened = await client.request(CvOpen(key=f"o{number}", text="hello"))
            said[opened["cv"]] = []
            nursery.start_soon(speak, client, opened["cv"], said)
        yield
        nursery.cancel_scope.cancel()


async def some_said(said: Said) -> None:
    """Wait until everybody said something, and then something again."""
    with trio.fail_after(60):
        while min(map(len, said.values())) < 2:
            await trio.sleep(0.02)


async def history(client: Client, cv: str) -> list[tuple[int, str]]:
    """Return what was said in all that is kept, page by page."""
    events: list[dict[str, Any]] = []
    more = True
    while more:
        after = events[-1]["seq"] if events else 0
        page = await client.request(CvHistory(cv=cv, after=after))
        events += page["events"]
        more = page["more"]
    seqs = [event["seq"] for event in events]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    return [
        (event["seq"], event["data"]["body"])
        for event in events
        if event["type"] == "msg" and event["data"]["body"].startswith(cv)
    ]


@pytest.mark.slow
async def test_a_cluster_under_load_is_backed_up_destroyed_and_begins_anew(tmp_path: Path) -> None:
    said: Said = {}
    old, out = LocalCluster(tmp_path / "old", cluster_id="old"), tmp_path / "desk.backup"
    async with old:
        async with open_client(old.urls, old.mint("operator", "boss")) as client:
            await client.request(
                UserPut(
                    key="u", user="ada", kind="agent", secret="ada's long password", rev_expected=0
                )
            )
        async with speaking(old, said):
            await some_said(said)
            before = {cv: list(messages) for cv, messages in said.items()}
            taken = await told("backup", out, "--data", old.folder.path)
            await trio.sleep(0.2)
        await old.kill_all()
    shutil.rmtree(tmp_path / "old")
    assert (taken["cluster"], taken["stale"]) == ("old", False)
    assert out.stat().st_mode & 0o777 == 0o600
    assert sum(map(len, before.values())) > SPEAKERS
    assert (await told("snapshot", "verify", out))["counts"]["conversations"] == SPEAKERS

    new = LocalCluster(tmp_path / "new", cluster_id="new")
    new.folder.write_configs({})
    configs = [part for name in new.names for part in ("--config", new.folder.config(name))]
    assert (await told("restore", out, *configs))["missing"] == []
    again = await unidesk("restore", out, *configs)
    assert again.returncode == 1
    assert b"not empty" in again.stderr
    async with new:
        async with open_client(new.urls, new.mint("service", "load")) as client:
            for cv, messages in before.items():
                kept = await history(client, cv)  # its kept end; a fast machine says much
                since = [one for one in messages if one[0] >= kept[0][0]]
                assert kept[: len(since)] == since
                assert kept == [one for one in said[cv] if kept[0][0] <= one[0] <= kept[-1][0]]
            cv = max(before, key=lambda one: len(before[one]))
            kept = await history(client, cv)
            # What was acknowledged is known by its key; what was said later goes on behind it.
            number = kept[-1][1].rpartition(" ")[2]
            once = await client.request(MsgSend(cv=cv, key=f"{cv}.{number}", body=kept[-1][1]))
            assert (once["seq"], once["dup"]) == (kept[-1][0], True)
            goes_on = await client.request(MsgSend(cv=cv, key="next", body="we go on"))
        assert goes_on["seq"] > kept[-1][0]
        await told("login", "ada", "--url", new.urls[0], stdin=b"ada's long password\n")
        audit = await unidesk("audit", "--data", new.folder.path)
        assert b"backup.take" in audit.stdout, audit


@pytest.mark.slow
async def test_workers_write_backups_and_a_killed_client_leaves_no_file(tmp_path: Path) -> None:
    sections = {"node": {"workers": 2}}
    async with LocalCluster(tmp_path / "old", nodes=1, sections=sections) as cluster:
        said: Said = {}
        async with speaking(cluster, said):
            await some_said(said)
        out = tmp_path / "a.backup"
        before = {cv: list(messages) for cv, messages in said.items()}
        for _ in range(3):  # each at whatever worker the kernel chooses
            out.unlink(missing_ok=True)
            await told("backup", out, "--data", cluster.folder.path)
            counts = (await told("snapshot", "verify", out))["counts"]
            assert counts["messages"] >= sum(map(len, before.values()))
        refused = await unidesk("backup", out, "--data", cluster.folder.path)
        assert refused.returncode == 2
        assert b"not overwritten" in refused.stderr

        killed = tmp_path / "killed.backup"
        await kill_while_it_writes(cluster, killed)
        assert not killed.exists()
        await told("backup", killed, "--data", cluster.folder.path)

        await snapshots_through_workers(cluster, tmp_path)
        outsider = ("--url", cluster.urls[0], "--token", cluster.mint("supervisor", "eve"))
        for words in (["backup", str(tmp_path / "b")], ["snapshot", "save"]):
            refused = await unidesk(*words, *outsider)
            assert refused.returncode == 1
            assert b"not for the role supervisor" in refused.stderr
    async with LocalCluster(tmp_path / "three") as three:
        for name in three.names[1:]:
            await three.kill(name)
        with trio.fail_after(60):
            while await standing(three, three.names[0]) != "fenced":
                await trio.sleep(0.05)
        minority = await unidesk("backup", tmp_path / "c", "--data", three.folder.path)
        assert minority.returncode == 1
        assert b"--stale" in minority.stderr
        stale = await told("backup", tmp_path / "c", "--data", three.folder.path, "--stale")
        assert stale["stale"]
        await snapshots_without_a_quorum(three)


async def standing(cluster: LocalCluster, name: str) -> str:
    status = await cluster.status_of(name)
    return status.standing if status is not None else ""


async def kill_while_it_writes(cluster: LocalCluster, path: Path) -> None:
    """Kill a backup that has begun its file; one that is done before that is taken again."""
    command = [*UNIDESK, "backup", str(path), "--data", str(cluster.folder.path)]
    whole, begun = trio.Path(path), trio.Path(f"{path}.tmp")
    for _ in range(20):
        process = await trio.lowlevel.open_process(command)
        with trio.fail_after(60):
            while not await begun.exists() and process.poll() is None:
                await trio.sleep(0.001)
        process.kill()
        await process.wait()
        if not await whole.exists():
            return
        await whole.unlink()
    pytest.fail("each was done before it was killed")


async def snapshots_through_workers(cluster: LocalCluster, folder: Path) -> None:
    """Ask the core, by whatever worker the kernel chooses, several times at once."""
    saved: list[dict[str, Any]] = []

    async def save(number: int) -> None:
        to = folder / f"snapshot.{number}"
        saved.append(await told("snapshot", "save", "--data", cluster.folder.path, "--to", to))

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(save, number)
    kept = sorted(cluster.folder.data("n1").glob("*.snap"))
    assert len(kept) <= 2
    for one in saved:
        assert (one["node"], one["standing"], one["why"]) == ("n1", "serving", "")
        assert (await told("snapshot", "verify", one["to"]["file"]))["index"] >= one["index"]
    newest = max(saved, key=lambda one: int(one["index"]))
    assert newest["file"] == str(kept[-1])
    assert newest["bytes"] == kept[-1].stat().st_size
    assert (await told("wal", "inspect", kept[-1].parent))["snapshots"]


async def snapshots_without_a_quorum(three: LocalCluster) -> None:
    """A fenced node saves what it has; a dead one, and one that is not named, are refused."""
    left, dead = three.names[:2]
    alone = await told("snapshot", "save", "--config", three.folder.config(left))
    assert (alone["node"], alone["standing"]) == (left, "fenced")
    again = await told("snapshot", "save", "--data", three.folder.path, "--node", left)
    assert (again["index"], again["written"]) == (alone["index"], False)
    gone = await unidesk("snapshot", "save", "--data", three.folder.path, "--node", dead)
    assert (gone.returncode, b"refused" in gone.stderr) == (1, True)
    which = await unidesk("snapshot", "save", "--data", three.folder.path)
    assert (which.returncode, b"--node" in which.stderr) == (2, True)


@pytest.mark.slow
async def test_a_damaged_backup_is_refused_with_its_place_and_changes_nothing(
    tmp_path: Path,
) -> None:
    cluster = LocalCluster(tmp_path / "one", nodes=1)
    async with cluster:
        await told("backup", tmp_path / "good", "--data", cluster.folder.path)
        piped = await unidesk("backup", "-", "--data", cluster.folder.path, "--json")
        assert json.loads(piped.stderr)["file"] == "-"
    folder = cluster.folder.data("n1")
    whole = await told("snapshot", "verify", folder)
    saved = await told("snapshot", "save", folder, tmp_path / "saved")
    assert saved["index"] == whole["index"]
    assert (await told("snapshot", "verify", tmp_path / "saved"))["stale"]

    data = (tmp_path / "good").read_bytes()
    (tmp_path / "short").write_bytes(data[:-9])
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
    (tmp_path / "flipped").write_bytes(flipped)
    two = LocalCluster(tmp_path / "two", nodes=2, cluster_id="two")
    two.folder.write_configs({})
    configs = [part for name in two.names for part in ("--config", two.folder.config(name))]
    made = await told("restore", "-", *configs, stdin=piped.stdout)
    assert (len(made["restored"]), made["missing"]) == (2, [])
    new = LocalCluster(tmp_path / "new", nodes=1, cluster_id="new")
    new.folder.write_configs({})
    for name, word in (("short", b"it ends here"), ("flipped", b"checksum")):
        for command in (
            ("snapshot", "verify", tmp_path / name),
            ("restore", tmp_path / name, "--config", new.folder.config("n1")),
        ):
            done = await unidesk(*command)
            assert done.returncode == 1
            assert name.encode() in done.stderr
            assert word in done.stderr
    assert not list(new.folder.data("n1").iterdir())
    same = await unidesk("restore", tmp_path / "good", "--config", cluster.folder.config("n1"))
    assert b"--same-id" in same.stderr
