"""Which way a conversation goes, and why.  No I/O; the time comes in.

The first rule that matches decides; without one, the queue that the conversation asks for, if
the rules declare it; else the fallback.  A conversation that was transferred to a rule by name
goes its way, whether or not it would match; if there is none of that name, all are asked.  The
trace has one line per rule that was looked at:

    named                          it was transferred to this rule
    matched                        it decides
    false                          its condition does not hold
    'arpu' is missing              it could not be told, which counts as false
    shadow would have matched      a shadow: looked at, and passed over
    canary out                     a canary that matches, for others than this conversation

A canary decides for those of whom `bucket` is below its percentage: always the same for one
conversation and rule, and for different ones with different rules.

    steps in queues that are closed now      are left out, if any queue of the way is open
    all closed                               what the first queue's `closed` says, at once
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.routing.expression import MAPS, PLAIN, Contact, verdicts
from cluster.routing.needs import need_of
from cluster.routing.rules import Rule, RuleSet, StepRules, strictest
from cluster.state.model import Conversation
from cluster.state.route import Route, Step

SHADOWS_MAX = 16
"""Routes of shadows that are kept with a decision."""

MATCHED, FALSE, NAMED = "matched", "false", "named"
SHADOW, CANARY_OUT = "shadow would have matched", "canary out"


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a conversation goes."""

    route: Route
    """Its `rev` is left to whoever knows it."""
    trace: tuple[tuple[str, str], ...] = ()
    """(rule, what became of it), in the order tried."""
    shadows: tuple[Route, ...] = field(default=())
    """What shadows would have decided that were tried before, in their order."""

    @property
    def queue(self) -> str:
        """The queue of the first step."""
        return self.route.steps[0].queue

    @property
    def priority(self) -> int:
        """That of the first step."""
        return self.route.steps[0].priority

    @property
    def skills(self) -> tuple[str, ...]:
        """Those of the first step."""
        return tuple(self.route.steps[0].skills)

    @property
    def rule(self) -> str:
        """Name of the rule; empty where the hint or the fallback decided."""
        return self.route.rule


def decide(ruleset: RuleSet, conversation: Conversation, now_ms: int) -> Decision:
    """Return where `conversation` goes at `now_ms`; never raises."""
    if conversation.wanted_rule:
        route = route_by(ruleset, conversation.wanted_rule, conversation, now_ms)
        if route is not None:
            return Decision(route, ((route.rule, NAMED),))
    contact = contact_of(ruleset, conversation, now_ms)
    hint = conversation.queue_hint
    return _Deciding(ruleset, contact, conversation.channel, now_ms).decide(hint, conversation.cv)


def decide_values(
    ruleset: RuleSet, values: Mapping[str, Any], now_ms: int, *, trying: str = ""
) -> Decision:
    """Return where a conversation with these values would go.

    The rule `trying` counts as active; other shadows and canaries stand aside.
    """
    plain = {name: str(values.get(name, "")) for name in PLAIN}
    maps = {name: values[name] for name in MAPS if isinstance(values.get(name), dict)}
    contact = ruleset.scope.contact(plain, maps, now_ms)
    return _Deciding(ruleset, contact, plain["channel"], now_ms).decide("", "", trying)


def route_by(ruleset: RuleSet, rule: str, conversation: Conversation, now_ms: int) -> Route | None:
    """Return the way that `rule` gives, whether it matches or not; None where there is none."""
    found = next((one for one in ruleset.rules if one.name == rule), None)
    if found is None:
        return None
    contact = contact_of(ruleset, conversation, now_ms)
    return _Deciding(ruleset, contact, conversation.channel, now_ms).route(found.steps, found)


def contact_of(ruleset: RuleSet, conversation: Conversation, now_ms: int) -> Contact:
    """Return what the conditions of `ruleset` see of `conversation`."""
    plain = {
        "channel": conversation.channel,
        "lang": conversation.lang,
        "subject": conversation.subject,
    }
    maps = {"tags": conversation.tags, "attrs": conversation.attrs}
    return ruleset.scope.contact(plain, maps, now_ms)


def bucket(cv: str, rule: str) -> int:
    """Return 0 to 99: the same for a conversation and a rule on every node and in every version."""
    digest = hashlib.sha256(f"{rule}\0{cv}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % 100


class _Deciding:
    """One decision."""

    def __init__(self, ruleset: RuleSet, contact: Contact, channel: str, now_ms: int) -> None:
        self._ruleset = ruleset
        self._contact = contact
        self._channel = channel
        self._now_ms = now_ms

    def decide(self, hint: str, cv: str, trying: str = "") -> Decision:
        rules = self._ruleset.rules
        trace: list[tuple[str, str]] = []
        shadows: list[Route] = []
        looks = verdicts([rule.condition for rule in rules], self._contact)
        for rule, verdict in zip(rules, looks, strict=True):
            if not verdict.matched:
                trace.append((rule.name, verdict.why or FALSE))
                continue
            what = self._of_mode(rule, cv, trying)
            trace.append((rule.name, what))
            if what == MATCHED:
                return self._decision(rule.steps, rule, trace, shadows)
            if what == SHADOW and len(shadows) < SHADOWS_MAX:
                shadows.append(self.route(rule.steps, rule))
        steps = self._ruleset.fallback_steps
        if hint in self._ruleset.declared:
            steps = (StepRules(hint),)
        return self._decision(steps, None, trace, shadows)

    def _decision(
        self,
        steps: Sequence[StepRules],
        rule: Rule | None,
        trace: list[tuple[str, str]],
        shadows: list[Route],
    ) -> Decision:
        return Decision(self.route(steps, rule), tuple(trace), tuple(shadows))

    def route(self, steps: Sequence[StepRules], rule: Rule | None) -> Route:
        queues, now_ms = self._ruleset.queues, self._now_ms
        first = queues[steps[0].queue]
        overflow = rule.overflow if rule and rule.overflow else first.overflow
        open_steps = [step for step in steps if queues[step.queue].is_open(now_ms)]
        if not open_steps and first.closed:
            overflow = first.closed
        return Route(
            tuple(self._step(step, rule) for step in open_steps or steps),
            rule.name if rule else "",
            weight=self._ruleset.weights.get(self._channel, 1),
            sla=rule.sla if rule else "",
            overflow=overflow,
        )

    def _of_mode(self, rule: Rule, cv: str, trying: str) -> str:
        """Return what becomes of a rule whose condition holds."""
        if rule.mode == "active" or rule.name == trying:
            return MATCHED
        if rule.mode == "shadow":
            return SHADOW
        drawn = bucket(cv, rule.name) if cv else 99  # who is no conversation is in no share
        inside = not trying and drawn < rule.percent
        return MATCHED if inside else CANARY_OUT

    def _step(self, step: StepRules, rule: Rule | None) -> Step:
        queue = self._ruleset.queues[step.queue]
        priority = queue.priority
        if rule is not None and rule.conversation_priority is not None:
            priority = rule.conversation_priority
        return Step(
            step.queue,
            priority if step.priority is None else step.priority,
            strictest(queue.queue.skills, rule.skills if rule else {}, step.skills),
            need_of(step.require, self._contact) if step.require else "",
            step.for_ms,
            step.prefer,
            need_of(step.skip_if, self._contact) if step.skip_if else "",
        )
