"""What the cluster agrees on about its own nodes.  No I/O."""

from typing import Any, Literal

from cluster.state.commands.base import By, CommandBase

HealOutcome = Literal["done", "began", "failed", "held_back", "observed"]
"""`held_back`: a limit of the rate forbade it; `observed`: healing is off, and only watches."""


class BootNode(CommandBase, frozen=True, tag="node.boot"):
    """A node process began; sessions of its earlier boots are lost from here on."""

    node: str
    boot: str
    url: str


class LoseNode(CommandBase, frozen=True, tag="node.lose"):
    """The leader has not heard `boot` of `node` for the grace period."""

    node: str
    boot: str


class DrainNode(CommandBase, frozen=True, tag="node.drain"):
    """Let a node take no clients and lead nothing, or take them again; it votes as before."""

    node: str
    by: By
    drained: bool = True


class RaiseLevel(CommandBase, frozen=True, tag="level.raise"):
    """All members understand the commands of `level`; see `cluster.state.levels`."""

    level: int


class NoteHeal(CommandBase, frozen=True, tag="heal.note"):
    """What a node did by itself, by which rule of `cluster.heal.rules`, and why."""

    rule: int
    seen: str
    """What was wrong, in words with figures."""
    done: str
    outcome: HealOutcome
    at_ms: int
    """When, by the clock of the node that tells."""
    figures: dict[str, Any] = {}
