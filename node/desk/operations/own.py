"""What a connection asks of itself: a newer token, a pong, what it has seen, typing.  No I/O."""

from functools import partial

from node.auth import BadToken, Principal, UnaskedToken, UndecidedToken
from node.desk.ephemeral import Ephemeral
from node.desk.lookup import Answered, Effect, Later
from node.desk.opening import Opening
from node.desk.operations.effects import Handlers
from node.desk.plain import NotAllowed
from node.desk.session import Session
from node.protocol import catalogue as ops
from node.protocol.codes import ErrorCode


class Own:
    """Serves these operations."""

    def __init__(self, opening: Opening, ephemeral: Ephemeral) -> None:
        self._opening = opening
        self._ephemeral = ephemeral

    def handlers(self) -> Handlers:
        return {
            ops.Auth: self._auth,
            ops.Pong: self._pong,
            ops.Ack: self._seen,
            ops.Read: self._seen,
            ops.Typing: self._typing,
        }

    def _auth(self, session: Session, principal: Principal, request: ops.Auth) -> Effect:
        try:
            return Answered({"exp": self._opening.renew(session, request.token) * 1000})
        except UnaskedToken as question:
            return Later(partial(self._auth_asked, session, question))
        except BadToken as error:
            raise _not_renewed(error) from None

    async def _auth_asked(self, session: Session, question: UnaskedToken) -> Answered:
        try:
            principal = await question.ask()
            return Answered({"exp": self._opening.take(session, principal) * 1000})
        except BadToken as error:
            raise _not_renewed(error) from None

    def _pong(self, session: Session, principal: Principal, request: ops.Pong) -> Effect:
        return None

    def _seen(self, session: Session, principal: Principal, request: ops.Ack | ops.Read) -> Effect:
        self._ephemeral.seen(session, request)
        return None

    def _typing(self, session: Session, principal: Principal, request: ops.Typing) -> Effect:
        self._ephemeral.typing(session, request)
        return None


def _not_renewed(error: BadToken) -> NotAllowed:
    code: ErrorCode = "upstream" if isinstance(error, UndecidedToken) else "unauthorized"
    return NotAllowed(code, str(error), error.rule)
