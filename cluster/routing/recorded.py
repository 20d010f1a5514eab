"""A recorded routing, decided again: by the same rules, or by others.  No I/O.

    Routing ──conversation_of──▶ Conversation, as it was ──decide──▶ Decision

The time that `hour` and `open` tell is that of the routing, and a canary's bucket is its
conversation's: by the rules that decided it, it is decided as it was.
"""

from cluster.routing.decide import Decision, decide
from cluster.routing.rules import RuleSet
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
