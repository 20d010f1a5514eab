"""What replies hold of service: ratings, missed conversations, canned responses.  No I/O."""

import msgspec

from cluster.state.commands import By
from cluster.state.model import ConversationState
from node.protocol.results import Result, Visitor


class RatingRow(msgspec.Struct, kw_only=True):
    """Ratings of one queue, agent or day."""

    of: str
    """The queue, the agent's id, or the day as YYYY-MM-DD."""
    count: int
    average: float
    """Of 1 to 5, to two places; 0 without any."""
    scores: list[int]
    """How many 1s, 2s, 3s, 4s and 5s."""


class Ratings(Result):
    since: str
    """The first day."""
    until: str
    count: int
    average: float
    scores: list[int]
    rows: list[RatingRow]
    """Those with most ratings first, days in their order."""
    left_out: int
    """Rows beyond those."""


class CallbackWish(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How, and when, the visitor would like to be called."""

    contact: str
    earliest: str = ""
    latest: str = ""


class MissedRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A conversation that nobody has answered."""

    cv: str
    state: ConversationState
    queue: str
    channel: str
    lang: str
    subject: str
    visitor: Visitor
    opened: int
    closed: int
    """0 while it is open."""
    preview: str
    """The beginning of what the visitor wrote first."""
    why: str = ""
    """no_agent, abandoned, outside_hours or overflow; absent while it is open."""
    callback: CallbackWish | None = None


class Missed(Result):
    items: list[MissedRow]
    next: str
    """Goes into `after` for what comes behind these."""
    more: bool
    total: int
    """All on the list, of whatever queue."""
    now: int
    """Cluster time: what ages are counted from."""


class CannedView(msgspec.Struct, kw_only=True):
    """A canned response as it was written."""

    shortcut: str
    title: str
    texts: dict[str, str]
    queues: list[str]
    rev: int
    by: By
    """Who wrote it last."""
    at: int


class CannedOne(Result):
    canned: CannedView


class CannedPage(Result):
    items: list[CannedView]
    more: bool
    """Ask again, after the last of them."""


class CannedChanged(Result):
    shortcut: str
    rev: int
    """The response's revision now."""
    dup: bool = False


class CannedGone(Result):
    shortcut: str
    dup: bool = False


class CannedHit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A canned response that fits, in one language."""

    shortcut: str
    title: str
    lang: str
    text: str
    """With `cv`: filled in."""
    rev: int
    missing: list[str] = []
    """Placeholders that stand in the text still, since nothing is known to fill them with."""


class CannedHits(Result):
    items: list[CannedHit]
