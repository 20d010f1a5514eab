"""Conversations as the state machine leaves them, for what is derived from them."""

from typing import Any

from msgspec.structs import replace

from cluster.state.commands import SYSTEM, By
from cluster.state.events import Event
from cluster.state.model import Conversation
from cluster.state.route import Route, Step

VERA = By("visitor", "v1", "Vera")
ANN = By("agent", "ann", "Ann")


def conversation(number: int, **more: Any) -> Conversation:
    """One that was opened at millisecond `number`."""
    fields: dict[str, Any] = {
        "cv": f"01ARZ3NDEKTSV4RR{number:010d}",
        "visitor": "v1",
        "visitor_name": "Vera",
        "channel": "web",
        "lang": "en",
        "subject": "",
        "tags": {},
        "attrs": {},
        "opened_ms": number,
    }
    if "queue" in more:
        fields["route"] = Route((Step(more.pop("queue")),))
    return Conversation(**{**fields, **more})


def with_event(
    one: Conversation,
    kind: str,
    by: By = SYSTEM,
    *,
    hidden: bool = False,
    mid: str = "",
    **data: Any,
) -> Conversation:
    """The conversation with one event more."""
    seq = one.seq + 1
    event = Event(seq, kind, by, one.opened_ms + seq, mid, data, hidden)
    return replace(one, seq=seq, tail=one.tail.append(event))


def said(one: Conversation, *texts: str, hidden: bool = False) -> Conversation:
    """The conversation with messages of the visitor, or notes."""
    for text in texts:
        kind = "note" if hidden else "msg"
        mid = f"m{one.seq + 1}"
        one = with_event(one, kind, VERA, hidden=hidden, mid=mid, type="text", body=text)
    return one
