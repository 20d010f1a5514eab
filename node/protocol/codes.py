"""Error and close codes of `unidesk.v1`: what went wrong, and what the client should do.  No I/O.

    ERRORS    a request was refused, or its outcome is unknown: `err`, a status of HTTP or gRPC
    CLOSES    the server ends a connection or an event stream: close code, `bye`

Close codes 4000–4099 say reconnect and resume; 4100–4199 say stop until somebody acts.
Everything that shows a code - statuses, descriptions, the reference page - reads it here.

Source: RFC 9110, section 15; google/rpc/code.proto for gRPC's statuses.
"""

import enum
from dataclasses import dataclass
from typing import Literal, get_args

ErrorCode = Literal[
    "bad_request",
    "unknown_op",
    "unauthorized",
    "forbidden",
    "not_found",
    "closed",
    "not_owner",
    "stale",
    "offer_gone",
    "at_capacity",
    "conflict",
    "key_reused",
    "not_leader",
    "too_large",
    "rate_limited",
    "no_leader",
    "minority",
    "timeout",
    "overloaded",
    "upstream",
    "internal",
]

GrpcStatus = Literal[
    "INVALID_ARGUMENT",
    "UNIMPLEMENTED",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "ABORTED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
]
"""Names of google.rpc.Code."""


@dataclass(frozen=True, slots=True)
class Error:
    """One way in which a request fails."""

    http: int
    grpc: GrpcStatus
    meaning: str
    advice: str
    """What the client should do."""
    retry: bool = False
    """Whether the same request, with the same key, may succeed."""


ERRORS: dict[ErrorCode, Error] = {
    "bad_request": Error(
        400,
        "INVALID_ARGUMENT",
        "A field is missing, of another type, or out of its bounds; `msg` names it.",
        "Mend the request.",
    ),
    "unknown_op": Error(
        404,
        "UNIMPLEMENTED",
        "There is no such operation here, or it needs a connection.",
        "Mend the name, or do without it at this version.",
    ),
    "unauthorized": Error(
        401,
        "UNAUTHENTICATED",
        "No token, or one that is expired, revoked or not ours.",
        "Fetch a new token.",
    ),
    "forbidden": Error(
        403,
        "PERMISSION_DENIED",
        "The role or the person may not do this.",
        "Leave it to somebody who may.",
    ),
    "not_found": Error(
        404,
        "NOT_FOUND",
        "There is no such thing, or it was forgotten.",
        "Look again; an id may be wrong.",
    ),
    "closed": Error(
        409,
        "FAILED_PRECONDITION",
        "The conversation has ended.",
        "Open another one.",
    ),
    "not_owner": Error(
        409,
        "FAILED_PRECONDITION",
        "Somebody else owns the conversation now, or the `fence` is an earlier one.",
        "Stop writing into it.",
    ),
    "stale": Error(
        409,
        "ABORTED",
        "Something happened that the client had not seen.",
        "Read it, then decide anew.",
    ),
    "offer_gone": Error(
        409,
        "FAILED_PRECONDITION",
        "The offer was taken, withdrawn, or ran out.",
        "Forget the offer.",
    ),
    "at_capacity": Error(
        409,
        "FAILED_PRECONDITION",
        "The agent, or the connection, holds as many as allowed.",
        "End one first.",
    ),
    "conflict": Error(
        409,
        "ABORTED",
        "It was changed meanwhile, or contradicts what is.",
        "Read the present state, then decide anew.",
    ),
    "key_reused": Error(
        422,
        "ALREADY_EXISTS",
        "The idempotency key belongs to another request.",
        "Use a new key for every new request.",
    ),
    "not_leader": Error(
        409,
        "FAILED_PRECONDITION",
        "Only the leader can do this; `data` names it.",
        "Ask the leader.",
    ),
    "too_large": Error(
        413,
        "INVALID_ARGUMENT",
        "A value is over its limit; `msg` names it.",
        "Send less.",
    ),
    "rate_limited": Error(
        429,
        "RESOURCE_EXHAUSTED",
        "The principal asks faster than it may.",
        "Wait `after` milliseconds, then retry with the same key.",
        retry=True,
    ),
    "no_leader": Error(
        503,
        "UNAVAILABLE",
        "The nodes are electing a leader; nothing was changed.",
        "Retry with the same key in a moment.",
        retry=True,
    ),
    "minority": Error(
        503,
        "UNAVAILABLE",
        "This node has no quorum; nothing was changed, `data` names other nodes.",
        "Retry with the same key at another node.",
        retry=True,
    ),
    "timeout": Error(
        504,
        "DEADLINE_EXCEEDED",
        "There was no outcome in time: it may have happened, or still happen.",
        "Retry with the same key: it happens once.",
        retry=True,
    ),
    "overloaded": Error(
        503,
        "UNAVAILABLE",
        "This node has no room for it now; nothing was changed.",
        "Retry with the same key, later or at another node.",
        retry=True,
    ),
    "upstream": Error(
        502,
        "UNAVAILABLE",
        "A system behind this one does not answer, such as the issuer of a token.",
        "Retry with the same key in a moment.",
        retry=True,
    ),
    "internal": Error(
        500,
        "INTERNAL",
        "A fault of ours; it is in the node's log.",
        "Retry with the same key; tell the operator if it stays.",
        retry=True,
    ),
}
assert ERRORS.keys() == set(get_args(ErrorCode))

RETRY: frozenset[ErrorCode] = frozenset(code for code, error in ERRORS.items() if error.retry)
"""Codes after which the same request, with the same key, may succeed."""


class Close(enum.IntEnum):
    """Why the server ends a connection."""

    INTERNAL = 4000
    DRAIN = 4001
    NO_PONG = 4002
    SLOW_CONSUMER = 4003
    RATE_LIMITED = 4004
    OVERLOADED = 4005
    MOVED = 4006
    NODE_LEAVING = 4007
    STATE_INVALID = 4008
    MINORITY = 4009
    BAD_FRAME = 4100
    HELLO_TIMEOUT = 4101
    TOKEN_EXPIRED = 4102
    UNAUTHORIZED = 4103
    FORBIDDEN = 4104
    VERSION_UNSUPPORTED = 4105
    TOO_MANY_CONNECTIONS = 4106
    REPLACED = 4107
    TENANT_DISABLED = 4108
    LOGGED_OUT = 4109

    @property
    def resume(self) -> bool:
        """Whether the client should reconnect, to another node first, and resume."""
        return self < 4100


@dataclass(frozen=True, slots=True)
class Closing:
    """One way in which a connection ends."""

    grpc: GrpcStatus
    """How a stream of events ends by gRPC; there is no close code there."""
    meaning: str
    advice: str
    """What the client should do."""


_ELSEWHERE = "Reconnect and resume, at another node first."

CLOSES: dict[Close, Closing] = {
    Close.INTERNAL: Closing("INTERNAL", "A fault of ours in this connection.", _ELSEWHERE),
    Close.DRAIN: Closing("UNAVAILABLE", "The node is being stopped.", _ELSEWHERE),
    Close.NO_PONG: Closing(
        "UNAVAILABLE", "The client was silent for too long.", "Reconnect and resume."
    ),
    Close.SLOW_CONSUMER: Closing(
        "RESOURCE_EXHAUSTED",
        "More waited for the client than a node keeps.",
        "Reconnect, resume, and read faster.",
    ),
    Close.RATE_LIMITED: Closing(
        "RESOURCE_EXHAUSTED",
        "The client went on asking faster than it may.",
        "Reconnect after a pause, and ask less.",
    ),
    Close.OVERLOADED: Closing("UNAVAILABLE", "The node has no room left.", _ELSEWHERE),
    Close.MOVED: Closing("UNAVAILABLE", "Clients are being spread anew.", _ELSEWHERE),
    Close.NODE_LEAVING: Closing("UNAVAILABLE", "The node leaves or has failed.", _ELSEWHERE),
    Close.STATE_INVALID: Closing(
        "UNAVAILABLE", "What the node knows of this client is not certain.", _ELSEWHERE
    ),
    Close.MINORITY: Closing("UNAVAILABLE", "The node has no quorum.", _ELSEWHERE),
    Close.BAD_FRAME: Closing(
        "INVALID_ARGUMENT", "What came is no frame of unidesk.v1.", "Mend the client."
    ),
    Close.HELLO_TIMEOUT: Closing(
        "DEADLINE_EXCEEDED", "`hello` did not come in time.", "Say hello first."
    ),
    Close.TOKEN_EXPIRED: Closing(
        "UNAUTHENTICATED", "The token has expired.", "Fetch a new token, then reconnect."
    ),
    Close.UNAUTHORIZED: Closing(
        "UNAUTHENTICATED", "The token is not ours, or was revoked.", "Log in anew."
    ),
    Close.FORBIDDEN: Closing(
        "PERMISSION_DENIED", "Whoever this is may not come in.", "Ask an operator."
    ),
    Close.VERSION_UNSUPPORTED: Closing(
        "UNIMPLEMENTED", "The client speaks another version.", "Update the client."
    ),
    Close.TOO_MANY_CONNECTIONS: Closing(
        "FAILED_PRECONDITION", "As many connections as allowed are open.", "Close one first."
    ),
    Close.REPLACED: Closing(
        "ABORTED", "The same client is connected anew elsewhere.", "Go on there."
    ),
    Close.TENANT_DISABLED: Closing(
        "PERMISSION_DENIED", "The company's desk is switched off.", "Ask an operator."
    ),
    Close.LOGGED_OUT: Closing("UNAUTHENTICATED", "The person has logged out.", "Log in anew."),
}
assert CLOSES.keys() == set(Close)
