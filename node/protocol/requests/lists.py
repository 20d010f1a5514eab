"""What is asked of many conversations, of queues and of agents at once.  No I/O."""

from typing import Any, Literal

import msgspec

from node.protocol.requests.base import OPERATOR, SERVICE, SUPERVISOR, Request

ListedState = Literal["", "open", "new", "waiting", "offered", "assigned", "closed"]


class ConversationFilter(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which conversations: those that are all of this."""

    state: ListedState = ""
    """`open`: all but closed."""
    queue: str = ""
    agent: str = ""
    """Who has it; of one that nobody has, anyone who ever had it."""
    visitor: str = ""
    """Id of who opened it."""
    channel: str = ""
    tags: dict[str, Any] = {}
    """Those that carry every one of these values, or it among others."""
    missed: bool = False
    """Those that nobody answered in time."""
    since: int = 0
    """Opened then or later, milliseconds UTC."""
    until: int = 0
    """Opened before then."""
    q: str = ""
    """What was said: words, the beginnings of words, "phrases"; all of them in one conversation.
    In Chinese and the like, characters that stand together."""


class CvList(Request, tag="cv.list"):
    """Conversations in the order in which they were opened, a page at a time.

    Visitors list what they opened; agents what they have or had, are offered, and what waits in
    the queues they serve; the others all.  By what was said, `q`, agents find those that they may
    read; others by visitor, subject and tags.  Visitors, who are not shown `tags` and `missed`,
    cannot filter by them.  The first page holds all that was acknowledged
    anywhere before it was asked for.  A page may be short, or empty, and have `more`: a node looks
    at so many conversations for one request, and no further.
    """

    filter: ConversationFilter = msgspec.field(default_factory=ConversationFilter)
    cursor: str = ""
    """That of an earlier answer, from whatever node: what comes behind it."""
    limit: int = 50
    """At most 100."""
    order: Literal["newest", "oldest"] = "newest"


class QueueList(Request, tag="queue.list"):
    """Queues as they are now: who waits, who works."""

    roles = SUPERVISOR | OPERATOR | SERVICE

    queues: list[str] = []
    """All when empty."""


class QueueWatch(Request, tag="queue.watch"):
    """The same, and `queue.rows` from then on; ends with the connection, or with `off`."""

    needs_connection = True
    roles = SUPERVISOR | OPERATOR | SERVICE

    queues: list[str] = []
    """All when empty; asking again begins anew."""
    off: bool = False


class AgentList(Request, tag="agent.list"):
    """Agents in the order of their ids, those behind `after`: at most `limit`."""

    roles = SUPERVISOR | OPERATOR | SERVICE

    queue: str = ""
    """Those alone who serve it."""
    status: Literal["", "online", "away", "busy", "offline", "transfer_only"] = ""
    here: bool = False
    """Those alone who have a live session."""
    after: str = ""
    limit: int = 100
