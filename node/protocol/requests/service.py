"""How visitors were served: ratings, and what nobody answered.  No I/O."""

from typing import Literal

from node.protocol.requests.base import OPERATOR, SERVICE, SUPERVISOR, VISITOR, Request


class CvRate(Request, tag="cv.rate"):
    """Rate a conversation, while it goes on or within three days of its close.

    By whoever opened it; the last of at most five ratings counts.  The event `closed` says with
    `rate_until` that, and until when, a rating is asked for.
    """

    roles = VISITOR | SERVICE

    cv: str
    key: str
    score: int
    """1 to 5; 5 is best."""
    text: str = ""


class CvRatings(Request, tag="cv.ratings"):
    """How conversations were rated in the last `days`, this one included; days are UTC's.

    90 days are kept.  A conversation counts on the day, and for the queue and the owner, at which
    it was rated last.
    """

    roles = SUPERVISOR | OPERATOR

    days: int = 7
    rows: Literal["queue", "owner", "day"] = "queue"
    """What the rows are of."""
    queue: str = ""
    """Of this queue only."""
    owner: str = ""
    """Of this agent only."""


class CvMissed(Request, tag="cv.missed"):
    """Conversations that nobody has answered.

    `missed` have been closed so, newest first.  `offline` began while nobody was there, and
    `callback` have the attribute `callback_contact`: both oldest first, until somebody answers.
    """

    roles = SUPERVISOR | OPERATOR | SERVICE

    list: Literal["missed", "offline", "callback"] = "missed"
    queue: str = ""
    why: str = ""
    """Of the missed, those for this reason only."""
    after: str = ""
    """Behind a `next` of an earlier answer."""
    limit: int = 100
