"""Queues and agents, as those see them who see to it that everybody is answered.

Waits for what is counted after a start, or a snapshot.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import trio

from node.auth import Principal
from node.desk.context import Context
from node.desk.fitting import fitting
from node.desk.lookup import Answered, Effect, Later
from node.desk.operations.effects import Asker, Handlers
from node.desk.overview import Overview
from node.desk.plain import NotAllowed, check_name
from node.desk.session import Session
from node.finding.filters import serves
from node.protocol import catalogue as ops

LIMIT_MAX = 100
QUEUES_MAX = 1_000
"""That may be named."""
COUNTED_S = 5.0
LOOK_S = 0.02


class Supervising:
    """Serves these operations."""

    def __init__(self, context: Context, overview: Overview) -> None:
        self._context = context
        self._floor = overview.floor
        self._watch = overview.watch

    def handlers(self) -> Handlers:
        return {
            ops.QueueList: self._queue_list,
            ops.QueueWatch: self._queue_watch,
            ops.AgentList: self._agent_list,
        }

    def _queue_list(self, asker: Asker, principal: Principal, request: ops.QueueList) -> Effect:
        _check_queues(request.queues)
        return self._once_counted(lambda: self._watch.rows(request.queues))

    def _queue_watch(
        self, session: Session, principal: Principal, request: ops.QueueWatch
    ) -> Effect:
        _check_queues(request.queues)
        if request.off:
            self._watch.forget(session)
            return Answered({"rows": [], "now": self._context.now_ms()})
        return self._once_counted(lambda: self._watch.begin(session, request.queues))

    def _once_counted(self, answer: Callable[[], dict[str, Any]]) -> Effect:
        """Return the answer, once the figures in it are true."""
        if self._floor.complete:
            return Answered(answer())

        async def wait() -> Answered:
            with trio.move_on_after(COUNTED_S):
                while not self._floor.complete:
                    await trio.sleep(LOOK_S)
                return Answered(answer())
            raise NotAllowed("overloaded", "this node has begun just now, and counts still")

        return Later(wait)

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
        rows = [self._floor.agent_row(state.agents[name]) for name in found[:limit]]
        held = fitting(rows)
        more = len(found) > len(held)
        return Answered({"agents": held, "more": more, "now": self._context.now_ms()})


def _check_queues(queues: Sequence[str]) -> None:
    if len(queues) > QUEUES_MAX:
        raise NotAllowed("too_large", f"queues: over {QUEUES_MAX}")
    for queue in queues:
        check_name(queue, "queues")
