"""What the leader proposes so that nobody waits in vain: a function of the state.  No I/O.

    unrouted, or to be routed anew      RouteConversation, by the rules in force
    waiting, and an agent is free       MakeOffer: see `matching`
    waiting for one agent too long      TransferConversation to its own queue: anyone may have it
    what only time ends                 see `timers`
    invitations, statuses               see `inviting`
    clocks, and queues without agents   see `service`

Decisions are only proposed; `apply` checks each again.  Between the two, the dispatcher
remembers what it proposed and counts it against capacity, so that one moment's plan never
offers more than the next.

    in the line     meanwhile
    -----------     ---------
    offered         who is behind comes next
    routed, moved   who is behind waits for the answer: a place in the line is kept
    refused         tried again at once, as the state is now: somebody was quicker
    refused twice   rests, and who is behind comes next: this leader does not see why

Of what a plan may be about, only what changed since the last one is looked at, and what is due.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from cluster.routing import inviting, timers
from cluster.routing.matching import Match, Matching
from cluster.routing.needs import Needs
from cluster.routing.router import Router
from cluster.routing.service import due_service
from cluster.routing.skipping import Skipping
from cluster.routing.skips import Skips
from cluster.state.commands import (
    SYSTEM,
    AdvanceStep,
    AskColleague,
    Command,
    EndStatus,
    EndWrapUp,
    ExpireOffer,
    ExpireSession,
    MakeOffer,
    OverflowConversation,
    PurgeConversations,
    QueueAlert,
    RouteConversation,
    SlaDue,
    TransferConversation,
)
from cluster.state.model import Conversation
from cluster.state.state import State

PLAN_MAX = 500
"""Commands of one plan."""
PENDING_MAX = 5_000
"""Proposals without an answer; more would only wait in the log's queue instead."""
PROPOSAL_WAIT_MS = 6_000
"""Above the deadline of a proposal: what is unanswered by then may be proposed again."""
REFUSED_PAUSE_MS = 1_000
"""How long rests what `apply` refused twice within this time."""
RECHECK_MS = 250
"""A state that did not change is looked at again after this, for what only time frees."""
TARGET_WAIT_MS = 120_000
"""How long a conversation waits for the agent it was transferred to, before anyone may have it:
a colleague who is away comes back in that time or not soon."""
TARGETS_EVERY_MS = 1_000
CLOCK_BACK_MS = 1_000
"""A clock set back by more voids every time that is remembered."""

_Key = tuple[str, str]


class _Pending(NamedTuple):
    """Why nothing is proposed about something."""

    until_ms: int
    """Of cluster time."""
    command: Command | None = None
    """What is on its way; None while it rests."""


class Dispatcher:
    """One leadership's memory of what it proposed."""

    def __init__(self, new_id: Callable[[], str], accept_ms: int) -> None:
        self._new_id = new_id
        self._accept_ms = accept_ms
        self._needs, self._skips = Needs(), Skips()
        self.router = Router()
        self.reset()

    def reset(self) -> None:
        """Forget what was proposed: another leadership begins."""
        self._pending: dict[_Key, _Pending] = {}
        """What is not proposed now."""
        self._refused: dict[_Key, int] = {}
        """What was refused once, until when that counts."""
        self._matching = Matching(self._needs, self._is_busy, self._is_held)
        self._skipping = Skipping(self._matching.pool, self._skips)
        self.router.begin(self._skipping)
        self._seen = (-1, -1)
        self._forget_at_ms = -1
        self._targets_at_ms = -1
        self._now_ms = 0
        self.has_more = False
        """Whether the last plan ended before all was looked at."""

    @property
    def rules_problem(self) -> str:
        """Why the rules in the log do not decide; empty while they do."""
        return self.router.problem

    def settled(self, command: Command, *, refused: bool = False) -> None:
        """The outcome of `command` is known; what was refused rests before it is tried again."""
        for key in _keys(command):
            pending = self._pending.get(key)
            if pending is None or pending.command is not command:
                continue  # of an earlier leadership, or given up: something else may be on its way
            self._give_up(key)
            if refused and key in self._refused:
                self._pending[key] = _Pending(self._now_ms + REFUSED_PAUSE_MS)
            elif refused:
                self._refused[key] = self._now_ms + REFUSED_PAUSE_MS
        self._seen = (-1, -1)

    def plan(self, state: State, now_ms: int) -> list[Command]:
        """Return what is to be proposed now, at most `PLAN_MAX` commands."""
        if now_ms < self._now_ms - CLOCK_BACK_MS:
            self.reset()  # the clock was set back: no time remembered means anything
        self._now_ms = now_ms
        self.has_more = False
        if self._seen[0] == state.applied_index and now_ms < self._seen[1]:
            return []
        self._seen = (state.applied_index, now_ms + RECHECK_MS)
        self._forget_unanswered(now_ms)
        if len(self._pending) >= PENDING_MAX:
            return []
        self._matching.sync(state, now_ms)
        self._skipping.now_ms = now_ms
        plan: list[Command] = []
        most = min(PLAN_MAX, PENDING_MAX - len(self._pending))
        for command in self._due(state, now_ms):
            self._propose(command, plan)
            if len(plan) >= most:
                self._seen = (-1, -1)
                return plan
        for match in self._matching.matches(most - len(plan)):
            self._propose(self._offer(match), plan)
        self.has_more = not (self._matching.is_done and self.router.is_done)
        if self.has_more:
            self._seen = (-1, -1)
        return plan

    def _propose(self, command: Command, plan: list[Command]) -> None:
        """Put `command` into the plan, unless something is proposed about the same already."""
        keys = _keys(command)
        if any(key in self._pending for key in keys):
            return
        pending = _Pending(self._now_ms + PROPOSAL_WAIT_MS, command)
        self._pending.update(dict.fromkeys(keys, pending))
        plan.append(command)

    def _is_busy(self, cv: str) -> bool:
        """Whether something is proposed about a conversation already, or it rests."""
        return ("cv", cv) in self._pending

    def _is_held(self, cv: str) -> bool:
        """Whether who is busy keeps their place in the line: they may be offered in a moment."""
        pending = self._pending.get(("cv", cv))
        return pending is not None and not isinstance(pending.command, MakeOffer | None)

    def _due(self, state: State, now_ms: int) -> Iterator[Command]:
        changed = self._matching.changed
        self.router.follow(state)
        yield from timers.expiries(state, now_ms)
        yield from inviting.due(state, now_ms, self._accept_ms)
        yield from due_service(state, now_ms, partial(self._is_open, now_ms))
        yield from self.router.routes(state, now_ms, self._is_busy)
        yield from timers.steps(state, now_ms, changed, self._skipping, self._is_busy)
        yield from timers.overflows(state, now_ms, self._is_busy)
        yield from self._releases(state, now_ms)

    def _is_open(self, now_ms: int, queue: str) -> bool:
        """Whether it is within the hours of a queue."""
        found = self.router.ruleset.queues.get(queue)
        return self.router.is_current and (found is None or found.is_open(now_ms))

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

    def _offer(self, match: Match) -> MakeOffer:
        settings = match.settings
        accept_ms = settings.accept_ms if settings is not None else self._accept_ms
        cv = match.conversation.cv
        return MakeOffer(self._new_id(), cv, match.agent, accept_ms, match.choice)

    def _forget_unanswered(self, now_ms: int) -> None:
        if now_ms < self._forget_at_ms:
            return
        self._forget_at_ms = now_ms + RECHECK_MS
        for key in [key for key, one in self._pending.items() if one.until_ms <= now_ms]:
            self._give_up(key)
        for key in [key for key, until_ms in self._refused.items() if until_ms <= now_ms]:
            del self._refused[key]

    def _give_up(self, key: _Key) -> None:
        """Nothing is proposed about something any more."""
        command = self._pending.pop(key).command
        if isinstance(command, MakeOffer):
            self._matching.settle(command.cv, command.agent)
        if key[0] == "cv":
            self._matching.try_again(key[1])


def _passed_on_ms(conversation: Conversation) -> int:
    """Return when it was passed to the agent it waits for; of the oldest event, if that is gone."""
    for event in reversed(conversation.tail):
        if event.type in ("transferred", "overflow", "reopened"):
            return event.ts
    return conversation.tail[0].ts if conversation.tail else conversation.opened_ms


def _keys(command: Command) -> tuple[_Key, ...]:
    """What a proposal is about: nothing else is proposed about it until it is answered."""
    match command:
        case (
            RouteConversation(cv=cv)
            | MakeOffer(cv=cv)
            | TransferConversation(cv=cv)
            | AdvanceStep(cv=cv)
            | OverflowConversation(cv=cv)
        ):
            return (("cv", cv),)
        case ExpireOffer(oid) | AskColleague(iid=oid):
            return (("offer", oid),)
        case EndStatus(agent):
            return (("status", agent),)
        case ExpireSession(sid):
            return (("session", sid),)
        case EndWrapUp(agent, cv):
            return (("wrap", f"{len(agent)} {agent} {cv}"),)
        case PurgeConversations():
            return (("purge", ""),)
        case SlaDue(cv):
            return (("sla", cv),)
        case QueueAlert(queue):
            return (("queue", queue),)
        case _:
            raise AssertionError(f"the dispatcher does not propose {type(command).__name__}")
