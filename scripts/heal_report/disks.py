"""Rows of disks, of what is on them, and of clocks: 5 to 9, 14, 15.  Talks to files, a shim.

5   killed while it wrote, and the last frame is torn
6   a bit rots in the log, or in a snapshot; the log is lost; the folder is gone
7   a sync fails               8   the disk fills up
9   the leader's disk takes 300 ms for every sync
14  a clock is a minute ahead
15  one value of a node's state is another, under right checksums
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

from cluster.heal import rules
from scripts.heal_report import folders
from scripts.heal_report.scene import CannotInject, Scene
from scripts.heal_report.signs import Sign, event, standing
from scripts.nemesis.shim import Shim

SLOW_SYNC_S = 0.2
"""Shorter than a leader may go without an answer: else the others elect before it decides."""
SKEW_MS = 60_000
HAND_OVER_S = 10.0
DISK_BYTES = 96 * 1024 * 1024
"""Of a small disk: many times what a trial writes."""
LEFT_BYTES = (3 * 1024 * 1024, 0)
"""What is left for the node: first nearly nothing, then nothing."""
FILL_BYTES = 256 * 1024
FULL_S = 2.0
DIVERGED_S = 120.0
"""Checksums are taken every 2,000 entries, and the writers make some hundred a second."""

Damage = Callable[[Path], None]


async def torn_tail(scene: Scene) -> None:
    """5: counted from the start that finds it."""
    await _damaged(scene, await scene.follower(), folders.tear_tail, rules.TORN_TAIL)


async def bit_rot(scene: Scene) -> None:
    """6: a bit in the middle of the log."""
    await _damaged(scene, await scene.follower(), folders.flip_in_log, rules.DAMAGE, ASIDE)


async def bad_snapshot(scene: Scene) -> None:
    """6: a bit in the newest snapshot."""
    name = await scene.follower()

    def damage(data: Path) -> None:
        folders.save_snapshot(data, scene.cluster.folder.layout.id, name)
        folders.flip_in_snapshot(data)

    await _damaged(scene, name, damage, rules.DAMAGE, ASIDE)


async def lost_log(scene: Scene) -> None:
    """6: every segment is gone, and term and vote with them; the snapshot is there."""
    name = await scene.follower()

    def damage(data: Path) -> None:
        folders.save_snapshot(data, scene.cluster.folder.layout.id, name)
        folders.lose_log(data)

    await _damaged(scene, name, damage, rules.DAMAGE, ASIDE)


async def lost_folder(scene: Scene) -> None:
    """6: there is nothing left."""
    await _damaged(scene, await scene.follower(), shutil.rmtree, rules.DAMAGE, ASIDE)


async def lost_tail(scene: Scene) -> None:
    """6: the end of the log is gone, and it was acknowledged: to the node all looks well."""
    await _damaged(scene, await scene.follower(), folders.lose_tail, rules.DAMAGE, ASIDE)


async def diverged(scene: Scene) -> None:
    """15: counted from the start with the wrong state."""
    name = await scene.follower()

    def damage(data: Path) -> None:
        cluster = scene.cluster.folder.layout.id
        folders.save_snapshot(data, cluster, name, change=folders.swap_subject)

    async with scene.stopped(name) as data:
        await trio.to_thread.run_sync(damage, data)
        scene.inject()
    await scene.detect(rules.DIVERGENCE, within_s=DIVERGED_S)  # until then it looks well
    await scene.heal()


ASIDE = event("damaged data set aside")


async def _damaged(
    scene: Scene,
    name: str,
    damage: Damage,
    rule: int,
    *signs: Sign,
) -> None:
    """Kill a node, damage what it has, and start it."""
    async with scene.stopped(name) as data:
        await trio.to_thread.run_sync(damage, data)
        scene.inject()
    await scene.detect_and_heal(rule, *signs)


async def sync_error(scene: Scene) -> None:
    """7: the leader's next fdatasync fails with EIO."""
    shim = _shim(scene, await scene.leader())
    scene.inject()
    shim.fail_syncs(1)
    await scene.wait_for(standing("failed"))
    await scene.detect_and_heal(rules.SYNC_FAILED, standing("failed"))


async def full_disk(scene: Scene) -> None:
    """8: the leader's disk is nearly full, then full, then has room again."""
    leader = await scene.leader()
    data = scene.cluster.folder.data(leader)
    scene.inject()
    if data.is_mount():
        await _fill(scene, leader, data)
    else:
        _shim(scene, leader).fill(True)
        await scene.detect(rules.DISK_FULL, standing("failed"))
        await scene.wait_handed_over(leader)
        _shim(scene, leader).fill(False)
    scene.end()
    await scene.heal()


async def _fill(scene: Scene, leader: str, data: Path) -> None:
    filler = data / "filler"
    _grow(filler, shutil.disk_usage(data).free - LEFT_BYTES[0])
    await scene.detect(rules.DISK_FULL, standing("failed"))
    await scene.wait_handed_over(leader)
    _grow(filler, shutil.disk_usage(data).free - LEFT_BYTES[1])
    await trio.sleep(FULL_S)
    filler.unlink()


def _grow(filler: Path, size: int) -> None:
    """Write as much as that, or as fits."""
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while size > 0:
            size -= file.write(bytes(min(size, FILL_BYTES)))


@contextmanager
def small_disks(folder: Path, names: tuple[str, ...]) -> Iterator[None]:
    """Give every node a file system of its own, of DISK_BYTES, where this user may mount one."""
    mounted = []
    try:
        for name in names:
            data = folder / "data" / name
            data.mkdir(parents=True)
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "unidesk", str(data)]
            if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
                break
            mounted.append(data)
        yield
    finally:
        for data in mounted:
            subprocess.run(["umount", "-l", str(data)], capture_output=True, check=False)


async def slow_disk(scene: Scene) -> None:
    """9: healed when somebody else leads; the disk stays slow."""
    leader = await scene.leader()
    shim = _shim(scene, leader)
    scene.inject()
    shim.slow_syncs(SLOW_SYNC_S)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.detect, rules.SLOW_DISK)
        await scene.wait_handed_over(leader, HAND_OVER_S)
        scene.healed()
    shim.slow_syncs(0.0)
    await scene.well()


async def skewed_clock(scene: Scene) -> None:
    """14: a follower's clock runs a minute ahead, then it is set right."""
    shim = _shim(scene, await scene.follower())
    scene.inject()
    shim.skew(SKEW_MS)
    await scene.detect(rules.CLOCKS)
    shim.skew(0)
    scene.end()
    await scene.heal()


def _shim(scene: Scene, name: str) -> Shim:
    if name not in scene.stage.shims:
        raise CannotInject(
            "no C compiler here: the library that spoils disk and clock is not built"
        )
    return scene.stage.shims[name]
