"""How visitors were served: rated to the log, summed up and listed from the state.  No I/O: waits
for the port.
"""

from functools import partial

from cluster.state import commands, limits
from node.auth import Principal
from node.desk.context import Context
from node.desk.lookup import Answered, Effect, Later, Lookup, check_cv
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed, check_key
from node.desk.service_views import missed_page, ratings_summary
from node.finding.walk import BadCursor
from node.protocol import catalogue as ops

MISSED_MAX = 200


class Service:
    """Serves these operations."""

    def __init__(self, context: Context, lookup: Lookup) -> None:
        self._context = context
        self._lookup = lookup

    def handlers(self) -> Handlers:
        return {
            ops.CvRate: self._rate,
            ops.CvRatings: self._ratings,
            ops.CvMissed: self._missed,
        }

    def _rate(self, asker: Asker, principal: Principal, request: ops.CvRate) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        if not 1 <= request.score <= 5:
            raise NotAllowed("bad_request", f"score: 1 to 5, not {request.score}")
        if len(request.text.encode()) > limits.RATING_TEXT_BYTES_MAX:
            raise NotAllowed("too_large", f"text: over {limits.RATING_TEXT_BYTES_MAX} bytes")
        return commands.RateConversation(
            cv=request.cv,
            by=principal.by,
            key=request.key,
            score=request.score,
            text=request.text,
        )

    def _ratings(self, asker: Asker, principal: Principal, request: ops.CvRatings) -> Effect:
        if not 1 <= request.days <= limits.RATING_DAYS_KEPT:
            raise NotAllowed("bad_request", f"days: 1 to {limits.RATING_DAYS_KEPT}")
        return Later(partial(self._sum_up, request))

    async def _sum_up(self, request: ops.CvRatings) -> Answered:
        await self._lookup.barrier()
        return Answered(ratings_summary(self._context.state, self._context.now_ms(), request))

    def _missed(self, asker: Asker, principal: Principal, request: ops.CvMissed) -> Effect:
        return Later(partial(self._list_missed, request))

    async def _list_missed(self, request: ops.CvMissed) -> Answered:
        await self._lookup.barrier()
        limit = min(request.limit, MISSED_MAX) or MISSED_MAX
        try:
            page = missed_page(self._context.state, self._context.now_ms(), request, limit)
        except BadCursor as error:
            raise NotAllowed("bad_request", f"after: {error}") from None
        return Answered(page)
