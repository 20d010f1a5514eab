"""When a simulated node calls itself a minority: within a timeout where it is one, else not."""

from functools import partial

import pytest

from cluster.heal import rules
from tests.sim.calm import calm, is_another, leaders, standing, until, wait
from tests.sim.checks import check
from tests.sim.node import TIMING
from tests.sim.world import World

pytestmark = pytest.mark.slow

A_TURN_S = 0.06
"""A heartbeat that was under way when the cut came, and a turn."""


def part(world: World, some: list[str]) -> None:
    """Let nothing pass between `some` and the others, either way."""
    rest = [name for name in world.names if name not in some]
    world.network.cuts |= {pair for a in some for b in rest for pair in ((a, b), (b, a))}


def nobody_fences(world: World, names: list[str]) -> None:
    for name in names:
        check(standing(world, name) != "fenced", f"{name} fenced: {why(world, name)}")


def why(world: World, name: str) -> str:
    return world.up[name].part.status().why


@pytest.mark.parametrize(("seed", "nodes", "cut_off"), [(60, 3, 1), (61, 5, 2), (62, 4, 2)])
@pytest.mark.parametrize("with_leader", [True, False])
def test_a_minority_fences_within_one_election_timeout(
    seed: int, nodes: int, cut_off: int, with_leader: bool
) -> None:
    world = calm(seed, nodes=nodes, spares=0, busy=False)
    (leader,) = leaders(world)
    followers = [name for name in world.names if name != leader]
    minority = [leader, *followers][:cut_off] if with_leader else followers[:cut_off]
    majority = [name for name in world.names if name not in minority]
    part(world, minority)
    within_s = TIMING.election_max_s + A_TURN_S
    if with_leader and cut_off > 1:  # its followers hear it until it gives up
        within_s += TIMING.quorum_s
    keep = partial(nobody_fences, world, majority if 2 * len(majority) > nodes else [])
    took_s = until(
        world, 2.0, lambda: all(standing(world, name) == "fenced" for name in minority), keep
    )
    assert took_s <= within_s
    wait(world, 2.0, keep)
    world.network.cuts.clear()
    until(world, 5.0, lambda: all(standing(world, name) == "serving" for name in world.up), keep)


@pytest.mark.parametrize("seed", range(70, 74))
@pytest.mark.parametrize("nodes", [3, 5])
def test_who_hears_a_majority_outlasts_a_slow_election(seed: int, nodes: int) -> None:
    """Messages take 40 ms, syncs 20, and the leader dies."""
    world = calm(seed, nodes=nodes, spares=0, busy=False)
    world.network.weather.delay_s, world.sync_s = 0.04, 0.02
    wait(world, 2.0)
    (leader,) = leaders(world)
    survivors = [name for name in world.names if name != leader]
    world.stop(leader)
    keep = partial(nobody_fences, world, survivors)
    until(world, 5.0, lambda: is_another(world, leader), keep)
    wait(world, 2.0, keep)


def test_who_hears_the_others_but_no_leader_waits_for_two_timeouts() -> None:
    world = calm(80, spares=0, busy=False)
    (leader,) = leaders(world)
    deaf = next(name for name in world.names if name != leader)
    world.network.cuts.add((leader, deaf))
    took_s = until(world, 3.0, lambda: standing(world, deaf) == "fenced")
    assert 2 * TIMING.election_max_s - A_TURN_S < took_s <= 2 * TIMING.election_max_s + A_TURN_S
    assert "2 of 3 voters are heard" in why(world, deaf)
    (note,) = [n for n in world.up[deaf].part.heal.recent if n.rule == rules.MINORITY]
    assert note.figures["others_heard"] == 1


def test_a_leader_that_is_heard_and_hears_nobody_fences_within_one() -> None:
    world = calm(81, spares=0, busy=False)
    (leader,) = leaders(world)
    others = [name for name in world.names if name != leader]
    world.network.cuts |= {(name, leader) for name in others}
    keep = partial(nobody_fences, world, others)
    took_s = until(world, 2.0, lambda: standing(world, leader) == "fenced", keep)
    assert took_s <= TIMING.election_max_s + A_TURN_S
    until(world, 3.0, lambda: is_another(world, leader), keep)


@pytest.mark.parametrize("seed", range(82, 85))
def test_a_follower_that_stood_still_reads_before_it_is_judged(seed: int) -> None:
    world = calm(seed, spares=0, busy=False)
    (leader,) = leaders(world)
    stopped = next(name for name in world.names if name != leader)
    world.busy[stopped] = world.now_s + 10.0
    wait(world, 10.0)
    wait(world, 2.0, partial(nobody_fences, world, list(world.names)))
    assert standing(world, stopped) == "serving"


def test_a_node_that_is_cut_off_while_it_stood_still_fences_when_it_runs() -> None:
    world = calm(85, spares=0, busy=False)
    (leader,) = leaders(world)
    stopped = next(name for name in world.names if name != leader)
    world.busy[stopped] = world.now_s + 10.0
    wait(world, 1.0)
    part(world, [stopped])
    wait(world, 8.9)
    took_s = until(world, 2.0, lambda: standing(world, stopped) == "fenced")
    assert took_s <= 0.1 + TIMING.election_max_s + A_TURN_S
