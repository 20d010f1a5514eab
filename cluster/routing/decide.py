"""Which queue a conversation goes to, and why.  No I/O.

The first rule that matches decides; without one, the queue that the conversation asks for, if
the rules declare it; else the fallback.  A conversation that was transferred to a rule by name
goes its way, whether or not it would match; if there is none of that name, all are asked.  The
trace has one line per rule that was looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.routing.expression import MAPS, PLAIN, Contact
from cluster.routing.rules import Rule, RuleSet
from cluster.state.model import Conversation

TRACE_MAX = 100


@dataclass(frozen=True, slots=True)
class Decision:
    queue: str
    priority: int
    rule: str
    """Name of the rule; empty where the hint or the fallback decided."""
    skills: tuple[str, ...]
    trace: tuple[tuple[str, str], ...]
    """(rule, "matched" | "false" | why it could not be told), in the order tried."""


def decide(ruleset: RuleSet, conversation: Conversation) -> Decision:
    """Return where `conversation` goes; never raises."""
    wanted = next((one for one in ruleset.rules if one.name == conversation.wanted_rule), None)
    if wanted is not None:
        return _decision(ruleset, wanted.route, wanted, ((wanted.name, "named"),))
    plain = {
        "channel": conversation.channel,
        "lang": conversation.lang,
        "subject": conversation.subject,
    }
    contact = ruleset.scope.contact(plain, {"tags": conversation.tags, "attrs": conversation.attrs})
    return _decide(ruleset, contact, conversation.queue_hint)


def decide_values(ruleset: RuleSet, values: Mapping[str, Any]) -> Decision:
    """Return where a conversation with these values would go; for table tests."""
    plain = {name: str(values.get(name, "")) for name in PLAIN}
    maps = {name: values[name] for name in MAPS if isinstance(values.get(name), dict)}
    return _decide(ruleset, ruleset.scope.contact(plain, maps), "")


def _decide(ruleset: RuleSet, contact: Contact, hint: str) -> Decision:
    trace: list[tuple[str, str]] = []
    for rule in ruleset.rules:
        if rule.condition is None:
            matched, why = True, ""
        else:
            verdict = rule.condition.holds(contact)
            matched, why = verdict.matched, verdict.why
        if len(trace) < TRACE_MAX:
            trace.append((rule.name, "matched" if matched else why or "false"))
        if matched:
            return _decision(ruleset, rule.route, rule, tuple(trace))
    queue = hint if hint in ruleset.declared else ruleset.fallback
    return _decision(ruleset, queue, None, tuple(trace))


def _decision(
    ruleset: RuleSet, queue: str, rule: Rule | None, trace: tuple[tuple[str, str], ...]
) -> Decision:
    queue_rules = ruleset.queues[queue]
    priority = queue_rules.priority
    skills = queue_rules.skills
    if rule is not None:
        if rule.conversation_priority is not None:
            priority = rule.conversation_priority
        skills = tuple(dict.fromkeys((*skills, *rule.skills)))
    return Decision(queue, priority, rule.name if rule else "", skills, trace)
