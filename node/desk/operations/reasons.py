"""Why conversations went where they went, and what each rule did.  Explains in a thread.

why           the decisions about one conversation: by the recorded values and the rules of
              their revision, then what happened to it, then who was chosen and why
rules.stats   the decisions that are kept, counted by rule

routing recorded, revision kept    each rule and each part of its condition, as it was
routing gone, revision kept        the same for the conversation's values of today
revision gone                      rule, queue and what happened: the rest is forgotten
"""

from collections.abc import Iterable
from functools import partial

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
        decisions = [event for event in told if _is_decision(event)]
        if request.at:
            decisions = [event for event in decisions if event.seq <= request.at][-1:]
        routings = self._context.state.routings
        kept = {one.at_ms: one for one in routings if one.cv == conversation.cv}
        room = Room()
        reasons: list[Reason] = []
        for event in reversed(decisions[-REASONS_MAX:]):  # the newest has most room
            recorded = kept.get(event.ts)
            reason = await self._reason(recorded or routing_of(conversation, event), room)
            reason.values_of = "then" if recorded else "now"
            happened = _until_next(told, event)
            tell_steps(reason.decided, happened)
            reason.happened = [happened_view(one) for one in happened]
            reasons.append(reason)
        reasons.reverse()
        _choose(conversation, reasons)
        return Answered({"cv": conversation.cv, "reasons": reasons})

    async def _reason(self, routing: Routing, room: Room) -> Reason:
        """Return the decision, explained by the rules of its revision if they are kept."""
        record = self._context.state.rules_at(routing.rev)
        kept = record is not None or not routing.rev
        view = _outline(routing)
        if kept:
            rules = await self._rule_sets.of(record)
            again = await self._rule_sets.run(lambda _: decided(rules, routing, room, Breath()))
            same = (again.rule, again.queue) == (routing.rule, routing.queue)
            view = again if same else replace(view, rules=again.rules)  # what was decided stands
        return Reason(
            decided=view,
            values=values_view(routing),
            values_of="then",
            kept=kept,
            happened=[],
            chosen=[],
        )

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


def _until_next(told: list[Event], decision: Event) -> list[Event]:
    """Return a decision's event and what followed, up to the next decision."""
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
