"""Damaged data is moved away whole, and kept."""

from random import Random

import msgspec
import pytest

from tests.sim.disk import SimCrash, SimDisk
from tests.wal.samples import entries
from wal import aside
from wal.identity import Identity, claim
from wal.log import Log
from wal.record import HardState
from wal.snapshot import SnapshotMeta, SnapshotStore


def damaged(seed: int = 1) -> SimDisk:
    """A node's folder with three segments and a snapshot."""
    disk = SimDisk(Random(seed))
    identity = claim(disk, "shop", "a", now_ms=7)
    log, _ = Log.open(disk, identity=identity, segment_bytes_max=900, draw_salt=lambda: 5)
    log.append(HardState(3, "b"))
    for first in range(1, 60, 10):
        log.append(*entries(first, first + 9))
        log.sync()
    SnapshotStore(disk, identity).save(SnapshotMeta(9, 1, 8, 1, "a"), [b"state"])
    return disk


def content(disk: SimDisk) -> dict[str, bytes]:
    return {name: disk.read(name) for name in disk.names()}


def start(disk: SimDisk) -> Identity:
    """What a node's start does; the log it begins is empty and abstains."""
    aside.finish(disk)
    identity = claim(disk, "shop", "a", now_ms=99)
    _, recovered = Log.open(disk, identity=identity)
    assert recovered.fresh
    assert recovered.hard_state == HardState(0, None, abstains=True)
    assert SnapshotStore(disk, identity).latest() is None
    return identity


def test_what_was_there_is_kept_under_other_names_and_the_folder_is_new() -> None:
    disk = damaged()
    before = content(disk)
    aside.set_aside(disk, "bit rot", now_ms=1_000)
    kept = content(disk)
    told = msgspec.json.decode(kept.pop("aside.json.damaged"))
    assert told == {"why": "bit rot", "at": "1970-01-01T00:00:01.000Z", "files": sorted(before)}
    assert kept == {f"{name}.damaged": data for name, data in before.items()}
    assert start(disk).incarnation == 99


def test_what_an_earlier_damage_left_is_replaced() -> None:
    disk = damaged()
    aside.set_aside(disk, "first")
    start(disk)
    aside.set_aside(disk, "second")
    assert msgspec.json.decode(disk.read("aside.json.damaged"))["why"] == "second"
    assert len([name for name in disk.names() if name.endswith(".wal.damaged")]) == 1


def test_there_is_nothing_to_finish_in_a_folder_that_is_whole() -> None:
    disk = damaged()
    assert not aside.finish(disk)
    assert not any(name.endswith(".damaged") for name in disk.names())


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_after_a_crash_at_every_call_the_log_is_whole_or_gone(power: bool, seed: int) -> None:
    whole = damaged()
    calls = whole.calls
    aside.set_aside(whole, "bit rot")
    for call in range(2 * (whole.calls - calls)):
        disk = damaged(seed)
        left = [call]

        def on_call(_op: str, _name: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise SimCrash

        disk.on_call = on_call
        with pytest.raises(SimCrash):
            aside.set_aside(disk, "bit rot")
        disk.crash(power=power)
        if aside.FILE in disk.names():
            start(disk)
            continue
        identity = claim(disk, "shop", "a", now_ms=99)
        _, recovered = Log.open(disk, identity=identity)
        assert recovered.fresh or len(recovered.entries) == 60
