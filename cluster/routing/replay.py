"""What other rules would have done with what really came.  No I/O.

    routings ──▶ decided by the rules in force ─┐
             └─▶ decided by the rules proposed ─┴─▶ Moves: from where to where, by which rule

Both are decided anew, from the same recorded values, so that what counts as moved is the
proposal's doing and not that of a revision in between.  `Replay.step` is one routing, a fraction
of a millisecond: whoever runs it decides when others get their turn.
"""

from collections import Counter
from typing import NamedTuple

from msgspec.structs import replace

from cluster.routing.recorded import decide_again, erred_in
from cluster.routing.rules import RuleSet
from cluster.state.routings import Routing

EXAMPLES_MAX = 3
"""Conversations named for each way that some would move."""


class Move(NamedTuple):
    """One way in which conversations would move."""

    queue: str
    """Where the rules in force send them."""
    to: str
    rule: str
    """Which of the proposed decides; empty for a hint or the fallback."""
    was: str
    """Which in force decides."""


class Replay:
    """Replays routings against the rules in force and others."""

    def __init__(self, now: RuleSet, then: RuleSet) -> None:
        self._now = now
        self._then = then
        self.looked = 0
        self.moved = 0
        self.changed = 0
        """Decisions for the same queue that differ in steps, or in something else of the way."""
        self.moves: Counter[Move] = Counter()
        self.examples: dict[Move, list[str]] = {}
        self.errs_now: Counter[str] = Counter()
        """By rule in force: decisions in which it could not be told."""
        self.errs_then: Counter[str] = Counter()

    def step(self, routing: Routing) -> None:
        """Decide one routing both ways."""
        now = decide_again(self._now, routing)
        then = decide_again(self._then, routing)
        self.looked += 1
        self.errs_now.update(erred_in(now))
        self.errs_then.update(erred_in(then))
        if now.queue == then.queue:
            self.changed += replace(now.route, rule="") != replace(then.route, rule="")
            return
        move = Move(now.queue, then.queue, then.rule, now.rule)
        self.moved += 1
        self.moves[move] += 1
        examples = self.examples.setdefault(move, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(routing.cv)
