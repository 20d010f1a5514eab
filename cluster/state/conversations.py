"""The lifecycle of a conversation.  No I/O.

    cv.open      nothing ──▶ new                       opened, msg
    cv.route     new, waiting ──▶ waiting              queued
    offer.*      waiting ◀──▶ offered ──▶ assigned     see `offers`
    msg.send     any but closed                        msg, note
    cv.transfer  any but closed ──▶ waiting            transferred, (note,) queued
    cv.close     any but closed ──▶ closed             closed
    cv.purge     closed, past retention ──▶ nothing

Who waits keeps the age with which it was opened, however often it comes back.
"""

from typing import Any

import msgspec

from cluster.state import limits
from cluster.state.change import Change, no
from cluster.state.commands import (
    SYSTEM,
    By,
    CloseConversation,
    OpenConversation,
    PurgeConversations,
    RouteConversation,
    SendMessage,
    TransferConversation,
)
from cluster.state.model import Conversation
from cluster.state.offers import withdraw
from cluster.state.outcome import ConversationPurged

_STAFF = ("supervisor", "operator", "service", "system")


def open_conversation(change: Change, command: OpenConversation) -> dict[str, Any]:
    """Begin a conversation; the leader routes it next."""
    by = command.by
    if by.kind not in ("visitor", "service", "system"):
        no("forbidden", f"a conversation is opened by a visitor, not by {by.kind}")
    if command.cv in change.state.conversations:
        no("conflict", "a conversation of this id exists")
    _check_names(command.cv, by.id, by.name, command.channel, command.lang, command.subject)
    _check_map("tags", command.tags)
    _check_map("attrs", command.attrs)
    _check_text(command.text)
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
    )
    data = {"channel": command.channel, "lang": command.lang, "subject": command.subject}
    conversation = change.append(conversation, "opened", by, data=data)
    if command.text:
        data = {"type": "text", "body": command.text}
        conversation = change.append(conversation, "msg", by, mid=command.mid, data=data)
    return {"cv": conversation.cv, "seq": conversation.seq, "state": conversation.state}


def route(change: Change, command: RouteConversation) -> dict[str, Any]:
    """Put a conversation into its queue."""
    conversation = change.open_conversation(command.cv)
    if conversation.state not in ("new", "waiting"):
        no("conflict", f"the conversation is {conversation.state} already")
    _check_names(command.queue, command.rule)
    conversation = change.append(
        conversation,
        "queued",
        SYSTEM,
        data={"queue": command.queue, "priority": command.priority, "rule": command.rule},
        state="waiting",
        queue=command.queue,
        priority=command.priority,
        rule=command.rule,
        rev=command.rev,
        skills=command.skills,
    )
    return {"seq": conversation.seq}


def send(change: Change, command: SendMessage) -> dict[str, Any]:
    """Append a message, or a note that visitors do not see."""
    conversation = change.open_conversation(command.cv)
    note = command.visibility == "agents"
    _check_may_speak(conversation, command, note=note)
    if len(msgspec.msgpack.encode(command.body)) > limits.BODY_BYTES_MAX:
        no("too_large", f"a body of more than {limits.BODY_BYTES_MAX} bytes")
    if command.type == "text":
        _check_text(command.body)
    if command.after is not None:
        _check_seen(conversation, command.by, command.after)
    data: dict[str, Any] = {"type": command.type, "body": command.body}
    if command.reply_to:
        _check_names(command.reply_to)
        data["reply_to"] = command.reply_to
    conversation = change.append(
        conversation,
        "note" if note else "msg",
        command.by,
        mid=command.mid,
        data=data,
        hidden=note,
    )
    return {"seq": conversation.seq, "mid": command.mid, "ts": change.now_ms}


def transfer(change: Change, command: TransferConversation) -> dict[str, Any]:
    """Let go of a conversation: it waits for another agent, or in another queue."""
    conversation = change.open_conversation(command.cv)
    by = command.by
    if by.kind == "agent":
        _check_owner(conversation, by, command.fence)
    elif by.kind not in _STAFF:
        no("forbidden", f"a {by.kind} may not transfer")
    if bool(command.to_agent) == bool(command.to_queue):
        no("bad_request", "name one of to.agent and to.queue")
    to: dict[str, Any]
    if command.to_agent:
        change.agent(command.to_agent)
        to = {"agent": command.to_agent}
    else:
        rules = change.state.rules
        if rules is not None and command.to_queue not in rules.queues:
            known = ", ".join(sorted(rules.queues)[:10])
            no("not_found", f"no queue {command.to_queue[:64]!r}; there are: {known}")
        to = {"queue": command.to_queue}
    _check_text(command.note)
    conversation = withdraw(change, conversation, "withdrawn")
    conversation = release(change, conversation)
    conversation = change.append(conversation, "transferred", by, data={"to": to})
    if command.note:
        data = {"type": "text", "body": command.note}
        conversation = change.append(conversation, "note", by, data=data, hidden=True)
    queue = command.to_queue or conversation.queue or conversation.queue_hint or "general"
    conversation = change.append(
        conversation,
        "queued",
        SYSTEM,
        data={"queue": queue, "priority": conversation.priority, "reason": "transfer"},
        state="waiting",
        queue=queue,
        target=command.to_agent,
        passed=(),
    )
    if by.kind != "agent":
        change.note(by, "transfer", cv=conversation.cv, to=to)
    return {"seq": conversation.seq}


def close(change: Change, command: CloseConversation) -> dict[str, Any]:
    """End a conversation; its agent is free for the next."""
    conversation = change.open_conversation(command.cv)
    by = command.by
    if by.kind == "visitor" and by.id != conversation.visitor:
        no("forbidden", "this is another visitor's conversation")
    if by.kind == "agent":
        _check_owner(conversation, by, None)
    _check_names(command.reason)
    conversation = withdraw(change, conversation, "closed")
    conversation = release(change, conversation)
    conversation = change.append(
        conversation,
        "closed",
        by,
        data={"reason": command.reason},
        state="closed",
        closed_ms=change.now_ms,
        target="",
        passed=(),
    )
    return {"seq": conversation.seq}


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
    agent = change.agent(conversation.owner)
    change.change_agent(
        agent,
        conversations=tuple(cv for cv in agent.conversations if cv != conversation.cv),
        idle_since_ms=change.now_ms,
    )
    free = msgspec.structs.replace(conversation, owner="", state="waiting")
    change.state.put_conversation(free)
    return free


def _check_may_speak(conversation: Conversation, command: SendMessage, *, note: bool) -> None:
    by = command.by
    if by.kind == "visitor":
        if by.id != conversation.visitor:
            no("forbidden", "this is another visitor's conversation")
        if note:
            no("forbidden", "a visitor writes no notes")
    elif by.kind == "agent" and not note:
        _check_owner(conversation, by, command.fence)


def _check_owner(conversation: Conversation, by: By, fence: int | None) -> None:
    if conversation.owner != by.id:
        no("not_owner", "the conversation is not assigned to you", owner=conversation.owner)
    if fence is not None and fence != conversation.fence:
        no("not_owner", "the conversation was assigned anew since", fence=conversation.fence)


def _check_seen(conversation: Conversation, by: By, after: int) -> None:
    """An answer written without having seen a colleague's is refused with what was missed."""
    missed = [
        event
        for event in conversation.tail
        if event.seq > after
        and event.type == "msg"
        and event.by.kind in ("agent", "supervisor", "service")
        and (event.by.kind, event.by.id) != (by.kind, by.id)
    ]
    if missed:
        no(
            "stale",
            f"{len(missed)} answers came since {after}",
            events=[msgspec.to_builtins(event) for event in missed[-10:]],
        )


def _check_names(*names: str) -> None:
    for name in names:
        if len(name.encode()) > limits.NAME_BYTES_MAX:
            no("too_large", f"a name or id of more than {limits.NAME_BYTES_MAX} bytes")


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        no("bad_request", "a text message has a string as its body")
    if len(text.encode()) > limits.TEXT_BYTES_MAX:
        no("too_large", f"a text of more than {limits.TEXT_BYTES_MAX} bytes")


def _check_map(what: str, values: dict[str, Any]) -> None:
    if len(values) > limits.TAGS_MAX:
        no("too_large", f"{what}: more than {limits.TAGS_MAX} keys")
    for key, value in values.items():
        if len(key.encode()) > limits.TAG_KEY_BYTES_MAX:
            no("too_large", f"{what}: a key of more than {limits.TAG_KEY_BYTES_MAX} bytes")
        for scalar in value if isinstance(value, list) else [value]:
            if not isinstance(scalar, str | int | float | bool | None):
                no("bad_request", f"{what}.{key}: scalars and lists of scalars only")
        if len(msgspec.msgpack.encode(value)) > limits.TAG_VALUE_BYTES_MAX:
            no("too_large", f"{what}.{key}: more than {limits.TAG_VALUE_BYTES_MAX} bytes")
