"""Decisions of the rules, and their reasons, as clients see them.  No I/O."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cluster.routing.changes import Changes
from cluster.routing.explain import Explained, explain
from cluster.routing.recorded import tried
from cluster.routing.replay import Replay
from cluster.routing.rules import RuleSet
from cluster.state.events import Event
from cluster.state.model import Conversation
from cluster.state.route import Choice, Overflow, Step
from cluster.state.routings import Routing, seen
from node.protocol.rule_results import (
    Candidate,
    Chosen,
    Decided,
    Happened,
    PartSaid,
    RuleMove,
    RuleSaid,
    StepSaid,
    TableChanges,
)

NAMED_MAX = 50
"""Names of changed tables in one list."""
MOVES_MAX = 200
"""Ways to move that one answer tells; the rest are counted in `moved` alone."""
PARTS_MAX = 1_000
"""Parts of conditions in one answer, some 60 KiB; rules beyond are told without theirs."""


class Room:
    """How many parts an answer still takes."""

    __slots__ = ("left",)

    def __init__(self, parts: int = PARTS_MAX) -> None:
        self.left = parts

    def take(self, parts: list[PartSaid]) -> list[PartSaid]:
        """Return `parts` if there is room for all of them, else none."""
        if len(parts) > self.left:
            self.left = 0
            return []
        self.left -= len(parts)
        return parts


def decided(
    ruleset: RuleSet, routing: Routing, room: Room, breath: Callable[[], None] = lambda: None
) -> Decided:
    """Return the decision about `routing`, with what each rule said; revision of the routing.

    Takes a `breath` between two rules.
    """
    decision, rules, contact = tried(ruleset, routing)
    said = [RuleSaid(rule=one.rule.name, says=one.says, mode=one.mode) for one in rules]
    # Where there is no room for all, what matched is explained, then what was tried first.
    order = sorted(range(len(rules)), key=lambda number: rules[number].says != "matched")
    for number in order:
        condition = rules[number].rule.condition
        if condition is None:
            continue
        said[number].when = condition.source
        if room.left > 0:
            explained = explain(condition, ruleset.scope, contact)
            said[number].parts = room.take(parts_said(explained))
            breath()
    return Decided(
        cv=routing.cv,
        at=routing.at_ms,
        rev=routing.rev,
        rule=decision.rule,
        queue=decision.queue,
        prio=decision.priority,
        rules=said,
        steps=[_step(step) for step in decision.route.steps],
        sla=decision.route.sla,
        overflow=_overflow(decision.route.overflow),
    )


def _step(step: Step) -> StepSaid:
    return StepSaid(
        queue=step.queue,
        prio=step.priority,
        skills=step.skills,
        need=step.need,
        for_ms=step.for_ms,
        prefer=step.prefer,
        skip_if=step.skip_if,
    )


def _overflow(overflow: Overflow | None) -> str:
    if overflow is None:
        return ""
    return f"after {overflow.after_ms / 1000:g} s: {overflow.do} {overflow.to}".rstrip()


def tell_steps(decided: Decided, happened: Iterable[Event]) -> None:
    """Note on each step of a decision what became of it, by the events that followed."""
    for event in happened:
        if event.type != "queued":
            continue
        for number, why in event.data.get("skipped", ()):
            _became(decided, number, f"skipped: {why}")
        if "rev" in event.data or event.data.get("reason") == "step":
            after_s = (event.ts - decided.at) / 1000
            _became(decided, event.data.get("step", 0), f"begun after {after_s:.1f} s")


def _became(decided: Decided, number: int, what: str) -> None:
    if 0 <= number < len(decided.steps):
        decided.steps[number].became.append(what)


def parts_said(explained: Explained) -> list[PartSaid]:
    """Return the parts, the whole first, each before its own parts."""
    return list(_flat(explained, 0))


def _flat(explained: Explained, depth: int) -> Iterator[PartSaid]:
    yield PartSaid(depth=depth, start=explained.start, end=explained.end, says=explained.says)
    for part in explained.parts:
        yield from _flat(part, depth + 1)


def changes_view(changes: Changes) -> TableChanges:
    """Return changed tables, the first few of each kind."""
    view = TableChanges(
        added=list(changes.added[:NAMED_MAX]),
        removed=list(changes.removed[:NAMED_MAX]),
        changed=list(changes.changed[:NAMED_MAX]),
        moved=list(changes.moved[:NAMED_MAX]),
    )
    view.more = sum(max(0, len(names) - NAMED_MAX) for names in changes)
    return view


def moves_view(replay: Replay) -> list[RuleMove]:
    """Return the ways to move, the most frequent first."""
    return [
        RuleMove(
            queue=move.queue,
            to=move.to,
            rule=move.rule,
            was=move.was,
            count=count,
            examples=replay.examples[move],
        )
        for move, count in replay.moves.most_common(MOVES_MAX)
    ]


def values_view(routing: Routing) -> dict[str, Any]:
    """Return what the rules looked at."""
    view: dict[str, Any] = {
        "channel": routing.channel,
        "lang": routing.lang,
        "subject": routing.subject,
        "tags": routing.tags,
        "attrs": routing.attrs,
    }
    return view | ({"hint": {"queue": routing.hint}} if routing.hint else {})


def routing_of(conversation: Conversation, event: Event) -> Routing:
    """Return a decision that is not kept any more, as far as its event and today's values go."""
    told = {name: event.data[name] for name in ("rev", "rule", "queue") if name in event.data}
    return seen(conversation, event.ts, **told)


def happened_view(event: Event) -> Happened:
    """Return an event of the way to an agent."""
    data = event.data
    to = data.get("to")  # of a transfer: {"queue": ...}
    facts = data if not isinstance(to, dict) else data | to
    said = " ".join(f"{k} {v}" for k, v in facts.items() if isinstance(v, str | int) and v != "")
    return Happened(seq=event.seq, at=event.ts, type=event.type, says=said)


def chosen_view(choice: Choice) -> Chosen:
    """Return why an agent was offered it."""
    return Chosen(
        at=choice.at_ms,
        agent=choice.agent,
        step=choice.step,
        order=choice.order,
        tie=choice.tie,
        passed=[Candidate(agent=agent, why=why) for agent, why in choice.passed],
        counts=choice.counts,
    )
