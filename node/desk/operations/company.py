"""Colleagues asked in, members who leave, supervisors who join: commands to the log.  No I/O."""

from cluster.state import commands
from node.auth import Principal
from node.desk.context import Context
from node.desk.following import Following
from node.desk.lookup import Effect, check_cv
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed, check_name, check_text
from node.desk.session import Session
from node.protocol import catalogue as ops


class Company:
    """Serves these operations."""

    def __init__(self, context: Context, following: Following, invite_ms: int) -> None:
        """`invite_ms`: how long an invitation may be answered."""
        self._context = context
        self._following = following
        self._invite_ms = invite_ms

    def handlers(self) -> Handlers:
        return {
            ops.CvInvite: self._invite,
            ops.CvLeave: self._leave,
            ops.SupJoin: self._join,
            ops.SupLeave: self._end,
        }

    def _invite(self, asker: Asker, principal: Principal, request: ops.CvInvite) -> Effect:
        check_cv(request.cv)
        if not request.agent:
            raise NotAllowed("bad_request", "agent: is empty")
        check_name(request.agent, "agent")
        check_text(request.note, "note")
        return commands.InviteAgent(
            cv=request.cv,
            by=principal.by,
            agent=request.agent,
            iid=self._context.ids.new(),
            ttl_ms=self._invite_ms,
            note=request.note,
        )

    def _leave(self, asker: Asker, principal: Principal, request: ops.CvLeave) -> Effect:
        check_cv(request.cv)
        check_name(request.agent, "agent")
        return commands.LeaveConversation(cv=request.cv, by=principal.by, agent=request.agent)

    def _join(self, session: Session, principal: Principal, request: ops.SupJoin) -> Effect:
        check_cv(request.cv)
        self._following.check_room(session)
        port = self._context.port
        return commands.JoinConversation(
            cv=request.cv,
            by=principal.by,
            mode=request.mode,
            sid=session.sid,
            node=port.node_id,
            boot=port.boot,
        )

    def _end(self, asker: Asker, principal: Principal, request: ops.SupLeave) -> Effect:
        check_cv(request.cv)
        return commands.EndSupervision(cv=request.cv, by=principal.by)
