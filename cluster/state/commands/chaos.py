"""Faults on purpose.  No I/O."""

from typing import Literal

from cluster.state.commands.base import By, CommandBase

FaultKind = Literal[
    "partition",
    "one_way",
    "delay",
    "loss",
    "reset",
    "pause",
    "kill",
    "slow_disk",
    "full_disk",
    "fsync_error",
    "clock_skew",
]


class AllowChaos(CommandBase, frozen=True, tag="chaos.allow"):
    """The node that proposes this may be broken on purpose, for as long as it has this boot."""

    boot: str
    zone: str = ""


class StartChaos(CommandBase, frozen=True, tag="chaos.start"):
    """Break something for `for_ms`; see `cluster.state.chaos` for what the rest means."""

    by: By
    key: str
    fault: str
    """A new id."""
    kind: FaultKind
    groups: tuple[tuple[str, ...], ...]
    for_ms: int
    amount: int = 0
    jitter_ms: int = 0
    clients: bool = False
    zone: str = ""


class EndChaos(CommandBase, frozen=True, tag="chaos.end"):
    """End these faults; all, when none is named."""

    by: By
    faults: tuple[str, ...] = ()
    why: Literal["stopped", "over"] = "stopped"
