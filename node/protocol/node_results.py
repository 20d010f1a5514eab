"""What replies hold of nodes, and of the clients that are at them.  No I/O."""

from typing import Literal

import msgspec

from node.protocol.requests.base import Role
from node.protocol.results import Result


class Transferred(Result):
    """Another node leads."""

    before: str
    leader: str
    term: int
    took_ms: int
    """From the request to the moment at which the node that led heard the new leader."""


class Drained(Result):
    node: str
    draining: bool


class SessionRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A session of an agent, as all nodes know it."""

    sid: str
    agent: str
    name: str
    node: str
    since: int
    state: Literal["live", "idle", "lost"]
    """`lost`: its connection broke, and its grace period is on."""


class ConnectionRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A client that was welcomed by the process that answers."""

    sid: str
    kind: Role
    id: str
    name: str
    peer: str
    """Address and port."""
    follows: int
    """Conversations."""


class Sessions(Result):
    sessions: list[SessionRow]
    more: bool
    """There are sessions behind these."""
    node: str
    here: list[ConnectionRow]
    counts: dict[str, int]
    """Connections of this process by role."""
    part: bool
    """The node serves its clients by several processes: `here` is one of them."""


class SessionsDismissed(Result):
    kind: Role
    who: str
    sids: list[str]
    """Agents' sessions that are concerned."""
