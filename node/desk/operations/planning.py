"""Rules tried on what came, and on what might come; nothing changes.  Works in a thread.

    rules.plan       proposed rules, against every decision that is kept: what would move
    rules.simulate   one contact or conversation, or what came since a time: what is decided, why

A plan is asked for in parts of `PART_S`, each with the number behind which the next goes on: it
can be followed, given up, and taken up at another node, since all nodes keep the same decisions.
"""

from collections.abc import Iterator
from functools import partial
from itertools import takewhile

from cluster.routing.changes import changes
from cluster.routing.checks import unserved
from cluster.routing.needs import KnownAgent, Profile
from cluster.routing.replay import Replay
from cluster.routing.rules import RuleSet
from cluster.state.routings import Routing, seen
from cluster.state.state import State
from node.auth import Principal
from node.desk.context import Context
from node.desk.looks import Looks
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import INTEGER_MAX, NotAllowed, check_fields, check_name
from node.desk.rule_sets import Breath, Cancelled, RuleSets, check_files, paced
from node.desk.rule_views import Room, changes_view, decided, moves_view
from node.protocol import catalogue as ops
from node.protocol.rule_results import Decided

PART_S = 1.0
"""Of a plan's work in one answer: progress that can be seen, and an end that can be waited for."""
WARNINGS_MAX = 100
DECISIONS_MAX = 100
"""Decisions told in short in one answer."""


class Planning:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup, looks: Looks, rule_sets: RuleSets) -> None:
        self._context = context
        self._lookup = lookup
        self._looks = looks
        self._rule_sets = rule_sets

    def handlers(self) -> Handlers:
        return {ops.RulesPlan: self._plan, ops.RulesSimulate: self._simulate}

    def _plan(self, asker: Asker, principal: Principal, request: ops.RulesPlan) -> Effect:
        check_files(request.files)
        return Later(partial(self._replay, asker, request))

    async def _replay(self, asker: Asker, request: ops.RulesPlan) -> Answered:
        await self._lookup.barrier()
        state = self._context.state
        record, agents = state.rules, _known_agents(state)
        then = await self._rule_sets.compiled(request.files)
        now = await self._rule_sets.of(record)
        chosen = _chosen(list(state.routings), request)
        rest = [one for one in chosen if one.number > request.after]
        replay = Replay(now, then)

        def work(cancelled: Cancelled) -> Routing | None:
            return paced(_steps(replay, rest), PART_S, cancelled)

        last = await self._rule_sets.run(work, lambda: not asker.live)
        told = changes(record.files if record else {}, request.files)
        number = last.number if last else request.after
        until = chosen[-1].number if chosen else request.until
        return Answered(
            {
                "rev": record.rev if record else 0,
                "digest": then.digest,
                "warnings": [str(one) for one in (*then.warnings, *unserved(then, agents))][
                    :WARNINGS_MAX
                ],
                "changes": changes_view(told),
                "looked": replay.looked,
                "moved": replay.moved,
                "changed": replay.changed,
                "moves": moves_view(replay),
                "errs_now": dict(replay.errs_now),
                "errs_then": dict(replay.errs_then),
                "next": number,
                "until": until,
                "of": len(chosen),
                "more": number < until,
            }
        )

    def _simulate(self, asker: Asker, principal: Principal, request: ops.RulesSimulate) -> Effect:
        if sum((request.contact is not None, bool(request.cv), bool(request.since))) != 1:
            raise NotAllowed("bad_request", "name one of contact, cv and since")
        if request.files:
            check_files(request.files)
        if request.contact is not None:
            return Later(partial(self._try_one, request, self._routing_of(request.contact)))
        if request.cv:
            return Later(partial(self._try_conversation, principal, request))
        return Later(partial(self._try_many, asker, request))

    def _routing_of(self, contact: ops.Contact) -> Routing:
        check_fields(contact.tags, "contact.tags")
        check_fields(contact.attrs, "contact.attrs")
        queue = contact.hint.get("queue", "")
        names = {"channel": contact.channel, "lang": contact.lang, "subject": contact.subject}
        for what, value in {**names, "hint.queue": queue}.items():
            check_name(value, f"contact.{what}")
        if not 0 <= contact.at <= INTEGER_MAX:
            raise NotAllowed("bad_request", "contact.at: milliseconds UTC")
        return Routing(
            number=0,
            at_ms=contact.at or self._context.now_ms(),
            cv="",
            rev=0,
            rule="",
            queue="",
            channel=contact.channel,
            lang=contact.lang,
            subject=contact.subject,
            tags=contact.tags,
            attrs=contact.attrs,
            hint=queue,
        )

    async def _rules(self, request: ops.RulesSimulate) -> tuple[RuleSet, int]:
        """Return the rules that are asked about, and their revision if they were applied."""
        await self._lookup.barrier()
        record = self._context.state.rules
        if request.files:
            return await self._rule_sets.compiled(request.files), 0
        return await self._rule_sets.of(record), record.rev if record else 0

    async def _try_conversation(self, principal: Principal, request: ops.RulesSimulate) -> Answered:
        conversation = await self._lookup.find(principal, request.cv)
        self._looks.note(principal, request.cv)
        return await self._try_one(request, seen(conversation, self._context.now_ms()))

    async def _try_one(self, request: ops.RulesSimulate, routing: Routing) -> Answered:
        rules, rev = await self._rules(request)
        one = await self._rule_sets.run(lambda _: decided(rules, routing, Room(), Breath()))
        one.rev = rev
        return _simulated(rules, rev, [one], 0, more=False)

    async def _try_many(self, asker: Asker, request: ops.RulesSimulate) -> Answered:
        rules, rev = await self._rules(request)
        newest = reversed(self._context.state.routings)
        recent = takewhile(lambda one: one.at_ms >= request.since, newest)
        chosen = [one for one in recent if not request.before or one.number < request.before]
        found: list[Decided] = []

        def work(cancelled: Cancelled) -> Routing | None:
            return paced(_shortly(rules, rev, chosen, found), PART_S, cancelled)

        last = await self._rule_sets.run(work, lambda: not asker.live)
        number = last.number if last else 0
        return _simulated(rules, rev, found, number, more=len(found) < len(chosen))


def _known_agents(state: State) -> list[Profile]:
    """Return whoever has an account as an agent, or is here: whether they are free is not asked."""
    accounts = state.accounts.values()
    known = {one.id: one for one in accounts if one.kind == "agent" and not one.disabled}
    found: dict[str, Profile] = {
        name: KnownAgent(name, one.name, one.skills, one.langs) for name, one in known.items()
    }
    found |= {one.agent: one for one in state.agents.values() if one.sessions}
    return list(found.values())


def _chosen(routings: list[Routing], request: ops.RulesPlan) -> list[Routing]:
    """Return what the whole plan looks at, as far as it is still kept."""
    chosen = [
        one
        for one in routings
        if one.at_ms >= request.since and (not request.until or one.number <= request.until)
    ]
    return chosen[-request.last :] if request.last else chosen


def _steps(replay: Replay, routings: list[Routing]) -> Iterator[Routing]:
    for routing in routings:
        replay.step(routing)
        yield routing


def _shortly(
    rules: RuleSet, rev: int, routings: list[Routing], found: list[Decided]
) -> Iterator[Routing]:
    """Decide `routings` into `found`, without the parts of conditions and what only was false."""
    for routing in routings[:DECISIONS_MAX]:
        one = decided(rules, routing, Room(0))
        one.rev = rev
        one.rules = [said for said in one.rules if said.says != "false"]
        found.append(one)
        yield routing


def _simulated(
    rules: RuleSet, rev: int, decisions: list[Decided], number: int, *, more: bool
) -> Answered:
    return Answered(
        {
            "rev": rev,
            "digest": rules.digest,
            "decisions": decisions,
            "next": number,
            "more": more,
        }
    )
