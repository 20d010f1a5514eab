"""What every request of a client has, and who may make which.  No I/O."""

from typing import ClassVar, Literal, get_args

import msgspec

Role = Literal["visitor", "agent", "supervisor", "operator", "service"]

Roles = frozenset[Role]
ALL: Roles = frozenset(get_args(Role))
VISITOR: Roles = frozenset({"visitor"})
AGENT: Roles = frozenset({"agent"})
SUPERVISOR: Roles = frozenset({"supervisor"})
OPERATOR: Roles = frozenset({"operator"})
SERVICE: Roles = frozenset({"service"})
TALKERS = VISITOR | AGENT | SUPERVISOR | SERVICE


class Request(msgspec.Struct, tag_field="op", kw_only=True, omit_defaults=True):
    """What a client may ask; subclasses are the operations."""

    needs_connection: ClassVar[bool] = False
    """Whether it means something on a WebSocket only; the others are at `POST /v1/op/<op>` too."""
    roles: ClassVar[Roles] = ALL
    """Who may ask for it at all."""
    signed: ClassVar[frozenset[str]] = frozenset()
    """Its integers that may be negative; the others never are."""
    id: int = 0
    trace: str = ""
    """W3C `traceparent` of what this is a part of; by HTTP and gRPC the header says it."""
