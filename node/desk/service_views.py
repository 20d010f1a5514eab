"""Service as clients see it: clocks, ratings, missed conversations.  No I/O.

A page of missed conversations goes on behind a place in the list, opening time and id, so what is
answered meanwhile moves nothing.  What one look costs is bounded, whatever a queue has on the list.
"""

from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec

from cluster.state.clocks import Service
from cluster.state.missed import CALLBACK
from cluster.state.model import Conversation
from cluster.state.satisfaction import DAY_MS, DayRatings, Rating
from cluster.state.state import State
from node.desk.fitting import BYTES_MAX
from node.finding.texts import preview
from node.finding.walk import cursor_of, read_cursor
from node.protocol import catalogue as ops
from node.protocol.results import Visitor
from node.protocol.service_results import CallbackWish, MissedRow, RatingRow
from node.protocol.service_values import ClockView, RatingView, SlaView

ROWS_MAX = 200
"""Queues, agents or days of a summary."""
LOOKS_MAX = 20_000
"""Conversations of a list that one page looks at: some ten milliseconds."""


def sla_view(service: Service) -> SlaView:
    """Return how a conversation stands against its service level."""
    return SlaView(
        name=service.sla,
        clocks=[
            ClockView(name=one.name, since=one.since_ms, due=one.due_ms, told=one.told)
            for one in service.clocks
        ],
        breaches=service.breaches,
    )


def rating_view(rating: Rating) -> RatingView:
    """Return a rating."""
    return RatingView(score=rating.score, text=rating.text, at=rating.at_ms)


def ratings_summary(state: State, now_ms: int, request: ops.CvRatings) -> dict[str, Any]:
    """Return the sums of the days asked for."""
    last = now_ms // DAY_MS
    first = last - request.days + 1
    total, rows = Counter[int](), dict[str, Counter[int]]()
    for row in state.ratings.values():
        if row.day < first or (request.queue and row.queue != request.queue):
            continue
        if request.owner and row.agent != request.owner:
            continue
        scores = dict(enumerate(row.counts, start=1))
        total.update(scores)
        rows.setdefault(_of(row, request.rows), Counter()).update(scores)
    made = [_row(name, scores) for name, scores in rows.items()]
    made.sort(key=lambda one: (0 if request.rows == "day" else -one.count, one.of))
    whole = _row("", total)
    return {
        "since": _day(first),
        "until": _day(last),
        "count": whole.count,
        "average": whole.average,
        "scores": whole.scores,
        "rows": made[:ROWS_MAX],
        "left_out": max(0, len(made) - ROWS_MAX),
    }


def missed_page(state: State, now_ms: int, request: ops.CvMissed, limit: int) -> dict[str, Any]:
    """Return a page of a list.  Raises `BadCursor`."""
    places = list(state.unserved[request.list])
    total = len(places)
    newest_first = request.list == "missed"
    if newest_first:
        places.reverse()
    place = read_cursor(request.after)
    if place is not None:
        places = [one for one in places if (one < place if newest_first else one > place)]
    items: list[MissedRow] = []
    looked, seen, size = place, 0, 0
    for looked in islice(places, LOOKS_MAX):
        seen += 1
        conversation = state.conversations[looked[1]]
        if _is_asked_for(conversation, request):
            row = _missed_row(conversation)
            items.append(row)
            size += len(msgspec.json.encode(row))
            if len(items) == limit or size > BYTES_MAX:
                break
    return {
        "items": items,
        "next": cursor_of(looked) if looked is not None else "",
        "more": seen < len(places),
        "total": total,
        "now": now_ms,
    }


def _is_asked_for(conversation: Conversation, request: ops.CvMissed) -> bool:
    if request.queue and conversation.queue != request.queue:
        return False
    return not request.why or conversation.missed == request.why


def _missed_row(conversation: Conversation) -> MissedRow:
    return MissedRow(
        cv=conversation.cv,
        state=conversation.state,
        queue=conversation.queue,
        channel=conversation.channel,
        lang=conversation.lang,
        subject=conversation.subject,
        visitor=Visitor(
            kind=conversation.visitor_kind,
            id=conversation.visitor,
            name=conversation.visitor_name,
        ),
        opened=conversation.opened_ms,
        closed=conversation.closed_ms,
        preview=preview(conversation),
        why=conversation.missed,
        callback=_callback(conversation),
    )


def _callback(conversation: Conversation) -> CallbackWish | None:
    contact, earliest, latest = (str(conversation.attrs.get(name) or "") for name in CALLBACK)
    return CallbackWish(contact=contact, earliest=earliest, latest=latest) if contact else None


def _of(row: DayRatings, rows: str) -> str:
    return {"queue": row.queue, "owner": row.agent, "day": _day(row.day)}[rows]


def _row(name: str, scores: Counter[int]) -> RatingRow:
    counts = [scores[score] for score in range(1, 6)]
    count = sum(counts)
    points = sum(score * scores[score] for score in range(1, 6))
    average = round(points / count, 2) if count else 0.0
    return RatingRow(of=name, count=count, average=average, scores=counts)


def _day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_MS / 1000, UTC).strftime("%Y-%m-%d")
