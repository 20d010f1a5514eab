"""The shell around the rules: shows them the picture, carries out what they decide.  No I/O.

    look ──Seen──▶ every watcher ──Decision──▶ act: done by the hands, and written down
                                               observe: only written down
                                               off: nobody looks

What cannot be begun is written down as `failed`; the rule decides when to try again.
"""

from collections.abc import Sequence
from typing import Protocol

from cluster.heal.decision import (
    Action,
    Compact,
    Decision,
    Rebuild,
    Reopen,
    Shut,
    StandIn,
    Transfer,
    Watcher,
)
from cluster.heal.journal import Journal
from cluster.heal.picture import Seen
from cluster.state.commands import HealOutcome

LOOK_EVERY_S = 0.5


class Hands(Protocol):
    """What a rule can have done at this node; each says whether it began."""

    def transfer_leadership(self, target: str) -> bool: ...

    def compact(self) -> bool: ...

    def shut(self, why: str) -> bool: ...

    def reopen(self) -> bool: ...

    def stand_in(self, old: str, standby: str) -> bool: ...

    def rebuild(self, why: str) -> bool: ...


class Healing:
    """One node's; call `look` every LOOK_EVERY_S."""

    def __init__(self, watchers: Sequence[Watcher], hands: Hands, journal: Journal) -> None:
        self._watchers = watchers
        self._hands = hands
        self._journal = journal

    def look(self, seen: Seen) -> None:
        """Let every rule look, and do what they say."""
        if seen.settings.mode == "off":
            return
        for watcher in self._watchers:
            for decision in watcher.look(seen):
                self._carry_out(decision, acts=seen.acts)

    def _carry_out(self, decision: Decision, *, acts: bool) -> None:
        outcome = decision.outcome
        if decision.action is not None:
            outcome = self._do(decision.action, outcome) if acts else "observed"
        self._journal.note(decision.rule, decision.seen, decision.done, outcome, **decision.figures)

    def _do(self, action: Action, outcome: HealOutcome) -> HealOutcome:
        match action:
            case Transfer(target):
                began = self._hands.transfer_leadership(target)
            case Compact():
                began = self._hands.compact()
            case Shut(why):
                began = self._hands.shut(why)
            case Reopen():
                began = self._hands.reopen()
            case StandIn(old, standby):
                began = self._hands.stand_in(old, standby)
            case Rebuild(why):
                began = self._hands.rebuild(why)
        return outcome if began else "failed"
