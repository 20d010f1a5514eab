"""Tags and attributes of a conversation.  No I/O.

    tags     how people sort it          vip, topic, refund_granted
    attrs    what is known of it         intent, order, language as detected

    who may     set and unset
    agent       its owner, or who takes part; of a closed one its last: there is work after the end
    supervisor  yes
    service     yes: bots and the company's own programs

What is set replaces what was there; the whole stays within the bounds of an opening.  Asking again
changes nothing and says nothing.  Visitors see none of it.
"""

from typing import Any

from cluster.state.change import Change, no
from cluster.state.checks import check_flat
from cluster.state.commands import By, SetFields
from cluster.state.limits import TAG_KEY_BYTES_MAX, TAGS_MAX
from cluster.state.model import Conversation
from cluster.state.parting import is_member

_LABELS = frozenset({"supervisor", "service", "system"})


def set_fields(change: Change, command: SetFields) -> dict[str, Any]:
    """Set and unset; the answer's `seq` is of the event, or the newest where nothing changed."""
    conversation = change.conversation(command.cv)
    _check_may_label(conversation, command.by)
    _check_fields(command)
    before: dict[str, Any] = getattr(conversation, command.what)
    gone = tuple(name for name in command.unset if name in before)
    kept = {name: value for name, value in before.items() if name not in gone}
    new = {name: value for name, value in command.set.items() if not _is_same(kept, name, value)}
    if not new and not gone:
        return {"seq": conversation.seq}
    after = kept | new
    if len(after) > TAGS_MAX:
        no("too_large", f"{command.what}: {len(after)} keys; at most {TAGS_MAX}")
    data = {"what": command.what, "set": new, "unset": list(gone)}
    fields: dict[str, Any] = {command.what: after}
    conversation = change.append(
        conversation, "tagged", command.by, data=data, hidden=True, **fields
    )
    if command.by.kind == "supervisor":
        change.note(command.by, "tag", cv=conversation.cv, fields=command.what)
    return {"seq": conversation.seq}


def _check_may_label(conversation: Conversation, by: By) -> None:
    if by.kind == "agent":
        closed = conversation.state == "closed"
        owner = conversation.service.agent if closed else conversation.owner
        if owner != by.id and not is_member(conversation, by.id):
            no("forbidden", "you take no part in it", rule="conversation.no_part")
    elif by.kind not in _LABELS:
        no("forbidden", f"a {by.kind} sets no tags", rule="role")


def _check_fields(command: SetFields) -> None:
    check_flat(command.what, command.set)
    if not command.set and not command.unset:
        no("bad_request", "nothing to set, and nothing to unset")
    if len(command.unset) > TAGS_MAX:
        no("too_large", f"unset: more than {TAGS_MAX} keys")
    for name in command.unset:
        if len(name.encode()) > TAG_KEY_BYTES_MAX:
            no("too_large", f"unset: a key of more than {TAG_KEY_BYTES_MAX} bytes")
        if name in command.set:
            no("bad_request", f"{name[:TAG_KEY_BYTES_MAX]!r} is to be set, and unset")


def _is_same(values: dict[str, Any], name: str, value: Any) -> bool:
    """Whether it has this value already; 1, 1.0 and true are three."""
    return name in values and repr(values[name]) == repr(value)
