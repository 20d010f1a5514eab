"""Standbys take dead voters' places in a simulated cluster: one an hour, whoever leads."""

from functools import partial

import pytest

from cluster.heal import rules
from cluster.heal.settings import HealSettings
from cluster.raft.members import Role
from tests.sim.test_healing import heal_log, leaders, until, wait
from tests.sim.world import World

DEAD_S = 5.0


def with_two_standbys(seed: int) -> World:
    """Five voters and two standbys that hold everything; nothing happens by chance."""
    world = World(seed, nodes=5, heal=HealSettings(replace_after_s=DEAD_S))
    assert len(world.names) == 7, "a seed with spares"
    until(world, 10.0, lambda: len(leaders(world)) == 1)
    for client in world.clients:
        client.finish_soon()
    for standby in world.names[5:]:
        until(world, 5.0, partial(settled, world))
        engine = world.up[leaders(world)[0]].engine
        engine.propose_members(engine.members.add(standby, "", role="standby"))
        until(world, 5.0, partial(takes_part, world, standby))
    wait(world, 12.0)  # so long they must have been well
    return world


def roles(world: World) -> dict[str, Role]:
    """Return the members as the leader knows them."""
    members = world.up[leaders(world)[0]].engine.members
    return {name: one.role for name, one in members.by_id.items()}


def takes_part(world: World, name: str) -> bool:
    return name in roles(world)


def settled(world: World) -> bool:
    engine = world.up[leaders(world)[0]].engine
    return engine.status().commit_index == engine.status().last_index


@pytest.mark.slow
@pytest.mark.parametrize("seed", [6, 9])
def test_a_leader_that_dies_before_its_note_does_not_let_the_next_one_replace_too_soon(
    seed: int,
) -> None:
    world = with_two_standbys(seed)
    (leader,) = leaders(world)
    first, second = [name for name in world.names[:5] if name != leader][:2]
    world.up[leader].part.heal.tell = lambda submit: None  # type: ignore[method-assign]
    for name in (first, second):
        world.stop(name)
    followers = [name for name in world.up if name != leader]

    def replicated() -> bool:
        joining = [world.up[name].engine.members.in_role("joining") for name in followers]
        return all(joining)

    until(world, 60.0, replicated)
    world.crash(leader, power=True)
    until(world, 20.0, lambda: len(leaders(world)) == 1 and "joining" not in roles(world).values())
    wait(world, DEAD_S + 30.0)
    there = roles(world)
    assert len([name for name in (first, second) if name not in there]) == 1
    assert sorted(there.values()) == ["standby"] + ["voter"] * 5
    notes = heal_log(world, leaders(world)[0], rules.DEAD_VOTER)
    assert {one.outcome for one in notes} == {"held_back"}
    assert "less than an hour ago" in notes[-1].done
