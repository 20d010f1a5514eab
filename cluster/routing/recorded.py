"""A recorded routing, decided again: by the same rules, or by others.  No I/O.

    Routing ──conversation_of──▶ Conversation, as it was ──decide──▶ Decision

The time that `hour` and `open` tell is that of the routing, and a canary's bucket is its
conversation's: by the rules that decided it, it is decided as it was.
"""

from typing import NamedTuple

from cluster.routing.decide import (
    CANARY_OUT,
    FALSE,
    MATCHED,
    SHADOW,
    Decision,
    contact_of,
    decide,
)
from cluster.routing.expression import Contact
from cluster.routing.rules import Rule, RuleSet
from cluster.state.model import Conversation
from cluster.state.routings import NOTED_MAX, Routing

_TOLD = frozenset({MATCHED, FALSE, SHADOW, CANARY_OUT})


def conversation_of(routing: Routing) -> Conversation:
    """Return the conversation as the rules saw it."""
    return Conversation(
        cv=routing.cv,
        visitor="",
        visitor_name="",
        channel=routing.channel,
        lang=routing.lang,
        subject=routing.subject,
        tags=routing.tags,
        attrs=routing.attrs,
        opened_ms=routing.at_ms,
        queue_hint=routing.hint,
    )


def decide_again(ruleset: RuleSet, routing: Routing) -> Decision:
    """Return where it goes by `ruleset`; never raises."""
    return decide(ruleset, conversation_of(routing), routing.at_ms)


def erred_in(decision: Decision) -> tuple[str, ...]:
    """Return the rules that could not be told, in the order tried."""
    return tuple(name for name, what in decision.trace if what not in _TOLD)


def notes_of(decision: Decision) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return what is taken down of a decision: rules that erred, shadows and their queues."""
    shadows = tuple((route.rule, route.steps[0].queue) for route in decision.shadows)
    return erred_in(decision)[:NOTED_MAX], shadows[:NOTED_MAX]


class Tried(NamedTuple):
    """A rule that was tried, and what it said."""

    rule: Rule
    says: str
    """`matched`, `false`, `shadow would have matched`, or why it could not be told."""

    @property
    def mode(self) -> str:
        """`shadow` or `canary:N`; empty for a rule that decides for all."""
        if self.rule.mode == "canary":
            return f"canary:{self.rule.percent}"
        return "" if self.rule.mode == "active" else self.rule.mode


def tried(ruleset: RuleSet, routing: Routing) -> tuple[Decision, list[Tried], Contact]:
    """Return the decision, each rule that was tried for it, and what they looked at."""
    conversation = conversation_of(routing)
    decision = decide(ruleset, conversation, routing.at_ms)
    by_name = {rule.name: rule for rule in ruleset.rules}
    found = [Tried(by_name[name], what) for name, what in decision.trace]
    return decision, found, contact_of(ruleset, conversation, routing.at_ms)
