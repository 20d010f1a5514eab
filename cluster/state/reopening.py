"""Closed conversations that go on.  No I/O.

    its last agent is here       ▶ waiting for them by name     reopened, queued
    otherwise, or never routed   ▶ new: the rules decide anew   reopened

    who may     cv.reopen
    visitor     who opened it
    agent       its last one
    supervisor  yes
    service     yes

As long as it is kept: `CONVERSATION_RETENTION_MS`.  Its events go on where they ended.  It is as
old as this moment, not as its first: who comes back after days does not pass those who wait since
this morning.
"""

from typing import Any

from cluster.state.change import Change, no
from cluster.state.commands import By, ReopenConversation
from cluster.state.conversations import is_visitor
from cluster.state.model import NO_ROUTE, Conversation

_REOPENS = frozenset({"supervisor", "service", "system"})


def reopen(change: Change, command: ReopenConversation) -> dict[str, Any]:
    """Let a closed conversation go on."""
    conversation, by = change.conversation(command.cv), command.by
    last = conversation.service.agent
    _check_may_reopen(conversation, by, last)
    if conversation.state != "closed":
        no("conflict", f"the conversation is {conversation.state}")
    here = bool(conversation.queue) and change.state.may_wait_for(last)
    conversation = change.append(
        conversation,
        "reopened",
        by,
        data={"closed": conversation.closed_ms},
        state="waiting" if here else "new",
        target=last if here else "",
        opened_ms=change.now_ms,
        closed_ms=0,
        wanted_rule="",
        by_hand=False,
        **_way(change, conversation, here=here),
    )
    if here:
        conversation = change.requeue(conversation, "reopened", agent=last)
    if by.kind == "supervisor":
        change.note(by, "reopen", cv=conversation.cv)
    return {"seq": conversation.seq, "state": conversation.state}


def _way(change: Change, conversation: Conversation, *, here: bool) -> dict[str, Any]:
    """Return where on which route it is: where it was, or nowhere before the rules decide."""
    if not here:
        return {"route": NO_ROUTE, "step": 0}
    return {"step_ms": change.now_ms, "waiting_since_ms": change.now_ms}


def _check_may_reopen(conversation: Conversation, by: By, last: str) -> None:
    if by.kind == "visitor" and not is_visitor(conversation, by):
        no("forbidden", "this is another visitor's conversation", rule="conversation.not_yours")
    if by.kind == "agent" and by.id != last:
        no("forbidden", "you were not its last agent", rule="conversation.no_part")
    if by.kind not in {"visitor", "agent"} | _REOPENS:
        no("forbidden", f"a {by.kind} may not reopen it", rule="role")
