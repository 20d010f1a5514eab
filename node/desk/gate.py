"""Who comes in by HTTP: the bearer of a token, or an answer that says why not.  No I/O,
but for issuers that have to be asked.

    refused because of               status
    no token, or a bad one           401, and the challenge of RFC 6750; a revoked one too
    a role that may not              403; so is a disabled account
    too many requests                429, Retry-After
    this node, at present            503, Retry-After, the other nodes
    an issuer that does not answer   502

Every refusal has the body {code, msg, retry, data}: an `err` of a WebSocket, with the same words.
"""

import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

from node.auth import BadToken, ExpiredToken, Principal, UnaskedToken, UndecidedToken
from node.desk.access import denial
from node.desk.context import Context
from node.desk.requests import RATE, TOO_FAST
from node.edge.application import Answer, ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response
from node.protocol.catalogue import BY_NAME
from node.protocol.codes import ERRORS, Close, ErrorCode

RETRY_AFTER_S = 1
Then = Callable[[Principal], Answer | ResponseFactory]
"""What is done once somebody was let in."""


class _Door(NamedTuple):
    """What is asked for, and who may."""

    op: str
    roles: Collection[str]
    fenced: bool
    """Whether one may while nothing can be acknowledged here."""


class Gate:
    """Lets requests in."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def admit(
        self,
        request: Request,
        op: str,
        then: Then,
        *,
        roles: Collection[str] | None = None,
        fenced: bool = False,
        for_pages: bool = False,
    ) -> Answer | ResponseFactory:
        """Return what `then` makes of who asks for `op` and may, or the refusal.

        A factory, where an issuer has to be asked first.  `roles`: of what is no operation of the
        catalogue.  `fenced`: while this node lets nobody in, too.  `for_pages`: with a token that
        opens nothing else, too.
        """
        door = _Door(op, BY_NAME[op].roles if roles is None else roles, fenced)
        try:
            token = self.token(request)
            principal = self._context.verifier.verify(token, for_pages=for_pages)
        except UnaskedToken as question:
            return partial(self._ask, question, door, then)
        except BadToken as error:
            return self._not_believed(error)
        return self._refused(principal, door) or then(principal)

    async def _ask(self, question: UnaskedToken, door: "_Door", then: Then) -> Answer:
        try:
            principal = await question.ask()
        except BadToken as error:
            return self._not_believed(error)
        answer = self._refused(principal, door) or then(principal)
        return await answer() if callable(answer) else answer

    def _refused(self, principal: Principal, door: "_Door") -> Response | None:
        """Return the refusal of somebody who is known; None when they may."""
        op = door.op
        denied = self.denied(principal)
        if denied is not None:
            return denied
        if principal.role not in door.roles:
            message = f"{op} is not for the role {principal.role}"
            return self.refusal("forbidden", message, {"rule": "role"})
        wait_s = self._context.rates.wait_s(principal)
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return self.refusal("rate_limited", TOO_FAST, RATE, headers=headers)
        if self._context.overloaded and principal.role in ("visitor", "service"):
            return self.refusal(
                "overloaded", "this node has no room left", self._context.elsewhere()
            )
        return None if door.fenced else self.closed()

    def closed(self) -> Response | None:
        """Return the refusal of everybody, while this node lets nobody in."""
        closed = self._context.closed()
        if closed is None:
            return None
        code: ErrorCode = "minority" if closed[0] is Close.MINORITY else "overloaded"
        return self.refusal(code, closed[1], self._context.elsewhere())

    def refusal(
        self,
        code: ErrorCode,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        status: int = 0,
        also: Mapping[str, Any] | None = None,
    ) -> Response:
        """Return the answer that refuses with `code`, and says `also` what another standard asks.

        `status`, where that standard has another than ours.
        """
        self._context.tally.errors[code] += 1
        error = ERRORS[code]
        body: dict[str, Any] = {"code": code, "msg": message, "retry": error.retry}
        body.update(also or {})
        if data:
            body["data"] = data
        retry = {"Retry-After": str(RETRY_AFTER_S)} if error.retry else {}
        return json_response(status or error.http, body, {**retry, **(headers or {})})

    def wrong_method(self, request: Request, allowed: str) -> Response:
        """Return the answer to a method that the path does not take."""
        body = {"code": "bad_request", "msg": f"{request.path} takes {allowed}"}
        return json_response(405, body, {"Allow": allowed})

    def token(self, request: Request) -> str:
        """Return the token that a request bears.  Raises `BadToken`."""
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise BadToken("say who you are: Authorization: Bearer TOKEN", "token.missing")
        return token.strip().decode("latin-1")

    def _not_believed(self, error: BadToken) -> Response:
        if isinstance(error, UndecidedToken):
            return self.refusal("upstream", str(error), {"rule": error.rule})
        why = "expired" if isinstance(error, ExpiredToken) else "invalid"
        challenge = f'Bearer error="invalid_token", error_description="the token is {why}"'
        headers = {"WWW-Authenticate": challenge}
        return self.refusal("unauthorized", str(error), {"rule": error.rule}, headers=headers)

    def denied(self, principal: Principal) -> Response | None:
        """Return the refusal of somebody whose token counts no more, if it is so."""
        denied = denial(principal, self._context.state)
        if denied is None:
            return None
        challenge = 'Bearer error="invalid_token", error_description="the token counts no more"'
        headers = {"WWW-Authenticate": challenge} if denied.code == "unauthorized" else {}
        return self.refusal(denied.code, denied.message, {"rule": denied.rule}, headers=headers)
