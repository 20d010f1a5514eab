"""The heal log as people read it, by cursor in both directions.  No I/O.

    lines       … 41.000  41.007  41.007  42.113     (cluster time; it never runs backwards)
    places          41000.1 41007.1 41007.2 42113.1  the n-th of a moment

A place is good at any node, and for as long as its moment is kept.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from cluster.heal.rules import DEAD_VOTER, RULES
from cluster.port import Figures
from cluster.state.model import HealNote
from node.desk.auditing import BadCursor
from node.protocol.heal_results import HealLine, HealRule

HELD_BACK_MS = 600_000
HELD_BACK_MAX = 50
"""Lines of `heal.status`; `heal.log` has all."""
_CURSOR = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,9}))?")

Place = tuple[int, int]
Placed = tuple[Place, HealNote]


def read(
    notes: Sequence[HealNote], *, after: str, before: str, node: str, rule: int, limit: int
) -> dict[str, Any]:
    """Return a page: the oldest lines behind `after`, else the newest, before `before` if given.

    Raises `BadCursor`.
    """
    wanted = (
        one
        for one in _placed(notes)
        if (not node or one[1].node == node) and (not rule or one[1].rule == rule)
    )
    if after:
        begin = _place(after)
        found = list(islice((one for one in wanted if one[0] > begin), limit + 1))
        return _page(found[:limit], begin, more=len(found) > limit)
    end = _place(before) if before else None
    found = [one for one in wanted if end is None or one[0] < end][-limit - 1 :][::-1]
    return _page(found[:limit], end or (0, 0), more=len(found) > limit)


def line(note: HealNote) -> HealLine:
    """Return a note for people."""
    known = RULES.get(note.rule)
    return HealLine(
        at=note.noted_ms,
        done_at=note.at_ms,
        node=note.node,
        rule=note.rule,
        name=known.name if known is not None else "of a later release",
        seen=note.seen,
        done=note.done,
        outcome=note.outcome,
        figures=note.figures,
    )


def table(notes: Sequence[HealNote]) -> list[HealRule]:
    """Return every rule with what became of it."""
    counts: dict[int, Counter[str]] = {number: Counter() for number in RULES}
    last_ms = dict.fromkeys(RULES, 0)
    for note in notes:
        if note.rule in counts:
            counts[note.rule][note.outcome] += 1
            last_ms[note.rule] = note.noted_ms
    return [
        HealRule(
            rule=number,
            name=rule.name,
            seen=rule.seen,
            done=rule.done,
            never=rule.never,
            counts=dict(counts[number]),
            last_at=last_ms[number],
        )
        for number, rule in RULES.items()
    ]


def held_back(
    notes: Sequence[HealNote], now_ms: int, nodes: Mapping[str, Figures]
) -> list[HealLine]:
    """Return what limits held back lately and still do, newest first, HELD_BACK_MAX lines at most.

    `nodes` has each member's row (`cluster.heal.nodes`).
    """
    held = (
        line(note)
        for note in reversed(notes)
        if note.outcome == "held_back"
        and note.noted_ms > now_ms - HELD_BACK_MS
        and not _is_over(note, nodes)
    )
    return list(islice(held, HELD_BACK_MAX))


def _is_over(note: HealNote, nodes: Mapping[str, Figures]) -> bool:
    """Whether there is nothing to replace any more: the dead one was removed, or speaks again."""
    if note.rule != DEAD_VOTER:
        return False
    row = nodes.get(str(note.figures.get("dead")), {})
    return row.get("member") != "voter" or bool(row.get("fresh"))


def _placed(notes: Sequence[HealNote]) -> Iterator[Placed]:
    at_ms = number = 0
    for note in notes:
        number = number + 1 if note.noted_ms == at_ms else 1
        at_ms = note.noted_ms
        yield (at_ms, number), note


def _place(cursor: str) -> Place:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadCursor(f"{cursor[:32]!r} is no place of an earlier answer")
    return int(match[1]), int(match[2] or 0)


def _page(found: list[Placed], otherwise: Place, *, more: bool) -> dict[str, Any]:
    places = [place for place, _ in found] or [otherwise]
    return {
        "lines": [line(note) for _, note in found],
        "next": _cursor(max(places)),
        "past": _cursor(min(places)),
        "more": more,
    }


def _cursor(place: Place) -> str:
    return f"{place[0]}.{place[1]}"
