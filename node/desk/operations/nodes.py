"""Operators' wishes about nodes and the clients at them.  Waits for the port alone.

leader.transfer   the leader hands over: `Port.hand_over`
node.drain        a command: every node knows who takes clients
session.list      agents' sessions from the log; connections of this process
session.dismiss   a command: whoever has the socket says goodbye
"""

from functools import partial
from itertools import islice

import msgspec

from cluster.port import HandOverRefused, NotLeading, Unavailable
from cluster.state import commands
from cluster.state.commands import AddAudit
from cluster.state.model import Session as AgentSession
from node.auth import Principal
from node.desk.audit_lines import write_down
from node.desk.context import Context
from node.desk.hub import Hub
from node.desk.lookup import Answered, Effect, Later
from node.desk.operations.effects import Asker, Handlers
from node.desk.operations.members import check_node
from node.desk.plain import NotAllowed, check_name
from node.desk.session import Session
from node.protocol import catalogue as ops
from node.protocol.node_results import ConnectionRow, SessionRow

ROWS_MAX = 1_000


class Nodes:
    """Serves these operations."""

    def __init__(self, context: Context, hub: Hub, *, workers: int) -> None:
        """`workers`: by how many processes the node serves its clients, 0 for one."""
        self._context = context
        self._hub = hub
        self._workers = workers

    def handlers(self) -> Handlers:
        return {
            ops.LeaderTransfer: self._transfer,
            ops.NodeDrain: self._drain,
            ops.SessionList: self._list,
            ops.SessionDismiss: self._dismiss,
        }

    # -- leadership

    def _transfer(self, asker: Asker, principal: Principal, request: ops.LeaderTransfer) -> Later:
        if request.node:
            check_node(request.node, "node")
        return Later(partial(self._hand_over, principal, request.node))

    async def _hand_over(self, principal: Principal, to: str) -> Answered:
        context = self._context
        began_s = context.clock()
        try:
            leader = await context.port.hand_over(to)
        except NotLeading as error:
            raise NotAllowed("not_leader", f"{error}: ask there") from None
        except HandOverRefused as refused:
            raise NotAllowed("conflict", str(refused)) from None
        if isinstance(leader, Unavailable):
            raise NotAllowed(leader.code, leader.message)
        took_ms = round((context.clock() - began_s) * 1000)
        detail = {"target": to, "leader": leader, "took_ms": took_ms}
        write_down(context.port, AddAudit(principal.by, "leader.transfer", detail))
        return Answered(
            {
                "before": context.port.node_id,
                "leader": leader,
                "term": context.port.status().term,
                "took_ms": took_ms,
            }
        )

    # -- clients

    def _drain(self, asker: Asker, principal: Principal, request: ops.NodeDrain) -> Effect:
        check_node(request.node, "node")
        context = self._context
        if not request.undrain and not _reached_besides(context, request.node):
            message = f"no node but {request.node} is reached: its clients would have nowhere to go"
            raise NotAllowed("conflict", message)
        return commands.DrainNode(request.node, principal.by, not request.undrain)

    def _list(self, asker: Asker, principal: Principal, request: ops.SessionList) -> Answered:
        limit = min(request.limit, ROWS_MAX) or ROWS_MAX
        context, counts = self._context, self._hub.count_sessions()
        known = sorted(context.state.sessions.items())
        behind = [session for sid, session in known if sid > request.after]
        everybody = (one for role in sorted(counts) for one in self._hub.sessions_in(role))
        return Answered(
            {
                "sessions": [self._row(one) for one in behind[:limit]],
                "more": len(behind) > limit,
                "node": context.port.node_id,
                "here": [_connection(one) for one in islice(everybody, limit)],
                "counts": counts,
                "part": self._workers > 1,
            }
        )

    def _row(self, session: AgentSession) -> dict[str, object]:
        agent = self._context.state.agents.get(session.agent)
        row = SessionRow(
            sid=session.sid,
            agent=session.agent,
            name=agent.name if agent is not None else "",
            node=session.node,
            since=session.since_ms,
            state="lost" if session.lost_ms else "idle" if session.idle else "live",
        )
        return msgspec.structs.asdict(row)

    def _dismiss(self, asker: Asker, principal: Principal, request: ops.SessionDismiss) -> Effect:
        check_name(request.sid, "sid")
        check_name(request.who, "who")
        if request.to:
            check_node(request.to, "to")
        return commands.DismissSession(
            principal.by,
            request.sid,
            request.kind,
            request.who,
            stop=request.do == "close",
            to=request.to,
        )


def _connection(session: Session) -> dict[str, object]:
    assert session.principal is not None
    row = ConnectionRow(
        sid=session.sid,
        kind=session.principal.role,
        id=session.principal.id,
        name=session.principal.name,
        peer=session.peer,
        follows=len(session.subscriptions),
    )
    return msgspec.structs.asdict(row)


def _reached_besides(context: Context, node: str) -> bool:
    """Say whether another node is there for the clients of `node`, as far as this one sees."""
    here, peers = context.port.node_id, context.port.status().peers
    return any(
        name != node and (name == here or peers.get(name, {}).get("connected", False))
        for name in context.port.members().by_id
    )
