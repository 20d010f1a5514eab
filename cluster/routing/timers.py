"""What only time ends: the commands that are due.  No I/O.

    deadline in the state               command
    ---------------------               -------
    offer past its deadline             ExpireOffer
    wrap-up past its end                EndWrapUp
    session past its grace              ExpireSession
    closed past the retention           PurgeConversations
    step past its `for_ms`              AdvanceStep, to the first that is not skipped
    wait past its `after_ms`            OverflowConversation

Also due without a deadline: the next step, when the agent whom this one prefers is not here; and
the overflow of who came last, when more wait than the queue takes.  A leader that comes late
proposes late; `apply` holds each against the deadline, and lets it happen once.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from cluster.routing.skipping import Skipping
from cluster.state.commands import (
    AdvanceStep,
    Command,
    EndWrapUp,
    ExpireOffer,
    ExpireSession,
    OverflowConversation,
    PurgeConversations,
)
from cluster.state.limits import CONVERSATION_RETENTION_MS, PURGE_MAX, SESSION_GRACE_MS
from cluster.state.state import State

Busy = Callable[[str], bool]
"""Whether something is proposed about a conversation already."""


def expiries(state: State, now_ms: int) -> Iterator[Command]:
    """Yield what ends offers, wrap-ups, sessions and what is kept of old conversations."""
    for deadline_ms, oid in state.deadlines:
        if deadline_ms > now_ms:
            break
        yield ExpireOffer(oid)
    for until_ms, agent, cv in state.wrap_ends:
        if until_ms > now_ms:
            break
        yield EndWrapUp(agent, cv)
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


def steps(
    state: State, now_ms: int, changed: dict[str, None], skipping: Skipping, is_busy: Busy
) -> Iterator[Command]:
    """Yield what takes those to a later step whose step is over.

    `changed` are the agents who may have gone since the last time; those looked at are taken out,
    unless something is proposed about whom they leave behind.
    """
    for end_ms, cv in state.step_ends:
        if end_ms > now_ms:
            break
        if not is_busy(cv):
            yield _advance(state, cv, skipping)
    by_name = state.lines.by_name
    for agent in list(changed):
        leaves = [] if agent in state.here else list(by_name.get(agent, ()))
        cvs = [cv for line in leaves if not line.by_name for *_, cv in state.lines.lines[line]]
        busy = [cv for cv in cvs if is_busy(cv)]  # what is proposed may come to nothing
        for cv in [cv for cv in cvs if not is_busy(cv)]:
            yield _advance(state, cv, skipping)
        if not busy:
            del changed[agent]


def overflows(state: State, now_ms: int, is_busy: Busy) -> Iterator[Command]:
    """Yield what lets those overflow who waited too long, or are too many."""
    for due_ms, cv in state.overflows:
        if due_ms > now_ms:
            break
        if not is_busy(cv):
            yield OverflowConversation(cv)
    for queue, most in state.capped.items():
        too_many = max(0, state.lines.waiting_for_people(queue) - most)
        for cv in islice(state.lines.newest_first(queue), too_many):
            if is_busy(cv):
                break  # `apply` takes the newest alone: whatever comes of it, then the next
            yield OverflowConversation(cv)


def _advance(state: State, cv: str, skipping: Skipping) -> AdvanceStep:
    conversation = state.conversations[cv]
    to, skipped = skipping.first(state, conversation, conversation.route, conversation.step + 1)
    return AdvanceStep(cv, conversation.step, to, skipped)
