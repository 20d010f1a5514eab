"""A follower whose disk has no room for the leader's snapshot: it lives on, and takes it later."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from cluster.heal.decision import Decision
from cluster.heal.snapshot_room import AGAIN_S, SnapshotRoom, reason
from cluster.raft.compaction import RETRY_S, RETRY_S_MAX
from cluster.raft.engine import Install
from cluster.raft.room import PAUSE_S_MAX, SLACK_BYTES, Lack, Room
from cluster.standing import Judge, Silence
from tests.cluster.heal.pictures import Scene
from tests.cluster.raft.rig import Rig, run
from tests.cluster.raft.test_flow import CHUNK, leader_with_snapshot, rename
from tests.sim.disk import SimDisk
from wal.disk import FileDisk
from wal.errors import DiskFull

SIZE = 30 * CHUNK


def refuse(refused: str, operation: str, name: str) -> None:
    """Have no room, also where the file system finds that out late."""
    if operation == refused and ".snap" in name:
        raise DiskFull(name, operation, "No space left on device (ENOSPC)")


class Pair:
    """`b` leads and has a snapshot that `a` needs."""

    def __init__(self, size: int = SIZE) -> None:
        self.leader, self.follower = leader_with_snapshot(size), Rig(voters="abc")
        rename(self.follower, "a")
        self.wire = [(to, one) for to, one in self.leader.sent if to == "a"]
        self.bytes = 0
        """Of the snapshot, on the wire so far."""

    def go_on(self, for_s: float) -> None:
        for _ in range(round(for_s / 0.02)):
            moving, self.wire = self.wire, []
            for to, message in moving:
                rig, source = (self.follower, "b") if to == "a" else (self.leader, "a")
                self.bytes += len(message.get("data", b""))
                rig.engine.deliver(source, message)
            self.leader.ack("c")
            self.wire += [(to, m) for to, m in self.leader.turn(0.02) if to == "a"]
            self.wire += [(to, m) for to, m in self.follower.turn(0.02) if to == "b"]

    def lack(self) -> Lack | None:
        return self.follower.engine.status().lack

    def installed(self) -> bool:
        return any(isinstance(item, Install) for item in self.follower.committed)


@pytest.mark.parametrize("room", [0, SIZE // 2])
def test_a_snapshot_larger_than_the_room_waits_and_nothing_else_stops(room: int) -> None:
    pair = Pair()
    disk = pair.follower.disk
    pair.go_on(0.04)  # whose term it is, is in the log by now
    disk.full_after(room)
    pair.go_on(1.0)
    lack = pair.lack()
    assert lack is not None
    assert room < lack.needed_bytes <= SIZE + 2 * CHUNK
    assert not any(".snap" in name for name in disk.names()), "what came is removed"
    disk.full_after(room)  # of removed bytes the simulated disk keeps count
    sent, term = pair.bytes, pair.leader.engine.term
    pair.go_on(6.0)
    assert pair.bytes - sent <= 4 * CHUNK, "sent again though there is no more room"
    assert pair.leader.engine.term == term
    assert pair.leader.engine.contact_age_s()["a"] < 0.2, "it answers its leader"
    assert not pair.installed()
    disk.full_after(None)
    pair.go_on(PAUSE_S_MAX + 2)
    assert pair.installed()
    assert pair.lack() is None


def test_what_came_already_is_not_asked_for_again() -> None:
    pair = Pair()
    pair.go_on(0.04)
    pair.follower.disk.full_after(SIZE // 2)
    pair.go_on(1.0)
    assert pair.lack() is not None
    pair.follower.disk.full_after(SLACK_BYTES + SIZE + 5 * CHUNK)
    pair.go_on(10.0)
    assert pair.installed(), "more room than the whole needs"
    assert pair.lack() is None


def test_no_room_to_sync_or_name_the_whole_is_no_room_either() -> None:
    for operation in ("sync", "rename"):
        pair = Pair()
        pair.follower.disk.on_call = partial(refuse, operation)
        pair.go_on(0.5)
        assert pair.lack() is not None, operation
        pair.follower.disk.on_call = None
        pair.go_on(3.0)
        assert pair.installed()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB, where that can be had."""
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system here")
    yield tmp_path
    subprocess.run([shutil.which("umount") or "umount", "-l", str(tmp_path)], check=True)


@pytest.mark.slow
def test_a_real_disk_that_is_too_small_waits_until_it_is_larger(small_disk: Path) -> None:
    pair = Pair(1000 * CHUNK)
    pair.follower.disk = cast("SimDisk", FileDisk(small_disk))
    pair.follower.boot()
    pair.go_on(12.0)
    lack = pair.lack()
    assert lack is not None
    assert 256_000 < lack.needed_bytes < 600_000
    assert not list(small_disk.glob("*.snap*"))
    sent = pair.bytes
    pair.go_on(20.0)
    assert pair.bytes - sent <= 4 * CHUNK
    remount = ["mount", "-o", "remount,size=8m", str(small_disk)]
    subprocess.run(remount, check=True)
    pair.go_on(PAUSE_S_MAX + 20)
    assert pair.installed()
    assert pair.lack() is None
    pair.follower.disk.close()


def test_pauses_grow_to_a_bound_and_another_snapshot_may_be_smaller() -> None:
    room, now_s, pauses = Room(), 0.0, list[float]()
    for _ in range(8):
        assert room.is_due(now_s)
        room.put_off(9, 500, 100, now_s)
        assert not room.is_due(now_s)
        lack = room.lack(8)
        assert lack is not None
        pauses.append(lack.pause_s)
        now_s += lack.pause_s
    assert pauses == [1, 2, 4, 8, 16, PAUSE_S_MAX, PAUSE_S_MAX, PAUSE_S_MAX]
    assert not room.is_enough(9, 499 + SLACK_BYTES)
    assert room.is_enough(9, 500 + SLACK_BYTES)
    assert room.is_enough(10, 0)
    room.put_off(9, 10, 5, now_s)
    assert not room.is_enough(9, 499 + SLACK_BYTES), "what was learnt of its size stays"
    assert room.lack(9) is None
    room.found()
    assert room.is_due(now_s)
    assert room.lack(0) is None


def test_own_snapshots_that_fail_are_tried_more_and_more_rarely() -> None:
    rig, pauses = Rig(snapshot_every_entries=20), list[float]()
    rig.append("a", 1, (1, 0), run(2, 50, 1), commit=50)
    for _ in range(5):
        meta = rig.engine.snapshot_wanted()
        assert meta is not None
        rig.engine.snapshot_failed()
        pauses.append(rig.engine.snapshot_retry_s)
        rig.now_s += pauses[-1] - 0.01
        assert rig.engine.snapshot_wanted() is None
        rig.now_s += 0.02
    assert pauses == [RETRY_S, 2 * RETRY_S, 4 * RETRY_S, RETRY_S_MAX, RETRY_S_MAX]
    meta = rig.engine.snapshot_wanted()
    assert meta is not None
    rig.engine.snapshot_saved(rig.store.save(meta, [b"state"]))
    assert rig.engine.snapshot_retry_s == 0


# -- what is said of it

LACK = Lack(index=40, needed_bytes=3 * 1024**2, room_bytes=1024, pause_s=4.0)


def test_it_is_said_once_and_again_after_an_hour_and_when_it_is_over() -> None:
    scene, rule = Scene(role="follower", raft={"lack": LACK}), SnapshotRoom()
    told: list[Decision] = scene.look(rule, for_s=10)
    assert [(one.outcome, one.figures["needed_bytes"]) for one in told] == [("failed", 3 * 1024**2)]
    assert "at 40 has 3.0 MiB or more, and the disk has 1.0 KiB for it" in told[0].seen
    scene.now_s += AGAIN_S
    assert len(scene.look(rule, for_s=2)) == 1
    scene.raft = {}
    assert [one.outcome for one in scene.look(rule, for_s=2)] == ["done"]
    assert scene.look(rule, for_s=2) == []


def test_the_standing_says_what_is_lacking_and_falls_back_when_it_is_there() -> None:
    judge = Judge(0.6)

    def standing(lack: Lack | None = None, *, caught_up: bool = False) -> str:
        if caught_up:
            judge.note_caught_up()
        judge.lacks = reason(Scene(raft={"lack": lack}).seen().raft)
        judge.look(led=True, silence=Silence(s=0.0, heard=3, voters=3))
        return judge.standing

    assert standing(caught_up=True) == "serving"
    assert standing(LACK) == "catching_up"
    assert "make room on its disk" in judge.why
    assert "at most 4 s after" in judge.why
    assert standing() == "catching_up", "what it missed is read first"
    assert standing(caught_up=True) == "serving"
