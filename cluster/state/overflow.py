"""Overflow: what becomes of a conversation that nobody takes.  No I/O.

    due                                           who
    ---                                           ---
    waited for its route's `after_ms`             every conversation, once a wait
    more than the queue's `max_waiting` wait      the one that came last, at once

    do         then                                                        events
    --         ----                                                        ------
    queue      waits in another queue, as old as before                    overflow, queued
    bot        waits for that agent by name; one that is not here is none  overflow
    message    waits on; the visitor is asked to leave a message           overflow
    callback   waits on; the visitor is told that somebody calls back      overflow
    close      is closed                                                   overflow, closed

Who has overflowed does not count towards `max_waiting` any more.  A wait ends when somebody has it.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state.change import Change, no
from cluster.state.commands import SYSTEM, OverflowConversation
from cluster.state.conversations import end
from cluster.state.model import Conversation
from cluster.state.route import Overflow, Step
from cluster.state.state import State
from cluster.state.steps import begin

TOO_MANY = Overflow(0, "message")
"""What happens where too many wait, and no rule says what."""


def overflow(change: Change, command: OverflowConversation) -> dict[str, Any]:
    """Let happen what the route says for a wait in vain."""
    state = change.state
    conversation = change.open_conversation(command.cv)
    if conversation.state != "waiting":
        no("conflict", f"the conversation is {conversation.state}")
    if conversation.overflowed:
        no("conflict", "the conversation has overflowed in this wait")
    why = why_due(state, conversation)
    if not why:
        no("conflict", "the conversation need not overflow yet")
    what = conversation.route.overflow or TOO_MANY
    if what.do == "bot" and not state.may_wait_for(what.to):
        what = TOO_MANY
    data = {"do": what.do, "why": why}
    data |= {"text" if what.do not in ("queue", "bot") else "to": what.to} if what.to else {}
    conversation = change.append(conversation, "overflow", SYSTEM, data=data, overflowed=True)
    if what.do == "queue":
        _to_queue(change, conversation, what.to)
    elif what.do == "bot":
        change.put(conversation, target=what.to, preferred="")
    elif what.do == "close":
        end(change, conversation, SYSTEM, "overflow")
    return {"do": what.do}


def why_due(state: State, conversation: Conversation) -> str:
    """Return why the conversation, which waits, is to overflow now; empty when it is not."""
    wanted = conversation.route.overflow
    if wanted is not None and state.now_ms >= conversation.waiting_since_ms + wanted.after_ms:
        return "waited"
    settings = state.queue(conversation.queue)
    most = settings.max_waiting if settings is not None else 0
    if most and state.lines.waiting_for_people(conversation.queue) > most:
        return "too_many" if state.lines.newest(conversation.queue) == conversation.cv else ""
    return ""


def _to_queue(change: Change, conversation: Conversation, queue: str) -> None:
    settings = change.state.queue(queue)
    skills = settings.skills if settings is not None else {}
    step = Step(queue, conversation.priority, skills)
    route = replace(conversation.route, steps=(step,), overflow=None)
    begin(change, conversation, route, 0, {"reason": "overflow"})
