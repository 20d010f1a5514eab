"""A simulated cluster to which nothing happens by chance, and ways to let its time pass."""

from collections.abc import Callable

from cluster.heal.settings import HealSettings
from cluster.state.model import HealNote
from tests.sim.checks import check
from tests.sim.world import World


def calm(
    seed: int,
    *,
    nodes: int = 3,
    spares: int | None = None,
    busy: bool = True,
    off: frozenset[str] = frozenset(),
    heal: HealSettings | None = None,
) -> World:
    """A cluster that has a leader and serves; its spares are down."""
    world = World(seed, nodes=nodes, spares=spares, off=off, heal=heal)
    for name in world.names[nodes:]:
        world.stop(name)
    until(world, 10.0, lambda: len(leaders(world)) == 1 and all_serve(world))
    wait(world, 1.5)  # until all have told each other that they serve
    if not busy:
        for client in world.clients:
            client.finish_soon()
    return world


def until(
    world: World, s_max: float, holds: Callable[[], bool], always: Callable[[], None] = lambda: None
) -> float:
    """Let time pass until `holds()`; return how long that took.  `always` checks every moment."""
    begun_s = world.now_s
    while not holds():
        check(world.now_s - begun_s < s_max, f"not within {s_max} s of simulated time")
        world.step()
        always()
    return world.now_s - begun_s


def wait(world: World, s: float, always: Callable[[], None] = lambda: None) -> None:
    ends_s = world.now_s + s
    until(world, s + 1.0, lambda: world.now_s >= ends_s, always)


def leaders(world: World) -> list[str]:
    return [name for name, node in sorted(world.up.items()) if node.engine.is_leader]


def is_another(world: World, than: str) -> bool:
    """Whether one node leads, and another one."""
    return len(leaders(world)) == 1 and leaders(world) != [than]


def standing(world: World, name: str) -> str:
    return world.up[name].part.status().standing


def all_serve(world: World) -> bool:
    return all(standing(world, name) == "serving" for name in world.up)


def heal_log(world: World, name: str, rule: int) -> list[HealNote]:
    return [line for line in world.up[name].part.state.heal_log if line.rule == rule]
