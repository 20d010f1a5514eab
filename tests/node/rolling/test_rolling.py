"""Every node of a cluster replaced under load: what clients saw, and what the nodes hold after."""

import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from cluster.heal.rules import SILENT_NODE
from cluster.state.levels import FIRST, LEVEL
from node.local import UNLIMITED, LocalCluster
from node.replay.checker import check
from node.replay.histories import read_histories
from scripts.kill_loop import Ledger, write
from tests.node.rolling.releases import BEFORE_LEVELS, copy_present, extract, snapshots_soon

WRITERS = 3
BEHIND = 400
"""Entries: more than a log keeps behind its snapshot here."""
pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(500)]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return extract(BEFORE_LEVELS, tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return copy_present(tmp_path / "new")


@asynccontextmanager
async def loaded(cluster: LocalCluster) -> AsyncIterator[Ledger]:
    """Writers write, and at the end every node has every acknowledged word once, in one state."""
    ledger = Ledger()
    async with cluster:
        await cluster.wait_leader()
        async with trio.open_nursery() as nursery:
            for place in range(WRITERS):
                nursery.start_soon(write, cluster, place, ledger)
            await more(ledger, 50)
            yield ledger
            await more(ledger, 50)
            ledger.stopping = True
        await cluster.wait_caught_up()
        assert await one_digest(cluster)
        ledger.trouble += await read_histories(cluster, ledger.records)
        assert check(ledger.records, {}) == []
        assert ledger.trouble == []  # not a request failed, beyond retries with its own key
    for name in cluster.names:
        log = cluster.folder.log(name).read_text()
        assert "Traceback" not in log, log[log.index("Traceback") :][:2_000]
        assert "invariant violated" not in log


async def more(ledger: Ledger, count: int) -> None:
    """Wait until so much more is acknowledged."""
    aim = ledger.acknowledged + count
    with trio.fail_after(60):
        while ledger.acknowledged < aim:
            assert not ledger.trouble, ledger.trouble
            await trio.sleep(0.02)


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    with trio.fail_after(seconds):
        while not await condition():
            await trio.sleep(0.1)


async def one_digest(cluster: LocalCluster) -> bool:
    """Whether all nodes say the same checksum of the state, soon: the log still moves a little."""
    for _ in range(100):
        said = [await cluster.status_of(name, digest=True) for name in cluster.names]
        found = {json.dumps(one.state_digest) for one in said if one is not None}
        if None not in said and len(found) == 1:
            return True
        await trio.sleep(0.1)
    pytest.fail(f"states differ: {found}")


async def unidesk(cluster: LocalCluster, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON of a command of this release."""
    config = cluster.folder.config(cluster.names[0])
    command = [sys.executable, "-m", "node", *arguments, "--config", str(config), "--json"]
    done = await trio.run_process(command, capture_stdout=True, check=False)
    return done.returncode, json.loads(done.stdout)


async def restart(cluster: LocalCluster, name: str, root: Path, ledger: Ledger) -> None:
    await cluster.process(name).stop(timeout_s=20)
    await start(cluster, name, root, ledger)


async def start(cluster: LocalCluster, name: str, root: Path, ledger: Ledger) -> None:
    cluster.process(name).root = root
    cluster.restart(name)
    await cluster.wait_ready(timeout_s=90)
    await more(ledger, 20)


async def hand_over(cluster: LocalCluster, name: str, root: Path) -> dict[str, Any]:
    cluster.process(name).root = root
    told = await cluster.upgrade(name)
    if told.get("done"):
        await cluster.wait_ready(timeout_s=90)
    return told


async def fall_behind(cluster: LocalCluster, name: str, root: Path, ledger: Ledger) -> None:
    """Come back, as `root`, when only a snapshot helps."""
    await cluster.process(name).stop(timeout_s=20)
    other = next(one for one in cluster.names if one != name)
    begun = await cluster.status_of(other)
    assert begun is not None

    async def far() -> bool:
        now = await cluster.status_of(other)
        return now is not None and now.commit_index > begun.commit_index + BEHIND

    await until(far)
    installed = cluster.folder.log(name).read_text().count("snapshot installed")
    await start(cluster, name, root, ledger)
    assert cluster.folder.log(name).read_text().count("snapshot installed") > installed


async def wait_level(cluster: LocalCluster, level: int) -> None:
    async def has() -> bool:
        said = (await cluster.status()).values()
        return all(one is not None and one.level_used == level for one in said)

    await until(has)


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_rolling_restart_under_load_fails_no_request(
    tmp_path: Path, new: Path, workers: int
) -> None:
    sections = {**UNLIMITED, "node": {"workers": workers}}
    cluster = LocalCluster(tmp_path / "c", sections=sections)
    for name in cluster.names:
        cluster.process(name).root = new
    async with loaded(cluster) as ledger:
        code, report = await unidesk(cluster, "upgrade", "check")
        assert (code, report["good"]) == (0, True), report
        for name in report["order"]:
            before = cluster.pid(name)
            await restart(cluster, name, new, ledger)
            assert cluster.pid(name) != before
        assert await cluster.leader() != report["order"][-1]  # it led, and was the last to go


async def test_nodes_stopped_and_started_go_from_the_release_before_to_this_one(
    tmp_path: Path, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots go both ways, one node goes back and comes again, and one crashes meanwhile."""
    snapshots_soon(tmp_path / "soon", monkeypatch)
    cluster = LocalCluster(tmp_path / "c", sections=UNLIMITED)
    for name in cluster.names:
        cluster.process(name).root = old
    async with loaded(cluster) as ledger:
        code, report = await unidesk(cluster, "upgrade", "check")
        assert (code, report["level_used"], report["waits_for"]) == (0, FIRST, ["n1", "n2", "n3"])
        first, second, last = report["order"]

        await fall_behind(cluster, first, new, ledger)  # filled by the old leader
        await restart(cluster, first, old, ledger)
        await restart(cluster, first, new, ledger)

        await cluster.kill(second)
        await start(cluster, second, new, ledger)
        code, report = await unidesk(cluster, "upgrade", "status")
        assert (code, report["level_used"], report["waits_for"]) == (1, FIRST, [last])

        await fall_behind(cluster, last, old, ledger)  # filled by a new leader
        await restart(cluster, last, new, ledger)
        await wait_level(cluster, LEVEL)
        code, report = await unidesk(cluster, "upgrade", "status")
        assert (code, report["waits_for"]) == (0, [])


async def test_nodes_handed_over_go_from_the_release_before_to_this_one_and_not_back(
    tmp_path: Path, old: Path, new: Path
) -> None:
    cluster = LocalCluster(tmp_path / "c", sections=UNLIMITED)
    for name in cluster.names:
        cluster.process(name).root = old
    async with loaded(cluster) as ledger:
        _, report = await unidesk(cluster, "upgrade", "check")
        first, *others = report["order"]
        for root in (new, old):  # back is possible while nobody uses what is newer
            assert (await hand_over(cluster, first, root)).get("done")
            await more(ledger, 20)
        for name in (first, *others):
            assert (await hand_over(cluster, name, new)).get("done")
            await more(ledger, 20)
        await wait_level(cluster, LEVEL)

        told = await hand_over(cluster, first, old)
        assert told["refused"]
        assert "commands that this one does not know" in told["text"]
        await started_on_its_folder(cluster, first, old)
        await started_without_its_folder(cluster, first, old)
        await noted_as_silent(cluster, first)  # what is new in the log works by now
        await start(cluster, first, new, ledger)


async def noted_as_silent(cluster: LocalCluster, name: str) -> None:
    async def noted() -> bool:
        code, healed = await unidesk(cluster, "heal", "log", "--rule", str(SILENT_NODE))
        return code == 0 and name in {line["figures"]["node"] for line in healed["lines"]}

    await until(noted)


async def started_on_its_folder(cluster: LocalCluster, name: str, old: Path) -> None:
    """The earlier release reads in the folder that it is not for it."""
    process = cluster.process(name)
    await process.stop(timeout_s=20)
    process.root = old
    process.start()

    async def ended() -> bool:
        return not process.running

    await until(ended)
    assert f"format {LEVEL} of the identity" in process.log_tail()
    await process.kill()


async def started_without_its_folder(cluster: LocalCluster, name: str, old: Path) -> None:
    """Nothing warns it, and nobody lets it in: it has no quorum, and does not serve."""
    process, data = cluster.process(name), cluster.folder.data(name)
    await trio.to_thread.run_sync(shutil.move, data, data.with_suffix(".kept"))
    said = len(cluster.folder.log(name).read_text())
    process.root = old
    process.start()
    others = [one for one in cluster.names if one != name]

    async def refused() -> bool:
        heard = cluster.folder.log(name).read_text()[said:]
        by_all = all(f"{one} refused: this cluster uses" in heard for one in others)
        return by_all and f"upgrade '{name}'" in heard

    await until(refused)
    status = await cluster.status_of(name)
    assert status is None or (status.standing, status.commit_index) != ("serving", 0)
    assert status is None or status.standing in ("starting", "fenced")
    await process.kill()
    await trio.to_thread.run_sync(shutil.rmtree, data)
    await trio.to_thread.run_sync(shutil.move, data.with_suffix(".kept"), data)
