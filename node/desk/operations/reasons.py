"""Why conversations went where they went, and what each rule did.  Explains in a thread.

    why           the decisions about one conversation: by the recorded values and the rules of
                  their revision, then what happened to it, then who was chosen and why
    rules.stats   the decisions that are kept, counted by rule

What is known of a decision:

    routing recorded, revision kept    each rule and each part of its condition, as it was
    routing gone, revision kept        the same for the conversation's values of today
    revision gone                      rule, queue and what happened: the rest is forgotten
"""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from cluster.routing.rules import RuleSet
from cluster.state.events import Event
from cluster.state.model import Conversation
from cluster.state.routings import Routing, counted
from node.auth import Principal
from node.desk.context import Context
from node.desk.looks import Looks
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed
from node.desk.rule_sets import Breath, RuleSets
from node.desk.rule_views import (
    Room,
    chosen_view,
    decided,
    happened_view,
    routing_of,
    tell_steps,
    values_view,
)
from node.protocol import catalogue as ops
from node.protocol.rule_results import Decided, Reason, RuleCount

REASONS_MAX = 10
"""Decisions of one conversation that an answer explains; the newest."""
HAPPENED_MAX = 50
"""Events told of one decision; the newest."""
TELLING = frozenset(
    {"queued", "offered", "assigned", "unassigned", "transferred", "overflow", "closed"}
)
"""Events of the way to an agent."""


class _Decision(NamedTuple):
    """A decision, as far as it is known."""

    routing: Routing
    event: Event | None
    """None when the conversation's tail goes back no further."""
    recorded: bool


class Reasons:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup, looks: Looks, rule_sets: RuleSets) -> None:
        self._context = context
        self._lookup = lookup
        self._looks = looks
        self._rule_sets = rule_sets

    def handlers(self) -> Handlers:
        return {ops.Why: self._why, ops.RulesStats: self._stats}

    def _why(self, asker: Asker, principal: Principal, request: ops.Why) -> Effect:
        return Later(partial(self._explain, principal, request))

    async def _explain(self, principal: Principal, request: ops.Why) -> Answered:
        conversation = await self._lookup.find(principal, request.cv)
        self._looks.note(principal, request.cv)
        if request.at > conversation.seq:
            raise NotAllowed("not_found", f"at: the newest event is {conversation.seq}")
        told = [event for event in conversation.tail if event.type in TELLING]
        decisions = self._decisions(conversation, told)
        if request.at:
            at_ms = _time_of(conversation, request.at)
            decisions = [one for one in decisions if one.routing.at_ms <= at_ms][-1:]
        room = Room()
        reasons: list[Reason] = []
        for one in reversed(decisions[-REASONS_MAX:]):  # the newest has most room
            reason = await self._reason(one, room)
            happened = _until_next(told, one.event)
            tell_steps(reason.decided, happened)
            reason.happened = [happened_view(event) for event in happened]
            reasons.append(reason)
        reasons.reverse()
        _choose(conversation, reasons)
        return Answered({"cv": conversation.cv, "reasons": reasons})

    def _decisions(self, conversation: Conversation, told: list[Event]) -> list[_Decision]:
        """Return what was decided, oldest first: recorded, or told by an event that is kept."""
        routings = self._context.state.routings
        recorded = {one.at_ms: one for one in routings if one.cv == conversation.cv}
        events = {event.ts: event for event in told if _is_decision(event)}
        return [
            _Decision(
                recorded.get(at_ms) or routing_of(conversation, events[at_ms]),
                events.get(at_ms),
                at_ms in recorded,
            )
            for at_ms in sorted(recorded.keys() | events.keys())
        ]

    async def _reason(self, one: _Decision, room: Room) -> Reason:
        """Return the decision, explained by the rules of its revision if they are kept."""
        routing = one.routing
        view = _outline(routing)
        rules = await self._rules_of(routing.rev)
        if rules is not None:
            again = await self._rule_sets.run(lambda _: decided(rules, routing, room, Breath()))
            same = (again.rule, again.queue) == (routing.rule, routing.queue)
            view = again if same else replace(view, rules=again.rules)  # what was decided stands
        return Reason(
            decided=view,
            values=values_view(routing),
            values_of="then" if one.recorded else "now",
            kept=rules is not None,
            happened=[],
            chosen=[],
        )

    async def _rules_of(self, rev: int) -> RuleSet | None:
        """Return the rules of a revision; None when they are not kept, or not read any more."""
        record = self._context.state.rules_at(rev)
        if record is None and rev:
            return None
        try:
            return await self._rule_sets.of(record)
        except NotAllowed:  # applied by a release that read more than this one
            return None

    def _stats(self, asker: Asker, principal: Principal, request: ops.RulesStats) -> Effect:
        async def count() -> Answered:
            await self._lookup.barrier()
            state = self._context.state
            rev = state.rules.rev if state.rules else 0
            rules = await self._rule_sets.of(state.rules)
            return Answered(_counted(rules, rev, state.routings))

        return Later(count)


def _is_decision(event: Event) -> bool:
    return event.type == "queued" and "rev" in event.data


def _time_of(conversation: Conversation, seq: int) -> int:
    """Return when an event happened; of one that is no longer kept, the oldest time known."""
    first = conversation.tail[0]
    return conversation.tail[max(0, seq - first.seq)].ts


def _until_next(told: list[Event], decision: Event | None) -> list[Event]:
    """Return a decision's event and what followed, up to the next decision."""
    if decision is None:
        return []
    found = [decision]
    for event in told:
        if event.seq > decision.seq:
            if _is_decision(event):
                break
            found.append(event)
    return found[-HAPPENED_MAX:]


def _outline(routing: Routing) -> Decided:
    """Return a decision of which no more is known than what it was."""
    return Decided(
        cv=routing.cv,
        at=routing.at_ms,
        rev=routing.rev,
        rule=routing.rule,
        queue=routing.queue,
        prio=0,
        rules=[],
    )


def _choose(conversation: Conversation, reasons: list[Reason]) -> None:
    """Put each choice of an agent to the decision that it followed."""
    for choice in conversation.choices:
        before = [one for one in reasons if one.decided.at <= choice.at_ms]
        if before:
            before[-1].chosen.append(chosen_view(choice))


def _counted(rules: RuleSet, rev: int, routings: Iterable[Routing]) -> dict[str, object]:
    mine = [one for one in routings if one.rev == rev]
    counts = counted(mine, rev)
    return {
        "rev": rev,
        "routings": len(mine),
        "since": mine[0].at_ms if mine else 0,
        "undecided": counts.matched[""],
        "rules": [
            RuleCount(
                rule=rule.name,
                matched=counts.matched[rule.name],
                erred=counts.erred[rule.name],
                shadow=counts.shadow[rule.name],
            )
            for rule in rules.rules
        ],
    }
