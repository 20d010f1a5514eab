"""Messages, and notes that visitors do not see.  No I/O.

    who                      message                 note (visibility "agents")
    the visitor of it        yes                     forbidden
    its owner                yes, by fence           yes
    who takes part           yes                     yes
    another agent            not_owner               yes
    supervisor, service      yes                     yes
    supervisor who joined    by the mode             by the mode, as a `whisper`: see `supervision`
    anyone else              forbidden               forbidden

Two guards against answering twice: `fence` - the assignment the sender believes in - and
`after` - the last event the sender has seen: with a colleague's answer beyond it the message is
`stale`, and the refusal brings what was missed.
"""

from typing import Any

import msgspec

from cluster.state.change import Change, no
from cluster.state.checks import check_body, check_ids
from cluster.state.commands import By, SendMessage
from cluster.state.company import Overseer
from cluster.state.conversations import check_owner, is_visitor
from cluster.state.events import Event
from cluster.state.limits import STALE_BYTES_MAX, STALE_EVENTS_MAX
from cluster.state.model import Conversation
from cluster.state.parting import is_member, joined

_POSTS = frozenset({"supervisor", "service", "system"})
_ANSWERS = frozenset({"agent", "supervisor", "service"})
"""Whose public messages are answers to the visitor."""


def check_message(command: SendMessage) -> None:
    """Refuse fields that no state could make good."""
    check_ids(command.mid)
    if command.reply_to:
        check_ids(command.reply_to)
    check_body(command.type, command.body)


def send(change: Change, command: SendMessage) -> dict[str, Any]:
    """Append a message or a note, whose fields were checked."""
    conversation = change.open_conversation(command.cv)
    note = command.visibility == "agents"
    _check_may_speak(conversation, command, note=note)
    whispers = note and joined(conversation, command.by) is not None
    data: dict[str, Any] = {"type": command.type, "body": command.body}
    if command.reply_to:
        data["reply_to"] = command.reply_to
    if command.after is not None and not note and command.by.kind != "visitor":
        _check_seen(conversation, command.by, command.after)
    conversation = change.append(
        conversation,
        "whisper" if whispers else "note" if note else "msg",
        command.by,
        mid=command.mid,
        data=data,
        hidden=note,
    )
    return {"seq": conversation.seq, "mid": command.mid, "ts": change.now_ms}


def _check_may_speak(conversation: Conversation, command: SendMessage, *, note: bool) -> None:
    by = command.by
    if by.kind == "visitor":
        if not is_visitor(conversation, by):
            message = "this is another visitor's conversation"
            no("forbidden", message, rule="conversation.not_yours")
        if note:
            no("forbidden", "a visitor writes no notes", rule="note.visitor")
    elif by.kind == "agent":
        if not note and not is_member(conversation, by.id):
            check_owner(conversation, by, command.fence)
    elif by.kind == "supervisor":
        _check_mode(joined(conversation, by), note=note)
    elif by.kind not in _POSTS:
        no("forbidden", f"a {by.kind} does not speak in conversations", rule="role")


def _check_mode(overseer: Overseer | None, *, note: bool) -> None:
    """Refuse what a supervisor who joined said they would not do."""
    if overseer is None:
        return
    if overseer.mode == "monitor":
        message = "you monitor, and nobody knows: join with mode whisper or barge to speak"
        no("forbidden", message, rule="supervision.mode")
    if overseer.mode == "whisper" and not note:
        message = "you whisper: join with mode barge to speak to the visitor"
        no("forbidden", message, rule="supervision.mode")


def _check_seen(conversation: Conversation, by: By, after: int) -> None:
    """Refuse an answer written without having seen a colleague's, and say what was missed."""
    missed: list[Event] = []
    for event in reversed(conversation.tail):
        if event.seq <= after:
            break
        if _is_answer_of_another(event, by):
            missed.append(event)
    if missed:
        missed.reverse()
        no("stale", f"{len(missed)} answers came since {after}", events=_told(missed))


def _is_answer_of_another(event: Event, by: By) -> bool:
    return (
        event.type == "msg"
        and event.by.kind in _ANSWERS
        and (event.by.kind, event.by.id) != (by.kind, by.id)
    )


def _told(events: list[Event]) -> list[Any]:
    """Return the newest events as plain data, as many as a refusal may hold."""
    told: list[Any] = []
    size = 0
    for event in reversed(events[-STALE_EVENTS_MAX:]):
        plain = msgspec.to_builtins(event)
        size += len(msgspec.msgpack.encode(plain))
        if told and size > STALE_BYTES_MAX:
            break
        told.append(plain)
    return told[::-1]
