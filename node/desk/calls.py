"""One request without a connection: `POST /v1/op/<op>`.  Waits for the port alone.

    HTTP                                    the same over a WebSocket
    Authorization: Bearer TOKEN             the token of `hello`
    Idempotency-Key: KEY                    the field `key`; both may be given if they are equal
    traceparent: 00-…-…-01                  the field `trace`
    body: the operation's fields as JSON    the request
    200 and the reply's `r`                 `ok`: durable before it is sent
    a status and {code, msg, retry, data}   `err`, with the same code and words

What belongs to a connection - subscriptions, receipts, typing, a newer token - is not served
here.  Bodies and keys have the bounds of a frame.

Source: RFC 9110; RFC 6750; draft-ietf-httpapi-idempotency-key-header.
"""

from functools import partial
from typing import Any, get_args

import msgspec

from cluster.port import Answer, Unavailable
from cluster.state.outcome import Done, Refused
from cluster.tracing import Trace, within
from node.auth import Principal
from node.desk.context import Context, NotServed
from node.desk.frames import AS_TEXT, Encoding
from node.desk.gate import Gate
from node.desk.idleness import Idleness
from node.desk.lookup import Answered, Later
from node.desk.operations import Operations
from node.desk.plain import NotAllowed
from node.desk.views import Audience, audience_of
from node.edge.application import Feed, ResponseFactory
from node.edge.http import Request, Response
from node.health import json_response
from node.protocol.catalogue import FRAME_BYTES_MAX, AnyRequest
from node.protocol.catalogue import Request as Operation
from node.protocol.codec import words_of

PATH = "/v1/op/"

OPERATIONS: dict[str, type[Operation]] = {
    str(one.__struct_config__.tag): one for one in get_args(AnyRequest) if not one.needs_connection
}
"""What is served here, by name."""


class Call:
    """Who asks once: the part of a session that reading needs."""

    __slots__ = ("audience", "encoding")

    def __init__(self, principal: Principal) -> None:
        self.audience: Audience = audience_of(principal)
        self.encoding: Encoding = AS_TEXT

    @property
    def live(self) -> bool:
        """Always: whoever leaves has the call itself cancelled."""
        return True


class Calls:
    """Answers operations that come by HTTP."""

    def __init__(
        self, context: Context, gate: Gate, operations: Operations, idleness: Idleness
    ) -> None:
        self._context = context
        self._idleness = idleness
        self._gate = gate
        self._operations = operations

    def answer(self, request: Request) -> Response | Feed | ResponseFactory:
        """Return what follows from a request below `PATH`."""
        op = request.path.removeprefix(PATH)
        kind = OPERATIONS.get(op)
        self._context.tally.requests[op if kind is not None else "unknown"] += 1
        if kind is None:
            return self._gate.refusal(
                "unknown_op", f"unknown op {op[:64]!r}, or one of a connection"
            )
        if request.method != "POST":
            return self._gate.wrong_method(request, "POST")
        return self._gate.admit(request, op, partial(self._call, kind, request))

    def _call(
        self, kind: type[Operation], request: Request, principal: Principal
    ) -> Response | ResponseFactory:
        try:
            operation = _operation(kind, request)
        except NotAllowed as error:
            return self._gate.refusal(error.code, str(error), error.data)
        traceparent = (request.header(b"traceparent") or b"").decode("latin-1")
        op = request.path.removeprefix(PATH)
        trace = self._context.traces.begin(op, principal.role, traceparent)
        if trace is None:
            return partial(self._perform, principal, operation)
        return partial(self._perform_traced, trace, principal, operation)

    async def _perform_traced(
        self, trace: Trace, principal: Principal, operation: Operation
    ) -> Response:
        outcome = "cancelled"
        try:
            with within(trace):
                response = await self._perform(principal, operation)
            outcome = "ok" if response.status == 200 else f"http_{response.status}"
            return response
        finally:
            self._context.traces.end(outcome, trace)

    async def _perform(self, principal: Principal, operation: Operation) -> Response:
        self._idleness.asked(principal)
        try:
            outcome = self._operations.perform(Call(principal), principal, operation)
            while isinstance(outcome, Later):
                outcome = await outcome.run()
        except NotAllowed as error:
            return self._gate.refusal(error.code, str(error), error.data)
        except NotServed as error:
            return self._answered(error.answer)
        denied = self._gate.denied(principal)  # while it waited
        if denied is not None:
            return denied
        if isinstance(outcome, Answered):
            return json_response(200, outcome.result)
        assert outcome is not None, "what has no reply needs a connection"
        started = self._context.clock()
        answer = await self._context.port.propose(outcome)
        self._context.tally.durable.observe(max(0.0, self._context.clock() - started))
        return self._answered(answer)

    def _answered(self, answer: Answer) -> Response:
        match answer:
            case Done(result, dup):
                return json_response(200, {**result, "dup": True} if dup else result)
            case Refused(code, message, data):
                return self._gate.refusal(code, message, data)
            case Unavailable(code, message):
                return self._gate.refusal(code, message, self._context.elsewhere())


def _operation(kind: type[Operation], request: Request) -> Operation:
    """Return the operation that the body says.  Raises `NotAllowed`."""
    media = (request.header(b"content-type") or b"application/json").partition(b";")[0]
    if request.body and media.strip().lower() != b"application/json":
        raise NotAllowed("bad_request", "the body must be application/json")
    if len(request.body) > FRAME_BYTES_MAX:
        raise NotAllowed("too_large", f"{len(request.body)} bytes; at most {FRAME_BYTES_MAX}")
    try:
        fields = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAllowed("bad_request", f"body: {error}") from None
    _take_key(fields, kind, request)
    try:
        return msgspec.convert({**fields, "id": 0}, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise NotAllowed("bad_request", words_of(error)) from None  # as by WebSocket


def _take_key(fields: dict[str, Any], kind: type[Operation], request: Request) -> None:
    """Let the header stand for the field `key`, where the operation has one."""
    header = request.header(b"idempotency-key")
    if header is None or "key" not in kind.__struct_fields__:
        return
    key = header.strip(b'"').decode("latin-1")  # a structured-field string, or bare
    if fields.setdefault("key", key) != key:
        raise NotAllowed("bad_request", "key: is not that of the header Idempotency-Key")
