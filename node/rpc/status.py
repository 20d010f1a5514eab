"""How a refusal ends a call.  No I/O.

    HTTP                                     gRPC
    status                                   status, by `ERRORS` of the code
    {code, msg, retry, data} as the body     an `Err` in the details, with the same words
    Retry-After: 1                           `Err.after`, google.rpc.RetryInfo

Details travel as metadata, of which clients take 8 KiB by default, so theirs are at most
`DETAILS_BYTES_MAX`: `data` is left out, then the end of the words, before a client gets nothing.

Source: google/rpc/status.proto and error_details.proto; gRPC, "Richer error model".
"""

from typing import Any, NamedTuple

import grpc
import msgspec
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from node.edge.http import Response
from node.protocol.catalogue import Err
from node.protocol.codes import CLOSES, ERRORS, Close, ErrorCode, GrpcStatus
from node.protocol.proto_codec import message_of

DETAILS = "grpc-status-details-bin"
DETAILS_BYTES_MAX = 4 * 1024
"""As metadata it is a third longer, and the words travel twice."""
WORDS_MAX = 500
_STATUS = {one.name: one for one in grpc.StatusCode}


class Ending(NamedTuple):
    """The end of a call that did not do what was asked."""

    status: grpc.StatusCode
    words: str
    details: bytes


def refused(code: ErrorCode, message: str, *, after_ms: int | None = None) -> Ending:
    """Return the end of a call that was refused here."""
    retry = ERRORS[code].retry
    return ending_of(Err(id=0, code=code, msg=message, retry=retry, after=after_ms))


def refused_by_http(response: Response) -> Ending:
    """Return the end of a call that HTTP answers with `response`, which is no 200."""
    told = msgspec.json.decode(response.body, type=dict[str, Any])
    after = next((value for name, value in response.headers if name == "Retry-After"), None)
    retry = bool(told.get("retry", False))
    error = Err(
        id=0,
        code=told["code"],
        msg=told["msg"],
        retry=retry,
        after=int(after) * 1000 if after is not None else None,
        data=told.get("data", {}),
    )
    return ending_of(error)


def ending_of(error: Err) -> Ending:
    """Return the end that says `error`."""
    known = ERRORS.get(error.code)  # type: ignore[call-overload]  # a code may be newer
    return _ending(known.grpc if known is not None else "INTERNAL", error)


def closed(code: int, reason: str) -> Ending:
    """Return the end of a stream of events that was closed with `code`, after its `bye`."""
    status = CLOSES[Close(code)].grpc if code in set(Close) else "UNAVAILABLE"
    return Ending(_STATUS[status], reason[:WORDS_MAX], b"")


def _ending(status: GrpcStatus, error: Err) -> Ending:
    number = _STATUS[status].value[0]
    details = _details(number, error)
    if len(details) > DETAILS_BYTES_MAX:
        error = msgspec.structs.replace(error, data={})
        details = _details(number, error)
    if len(details) > DETAILS_BYTES_MAX:
        error = msgspec.structs.replace(error, msg=error.msg[:WORDS_MAX] + " …")
        details = _details(number, error)
    return Ending(_STATUS[status], error.msg[:WORDS_MAX], details)


def _details(number: int, error: Err) -> bytes:
    status = Status(code=number, message=error.msg[:WORDS_MAX])
    status.details.append(_packed(message_of("Err", error)))
    if error.after is not None:
        pause = RetryInfo()
        pause.retry_delay.FromMilliseconds(error.after)
        status.details.append(_packed(pause))
    return bytes(status.SerializeToString())


def _packed(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
