"""All that an edge knows of one socket, to go on with it elsewhere.  No I/O.

    given up here                                    taken on there
    the poller's watch, the descriptor's number      the same socket, by another number
    what was read and makes no whole message         `unread`: read again, from its beginning
    what waits to be written                         `outbox`; `started`: its head is a frame's rest
    moments of this process' clock                   seconds, `_s`: ago, or from now on

What the kernel holds of the socket - bytes that nobody read, bytes under way - stays where it is.

Source: unix(7), SCM_RIGHTS.
"""

from typing import Literal

import msgspec

Kind = Literal["websocket", "events", "http"]


class Parcel(msgspec.Struct, omit_defaults=True):
    """One socket at rest: no callback of the application is under way for it."""

    kind: Kind
    peer: str
    due_s: float
    """When it wants to be looked at."""
    outbox: list[bytes] = []
    started: bool = False
    unread: bytes = b""
    subprotocol: str | None = None
    window_bits: int = 0
    """Of what is deflated for it; 0 where permessage-deflate was not agreed."""
    seen_s: float = 0.0
    """A WebSocket: how long ago something came.  A feed: how long ago it took something."""
    pinged_s: float | None = None
    """How long ago it was pinged; None when it was not."""
