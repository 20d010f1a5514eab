"""Error and close codes of `unidesk.v1`: what went wrong, and what the client should do.  No I/O.

Close codes 4000–4099 say reconnect and resume; 4100–4199 say stop until somebody acts.
"""

import enum
from typing import Literal

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

RETRY: frozenset[ErrorCode] = frozenset(
    {"rate_limited", "no_leader", "minority", "timeout", "overloaded", "upstream", "internal"}
)
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
