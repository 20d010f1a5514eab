"""What operators ask of nodes, and of the clients that are at them.  No I/O."""

from typing import Literal

from node.protocol.requests.base import OPERATOR, Request, Role


class LeaderTransfer(Request, tag="leader.transfer"):
    """Let another voter lead; answered when it does.  `not_leader`: ask the leader."""

    roles = OPERATOR

    node: str = ""
    """Who shall lead; empty for the voter that is furthest."""


class NodeDrain(Request, tag="node.drain"):
    """Let a node take no clients, or take them again; it votes as before.

    It hands leadership over, is not ready any more, and says `bye` 4001 to its clients.  It lasts
    until it is taken back, or until the node starts anew.  Asked of any node.
    """

    roles = OPERATOR

    node: str
    undrain: bool = False
    """Let it take clients again."""


class SessionList(Request, tag="session.list"):
    """Agents' sessions everywhere, and all connections of the process that answers."""

    roles = OPERATOR

    limit: int = 200
    """Rows of each list; at most 1000."""
    after: str = ""
    """Sessions behind this sid."""


class SessionDismiss(Request, tag="session.dismiss"):
    """Send a client away: `move` it to another node, where it goes on, or `close` it for good.

    By `sid` one session of an agent; by `kind` and `who` all connections of a principal, wherever
    they are.  Whether a visitor was there is not known: their sessions are not in the log.
    """

    roles = OPERATOR

    do: Literal["move", "close"]
    sid: str = ""
    kind: Role | None = None
    who: str = ""
    to: str = ""
    """The node where it should go; empty for any."""
