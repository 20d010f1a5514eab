"""Conversations that somebody should look after because nobody did.  No I/O.

    list       holds
    missed     closed without an answer of anybody; `Conversation.missed` says why
    offline    open, without an answer, and it came while nobody was there, or overflowed to a
               message
    callback   without an answer, and the visitor left a contact to be called at, or it overflowed
               to a callback

    missed because         first that holds
    outside_hours          it overflowed, since its queue was closed
    overflow               it overflowed, since nobody took it in time
    abandoned              the visitor closed it
    no_agent               somebody else did, or the system

An answer takes a conversation off all lists, and so does opening it again off `missed`.  A wish
to be called is in the attributes: `callback_contact`, and if the visitor likes `callback_from`
and `callback_until`.
"""

from typing import TYPE_CHECKING, Literal

from cluster.state.events import Event

if TYPE_CHECKING:
    from cluster.state.model import Conversation

List = Literal["missed", "offline", "callback"]
LISTS: tuple[List, ...] = ("missed", "offline", "callback")
REASONS = ("outside_hours", "overflow", "abandoned", "no_agent")
CALLBACK = ("callback_contact", "callback_from", "callback_until")
"""Attributes of a wish to be called; the first is what makes it one."""


def reason(conversation: "Conversation", closed: Event) -> str:
    """Return why a conversation that `closed` ends is missed; empty when it is not."""
    service = conversation.service
    if service.helped:
        return ""
    if service.overflowed:
        return service.overflowed
    by = (closed.by.kind, closed.by.id)
    return "abandoned" if by == (conversation.visitor_kind, conversation.visitor) else "no_agent"


def lists_of(conversation: "Conversation") -> tuple[List, ...]:
    """Return the lists that a conversation is on."""
    service = conversation.service
    if service.helped:
        return ()
    found: list[List] = []
    if conversation.missed:
        found.append("missed")
    elif conversation.state != "closed" and (service.offline_ms or service.asked_for == "message"):
        found.append("offline")
    if service.asked_for == "callback" or conversation.attrs.get(CALLBACK[0]):
        found.append("callback")
    return tuple(found)
