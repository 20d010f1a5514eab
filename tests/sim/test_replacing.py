"""Nodes that give way, in a simulated cluster: dead ones to standbys, wrong ones to themselves.

What must hold at every moment, while clients go on:

    a majority    of the voters runs and remembers
    one at a time at most one node joins, one leaves, and one is filled
    join first    the voters are never fewer than the cluster was made with
"""

from collections.abc import Callable

import pytest

from cluster.heal import rules
from cluster.heal.replacing import RETRY_S, STABLE_S
from cluster.heal.settings import HealSettings
from cluster.state.snapshot import digest
from tests.sim.calm import all_serve, calm, heal_log, is_another, leaders, standing, until, wait
from tests.sim.checks import check
from tests.sim.world import World

HEAL = HealSettings(replace_after_s=3.0)
PACE = 30.0
REPLACED_S = HEAL.replace_after_s + 5.0


def with_standbys(seed: int, *, nodes: int, standbys: int) -> World:
    """A cluster with standbys that have been well for long enough to take a place."""
    world = calm(seed, nodes=nodes, spares=standbys, heal=HEAL)
    world.pace = PACE
    for name in world.names[nodes:]:
        (leader,) = leaders(world)
        engine = world.up[leader].engine
        engine.propose_members(engine.members.add(name, "", role="standby"))
        world.start(name)
        until(world, 10.0, lambda name=name: standing(world, name) == "serving")  # type: ignore[misc]
    wait(world, STABLE_S + 2.0)
    return world


def promises(world: World, voters_min: int) -> Callable[[], None]:
    """Return what checks the three promises now."""

    def look() -> None:
        for node in world.up.values():
            members = node.engine.members
            check(len(members.voters) >= voters_min, f"{node.name} knows {members.voters}")
            for role in ("joining", "leaving"):
                check(len(members.in_role(role)) <= 1, f"{members.in_role(role)} are {role}")
        for name in leaders(world):
            voters = set(world.up[name].engine.members.voters)
            filled = {voter for voter in voters & world.up.keys() if world.forgets(voter)}
            check(len(filled) <= 1, f"{filled} are filled at once")
            able = voters & world.up.keys() - filled
            check(2 * len(able) > len(voters), f"only {able} of {voters} are able")

    return look


def end(world: World) -> None:
    """Let clients finish, and see that nothing was lost and all are the same."""
    for client in world.clients:
        client.finish_soon()
    (leader,) = leaders(world)
    members = world.up[leader].engine.members
    live = [name for name in members.by_id if name in world.up]
    until(world, 15.0, lambda: all(client.done for client in world.clients))
    until(world, 15.0, lambda: len({world.up[name].applied_index for name in live}) == 1)
    world.checks.ended({name: world.up[name].part.state for name in live}, world.history)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "nodes"), [(60, 3), (61, 5)])
def test_a_dead_voter_gives_way_to_a_standby_and_the_next_has_to_wait(
    seed: int, nodes: int
) -> None:
    world = with_standbys(seed, nodes=nodes, standbys=2)
    (leader,) = leaders(world)
    term = world.up[leader].engine.term
    dead, next_dead = [name for name in world.names[:nodes] if name != leader][:2]
    always = promises(world, nodes)
    world.stop(dead)
    wait(world, HEAL.replace_after_s - 1.0, always)
    assert dead in world.up[leader].engine.members.voters, "too early"
    until(world, 7.0, lambda: dead not in world.up[leader].engine.members.by_id, always)
    voters = world.up[leader].engine.members.voters
    (standby,) = set(voters) - set(world.names[:nodes])
    until(world, 5.0, lambda: standby in voters and all_serve(world), always)
    wait(world, STABLE_S + 2.0, always)  # the other standby is well again

    world.stop(next_dead)
    wait(world, RETRY_S + REPLACED_S, always)  # before that nothing is tried anyway
    assert world.up[leader].engine.members.voters == voters, "two within an hour"
    held = [one.done for one in heal_log(world, leader, rules.DEAD_VOTER) if next_dead in one.seen]
    assert any("less than an hour ago" in done for done in held), held

    world.start(dead)  # it finds out that it is no member, and disturbs nobody
    world.start(next_dead)
    until(world, 5.0, lambda: standing(world, next_dead) == "serving", always)
    wait(world, 3.0, always)
    assert (leaders(world), world.up[leader].engine.term) == ([leader], term)
    end(world)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_a_standby_that_is_well_nobody_is_removed() -> None:
    world = with_standbys(62, nodes=3, standbys=1)
    (leader,) = leaders(world)
    dead = next(name for name in world.names[:3] if name != leader)
    world.stop(world.names[3])
    world.stop(dead)
    wait(world, REPLACED_S + 5.0, promises(world, 3))
    assert dead in world.up[leader].engine.members.voters
    world.start(dead)
    world.start(world.names[3])
    until(world, 5.0, lambda: all_serve(world))
    end(world)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [63, 64])
def test_a_replacement_goes_on_under_another_leader_and_is_not_begun_twice(seed: int) -> None:
    world = with_standbys(seed, nodes=5, standbys=2)
    (leader,) = leaders(world)
    dead = next(name for name in world.names[:5] if name != leader)
    always = promises(world, 5)
    world.stop(dead)

    def begun() -> bool:
        return bool(world.up[leader].engine.members.in_role("joining"))

    until(world, REPLACED_S, begun, always)
    world.stop(leader)
    until(world, 5.0, lambda: is_another(world, leader), always)
    (heir,) = leaders(world)
    world.start(leader)
    until(world, REPLACED_S + STABLE_S, lambda: dead not in world.up[heir].engine.members.by_id)
    wait(world, 10.0, always)
    members = world.up[heir].engine.members
    assert len(members.voters) == 5
    assert len(members.in_role("standby")) == 1
    end(world)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [6, 9])
def test_a_leader_that_dies_before_its_note_does_not_let_the_next_one_replace_too_soon(
    seed: int,
) -> None:
    world = with_standbys(seed, nodes=5, standbys=2)
    (leader,) = leaders(world)
    first, second = [name for name in world.names[:5] if name != leader][:2]
    world.up[leader].part.heal.tell = lambda submit: None  # type: ignore[method-assign]
    for name in (first, second):
        world.stop(name)
    followers = [name for name in world.up if name != leader]

    def replicated() -> bool:
        return all(world.up[name].engine.members.in_role("joining") for name in followers)

    until(world, 60.0, replicated)
    world.crash(leader, power=True)
    until(world, 20.0, lambda: is_another(world, leader))
    wait(world, REPLACED_S + 30.0)
    (heir,) = leaders(world)
    members = world.up[heir].engine.members
    assert len({first, second} & members.by_id.keys()) == 1
    assert (len(members.voters), len(members.in_role("standby"))) == (5, 1)
    notes = heal_log(world, heir, rules.DEAD_VOTER)
    assert {one.outcome for one in notes} == {"held_back"}
    assert "less than an hour ago" in notes[-1].done


@pytest.mark.parametrize(("seed", "nodes"), [(70, 3), pytest.param(72, 5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("leads", [False, True])
def test_who_holds_another_state_is_emptied_and_filled_while_the_others_serve(
    seed: int, nodes: int, leads: bool
) -> None:
    world = calm(seed, nodes=nodes, spares=0)
    (leader,) = leaders(world)
    odd = leader if leads else next(name for name in world.names if name != leader)
    always = promises(world, nodes)
    acked = len(world.checks.acked)
    world.flip(odd)
    until(world, 30.0, lambda: world.counts["rebuilt"] == 1, always)
    assert odd not in leaders(world), "it handed over first"
    until(world, 10.0, lambda: not world.forgets(odd) and all_serve(world), always)
    assert len(world.checks.acked) > acked
    wait(world, 3.0, always)
    assert world.counts["rebuilt"] == 1
    end(world)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_of_two_that_differ_the_second_waits_for_the_first() -> None:
    world = calm(73, nodes=5, spares=0)
    odd = [name for name in world.names if name not in leaders(world)][:2]
    always = promises(world, 5)
    for name in odd:
        world.flip(name)
    until(world, 60.0, lambda: world.counts["rebuilt"] == 2, always)
    until(world, 10.0, lambda: all_serve(world), always)
    end(world)


def test_where_no_majority_agrees_nothing_is_thrown_away() -> None:
    world = calm(74, nodes=3, spares=0)
    (leader,) = leaders(world)
    for number, name in enumerate(world.names):
        world.flip(name, f"flipped {number}")
    until(world, 30.0, lambda: bool(heal_log(world, leader, rules.DIVERGENCE)))
    wait(world, 5.0)
    assert world.counts["rebuilt"] == 0
    assert len({digest(node.part.state) for node in world.up.values()}) == 3
