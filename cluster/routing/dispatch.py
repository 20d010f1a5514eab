"""What the leader proposes so that nobody waits in vain: a function of the state.  No I/O.

    unrouted                        RouteConversation, by the rules in force
    waiting, and an agent is free   MakeOffer: highest priority, then oldest, over all queues
    waiting for one agent too long  TransferConversation to its own queue: anyone may have it
    offer past its deadline         ExpireOffer
    session past its grace          ExpireSession
    closed past the retention       PurgeConversations

The agent: the one it was transferred to, if any; else `matching`.

Decisions are only proposed; `apply` checks each again.  Between the two, the dispatcher
remembers what it proposed and counts it against capacity, so that one moment's plan never
offers more than the next.  What was refused is not proposed again at once.

A conversation that nobody free can serve does not hold up those behind it.  A plan looks at no
more than `LOOKS_MAX` conversations and agents; where that was too little, a thorough one
follows, from the front of the line again, no more often than at `THOROUGH_LOOKS_PER_MS`.
"""

import heapq
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from cluster.routing.decide import decide
from cluster.routing.matching import Budget, Matching, OverBudget
from cluster.routing.recorded import notes_of
from cluster.routing.rules import RuleSet, default_rules
from cluster.routing.ruleset import compile_rules
from cluster.state.commands import (
    SYSTEM,
    Command,
    ExpireOffer,
    ExpireSession,
    MakeOffer,
    PurgeConversations,
    RouteConversation,
    TransferConversation,
)
from cluster.state.limits import CONVERSATION_RETENTION_MS, PURGE_MAX, SESSION_GRACE_MS
from cluster.state.model import Conversation
from cluster.state.state import State
from cluster.toml_source import SourceErrors

PLAN_MAX = 500
"""Commands of one plan."""
PENDING_MAX = 5_000
"""Proposals without an answer; more would only wait in the log's queue instead."""
RULES_TRIED_MAX = 20_000
"""Rules evaluated in one plan, some 50 ms of the leader's loop; at least one decision."""
LOOKS_MAX = 1_000
"""Conversations and agents looked at in an ordinary plan: about a millisecond."""
LOOKS_THOROUGH_MAX = 100_000
"""The same in a thorough one: some 100 ms."""
THOROUGH_LOOKS_PER_MS = 40
"""What thorough plans may cost over time: a few hundredths of the leader's loop."""
PROPOSAL_WAIT_MS = 6_000
"""Above the deadline of a proposal: what is unanswered by then may be proposed again."""
REFUSED_PAUSE_MS = 1_000
"""Before what `apply` refused is proposed again."""
RECHECK_MS = 250
"""A state that did not change is looked at again after this, for what only time frees."""
TARGET_WAIT_MS = 120_000
"""How long a conversation waits for the agent it was transferred to, before anyone may have it:
a colleague who is away comes back in that time or not soon."""
TARGETS_EVERY_MS = 1_000
CLOCK_BACK_MS = 1_000
"""A clock set back by more voids every time that is remembered."""

_Key = tuple[str, str]


class Dispatcher:
    """One leadership's memory of what it proposed."""

    def __init__(self, new_id: Callable[[], str], accept_ms: int) -> None:
        self._new_id = new_id
        self._accept_ms = accept_ms
        self._rules: tuple[int, RuleSet] = (0, default_rules())
        self._rev = 0
        """Revision that decides; behind that of the state while `rules_problem` says why."""
        self.rules_problem = ""
        self.reset()

    def reset(self) -> None:
        """Forget what was proposed: another leadership begins."""
        self._pending: dict[_Key, int] = {}
        """What is not proposed now, and until when, in milliseconds of cluster time."""
        self._offered: dict[str, str] = {}
        """Conversation to agent, of offers proposed and not answered."""
        self._seen = (-1, -1)
        self._forget_at_ms = -1
        self._targets_at_ms = -1
        self._thorough_at_ms = -1
        """Before which no thorough plan is made."""
        self._short = False
        """Whether the last plan ended for want of looks."""
        self._now_ms = 0

    def settled(self, command: Command, *, refused: bool = False) -> None:
        """The outcome of `command` is known; what was refused rests before it is tried again."""
        for key in _keys(command):
            if refused:
                self._pending[key] = self._now_ms + REFUSED_PAUSE_MS
            else:
                self._pending.pop(key, None)
        if isinstance(command, MakeOffer):
            self._offered.pop(command.cv, None)
        self._seen = (-1, -1)

    def plan(self, state: State, now_ms: int) -> list[Command]:
        """Return what is to be proposed now, at most `PLAN_MAX` commands."""
        if now_ms < self._now_ms - CLOCK_BACK_MS:
            self.reset()  # the clock was set back: no time remembered means anything
        self._now_ms = now_ms
        if self._seen[0] == state.applied_index and now_ms < self._seen[1]:
            return []
        self._seen = (state.applied_index, now_ms + RECHECK_MS)
        self._forget_unanswered(now_ms)
        if len(self._pending) >= PENDING_MAX:
            return []
        plan: list[Command] = []
        for command in self._due(state, now_ms):
            keys = _keys(command)
            if any(key in self._pending for key in keys):
                continue
            self._pending.update(dict.fromkeys(keys, now_ms + PROPOSAL_WAIT_MS))
            if isinstance(command, MakeOffer):
                self._offered[command.cv] = command.agent
            plan.append(command)
            if len(plan) >= PLAN_MAX or len(self._pending) >= PENDING_MAX:
                break
        return plan

    def rules(self, state: State) -> RuleSet:
        """Return the compiled rules in force.

        Rules that this version cannot read leave the last ones that it could in force here, and
        `rules_problem` says why: a leader that is behind serves on.
        """
        record = state.rules
        rev = record.rev if record else 0
        if rev == self._rules[0]:
            return self._rules[1]
        ruleset, decides, problem = default_rules(), 0, ""
        if record is not None:
            try:
                ruleset, decides = compile_rules(record.files), rev
            except SourceErrors as errors:
                ruleset, decides = self._rules[1], self._rev
                problem = f"revision {rev} cannot be read here: {errors.errors[0]}"
        self._rules, self._rev, self.rules_problem = (rev, ruleset), decides, problem
        return ruleset

    def _due(self, state: State, now_ms: int) -> Iterator[Command]:
        yield from self._expiries(state, now_ms)
        yield from self._routes(state)
        yield from self._releases(state, now_ms)
        yield from self._offers(state, now_ms)

    def _expiries(self, state: State, now_ms: int) -> Iterator[Command]:
        for deadline_ms, oid in state.deadlines:
            if deadline_ms > now_ms:
                break
            yield ExpireOffer(oid)
        for lost_ms, sid in state.lost:
            if lost_ms + SESSION_GRACE_MS > now_ms:
                break
            yield ExpireSession(sid)
        old: list[str] = []
        for closed_ms, cv in state.closed:
            if closed_ms + CONVERSATION_RETENTION_MS > now_ms or len(old) >= PURGE_MAX:
                break
            old.append(cv)
        if old:
            yield PurgeConversations(tuple(old))

    def _routes(self, state: State) -> Iterator[Command]:
        tried = 0
        for cv in state.unrouted:
            if ("cv", cv) in self._pending:
                continue
            if tried >= RULES_TRIED_MAX:
                self._seen = (-1, -1)
                return
            ruleset = self.rules(state)
            tried += len(ruleset.rules) + 1
            yield self._route(ruleset, state.conversations[cv])

    def _route(self, ruleset: RuleSet, conversation: Conversation) -> RouteConversation:
        decision = decide(ruleset, conversation, self._now_ms)
        route = replace(decision.route, rev=self._rev)
        erred, shadows = notes_of(decision)
        return RouteConversation(conversation.cv, route, erred=erred, shadows=shadows)

    def _releases(self, state: State, now_ms: int) -> Iterator[Command]:
        """Let go of those who waited for one agent too long."""
        if now_ms < self._targets_at_ms:
            return
        self._targets_at_ms = now_ms + TARGETS_EVERY_MS
        for cvs in state.by_target.values():
            for cv in cvs:
                conversation = state.conversations[cv]
                if conversation.state != "waiting" or ("cv", cv) in self._pending:
                    continue
                if now_ms - _passed_on_ms(conversation) >= TARGET_WAIT_MS:
                    key = self._new_id()
                    yield TransferConversation(cv, SYSTEM, key, to_queue=conversation.queue)

    def _offers(self, state: State, now_ms: int) -> Iterator[Command]:
        """Match waiting conversations with free agents."""
        if not state.free or not state.waiting:
            return
        thorough = self._short and now_ms >= self._thorough_at_ms
        looks = LOOKS_THOROUGH_MAX if thorough else LOOKS_MAX
        budget = Budget(looks)
        try:
            yield from self._matches(state, now_ms, budget)
            self._short = False
        except OverBudget:
            self._short = True
        finally:
            if thorough:
                spent = looks - budget.left
                self._thorough_at_ms = now_ms + spent // THOROUGH_LOOKS_PER_MS
        if self._short:
            self._seen = (self._seen[0], min(self._seen[1], self._thorough_at_ms))

    def _matches(self, state: State, now_ms: int, budget: Budget) -> Iterator[Command]:
        matching = Matching(state, self._offered, now_ms, budget)
        for _, _, cv in heapq.merge(*state.waiting.values()):
            budget.spend()
            if ("cv", cv) in self._pending:
                continue
            conversation = state.conversations[cv]
            agent = matching.choose(conversation)
            if agent is not None:
                ttl_ms = state.accept_ms(conversation.queue, self._accept_ms)
                yield MakeOffer(self._new_id(), cv, agent.agent, ttl_ms)
            elif matching.exhausted:
                return

    def _forget_unanswered(self, now_ms: int) -> None:
        if now_ms < self._forget_at_ms:
            return
        self._forget_at_ms = now_ms + RECHECK_MS
        for key in [key for key, until_ms in self._pending.items() if until_ms <= now_ms]:
            del self._pending[key]
            if key[0] == "cv":
                self._offered.pop(key[1], None)


def _passed_on_ms(conversation: Conversation) -> int:
    """Return when the conversation was transferred; of the oldest event kept, if that is gone."""
    for event in reversed(conversation.tail):
        if event.type == "transferred":
            return event.ts
    return conversation.tail[0].ts if conversation.tail else conversation.opened_ms


def _keys(command: Command) -> tuple[_Key, ...]:
    """What a proposal is about: nothing else is proposed about it until it is answered."""
    match command:
        case RouteConversation(cv=cv) | MakeOffer(cv=cv) | TransferConversation(cv=cv):
            return (("cv", cv),)
        case ExpireOffer(oid):
            return (("offer", oid),)
        case ExpireSession(sid):
            return (("session", sid),)
        case PurgeConversations():
            return (("purge", ""),)
        case _:
            raise AssertionError(f"the dispatcher does not propose {type(command).__name__}")
