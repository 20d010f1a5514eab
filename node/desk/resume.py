"""What a client is still owed of a conversation.  No I/O.

    the client has        the node keeps       it is sent
    have                  first ... last
    first-1 <= have       ...                  events have+1 ... last
    have < first-1        ...                  gap{have, first, last}, events first ... last
    have > last           ...                  gap{have, first, last}: it knows what never was here
    anything              nothing it may see   gap{have, 0, 0}

Never a partial recovery that looks whole: what is missing is either sent or said to be gone.
Events follow the gap, because they are what `cv.history` would give.
"""

from typing import NamedTuple

from cluster.state.events import Event
from cluster.state.model import Conversation
from node.desk.views import first_kept
from node.protocol.catalogue import Gap


class Owed(NamedTuple):
    """To be sent in this order; the client then has everything up to the conversation's `seq`."""

    gap: Gap | None
    events: tuple[Event, ...]


def owed(conversation: Conversation, have: int) -> Owed:
    """Return what a client that has everything up to `have` lacks."""
    have = max(0, have)
    first, last = first_kept(conversation), conversation.seq
    if first - 1 <= have <= last:
        return Owed(None, events_after(conversation, have))
    gap = Gap(cv=conversation.cv, have=have, first=first, last=last)
    return Owed(gap, () if have > last else conversation.tail[:])


def nothing(cv: str, have: int) -> Gap:
    """Return the answer for a conversation that is gone, or not the client's to see."""
    return Gap(cv=cv, have=max(0, have), first=0, last=0)


def events_after(conversation: Conversation, seq: int) -> tuple[Event, ...]:
    """Return the kept events with a larger `seq`, rising."""
    skip = max(0, seq - first_kept(conversation) + 1)
    return conversation.tail[skip:]
