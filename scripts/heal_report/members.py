"""Rows of who belongs to the cluster: 11 to 13, 17.  Talks to processes, sockets, the CLI.

11  a voter is dead for good, and a standby is there
12  a copy of a node's data folder is started beside it
13  a node of another cluster, or of a release too far away, dials in
17  two of three nodes are lost for good, and a person consents to go on
"""

import json
import shutil
import subprocess
import sys
from functools import partial
from typing import Any

import trio

from cluster.heal import rules
from cluster.peer.frames import FrameReader, PeerRefused, encode
from cluster.peer.handshake import MAGIC, NONCE_BYTES, VERSION
from scripts.heal_report.guests import guest
from scripts.heal_report.scene import Broken, Scene
from scripts.heal_report.signs import event, standing

START_S = 60.0
POLL_S = 0.25
"""For a node to start, on a machine that has much to do."""
GONE_S = 15.0
"""For one of two twins to end."""
ANSWER_S = 5.0
COMMAND_S = 60.0
STANDBY = "n4"
STABLE_S = 12.0
"""A standby is called upon when it has been well for ten seconds."""
REPLACE_S = 45.0
"""`replace_after`, the change of members, and some."""
LOST_S = 25.0
"""`replace_after`, and some."""
QUIET_S = 1.0
"""Without writes, for the one that will survive to hold all that was acknowledged."""


async def dead_voter(scene: Scene) -> None:
    """11: healed when the standby votes, and the dead one is no member."""
    dead = await scene.follower()
    data = scene.cluster.folder.path / "standby"
    changes = {"node": {"id": STANDBY}}
    with guest(scene.cluster, dead, STANDBY, data=data, changes=changes) as standby:
        scene.logs.follow(STANDBY, scene.cluster.folder.log(STANDBY))
        await _add_standby(scene)
        await trio.sleep(STABLE_S)
        scene.names = tuple(name for name in scene.cluster.names if name != dead)
        scene.stage.down.add(dead)
        scene.inject()
        await scene.cluster.kill(dead)
        await scene.detect(rules.DEAD_VOTER, within_s=REPLACE_S)

        async def is_replaced() -> bool:
            rows = json.loads(await _members(scene, "--json"))["members"]
            roles = {row["id"]: row["role"] for row in rows}
            return roles.get(STANDBY) == "voter" and dead not in roles

        await scene.wait(is_replaced, f"{STANDBY} in the place of {dead}", REPLACE_S)
        await scene.heal()
        if not standby.running:
            raise Broken(f"{STANDBY} ended by itself")
        await scene.pause()
        await scene.conclude()


async def _add_standby(scene: Scene) -> None:
    """Add it once it has called: the command may be quicker than a node that starts."""
    with trio.move_on_after(START_S):
        while True:
            try:
                await _members(scene, "add", STANDBY, "--standby")
            except Broken as broken:
                if "has not called" not in str(broken):
                    raise
            else:
                return
            await trio.sleep(POLL_S)
    raise Broken(f"{STANDBY} has not called")


async def _members(scene: Scene, *words: str) -> str:
    where = ("--data", str(scene.cluster.folder.path))
    return await _unidesk("cluster", "members", *words, *where)


async def clone(scene: Scene) -> None:
    """12: healed when one process of the node is left, and the cluster is well."""
    name = await scene.follower()
    copy = scene.cluster.folder.path / "copied"
    data = scene.cluster.folder.data(name)
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.sock"))
    scene.inject()
    with guest(scene.cluster, name, f"{name}-copy", data=copy, changes={}) as twin:
        scene.logs.follow(f"{name}-copy", scene.cluster.folder.log(f"{name}-copy"))
        scene.inject(await scene.wait_for(event("node up"), START_S))
        await scene.detect(
            rules.TWIN, event("peer refused", "second"), event("peer link down", "second")
        )

        async def one_is_left() -> bool:
            return not twin.running or not scene.cluster.process(name).running

        await scene.wait(one_is_left, f"one of two processes of {name} ended", GONE_S)
        await scene.heal()


async def foreigner(scene: Scene) -> None:
    """13: a real node of another cluster, with this one's addresses."""
    name = await scene.follower()
    elsewhere = {"cluster": {"id": "elsewhere"}}
    data = scene.cluster.folder.path / "foreign"
    scene.inject()
    with guest(scene.cluster, name, "foreigner", data=data, changes=elsewhere):
        scene.logs.follow("foreigner", scene.cluster.folder.log("foreigner"))
        scene.inject(await scene.wait_for(event("node up"), START_S))
        await scene.detect_and_heal(rules.STRANGER, event("peer refused", "cluster"))


async def wrong_version(scene: Scene) -> None:
    """13: a hello of a version that nobody speaks yet."""
    name = await scene.follower()
    scene.inject()
    kind, why = await _say_hello(scene, name, version=VERSION + 98)
    if kind != "refused":
        raise Broken(f"a hello of version {VERSION + 98} was answered with {kind}: {why}")
    await scene.detect_and_heal(rules.STRANGER, event("peer refused", "protocol"))


async def _say_hello(scene: Scene, name: str, *, version: int) -> tuple[str, Any]:
    """Return the node's answer.  Raises `Broken`."""
    layout = scene.cluster.folder.layout
    hello = {
        "magic": MAGIC,
        "version": version,
        "cluster": layout.id,
        "node": "n9",
        "to": name,
        "boot": "b",
        "address": "127.0.0.1:1",
        "nonce": bytes(NONCE_BYTES),
    }
    reader = FrameReader()
    try:
        with trio.fail_after(ANSWER_S):
            stream = await trio.open_tcp_stream("127.0.0.1", layout.nodes[name].peer)
            async with stream:
                await stream.send_all(encode("hello", hello))
                while data := await stream.receive_some():
                    for kind, body in reader.feed(data):
                        return kind, body
    except (OSError, trio.TooSlowError, trio.BrokenResourceError, PeerRefused) as error:
        raise Broken(f"{name} did not answer a hello: {error}") from None
    raise Broken(f"{name} hung up on a hello without a word")


async def quorum_lost(scene: Scene) -> None:
    """17: healed when the survivor serves alone, counted from the consent."""
    survivor = await scene.follower()
    gone = [name for name in scene.cluster.names if name != survivor]
    config = str(scene.cluster.folder.config(survivor))
    await scene.pause()
    await trio.sleep(QUIET_S)
    scene.inject()
    scene.stage.down |= set(gone)
    for name in gone:
        await scene.cluster.kill(name)
        shutil.rmtree(scene.cluster.folder.data(name))
    for link in scene.stage.network.between(set(scene.cluster.names), set(gone)):
        link.close()
    scene.names = (survivor,)
    await scene.detect(rules.QUORUM_LOST, standing("fenced"), within_s=LOST_S)
    plan = await _recover("plan", "--config", config, "--json")
    found = json.loads(plan)["plan"]
    async with scene.stopped(survivor):
        consent = ["--plan", found["hash"], "--yes-lose-what-is-listed"]
        await _recover("apply", "--config", config, *consent)
    scene.end()
    scene.write()
    await scene.heal()


async def _recover(*words: str) -> str:
    return await _unidesk("cluster", "recover", *words)


async def _unidesk(*words: str) -> str:
    """Return what the command says.  Raises `Broken`."""
    command = [sys.executable, "-m", "node", *words]
    run = partial(subprocess.run, capture_output=True, text=True, check=False, timeout=COMMAND_S)
    done = await trio.to_thread.run_sync(lambda: run(command))
    told = f"`unidesk {' '.join(words[:3])}`: {(done.stderr or done.stdout).strip()}"
    if done.returncode != 0:
        raise Broken(told)
    return str(done.stdout)
