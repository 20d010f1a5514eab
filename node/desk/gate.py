"""Who comes in by HTTP: the bearer of a token, or an answer that says why not.  No I/O.

    refused because of               status
    no token, or a bad one           401, and the challenge of RFC 6750
    a role that may not              403
    too many requests                429, Retry-After
    this node, at present            503, Retry-After, the other nodes
    an issuer that does not answer   502

Every refusal has the body {code, msg, retry, data}: an `err` of a WebSocket, with the same words.
"""

import math
from collections.abc import Mapping
from typing import Any

from node.auth import BadToken, ExpiredToken, Principal, UndecidedToken
from node.desk.context import Context
from node.desk.requests import TOO_FAST
from node.edge.http import Request, Response
from node.health import json_response
from node.protocol.catalogue import BY_NAME
from node.protocol.codes import ERRORS, Close, ErrorCode

RETRY_AFTER_S = 1


class Gate:
    """Lets requests in."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def admit(self, request: Request, op: str) -> Principal | Response:
        """Return who asks for `op` and may, or the refusal."""
        try:
            principal = self._principal(request)
        except UndecidedToken as error:
            return self.refusal("upstream", str(error))
        except BadToken as error:
            return self._unauthorized(error)
        if principal.role not in BY_NAME[op].roles:
            return self.refusal("forbidden", f"{op} is not for the role {principal.role}")
        wait_s = self._context.rates.wait_s(principal)
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return self.refusal("rate_limited", TOO_FAST, headers=headers)
        if self._context.overloaded and principal.role in ("visitor", "service"):
            return self.refusal(
                "overloaded", "this node has no room left", self._context.elsewhere()
            )
        closed = self._context.closed()
        if closed is not None:
            code: ErrorCode = "minority" if closed[0] is Close.MINORITY else "overloaded"
            return self.refusal(code, closed[1], self._context.elsewhere())
        return principal

    def refusal(
        self,
        code: ErrorCode,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer that refuses with `code`."""
        self._context.tally.errors[code] += 1
        body: dict[str, Any] = {"code": code, "msg": message, "retry": ERRORS[code].retry}
        if data:
            body["data"] = data
        retry = {"Retry-After": str(RETRY_AFTER_S)} if ERRORS[code].retry else {}
        return json_response(ERRORS[code].http, body, {**retry, **(headers or {})})

    def wrong_method(self, request: Request, allowed: str) -> Response:
        """Return the answer to a method that the path does not take."""
        body = {"code": "bad_request", "msg": f"{request.path} takes {allowed}"}
        return json_response(405, body, {"Allow": allowed})

    def _principal(self, request: Request) -> Principal:
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise BadToken("say who you are: Authorization: Bearer TOKEN")
        return self._context.verifier.verify(token.strip().decode("latin-1"))

    def _unauthorized(self, error: BadToken) -> Response:
        why = "expired" if isinstance(error, ExpiredToken) else "invalid"
        challenge = f'Bearer error="invalid_token", error_description="the token is {why}"'
        headers = {"WWW-Authenticate": challenge}
        return self.refusal("unauthorized", str(error), headers=headers)
