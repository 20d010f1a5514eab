"""A release that the cluster's commands have outgrown: it does not start, nor go wrong."""

import json
from pathlib import Path

import pytest
import trio

from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state import levels
from cluster.state.levels import LEVEL, Outgrown
from tests.cluster.three import until
from wal import identity
from wal.disk import FileDisk
from wal.errors import ForeignLog


def settings(folder: Path) -> ReplicaSettings:
    return ReplicaSettings(
        cluster="test", node="n1", key=b"k" * 32, data=folder, listen=("127.0.0.1", 0), peers={}
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def live_until_the_level_is_raised(folder: Path) -> None:
    replica = Replica.open(settings(folder))
    async with trio.open_nursery() as nursery:
        await nursery.start(replica.run)
        await until(lambda: replica.state.level == LEVEL)
        await until(lambda: json.loads((folder / identity.FILE).read_text())["format"] == LEVEL)
        nursery.cancel_scope.cancel()
    replica.close()


async def test_the_folder_of_a_raised_level_is_refused_by_earlier_releases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live_until_the_level_is_raised(tmp_path)
    before = contents(tmp_path)
    disk = FileDisk(tmp_path)
    monkeypatch.setattr(levels, "LEVEL", LEVEL - 1)
    with pytest.raises(ForeignLog, match=f"up to {LEVEL - 1}. Start the version"):
        Replica.open(settings(tmp_path), disk)
    assert contents(tmp_path) == before
    monkeypatch.setattr(levels, "LEVEL", LEVEL)
    Replica.open(settings(tmp_path), disk).close()


async def test_a_log_that_raises_the_level_stops_an_earlier_release_where_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process before died between the entry and the folder's format."""
    await live_until_the_level_is_raised(tmp_path)
    whole = json.loads((tmp_path / identity.FILE).read_text())
    (tmp_path / identity.FILE).write_text(json.dumps(whole | {"format": 1}))
    monkeypatch.setattr(levels, "LEVEL", LEVEL - 1)
    replica = Replica.open(settings(tmp_path))
    try:
        with (
            trio.fail_after(20),
            pytest.RaisesGroup(
                pytest.RaisesExc(Outgrown, match=f"level {LEVEL}, .* up to {LEVEL - 1}"),
                flatten_subgroups=True,
            ),
        ):
            await replica.run()
        assert replica.state.level == levels.FIRST
    finally:
        replica.close()
