"""The audit log as operators read it, by cursor.  No I/O.

    lines     … 41.000  41.007  41.007  42.113        (cluster time; it never runs backwards)
    cursors         41000.1 41007.1 41007.2 42113.1   what was read: up to the n-th of a moment

A cursor is good at any node, and for as long as its moment is kept; a reader who comes later is
told of the gap.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from cluster.state.limits import AUDIT_MAX
from cluster.state.model import AuditRecord
from node.protocol.results import AuditLine

_CURSOR = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,9}))?")

Place = tuple[int, int]
"""A moment, and how many of its lines."""


class BadCursor(Exception):
    """It is no cursor."""


def read_newest(records: Sequence[AuditRecord], limit: int) -> dict[str, Any]:
    """Return the newest lines, oldest first."""
    placed = list(_placed(records))
    return _answer(placed[-limit:], (0, 0), more=False, gap=False)


def read_after(records: Sequence[AuditRecord], cursor: str, limit: int) -> dict[str, Any]:
    """Return the first lines behind `cursor`.  Raises `BadCursor`."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadCursor(f"{cursor[:32]!r} is no `next` of an earlier answer")
    after = (int(match[1]), int(match[2] or 0))
    found = list(islice((one for one in _placed(records) if one[0] > after), limit + 1))
    # Of a full log some lines have gone; the oldest moment may be one that was cut in two.
    full = len(records) >= AUDIT_MAX
    gap = full and after > (0, 0) and after[0] <= records[0].at_ms
    return _answer(found[:limit], after, more=len(found) > limit, gap=gap)


def _placed(records: Sequence[AuditRecord]) -> Iterator[tuple[Place, AuditRecord]]:
    at_ms = number = 0
    for record in records:
        number = number + 1 if record.at_ms == at_ms else 1
        at_ms = record.at_ms
        yield (at_ms, number), record


def _answer(
    placed: list[tuple[Place, AuditRecord]], after: Place, *, more: bool, gap: bool
) -> dict[str, Any]:
    at_ms, number = placed[-1][0] if placed else after
    return {
        "lines": [
            AuditLine(at=record.at_ms, by=record.by, what=record.what, detail=record.detail)
            for _, record in placed
        ],
        "next": f"{at_ms}.{number}",
        "more": more,
        "gap": gap,
    }
