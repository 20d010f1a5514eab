"""An agent's status, and what is offered to them: commands to the log.  No I/O."""

from cluster.ids import is_ulid
from cluster.state import commands
from node.auth import Principal
from node.desk.lookup import Effect, check_cv
from node.desk.operations.effects import Asker, Handlers
from node.desk.plain import NotAllowed, check_key, check_name
from node.protocol import catalogue as ops


class Agents:
    """Serves these operations."""

    def handlers(self) -> Handlers:
        return {
            ops.StatusSet: self._status_set,
            ops.OfferAccept: self._offer_accept,
            ops.OfferDecline: self._offer_decline,
            ops.CvTake: self._cv_take,
            ops.WrapDone: self._wrap_done,
        }

    def _status_set(self, asker: Asker, principal: Principal, request: ops.StatusSet) -> Effect:
        check_name(request.reason, "reason")
        check_name(request.agent, "agent")
        if principal.role != "agent" and not request.agent:
            raise NotAllowed("bad_request", f"agent: a {principal.role} says whose status it is")
        return commands.SetStatus(
            by=principal.by,
            agent=request.agent or principal.id,
            status=request.status,
            reason=request.reason,
            until_ms=request.until,
        )

    def _offer_accept(self, asker: Asker, principal: Principal, request: ops.OfferAccept) -> Effect:
        _check_oid(request.oid)
        check_key(request.key)
        return commands.AcceptOffer(oid=request.oid, by=principal.by, key=request.key)

    def _offer_decline(
        self, asker: Asker, principal: Principal, request: ops.OfferDecline
    ) -> Effect:
        _check_oid(request.oid)
        check_name(request.reason, "reason")
        return commands.DeclineOffer(oid=request.oid, by=principal.by, reason=request.reason)

    def _cv_take(self, asker: Asker, principal: Principal, request: ops.CvTake) -> Effect:
        check_cv(request.cv)
        check_key(request.key)
        return commands.TakeConversation(cv=request.cv, by=principal.by, key=request.key)

    def _wrap_done(self, asker: Asker, principal: Principal, request: ops.WrapDone) -> Effect:
        check_cv(request.cv)
        return commands.FinishWrapUp(by=principal.by, cv=request.cv)


def _check_oid(oid: str) -> None:
    if not is_ulid(oid):
        raise NotAllowed("offer_gone", f"no offer {oid[:32]!r}")
