"""The lifecycle of a conversation.  No I/O.

    command      from ──▶ to                           events
    -------      -----------                           ------
    cv.open      nothing ──▶ new                       opened, (msg)
    cv.route     new, waiting ──▶ waiting              see `steps`
    cv.advance   waiting ──▶ waiting                   see `steps`
    offer.*      waiting ◀──▶ offered ──▶ assigned     see `offers`
    msg.send     any but closed                        see `messages`
    cv.transfer  any but closed ──▶ waiting            transferred, (note,) queued
                 to a rule: ──▶ new                    transferred, (note)
                 warm: assigned                        see `invitations`
    (agent lost) assigned ──▶ waiting                  unassigned, queued
    cv.close     any but closed ──▶ closed             closed
    cv.reopen    closed ──▶ new, waiting               see `reopening`
    cv.purge     closed, past retention ──▶ nothing

Who waits keeps the age with which it was opened, however often it comes back.  What may follow
what is the table `CONVERSATION_NEXT` in `model`; `Change.put` holds every step against it.

    who may       transfer                  close
    visitor       -                         the one who opened it
    agent         its owner, by fence       its owner
    supervisor    yes                       yes
    service       yes                       yes
    operator      yes                       -
"""

from typing import Any

from msgspec.structs import replace

from cluster.state import limits, satisfaction
from cluster.state.change import Change, no
from cluster.state.checks import check_flat, check_ids, check_names, check_text
from cluster.state.commands import (
    By,
    CloseConversation,
    OpenConversation,
    PurgeConversations,
    TransferConversation,
)
from cluster.state.model import NO_ROUTE, Conversation
from cluster.state.offers import withdraw
from cluster.state.outcome import ConversationPurged, RefusalRule
from cluster.state.parting import end_company, withdraw_takeover
from cluster.state.route import Step
from cluster.state.wrap_up import let_go

_OPENS = frozenset({"visitor", "service", "system"})
_TRANSFERS = frozenset({"supervisor", "operator", "service", "system"})
_CLOSES = frozenset({"supervisor", "service", "system"})


def check_opening(command: OpenConversation) -> None:
    """Refuse fields that no state could make good."""
    by = command.by
    check_ids(command.cv, by.id)
    check_names(by.name, command.channel, command.lang, command.subject, command.queue_hint)
    check_flat("tags", command.tags)
    check_flat("attrs", command.attrs)
    if command.text:
        check_text(command.text)
        check_ids(command.mid)


def open_conversation(change: Change, command: OpenConversation) -> dict[str, Any]:
    """Begin a conversation, whose fields were checked; the leader routes it next."""
    by = command.by
    if by.kind not in _OPENS:
        message = f"a conversation is opened by a visitor, not by {by.kind}"
        no("forbidden", message, rule="role")
    if command.cv in change.state.conversations:
        no("conflict", "a conversation of this id exists")
    if len(change.state.conversations) >= limits.CONVERSATIONS_MAX:
        no("at_capacity", f"{limits.CONVERSATIONS_MAX} conversations are kept already")
    conversation = Conversation(
        cv=command.cv,
        visitor=by.id,
        visitor_name=by.name,
        channel=command.channel,
        lang=command.lang,
        subject=command.subject,
        tags=command.tags,
        attrs=command.attrs,
        opened_ms=change.now_ms,
        queue_hint=command.queue_hint,
        visitor_kind=by.kind,
    )
    data = {"channel": command.channel, "lang": command.lang, "subject": command.subject}
    conversation = change.append(conversation, "opened", by, data=data)
    if command.text:
        data = {"type": "text", "body": command.text}
        conversation = change.append(conversation, "msg", by, mid=command.mid, data=data)
    return {"cv": conversation.cv, "seq": conversation.seq, "state": conversation.state}


def transfer(change: Change, command: TransferConversation) -> dict[str, Any]:
    """Let go of a conversation: it waits for another agent, or in another queue."""
    conversation = change.open_conversation(command.cv)
    by = command.by
    if by.kind == "agent":
        check_owner(conversation, by, command.fence)
    elif by.kind not in _TRANSFERS:
        no("forbidden", f"a {by.kind} may not transfer", rule="role")
    if command.to_rule is not None:
        return _route_anew(change, conversation, command)
    to = _destination(change, conversation, command)
    check_text(command.note)
    conversation = withdraw(change, conversation, "withdrawn")
    conversation = release(change, conversation)
    conversation = change.append(
        conversation,
        "transferred",
        by,
        data={"to": to},
        state="waiting",
        route=replace(conversation.route, steps=(_step(change, conversation, command),)),
        step=0,
        step_ms=change.now_ms,
        waiting_since_ms=conversation.waiting_since_ms or change.now_ms,
        preferred="",
        by_hand=True,
        target=command.to_agent,
        passed=(),
    )
    conversation = change.add_note(conversation, by, command.note)
    conversation = change.requeue(conversation, "transfer")
    if by.kind != "agent":
        change.note(by, "transfer", cv=conversation.cv, to=to)
    return {"seq": conversation.seq}


def _route_anew(
    change: Change, conversation: Conversation, command: TransferConversation
) -> dict[str, Any]:
    """Let the rules decide again, or one of them, with the conversation's age and no hint."""
    if command.to_agent or command.to_queue:
        no("bad_request", "name one of to.agent, to.queue and to.rule")
    if command.warm:
        no("bad_request", "warm: names an agent or a queue; a rule asks nobody")
    check_names(command.to_rule or "")
    check_text(command.note)
    by, to = command.by, {"rule": command.to_rule}
    conversation = withdraw(change, conversation, "withdrawn")
    conversation = release(change, conversation)
    again: dict[str, Any] = {} if conversation.state == "new" else {"state": "new"}
    conversation = change.append(
        conversation,
        "transferred",
        by,
        data={"to": to},
        route=NO_ROUTE,
        step=0,
        waiting_since_ms=0,
        preferred="",
        by_hand=False,
        overflowed=False,
        target="",
        passed=(),
        queue_hint="",
        wanted_rule=command.to_rule or "",
        **again,
    )
    conversation = change.add_note(conversation, by, command.note)
    if by.kind != "agent":
        change.note(by, "transfer", cv=conversation.cv, to=to)
    return {"seq": conversation.seq}


def close(change: Change, command: CloseConversation) -> dict[str, Any]:
    """End a conversation; its agent is free for the next."""
    conversation = change.open_conversation(command.cv)
    by = command.by
    if by.kind == "agent":
        check_owner(conversation, by, None)
    elif not is_visitor(conversation, by) and by.kind not in _CLOSES:
        message = f"this {by.kind} may not close the conversation"
        rule: RefusalRule = "conversation.not_yours" if by.kind == "visitor" else "role"
        no("forbidden", message, rule=rule)
    check_names(command.reason)
    return {"seq": end(change, conversation, by, command.reason).seq}


def end(change: Change, conversation: Conversation, by: By, reason: str) -> Conversation:
    """Close a conversation that is open, and return it."""
    conversation = end_company(change, conversation)
    conversation = withdraw(change, conversation, "closed")
    conversation = release(change, conversation)
    return change.append(
        conversation,
        "closed",
        by,
        data={"reason": reason, **satisfaction.hint(conversation, change.now_ms)},
        state="closed",
        closed_ms=change.now_ms,
        waiting_since_ms=0,
        preferred="",
        overflowed=False,
        target="",
        passed=(),
    )


def purge(change: Change, command: PurgeConversations) -> dict[str, Any]:
    """Forget conversations that were closed longer ago than the retention."""
    before_ms = change.now_ms - limits.CONVERSATION_RETENTION_MS
    purged = 0
    for cv in command.cvs[: limits.PURGE_MAX]:
        conversation = change.state.conversations.get(cv)
        if conversation is None or conversation.state != "closed":
            continue
        if conversation.closed_ms <= before_ms:
            change.state.drop_conversation(cv)
            change.notices.append(ConversationPurged(cv))
            purged += 1
    return {"purged": purged}


def release(change: Change, conversation: Conversation) -> Conversation:
    """Take the conversation from its owner, if it has one, without an event."""
    if not conversation.owner:
        return conversation
    conversation = withdraw_takeover(change, conversation)
    agent = change.agent(conversation.owner)
    let_go(change, agent, conversation)
    return change.put(
        conversation,
        owner="",
        state="waiting",
        step_ms=change.now_ms,
        waiting_since_ms=change.now_ms,
        overflowed=False,
    )


def is_visitor(conversation: Conversation, by: By) -> bool:
    """Whether `by` is the visitor who opened the conversation."""
    return by.kind == "visitor" == conversation.visitor_kind and by.id == conversation.visitor


def check_owner(conversation: Conversation, by: By, fence: int | None) -> None:
    """Refuse an agent who does not own the conversation (any more)."""
    if conversation.owner != by.id:
        message = "the conversation is not assigned to you"
        no("not_owner", message, rule="conversation.not_owner", owner=conversation.owner)
    if fence is not None and fence != conversation.fence:
        message = "the conversation was assigned anew since"
        no("not_owner", message, rule="fence", fence=conversation.fence)


def _destination(
    change: Change, conversation: Conversation, command: TransferConversation
) -> dict[str, str]:
    """Return where the transfer goes, as its event says it; refuse nowhere."""
    if bool(command.to_agent) == bool(command.to_queue):
        no("bad_request", "name one of to.agent and to.queue")
    if command.to_agent:
        agent = change.agent_here(command.to_agent)
        if len(change.state.by_target.get(agent.agent, ())) >= limits.TARGETED_MAX:
            no("at_capacity", f"{limits.TARGETED_MAX} conversations wait for {agent.agent} already")
        return {"agent": agent.agent}
    check_queue(change, conversation, command.to_queue)
    return {"queue": command.to_queue}


def check_queue(change: Change, conversation: Conversation, queue: str) -> None:
    """Refuse a queue that there is not, for `conversation` to go to."""
    check_ids(queue)
    rules = change.state.rules
    known = {limits.FALLBACK_QUEUE, conversation.queue}
    if rules is not None and queue not in known | rules.queues.keys():
        some = ", ".join(sorted(rules.queues)[:10])
        no("not_found", f"no queue {queue[:64]!r}; there are: {some}")


def _step(change: Change, conversation: Conversation, command: TransferConversation) -> Step:
    """Return the one step of the route from here on.

    People know better than rules: who is named need not hold what a rule asked for, though whoever
    comes after them must.  What one queue asked for is not what another asks for; nobody there
    might hold it.
    """
    at = conversation.at
    if command.to_agent:
        queue = conversation.queue or conversation.queue_hint or limits.FALLBACK_QUEUE
        return Step(queue, at.priority, at.skills, at.need)
    if command.to_queue == conversation.queue:
        return Step(at.queue, at.priority, at.skills, at.need)
    settings = change.state.queue(command.to_queue)
    return Step(command.to_queue, at.priority, settings.skills if settings is not None else {})
