"""One page of a list: along lines, from a cursor on, with bounded work.  No I/O.

    lines     ── a ── c ── d ── f ──▶        merged, each conversation once
              ── b ── c ── e ──────▶
    cursor    (opened_ms, cv) of the last one looked at: good at any node, whatever comes and goes

What was opened stays where it was opened, so a page never repeats or leaves out one that was there
all the time; one that begins, or stops, to match meanwhile is seen as it is when the walk passes.
A page ends when it is full, or after `LOOKS_MAX` conversations: it may be short, or empty, with
`more`.
"""

import heapq
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from cluster.ids import is_ulid
from cluster.state.model import Conversation
from node.finding.facets import Key
from node.finding.filters import Proposal

LOOKS_MAX = 5_000
"""Conversations looked at for one page: some five milliseconds."""
_CURSOR = re.compile(r"([0-9]{1,16})\.([0-9A-Z]{26})")


class BadCursor(Exception):
    """It is no cursor."""


class Page(NamedTuple):
    """Conversations in order, and where the next page begins; None when there is none."""

    found: list[Conversation]
    beyond: Key | None


def cursor_of(key: Key) -> str:
    """Return a place as clients carry it."""
    return f"{key[0]}.{key[1]}"


def read_cursor(cursor: str) -> Key | None:
    """Return the place that `cursor` means, None for an empty one.  Raises `BadCursor`."""
    if not cursor:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None or not is_ulid(match[2]):
        raise BadCursor(f"{cursor[:48]!r} is none of an earlier answer")
    return int(match[1]), match[2]


def walk(
    proposal: Proposal,
    conversations: Mapping[str, Conversation],
    matches: Callable[[Conversation], bool],
    *,
    beyond: Key | None,
    newest: bool,
    limit: int,
    since: int = 0,
    until: int = 0,
) -> Page:
    """Return the first `limit` that match beyond a place, opened from `since` until before `until`.

    The two bounds only save looks; `matches` decides.
    """
    first = _first(beyond, since, until, newest=newest)
    keys = islice(_merged(proposal, first, newest=newest), LOOKS_MAX + 1)
    found: list[Conversation] = []
    last: Key | None = None
    for looked, key in enumerate(keys):
        if (newest and key[0] < since) or (not newest and until and key[0] >= until):
            return Page(found, None)
        if looked == LOOKS_MAX or len(found) == limit:
            return Page(found, last)
        conversation = conversations.get(key[1])
        if conversation is not None and matches(conversation):
            found.append(conversation)
        last = key
    return Page(found, None)


def _first(beyond: Key | None, since: int, until: int, *, newest: bool) -> Key | None:
    if newest:
        bound = (until, "") if until else None
        return min(beyond, bound) if beyond and bound else beyond or bound
    bound = (since, "") if since else None
    return max(beyond, bound) if beyond and bound else beyond or bound


def _merged(proposal: Proposal, beyond: Key | None, *, newest: bool) -> Iterator[Key]:
    """Yield the keys of all lines in order, each once."""
    ways = [line.walk(beyond, newest=newest) for line in proposal.lines]
    if proposal.keys:
        ways.append(_beyond(proposal, beyond, newest=newest))
    last = None
    for key in heapq.merge(*ways, reverse=newest) if len(ways) != 1 else ways[0]:
        if key != last:
            yield key
        last = key


def _beyond(proposal: Proposal, beyond: Key | None, *, newest: bool) -> Iterator[Key]:
    if newest:
        return (key for key in reversed(proposal.keys) if beyond is None or key < beyond)
    return (key for key in proposal.keys if beyond is None or key > beyond)
