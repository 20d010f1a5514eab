"""What the leader proposes so that nobody waits in vain: a function of the state.  No I/O.

    unrouted                        RouteConversation, by the rules in force
    waiting, and an agent is free   MakeOffer: highest priority, then oldest, over all queues
    offer past its deadline         ExpireOffer
    session past its grace          ExpireSession
    closed past the retention       PurgeConversations

The agent: the one it was transferred to, if any; else the longest idle who holds every
required skill and is below capacity, who passed on it last, ties by id.

Decisions are only proposed; `apply` checks each again.  Between the two, the dispatcher
remembers what it proposed and counts it against capacity, so that one moment's plan never
offers more than the next.  A conversation that nobody free can serve does not hold up those
behind it, up to `LOOKAHEAD_MAX` of them.
"""

import heapq
from collections.abc import Callable, Iterator

from cluster.routing.decide import decide
from cluster.routing.ruleset import RuleSet, compile_rules, default_rules
from cluster.state.commands import (
    Command,
    ExpireOffer,
    ExpireSession,
    MakeOffer,
    PurgeConversations,
    RouteConversation,
)
from cluster.state.limits import CONVERSATION_RETENTION_MS, PURGE_MAX, SESSION_GRACE_MS
from cluster.state.model import Agent, Conversation
from cluster.state.state import State

PLAN_MAX = 500
"""Commands of one plan."""
LOOKAHEAD_MAX = 200
"""Conversations passed over for want of a skilled agent before a plan stops."""
PROPOSAL_WAIT_MS = 6_000
"""Above the deadline of a proposal: what is unanswered by then may be proposed again."""
RECHECK_MS = 250
"""A state that did not change is looked at again after this, for what only time frees."""
PASSED_PAUSE_MS = 3_000
"""Before an agent who passed on a conversation is asked for it again."""

_Key = tuple[str, str]


class Dispatcher:
    """One leadership's memory of what it proposed."""

    def __init__(self, new_id: Callable[[], str], accept_ms: int) -> None:
        self._new_id = new_id
        self._accept_ms = accept_ms
        self._rules: tuple[int, RuleSet] = (0, default_rules())
        self.reset()

    def reset(self) -> None:
        """Forget what was proposed: another leadership begins."""
        self._pending: dict[_Key, int] = {}
        """What was proposed, and when, in milliseconds of cluster time."""
        self._offered: dict[str, str] = {}
        """Conversation to agent, of offers proposed and not answered."""
        self._seen = (-1, -1)

    def settled(self, command: Command) -> None:
        """The outcome of `command` is known, whatever it was."""
        for key in _keys(command):
            self._pending.pop(key, None)
        if isinstance(command, MakeOffer):
            self._offered.pop(command.cv, None)
        self._seen = (-1, -1)

    def plan(self, state: State, now_ms: int) -> list[Command]:
        """Return what is to be proposed now, at most `PLAN_MAX` commands."""
        if self._seen[0] == state.applied_index and now_ms < self._seen[1]:
            return []
        self._seen = (state.applied_index, now_ms + RECHECK_MS)
        self._forget_unanswered(now_ms)
        plan: list[Command] = []
        for command in self._due(state, now_ms):
            if len(plan) >= PLAN_MAX:
                break
            keys = _keys(command)
            if any(key in self._pending for key in keys):
                continue
            self._pending.update(dict.fromkeys(keys, now_ms))
            if isinstance(command, MakeOffer):
                self._offered[command.cv] = command.agent
            plan.append(command)
        return plan

    def rules(self, state: State) -> RuleSet:
        """Return the compiled rules in force."""
        record = state.rules
        rev = record.rev if record else 0
        if rev != self._rules[0]:
            assert record is not None
            self._rules = (rev, compile_rules(record.files))
        return self._rules[1]

    def _due(self, state: State, now_ms: int) -> Iterator[Command]:
        yield from self._expiries(state, now_ms)
        rev = state.rules.rev if state.rules else 0
        for cv in state.unrouted:
            if ("cv", cv) not in self._pending:
                decision = decide(self.rules(state), state.conversations[cv])
                yield RouteConversation(
                    cv, decision.queue, decision.priority, decision.rule, rev, decision.skills
                )
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

    def _offers(self, state: State, now_ms: int) -> Iterator[Command]:
        """Match waiting conversations with free agents."""
        room = self._room(state)
        passed_over = 0
        hopeless: set[tuple[str, ...]] = set()
        for _, _, cv in heapq.merge(*state.waiting.values()):
            if not room or passed_over >= LOOKAHEAD_MAX:
                return
            if ("cv", cv) in self._pending:
                continue
            conversation = state.conversations[cv]
            agent = None
            if conversation.target or conversation.skills not in hopeless:
                agent = _choose(state, conversation, room, now_ms)
            if agent is None:
                passed_over += 1
                if not conversation.target and not conversation.passed:
                    hopeless.add(conversation.skills)
                continue
            room[agent.agent] -= 1
            if not room[agent.agent]:
                del room[agent.agent]
            ttl_ms = state.accept_ms(conversation.queue, self._accept_ms)
            yield MakeOffer(self._new_id(), cv, agent.agent, ttl_ms)

    def _room(self, state: State) -> dict[str, int]:
        """Free agents, longest idle first, and how many more each may be offered."""
        room = {}
        reserved: dict[str, int] = {}
        for name in self._offered.values():
            reserved[name] = reserved.get(name, 0) + 1
        for _, name in state.free:
            agent = state.agents[name]
            free = agent.capacity - agent.load - reserved.get(name, 0)
            if free > 0:
                room[name] = free
        return room

    def _forget_unanswered(self, now_ms: int) -> None:
        before_ms = now_ms - PROPOSAL_WAIT_MS
        for key in [key for key, at_ms in self._pending.items() if at_ms < before_ms]:
            del self._pending[key]
            if key[0] == "cv":
                self._offered.pop(key[1], None)


def _choose(
    state: State, conversation: Conversation, room: dict[str, int], now_ms: int
) -> Agent | None:
    """Return who of `room` is to be offered the conversation."""
    asked_before = None
    for name in [conversation.target] if conversation.target in room else room:
        agent = state.agents[name]
        if conversation.target and conversation.target != name:
            return None
        if not all(skill in agent.skills for skill in conversation.skills):
            continue
        if name not in conversation.passed:
            return agent
        rested = now_ms - agent.idle_since_ms >= PASSED_PAUSE_MS
        if asked_before is None and rested:
            asked_before = agent
    return asked_before


def _keys(command: Command) -> tuple[_Key, ...]:
    """What a proposal is about: nothing else is proposed about it until it is answered."""
    match command:
        case RouteConversation(cv=cv) | MakeOffer(cv=cv):
            return (("cv", cv),)
        case ExpireOffer(oid):
            return (("offer", oid),)
        case ExpireSession(sid):
            return (("session", sid),)
        case PurgeConversations():
            return (("purge", ""),)
        case _:
            raise AssertionError(f"the dispatcher does not propose {type(command).__name__}")
