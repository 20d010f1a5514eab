"""Rows of links between nodes: 1 to 4, 16.  Talks to proxies.

1   a minority is cut off           2   the split is over
3   one link, cut or one way or flapping, while others hear the leader
4   the leader speaks and hears nobody
16  whoever dials one node is answered with noise and hung up on
"""

import trio

from cluster.heal import rules
from scripts.heal_report.scene import Broken, Scene
from scripts.heal_report.signs import event, standing

FLAP_S = (2.0, 0.5)
"""Down and up: longer than an election timeout, or there is nothing to be seen."""
FLAPS = 4
SPLIT_S = 4.0
ODD_S = 4.0
"""How long a fault of a link goes on when it is noted at once."""


async def leader_cut_off(scene: Scene) -> None:
    """1: the leader alone, of three."""
    await _cut_off(scene, {await scene.leader()})


async def two_cut_off(scene: Scene) -> None:
    """1: the leader and another, of five."""
    await _cut_off(scene, {await scene.leader(), await scene.follower()})


async def _cut_off(scene: Scene, minority: set[str]) -> None:
    rest = set(scene.cluster.names) - minority
    with scene.cut(minority, rest):
        scene.inject()
        await scene.detect(rules.MINORITY, standing("fenced"))
        for name in minority:
            if await scene.is_ready(name):
                raise Broken(f"{name} is cut off and says that it is ready")
    scene.end()
    await scene.heal()


async def split_over(scene: Scene) -> None:
    """2: two of five, cut off for a while, hear the others again."""
    minority = {await scene.leader(), await scene.follower()}
    with scene.cut(minority, set(scene.cluster.names) - minority):
        await trio.sleep(SPLIT_S)
    scene.inject()
    await scene.detect_and_heal(rules.RETURN, standing("catching_up", "serving"))


async def link_cut(scene: Scene) -> None:
    """3: leader and one follower do not hear each other."""
    await _odd_link(scene, both_ways=True)


async def one_way(scene: Scene) -> None:
    """3: one follower does not hear the leader."""
    await _odd_link(scene, both_ways=False)


async def _odd_link(scene: Scene, *, both_ways: bool) -> None:
    leader, term = await scene.leader(), await scene.term()
    follower = await scene.follower()
    with scene.cut({leader}, {follower}, both_ways=both_ways):
        scene.inject()
        await _at_least(scene, rules.ONE_WAY)
        await _still_leads(scene, leader, term)
    scene.end()
    await scene.heal()


async def flapping(scene: Scene) -> None:
    """3: the link between leader and one follower is down most of the time."""
    leader, term = await scene.leader(), await scene.term()
    follower = await scene.follower()
    scene.inject()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.detect, rules.ONE_WAY, standing("fenced"))
        for _ in range(FLAPS):
            with scene.cut({leader}, {follower}):
                await trio.sleep(FLAP_S[0])
            await trio.sleep(FLAP_S[1])
    await _still_leads(scene, leader, term)
    scene.end()
    await scene.heal()


async def deaf_leader(scene: Scene) -> None:
    """4: the leader is heard, and hears nobody."""
    leader = await scene.leader()
    with scene.cut(set(scene.cluster.names) - {leader}, {leader}, both_ways=False):
        scene.inject()
        await scene.detect(rules.DEAF_LEADER, standing("fenced"))
        await scene.wait_handed_over(leader)
    scene.end()
    await scene.heal()


async def noise(scene: Scene) -> None:
    """16: one follower dials another and hears what is no node."""
    dialer = await scene.follower()
    dialled = await scene.follower(dialer)
    link = scene.stage.network.links[dialer, dialled]
    scene.inject()
    link.spoil()
    await scene.detect(rules.BAD_PEER, event("peer link down"))
    link.spoilt = False
    scene.end()
    await scene.heal()


async def _at_least(scene: Scene, rule: int) -> None:
    """Look for the rule's line, and let the fault go on for ODD_S at least."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, ODD_S)
        nursery.start_soon(scene.detect, rule, standing("fenced"))


async def _still_leads(scene: Scene, leader: str, term: int) -> None:
    if (await scene.leader(), await scene.term()) != (leader, term):
        raise Broken(f"{leader} was well in term {term}, and was deposed")
