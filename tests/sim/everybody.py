"""Whoever a state calls for: one client of a simulated cluster that acts as everybody in turn.

Agents, supervisors, visitors and operators do what there is to do (`tests.cluster.state.sensible`),
so that every command of real clients meets faults.  What the other clients rely on is left alone:
the shared conversations, the agents' accounts and nodes.
"""

from typing import TYPE_CHECKING

from cluster.state import commands
from cluster.state.commands import Command
from cluster.state.outcome import Done
from cluster.state.state import State
from tests.cluster.state.sensible import sensible
from tests.sim.clients import Client

if TYPE_CHECKING:
    from cluster.port import Answer

_NOT_HERE = (
    commands.LoseNode,
    commands.PutAccount,
    commands.RemoveAccount,
    commands.RevokeTokens,
    commands.RollbackRules,
    commands.PurgeConversations,
    commands.OpenConversation,
)


class Everybody(Client):
    """Does one thing at a time, each kind as often as others."""

    def go_on(self) -> None:
        node = self.some_node()
        if self.done:
            return
        if node is None:
            self.pause(0.5)
            return
        wanted = self._wanted(node.part.state)
        if wanted is None:
            self.pause(0.5)
            return
        self.ask(wanted, lambda answer: self._on_done(wanted, answer))

    def _wanted(self, state: State) -> Command | None:
        by_kind: dict[str, list[Command]] = {}
        for command in sensible(state, state.now_ms, self.new_id()):
            shared = getattr(command, "cv", "") in self.world.history
            if not shared and not isinstance(command, _NOT_HERE):
                by_kind.setdefault(type(command).__name__, []).append(command)
        if not by_kind:
            return None
        return self.rng.choice(by_kind[self.rng.choice(sorted(by_kind))])

    def _on_done(self, command: Command, answer: "Answer") -> None:
        outcome = "done" if isinstance(answer, Done) else "refused"
        self.world.counts[f"{type(command).__name__} {outcome}"] += 1
        self.pause(0.3)
