"""Many conversations, queues and agents at once: read, searched, watched.  No I/O.

first page of a list   behind a barrier: it holds what was acknowledged anywhere before
the next ones          at once
with `q`               the index is asked, then each that it found is held against the state
"""

import heapq
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from cluster.state.model import Conversation
from node.auth import Principal
from node.desk.context import Context
from node.desk.looks import Looks
from node.desk.lookup import Answered, Effect, Later, Lookup
from node.desk.operations.effects import Asker, Handlers
from node.desk.overview import Overview
from node.desk.plain import NotAllowed, check_fields, check_name
from node.desk.session import Session
from node.desk.views import conversation_view
from node.finding.facets import Key, missed_of
from node.finding.filters import Proposal, Wanted, proposals, serves
from node.finding.texts import snippet
from node.finding.walk import BadCursor, cursor_of, read_cursor, walk
from node.finding.words import QUERY_CHARACTERS_MAX, Part, parts_of
from node.protocol import catalogue as ops

LIMIT_MAX = 100
BYTES_MAX = 60 * 1024
"""What the items of one reply may take, so that it stays about as large as a client's frame."""
ONLY_MAX = 300
"""Where a filter leaves so few, the index is asked about each; else all that it finds is held
against the filter."""
ROUNDS_MAX = 10
"""Times that the index is asked for one page."""
QUEUES_MAX = 1_000

Row = TypeVar("Row")


class Lists:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup, looks: Looks, overview: Overview) -> None:
        self._context = context
        self._lookup = lookup
        self._looks = looks
        self._facets = overview.facets
        self._search = overview.search
        self._watch = overview.watch

    def handlers(self) -> Handlers:
        return {
            ops.CvList: self._cv_list,
            ops.QueueList: self._queue_list,
            ops.QueueWatch: self._queue_watch,
            ops.AgentList: self._agent_list,
        }

    # -- conversations

    def _cv_list(self, asker: Asker, principal: Principal, request: ops.CvList) -> Effect:
        _check(request)
        try:
            beyond = read_cursor(request.cursor)
        except BadCursor as error:
            raise NotAllowed("bad_request", f"cursor: {error}") from None
        if request.filter.q:
            parts = parts_of(request.filter.q)
            if not parts:
                raise NotAllowed("bad_request", "filter.q: no letter or number to search for")
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
            limit=min(request.limit, LIMIT_MAX) or LIMIT_MAX,
            since=request.filter.since,
            until=request.filter.until,
        )
        rows = [(_key(one), self._view(asker, one)) for one in page.found]
        return self._answer(asker, rows, page.beyond, complete=self._facets.complete)

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
        everything = asker.audience == "agent"
        limit = min(request.limit, LIMIT_MAX) or LIMIT_MAX
        newest = request.order == "newest"
        state = self._context.state
        only = _few(proposals(request.filter, principal, state, self._facets))
        rows: list[tuple[Key, dict[str, Any]]] = []
        place = beyond
        for _ in range(ROUNDS_MAX):
            found = await self._search.seek(
                parts,
                beyond=place,
                newest=newest,
                limit=limit if only is not None else 2 * limit,
                everything=everything,
                only=only,
            )
            wanted = Wanted(request.filter, principal, state, self._facets)
            place = found.place
            for hit in found.hits:
                conversation = self._context.state.conversations.get(hit.cv)
                if conversation is None or not wanted.matches(conversation):
                    continue
                if len(rows) == limit:
                    place = rows[-1][0]
                    break
                cut = snippet(conversation, hit.seq, parts, all_of_it=everything)
                view = self._view(asker, conversation)
                if cut is not None:
                    view["hit"] = {"seq": hit.seq, **cut._asdict()}
                rows.append((_key(conversation), view))
            if place is None or len(rows) >= limit:
                break
        complete = self._facets.complete and self._search.complete
        return self._answer(asker, rows, place, complete=complete)

    def _answer(
        self,
        asker: Asker,
        rows: Sequence[tuple[Key, dict[str, Any]]],
        beyond: Key | None,
        *,
        complete: bool,
    ) -> Answered:
        """Return those of `rows` that one frame should hold, and where to go on."""
        items = _fitting([view for _, view in rows])
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
            view["missed"] = missed_of(conversation)
        return view

    # -- queues

    def _queue_list(self, asker: Asker, principal: Principal, request: ops.QueueList) -> Effect:
        _check_queues(request.queues)
        return Answered(self._watch.rows(request.queues))

    def _queue_watch(
        self, session: Session, principal: Principal, request: ops.QueueWatch
    ) -> Effect:
        _check_queues(request.queues)
        if request.off:
            self._watch.forget(session)
            return Answered({"rows": [], "now": self._context.now_ms()})
        return Answered(self._watch.begin(session, request.queues))

    # -- agents

    def _agent_list(self, asker: Asker, principal: Principal, request: ops.AgentList) -> Effect:
        state = self._context.state
        limit = min(request.limit, LIMIT_MAX) or LIMIT_MAX
        names = (
            name
            for name, agent in state.agents.items()
            if name > request.after
            and request.status in ("", agent.status)
            and (not request.here or state.is_present(agent))
            and (not request.queue or serves(state, agent, request.queue))
        )
        found = heapq.nsmallest(limit + 1, names)
        rows = [self._watch.floor.agent_row(state.agents[name]) for name in found[:limit]]
        fitting = _fitting(rows)
        more = len(found) > len(fitting)
        return Answered({"agents": fitting, "more": more, "now": self._context.now_ms()})


def _fitting(rows: Sequence[Row]) -> list[Row]:
    """Return the first of `rows`, at least one, as many as one frame should hold."""
    fitting: list[Row] = []
    size = 0
    for row in rows:
        size += len(msgspec.json.encode(row))
        if fitting and size > BYTES_MAX:
            break
        fitting.append(row)
    return fitting


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


def _check_queues(queues: Iterable[str]) -> None:
    if len(list(queues)) > QUEUES_MAX:
        raise NotAllowed("too_large", f"queues: over {QUEUES_MAX}")
    for queue in queues:
        check_name(queue, "queues")


def _few(proposal: Proposal) -> list[str] | None:
    """Return the ids of all that is proposed, where that is little."""
    if proposal.size > ONLY_MAX:
        return None
    return [key[1] for line in proposal.lines for key in line] + [key[1] for key in proposal.keys]


def _key(conversation: Conversation) -> Key:
    return conversation.opened_ms, conversation.cv
