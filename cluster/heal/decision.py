"""What a rule decides: words, figures, and perhaps something to do.  No I/O.

    Watcher    one rule: `look(seen)` gives decisions; what it remembers is its own
    Decision   what was seen and what is done about it, a line of `unidesk heal log`
    Action     what the shell (`cluster.heal.healing`) carries out

A decision without an action is a note: it tells what happened anyway, or what a limit held back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cluster.heal.picture import Seen
from cluster.state.commands import HealOutcome

Figures = Mapping[str, int | str | bool]
"""Milliseconds, bytes, counts: never fractions."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand leadership to `target`."""

    target: str


@dataclass(frozen=True, slots=True)
class Compact:
    """Take a snapshot now, so that the log behind it goes."""


@dataclass(frozen=True, slots=True)
class Shut:
    """Take no entries any more, and say why."""

    why: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Take entries again."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """Let `standby` take the place of the voter `old`."""

    old: str
    standby: str


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Set this node's data aside, and be filled by the others."""

    why: str


Action = Transfer | Compact | Shut | Reopen | StandIn | Rebuild


@dataclass(frozen=True, slots=True)
class Decision:
    """What `rule` makes of what was seen."""

    rule: int
    seen: str
    done: str
    figures: Figures = field(default_factory=dict)
    action: Action | None = None
    outcome: HealOutcome = "done"


class Watcher(Protocol):
    """One rule, or a few that belong together."""

    def look(self, seen: Seen) -> Sequence[Decision]:
        """Return what to do and to write down; called once or twice a second."""
        ...
