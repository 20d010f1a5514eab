"""How content visitors were: a conversation's rating, and the counts of each day.  No I/O.

    rating      1 ... 5, and words; of a conversation the last one counts
    DayRatings  UTC day, queue, agent ──▶ how many 1s, 2s, 3s, 4s and 5s

Conversations are forgotten a week after their close; the counts stay for `RATING_DAYS_KEPT`, so
what supervisors look at grows with queues and agents, not with conversations.  A rating that
replaces another takes it out of the count it went into.
"""

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from cluster.state.limits import FORGET_RATINGS_MAX, RATE_MS, RATING_DAYS_KEPT, RATING_ROWS_MAX

if TYPE_CHECKING:
    from cluster.state.model import Conversation
    from cluster.state.state import State

DAY_MS = 24 * 3600 * 1000
SCORES = (1, 2, 3, 4, 5)

Row = tuple[int, str, str]
"""UTC day since 1970, queue, agent."""


class Rating(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the visitor thinks of a conversation."""

    score: int
    text: str
    at_ms: int
    queue: str
    agent: str
    """Who owned it last; empty when nobody did."""
    times: int = 1
    """How often it was rated."""

    @property
    def row(self) -> Row:
        """Where it is counted."""
        return self.at_ms // DAY_MS, self.queue, self.agent


class DayRatings(msgspec.Struct, frozen=True, array_like=True):
    """The ratings of one day, queue and agent."""

    day: int
    queue: str
    agent: str
    counts: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    """Of 1, 2, 3, 4, 5."""


def hint(conversation: "Conversation", now_ms: int) -> dict[str, Any]:
    """Return what the close says of rating: until when, where somebody helped."""
    return {"rate_until": now_ms + RATE_MS} if conversation.service.helped else {}


def count(state: "State", old: Rating | None, new: Rating) -> None:
    """Count `new` instead of `old`; forget days that are too long ago, or too many."""
    if old is not None:
        _add(state, old, -1)
    _add(state, new, 1)
    oldest_day = state.now_ms // DAY_MS - RATING_DAYS_KEPT
    for _ in range(FORGET_RATINGS_MAX):
        first = next(iter(state.ratings))
        if first[0] > oldest_day and len(state.ratings) <= RATING_ROWS_MAX:
            break
        del state.ratings[first]


def _add(state: "State", rating: Rating, change: int) -> None:
    row = state.ratings.get(rating.row)
    if row is None:
        if change < 0:
            return  # its day was forgotten
        row = DayRatings(*rating.row)
    counts = list(row.counts)
    counts[rating.score - 1] += change
    if any(counts):
        state.ratings[rating.row] = replace(row, counts=tuple(counts))
    else:
        del state.ratings[rating.row]
