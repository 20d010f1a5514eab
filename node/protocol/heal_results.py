"""What the operations of healing answer.  No I/O."""

from typing import Any

import msgspec

from node.protocol.results import Result


class HealLine(msgspec.Struct, kw_only=True):
    """One thing that a node did by itself, did not do, or saw."""

    at: int
    """Cluster time at which the cluster heard of it."""
    done_at: int
    """When it was done, by that node's clock."""
    node: str
    rule: int
    name: str
    """Of the rule."""
    seen: str
    done: str
    outcome: str
    """`done`, `began`, `failed`, `held_back` by a limit, or only `observed`."""
    figures: dict[str, Any]


class HealLines(Result):
    lines: list[HealLine]
    next: str
    """Goes into `after` for what comes behind the newest of these."""
    past: str
    """Goes into `before` for what is older than the oldest of these."""
    more: bool


class HealRule(msgspec.Struct, kw_only=True):
    """A rule, and what became of it as far as the log goes back."""

    rule: int
    name: str
    seen: str
    done: str
    never: str
    counts: dict[str, int]
    """By outcome."""
    last_at: int
    """0: never."""


class Healing(Result):
    node: str
    mode: str
    rules: list[HealRule]
    held_back: list[HealLine]
    """What limits held back in the last ten minutes, newest first."""
    nodes: list[dict[str, Any]]
    """How each member does, as this node heard it last."""
