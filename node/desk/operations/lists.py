"""Conversations, many at once: listed and searched.  No I/O.

first page of a list   behind a barrier: it holds what was acknowledged anywhere before
the next ones          at once
with `q`               the index is asked, then each that it found is held against the state;
                       who may not read a conversation finds it by its head alone
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from cluster.state.model import Conversation
from node.auth import Principal
from node.desk.access import may_read
from node.desk.context import Context
from node.desk.fitting import fitting
from node.desk.looks import Looks
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.overview import Overview
from node.desk.plain import NotAllowed, check_fields, check_name
from node.desk.views import conversation_view
from node.finding.facets import Key
from node.finding.filters import Proposal, Wanted, proposals
from node.finding.fulltext import Hit, Sought
from node.finding.texts import head_of, says_all, snippet
from node.finding.walk import BadCursor, cursor_of, read_cursor, walk
from node.finding.words import PARTS_MAX, QUERY_CHARACTERS_MAX, Part, parts_of
from node.protocol import catalogue as ops

LIMIT_MAX = 100
ONLY_MAX = 300
"""Where a filter leaves so few, the index is asked about each; else all that it finds is held
against the filter."""
ROUNDS_MAX = 10
"""Times that the index is asked for one page."""

Row = tuple[Key, dict[str, Any]]
"""A conversation's place, and what is told of it."""


class Lists:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup, looks: Looks, overview: Overview) -> None:
        self._context = context
        self._lookup = lookup
        self._looks = looks
        self._facets = overview.facets
        self._search = overview.search

    def handlers(self) -> Handlers:
        return {ops.CvList: self._cv_list}

    def _cv_list(self, asker: Asker, principal: Principal, request: ops.CvList) -> Effect:
        _check(request)
        _check_may_filter(principal, request)
        try:
            beyond = read_cursor(request.cursor)
        except BadCursor as error:
            raise NotAllowed("bad_request", f"cursor: {error}") from None
        if request.filter.q:
            parts = _parts(request.filter.q)
            if self._search.full:
                raise NotAllowed("overloaded", "too many searches wait at this node")
            self._looks.note_search(principal, request.filter.q)
            return Later(partial(self._find, asker, principal, request, beyond, parts))
        if beyond is None:
            return Later(partial(self._first_page, asker, principal, request))
        return self._page(asker, principal, request, beyond)

    async def _first_page(
        self, asker: Asker, principal: Principal, request: ops.CvList
    ) -> Answered:
        await self._lookup.barrier()
        return self._page(asker, principal, request, None)

    def _page(
        self, asker: Asker, principal: Principal, request: ops.CvList, beyond: Key | None
    ) -> Answered:
        state = self._context.state
        wanted = Wanted(request.filter, principal, state, self._facets)
        page = walk(
            proposals(request.filter, principal, state, self._facets),
            state.conversations,
            wanted.matches,
            beyond=beyond,
            newest=request.order == "newest",
            limit=_limit(request),
            since=request.filter.since,
            until=request.filter.until,
        )
        rows = [(_key(one), self._view(asker, one)) for one in page.found]
        return self._answer(rows, page.beyond, complete=self._facets.complete)

    async def _find(
        self,
        asker: Asker,
        principal: Principal,
        request: ops.CvList,
        beyond: Key | None,
        parts: Sequence[Part],
    ) -> Answered:
        """Return a page of what the index finds, as far as it is wanted and still there."""
        if beyond is None:
            await self._lookup.barrier()
        limit = _limit(request)
        rows: list[Row] = []
        place = beyond
        for _ in range(ROUNDS_MAX):
            found = await self._seek(asker, principal, request, place, parts)
            place = found.place
            for row in self._shown(asker, principal, request, found.hits, parts):
                if len(rows) == limit:  # the rest of the hits is for the next page
                    place = rows[-1][0]
                    break
                rows.append(row)
            if place is None or len(rows) == limit:
                break
        complete = self._facets.complete and self._search.complete
        return self._answer(rows, place, complete=complete)

    async def _seek(
        self,
        asker: Asker,
        principal: Principal,
        request: ops.CvList,
        place: Key | None,
        parts: Sequence[Part],
    ) -> Sought:
        state = self._context.state
        return await self._search.seek(
            parts,
            beyond=place,
            newest=request.order == "newest",
            limit=2 * _limit(request),
            everything=asker.audience == "agent",
            only=_few(proposals(request.filter, principal, state, self._facets)),
        )

    def _shown(
        self,
        asker: Asker,
        principal: Principal,
        request: ops.CvList,
        hits: Iterable[Hit],
        parts: Sequence[Part],
    ) -> Iterator[Row]:
        """Yield those of `hits` that are wanted, each with the piece of text that shows why."""
        state = self._context.state
        wanted = Wanted(request.filter, principal, state, self._facets)
        everything = asker.audience == "agent"
        for hit in hits:
            conversation = state.conversations.get(hit.cv)
            if conversation is None or not wanted.matches(conversation):
                continue
            if not may_read(principal, conversation, state):
                if not says_all(head_of(conversation), parts):
                    continue  # what was said there is not theirs to know
                hit = hit._replace(seq=0)
            view = self._view(asker, conversation)
            cut = snippet(conversation, hit.seq, parts, all_of_it=everything)
            if cut is not None:
                view["hit"] = {"seq": hit.seq, **cut._asdict()}
            yield _key(conversation), view

    def _answer(self, rows: Sequence[Row], beyond: Key | None, *, complete: bool) -> Answered:
        """Return those of `rows` that one frame should hold, and where to go on."""
        items = fitting([view for _, view in rows])
        if len(items) < len(rows):
            beyond = rows[len(items) - 1][0]
        return Answered(
            {
                "items": items,
                "cursor": cursor_of(beyond) if beyond is not None else "",
                "more": beyond is not None,
                "complete": complete,
            }
        )

    def _view(self, asker: Asker, conversation: Conversation) -> dict[str, Any]:
        view = conversation_view(conversation, asker.audience)
        tail = conversation.tail
        view["at"] = tail[-1].ts if tail else conversation.opened_ms
        if asker.audience == "agent":
            del view["attrs"]
            view["agents"] = list(self._facets.agents(conversation.cv))
        return view


def _check(request: ops.CvList) -> None:
    wanted = request.filter
    for name in ("queue", "agent", "visitor", "channel"):
        check_name(getattr(wanted, name), f"filter.{name}")
    check_fields(wanted.tags, "filter.tags")
    for name in ("since", "until"):
        if not 0 <= getattr(wanted, name) < 2**63:
            raise NotAllowed("bad_request", f"filter.{name}: milliseconds UTC")
    if len(wanted.q) > QUERY_CHARACTERS_MAX:
        message = f"filter.q: over {QUERY_CHARACTERS_MAX} characters"
        raise NotAllowed("too_large", message)


def _check_may_filter(principal: Principal, request: ops.CvList) -> None:
    """Refuse filters by what is not shown: their answers would say it."""
    wanted = request.filter
    if principal.role == "visitor" and (wanted.tags or wanted.missed):
        message = "filter: visitors see neither `tags` nor `missed`, and list by neither"
        raise NotAllowed("forbidden", message, "role")


def _parts(query: str) -> list[Part]:
    parts = parts_of(query)
    if not parts:
        raise NotAllowed("bad_request", "filter.q: no letter or number to search for")
    if len(parts) > PARTS_MAX:
        message = f"filter.q: over {PARTS_MAX} words; put some in quotes, or leave some out"
        raise NotAllowed("too_large", message)
    return parts


def _limit(request: ops.CvList) -> int:
    return min(request.limit, LIMIT_MAX) or LIMIT_MAX


def _few(proposal: Proposal) -> list[str] | None:
    """Return the ids of all that is proposed, where that is little."""
    if proposal.size > ONLY_MAX:
        return None
    return [key[1] for line in proposal.lines for key in line] + [key[1] for key in proposal.keys]


def _key(conversation: Conversation) -> Key:
    return conversation.opened_ms, conversation.cv
