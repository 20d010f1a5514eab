"""Messages that are edited, or taken back.  No I/O.

    command     the message itself, wherever it is read from now on     event
    -------     ---------------------------------------------------     -----
    msg.edit    the new body; `edited`: when                            edit {seq, body}
    msg.del     no body; `deleted`: when                                del {seq}

    who may     in an open conversation             in a closed one
    author      yes; an agent while they have part  no
    supervisor  yes                                 del

Privacy comes first: what was taken back is gone, for agents as well, from the message and from
every edit of it that is kept; only that there was one remains.  (It stays in the log's bytes until
a snapshot replaces them.)  Whoever reads the message late reads it as it is now, and then hears
the edit once more, so that every observer has the same `seq`s.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state.change import Change, no
from cluster.state.checks import check_body, check_ids
from cluster.state.commands import By, DeleteMessage, EditMessage
from cluster.state.events import Event
from cluster.state.limits import EDITS_MAX
from cluster.state.model import Conversation
from cluster.state.parting import is_member

_SAID = frozenset({"msg", "note", "whisper"})


def check_edit(command: EditMessage) -> None:
    """Refuse a body that no message could have; whether it fits this one is seen later."""
    check_body("text" if isinstance(command.body, str) else "card", command.body)


def edit(change: Change, command: EditMessage) -> dict[str, Any]:
    """Give a message another body."""
    conversation = change.open_conversation(command.cv)
    said = _said(conversation, command.mid)
    _check_may_correct(conversation, said, command.by)
    check_body(said.data.get("type", "text"), command.body)
    edits = said.data.get("edits", 0) + 1
    if edits > EDITS_MAX:
        no("at_capacity", f"it was edited {EDITS_MAX} times")
    now = {"body": command.body, "edited": change.now_ms, "edits": edits}
    conversation = _rewrite(change, conversation, said, {**_without_body(said), **now})
    return _tell(change, conversation, "edit", said, command.by, body=command.body)


def delete(change: Change, command: DeleteMessage) -> dict[str, Any]:
    """Take a message back: nothing but that there was one stays."""
    conversation = change.conversation(command.cv)
    if conversation.state == "closed" and command.by.kind != "supervisor":
        no("closed", "the conversation is closed; a supervisor can still take it back")
    said = _said(conversation, command.mid)
    _check_may_correct(conversation, said, command.by)
    kept = {"type": said.data.get("type", "text"), "deleted": change.now_ms}
    conversation = _rewrite(change, conversation, said, kept)
    return _tell(change, conversation, "del", said, command.by)


def _said(conversation: Conversation, mid: str) -> Event:
    """Return the message; refuse when there is none (any more)."""
    check_ids(mid)
    about = (event for event in conversation.tail if event.mid == mid and event.type in _SAID)
    said = next(about, None)
    if said is None or "deleted" in said.data:
        no("not_found", f"no message {mid[:64]!r} is kept")
    return said


def _check_may_correct(conversation: Conversation, said: Event, by: By) -> None:
    if by.kind == "supervisor":
        return
    if (said.by.kind, said.by.id) != (by.kind, by.id):
        no("forbidden", "somebody else said it", rule="message.not_yours")
    if by.kind == "agent" and conversation.owner != by.id and not is_member(conversation, by.id):
        no("forbidden", "you take no part in it any more", rule="conversation.no_part")


def _rewrite(
    change: Change, conversation: Conversation, said: Event, data: dict[str, Any]
) -> Conversation:
    """Replace what was said, and forget what earlier edits of it said."""

    def corrected(event: Event) -> Event:
        return replace(event, data=data if event.seq == said.seq else _without_body(event))

    return change.put(conversation, tail=conversation.tail.corrected(said.mid, corrected))


def _tell(
    change: Change, conversation: Conversation, kind: str, said: Event, by: By, **data: Any
) -> dict[str, Any]:
    told = {"seq": said.seq, **data}
    conversation = change.append(
        conversation, kind, by, mid=said.mid, data=told, hidden=said.hidden
    )
    if (by.kind, by.id) != (said.by.kind, said.by.id):
        change.note(by, f"message.{kind}", cv=conversation.cv, seq=said.seq)
    return {"seq": conversation.seq}


def _without_body(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.data.items() if name != "body"}
