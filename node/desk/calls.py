"""One request without a connection: `POST /v1/op/<op>`.  Waits for the port alone.

    HTTP                                    the same over a WebSocket
    Authorization: Bearer TOKEN             the token of `hello`
    Idempotency-Key: KEY                    the field `key`; both may be given if they are equal
    body: the operation's fields as JSON    the request
    200 and the reply's `r`                 `ok`: durable before it is sent
    a status and {code, msg, retry, data}   `err`, with the same code and words

What belongs to a connection - subscriptions, receipts, typing, a newer token - is not served
here.  Bodies and keys have the bounds of a frame.

Source: RFC 9110; RFC 6750; draft-ietf-httpapi-idempotency-key-header.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

import msgspec

from cluster.port import Answer, Unavailable
from cluster.state.outcome import Done, Refused
from node.auth import BadToken, ExpiredToken, Principal, UndecidedToken
from node.desk.access import PERMITTED
from node.desk.context import Context, NotServed
from node.desk.lookup import Answered, Later
from node.desk.operations import Operations
from node.desk.plain import NotAllowed
from node.desk.requests import TOO_FAST
from node.desk.views import Audience, audience_of
from node.edge.application import ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response
from node.protocol.catalogue import FRAME_BYTES_MAX, AnyRequest
from node.protocol.catalogue import Request as Operation
from node.protocol.codec import JSON, Codec
from node.protocol.codes import RETRY, Close, ErrorCode

PATH = "/v1/op/"
RETRY_AFTER_S = 1

OPERATIONS: dict[str, type[Operation]] = {
    str(one.__struct_config__.tag): one for one in get_args(AnyRequest) if not one.needs_connection
}
"""What is served here, by name."""

STATUS: dict[ErrorCode, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "unknown_op": 404,
    "not_found": 404,
    "closed": 409,
    "not_owner": 409,
    "stale": 409,
    "offer_gone": 409,
    "at_capacity": 409,
    "conflict": 409,
    "not_leader": 409,
    "too_large": 413,
    "key_reused": 422,
    "rate_limited": 429,
    "internal": 500,
    "upstream": 502,
    "no_leader": 503,
    "minority": 503,
    "overloaded": 503,
    "timeout": 504,
}
assert STATUS.keys() == set(get_args(ErrorCode))


class Call:
    """Who asks once: the part of a session that reading needs."""

    __slots__ = ("audience", "codec", "subscriptions")

    def __init__(self, principal: Principal) -> None:
        self.audience: Audience = audience_of(principal)
        self.codec: Codec = JSON
        self.subscriptions: Mapping[str, Any] = {}


class Calls:
    """Answers operations that come by HTTP."""

    def __init__(self, context: Context, operations: Operations) -> None:
        self._context = context
        self._operations = operations

    def answer(self, request: Request) -> Response | ResponseFactory:
        """Return what follows from a request below `PATH`."""
        op = request.path.removeprefix(PATH)
        kind = OPERATIONS.get(op)
        self._context.tally.requests[op if kind is not None else "unknown"] += 1
        if kind is None:
            return self._refusal("unknown_op", f"unknown op {op[:64]!r}, or one of a connection")
        if request.method != "POST":
            body = {"code": "bad_request", "msg": f"{PATH}{op} takes POST"}
            return json_response(405, body, {"Allow": "POST"})
        try:
            principal = self._principal(request)
        except UndecidedToken as error:
            return self._refusal("upstream", str(error))
        except BadToken as error:
            return self._unauthorized(error)
        if principal.role not in PERMITTED[op]:
            return self._refusal("forbidden", f"{op} is not for the role {principal.role}")
        wait_s = self._context.rates.wait_s(principal)
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return self._refusal("rate_limited", TOO_FAST, headers=headers)
        closed = self._context.closed()
        if closed is not None:
            code: ErrorCode = "minority" if closed[0] is Close.MINORITY else "overloaded"
            return self._refusal(code, closed[1], self._context.elsewhere())
        try:
            operation = _operation(kind, request)
        except NotAllowed as error:
            return self._refusal(error.code, str(error))
        return partial(self._perform, principal, operation)

    def _principal(self, request: Request) -> Principal:
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise BadToken("say who you are: Authorization: Bearer TOKEN")
        return self._context.verifier.verify(token.strip().decode("latin-1"))

    async def _perform(self, principal: Principal, operation: Operation) -> Response:
        try:
            outcome = self._operations.perform(Call(principal), principal, operation)
            while isinstance(outcome, Later):
                outcome = await outcome.run()
        except NotAllowed as error:
            return self._refusal(error.code, str(error))
        except NotServed as error:
            return self._answered(error.answer)
        if isinstance(outcome, Answered):
            return json_response(200, outcome.result)
        assert outcome is not None, "what has no reply needs a connection"
        started = self._context.clock()
        answer = await self._context.port.propose(outcome)
        self._context.tally.durable.add(max(0.0, self._context.clock() - started))
        return self._answered(answer)

    def _answered(self, answer: Answer) -> Response:
        match answer:
            case Done(result, dup):
                return json_response(200, {**result, "dup": True} if dup else result)
            case Refused(code, message, data):
                return self._refusal(code, message, data)
            case Unavailable(code, message):
                return self._refusal(code, message, self._context.elsewhere())

    def _unauthorized(self, error: BadToken) -> Response:
        why = "expired" if isinstance(error, ExpiredToken) else "invalid"
        challenge = f'Bearer error="invalid_token", error_description="the token is {why}"'
        headers = {"WWW-Authenticate": challenge}
        return self._refusal("unauthorized", str(error), headers=headers)

    def _refusal(
        self,
        code: ErrorCode,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        self._context.tally.errors[code] += 1
        body: dict[str, Any] = {"code": code, "msg": message, "retry": code in RETRY}
        if data:
            body["data"] = data
        retry = {"Retry-After": str(RETRY_AFTER_S)} if code in RETRY else {}
        return json_response(STATUS[code], body, {**retry, **(headers or {})})


def _operation(kind: type[Operation], request: Request) -> Operation:
    """Return the operation that the body says.  Raises `NotAllowed`."""
    media = (request.header(b"content-type") or b"application/json").partition(b";")[0]
    if request.body and media.strip().lower() != b"application/json":
        raise NotAllowed("bad_request", "the body must be application/json")
    if len(request.body) > FRAME_BYTES_MAX:
        raise NotAllowed("too_large", f"{len(request.body)} bytes; at most {FRAME_BYTES_MAX}")
    try:
        fields = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
        _take_key(fields, kind, request)
        return msgspec.convert({**fields, "id": 0}, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAllowed("bad_request", f"body: {error}") from None


def _take_key(fields: dict[str, Any], kind: type[Operation], request: Request) -> None:
    """Let the header stand for the field `key`, where the operation has one."""
    header = request.header(b"idempotency-key")
    if header is None or "key" not in kind.__struct_fields__:
        return
    key = header.strip(b'"').decode("latin-1")  # a structured-field string, or bare
    if fields.setdefault("key", key) != key:
        raise NotAllowed("bad_request", "key: is not that of the header Idempotency-Key")
