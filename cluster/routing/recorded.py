"""A recorded routing, decided again: by the same rules, or by others.  No I/O.

    Routing ──conversation_of──▶ Conversation, as it was ──decide──▶ Decision

The time that `hour` and `open` tell is that of the routing, and a canary's bucket is its
conversation's: by the rules that decided it, it is decided as it was.
"""

from typing import NamedTuple

from cluster.routing.decide import Decision, decide
from cluster.routing.expression import Contact
from cluster.routing.rules import Rule, RuleSet
from cluster.state.model import Conversation
from cluster.state.routings import Routing


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
    return decide(ruleset, conversation_of(routing))


def erred_in(decision: Decision) -> tuple[str, ...]:
    """Return the rules that could not be told, in the order tried."""
    return tuple(name for name, result in decision.trace if result not in ("matched", "false"))


class Tried(NamedTuple):
    """A rule that was tried, and what it said."""

    rule: Rule
    says: str
    """`matched`, `false`, or why it could not be told."""
    mode: str = ""
    """`shadow` or `canary:N`."""


def tried(ruleset: RuleSet, routing: Routing) -> tuple[Decision, list[Tried], Contact]:
    """Return the decision, each rule that was tried for it, and what they looked at."""
    decision = decide_again(ruleset, routing)
    by_name = {rule.name: rule for rule in ruleset.rules}
    found = [Tried(by_name[name], result) for name, result in decision.trace]
    return decision, found, contact_of(ruleset, routing)


def contact_of(ruleset: RuleSet, routing: Routing) -> Contact:
    """Return what the conditions of `ruleset` look at."""
    plain = {"channel": routing.channel, "lang": routing.lang, "subject": routing.subject}
    maps = {"tags": routing.tags, "attrs": routing.attrs}
    return ruleset.scope.contact(plain, maps, routing.at_ms)
