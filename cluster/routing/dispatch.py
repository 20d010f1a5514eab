"""What the leader proposes so that nobody waits in vain: a function of the state.  No I/O.

    unrouted, or to be routed anew      RouteConversation, by the rules in force
    waiting, and an agent is free       MakeOffer: see `matching`
    waiting for one agent too long      TransferConversation to its own queue: anyone may have it
    what only time ends                 see `timers`

Decisions are only proposed; `apply` checks each again.  Between the two, the dispatcher
remembers what it proposed and counts it against capacity, so that one moment's plan never
offers more than the next.  What was refused is not proposed again at once.

Of what a plan may be about, only what changed since the last one is looked at, and what is due.
"""

from collections.abc import Callable, Iterator

from cluster.routing import timers
from cluster.routing.matching import Match, Matching
from cluster.routing.needs import Needs
from cluster.routing.router import Router
from cluster.routing.skipping import Skipping
from cluster.routing.skips import Skips
from cluster.state.commands import (
    SYSTEM,
    AdvanceStep,
    Command,
    EndWrapUp,
    ExpireOffer,
    ExpireSession,
    MakeOffer,
    OverflowConversation,
    PurgeConversations,
    RouteConversation,
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
        self._needs, self._skips = Needs(), Skips()
        self.router = Router()
        self.reset()

    def reset(self) -> None:
        """Forget what was proposed: another leadership begins."""
        self._pending: dict[_Key, int] = {}
        """What is not proposed now, and until when, in milliseconds of cluster time."""
        self._offered: dict[str, str] = {}
        """Conversation to agent, of offers proposed and not answered."""
        self._matching = Matching(self._needs, self._is_busy)
        self._skipping = Skipping(self._matching.pool, self._skips)
        self.router.begin(self._skipping)
        self._seen = (-1, -1)
        self._forget_at_ms = -1
        self._targets_at_ms = -1
        self._now_ms = 0

    @property
    def rules_problem(self) -> str:
        """Why the rules in the log do not decide; empty while they do."""
        return self.router.problem

    def settled(self, command: Command, *, refused: bool = False) -> None:
        """The outcome of `command` is known; what was refused rests before it is tried again."""
        for key in _keys(command):
            if refused:
                self._pending[key] = self._now_ms + REFUSED_PAUSE_MS
            else:
                self._pending.pop(key, None)
                self._matching.try_again(key[1])
        if isinstance(command, MakeOffer) and self._offered.pop(command.cv, None) is not None:
            self._matching.settle(command.cv, command.agent)
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
            self._offered[match.conversation.cv] = match.agent
        if not (self._matching.is_done and self.router.is_done):
            self._seen = (-1, -1)
        return plan

    def _propose(self, command: Command, plan: list[Command]) -> None:
        """Put `command` into the plan, unless something is proposed about the same already."""
        keys = _keys(command)
        if any(key in self._pending for key in keys):
            return
        self._pending.update(dict.fromkeys(keys, self._now_ms + PROPOSAL_WAIT_MS))
        plan.append(command)

    def _is_busy(self, cv: str) -> bool:
        """Whether something is proposed about a conversation already."""
        return ("cv", cv) in self._pending

    def _due(self, state: State, now_ms: int) -> Iterator[Command]:
        changed = self._matching.changed
        yield from timers.expiries(state, now_ms)
        yield from self.router.routes(state, now_ms, self._is_busy)
        yield from timers.steps(state, now_ms, changed, self._skipping, self._is_busy)
        yield from timers.overflows(state, now_ms, self._is_busy)
        yield from self._releases(state, now_ms)

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
        for key in [key for key, until_ms in self._pending.items() if until_ms <= now_ms]:
            del self._pending[key]
            if key[0] == "cv":
                agent = self._offered.pop(key[1], None)
                if agent is not None:
                    self._matching.settle(key[1], agent)
                self._matching.try_again(key[1])


def _passed_on_ms(conversation: Conversation) -> int:
    """Return when the conversation was transferred; of the oldest event kept, if that is gone."""
    for event in reversed(conversation.tail):
        if event.type in ("transferred", "overflow"):
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
        case ExpireOffer(oid):
            return (("offer", oid),)
        case ExpireSession(sid):
            return (("session", sid),)
        case EndWrapUp(agent, cv):
            return (("wrap", f"{len(agent)} {agent} {cv}"),)
        case PurgeConversations():
            return (("purge", ""),)
        case _:
            raise AssertionError(f"the dispatcher does not propose {type(command).__name__}")
