"""What people ask of healing.  Waits for nothing.

heal.log      what nodes did by themselves, by cursor
heal.status   this node's mode, the rules with their counts, the vitals of all nodes
"""

from node.auth import Principal
from node.desk import healing
from node.desk.auditing import BadCursor
from node.desk.context import Context
from node.desk.lookup import Answered
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed
from node.protocol import catalogue as ops

LIMIT_MAX = 500


class Healing:
    """Serves both operations."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def handlers(self) -> Handlers:
        return {ops.HealLog: self._log, ops.HealStatus: self._status}

    def _log(self, asker: Asker, principal: Principal, request: ops.HealLog) -> Answered:
        if request.after and request.before:
            raise NotAllowed("bad_request", "before: cannot be asked together with after")
        limit = min(request.limit, LIMIT_MAX) or LIMIT_MAX
        try:
            page = healing.read(
                self._context.state.heal_log,
                after=request.after,
                before=request.before,
                node=request.node,
                rule=request.rule,
                limit=limit,
            )
        except BadCursor as error:
            raise NotAllowed("bad_request", f"after or before: {error}") from None
        return Answered(page)

    def _status(self, asker: Asker, principal: Principal, request: ops.HealStatus) -> Answered:
        state, status = self._context.state, self._context.port.status()
        return Answered(
            {
                "node": status.node,
                "mode": status.heal_mode,
                "rules": healing.table(state.heal_log),
                "held_back": healing.held_back(state.heal_log, state.now_ms, status.nodes),
                "nodes": [{"id": name, **one} for name, one in sorted(status.nodes.items())],
            }
        )
