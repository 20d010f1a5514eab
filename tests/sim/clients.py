"""Clients of a simulated cluster: each writes and reads, one thing at a time.

A write keeps its (client, number) until it is acknowledged, however often and wherever it is
proposed; so a write that was lost shows, and so does one that applied twice.
"""

from functools import partial
from typing import TYPE_CHECKING

from tests.sim.machine import Machine, command

if TYPE_CHECKING:
    from tests.sim.node import SimNode
    from tests.sim.world import World

KEYS = ("a", "b", "c")
RETRY_S = 0.8
PAUSE_S = 0.03


class Client:
    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self._name = name
        self._number = 0
        self._key = ""
        self._pending = False
        self._last = False
        """The next write acknowledged is the last one."""
        self.done = False

    def begin(self) -> None:
        self._world.at(self._world.rng.random() * 0.5, f"{self._name} begins", self._next)

    def finish_soon(self) -> None:
        """Make one more write, after the last fault, and stop."""
        self._last = True

    def _next(self) -> None:
        if self._world.rng.random() < 0.4:
            self._read()
        if self._pending:
            return
        self._number += 1
        self._key = self._world.rng.choice(KEYS)
        self._pending = True
        self._try(self._number)

    def _try(self, number: int) -> None:
        if not self._pending or number != self._number:
            return
        self._world.at(RETRY_S, f"{self._name} retries {number}", partial(self._try, number))
        node = self._some_node(leading=True)
        if node is None:
            return
        payload = command(self._name, number, self._key, self._padding(number))
        if node.propose(payload, partial(self._on_done, number, self._key)):
            self._world.wake(node.name)

    def _padding(self, number: int) -> str:
        return f"{number}" if number % 5 else f"{number}" * 200

    def _on_done(self, number: int, key: str, version: int | None) -> None:
        world = self._world
        if number != self._number or not self._pending:
            return
        if version is None:
            world.at(PAUSE_S, f"{self._name} tries again", partial(self._try, number))
            return
        world.checks.acknowledged(self._name, number, key, version)
        world.say(f"{self._name} acked {number}")
        self._pending = False
        self.done = self._last
        if not self.done:
            world.at(world.rng.random() * 2 * PAUSE_S, f"{self._name} goes on", self._next)

    def _read(self) -> None:
        node = self._some_node(leading=self._world.rng.random() < 0.5)
        if node is None:
            return
        key = self._world.rng.choice(KEYS)
        floor = self._world.checks.floors.get(key, 0)
        node.engine.read_index(partial(self._on_index, node, key, floor))
        self._world.wake(node.name)

    def _on_index(self, node: "SimNode", key: str, floor: int, index: int | None) -> None:
        if index is None:
            self._world.counts["reads refused"] += 1
        else:
            node.reads.append((index, partial(self._on_ready, node, key, floor)))

    def _on_ready(self, node: "SimNode", key: str, floor: int, machine: Machine) -> None:
        self._world.checks.read(node.name, key, machine.versions.get(key, 0), floor)

    def _some_node(self, *, leading: bool) -> "SimNode | None":
        """Return a node that is free to be spoken to; one that thinks it leads, if asked for."""
        world = self._world
        nodes = [
            node
            for node in world.up.values()
            if (node.engine.is_leader or not leading)
            and world.busy.get(node.name, 0.0) <= world.now_s
        ]
        nodes.sort(key=lambda node: node.name)
        return world.rng.choice(nodes) if nodes else None
