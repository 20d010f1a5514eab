"""What one edge allows, in one place.  No I/O.

Names end in their unit: `_bytes`, `_s` (seconds), `_per_pass` (one turn of the loop).
"""

from dataclasses import dataclass

from node.edge.addresses import Network
from node.edge.quick import QUICK_BYTES_MAX


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """The limits of one `EdgeServer`; the defaults suit one process on a small machine."""

    connections_max: int = 100_000
    """WebSockets.  One more upgrade is answered 503 with Retry-After."""
    handshaking_max: int = 16_384
    """Sockets that still speak HTTP, a storm of reconnects among them.  One more: 503, closed."""
    address_connections_max: int = 0
    """Sockets of one address; 0 for any number.  One more: 429, closed."""
    address_connects_per_s: int = 0
    """New ones a second; a few seconds' worth may come at once."""
    addresses_exempt: tuple[Network, ...] = ()
    """Proxies and the like; this machine's own always are."""
    memory_bytes_max: int = 0
    """Of the process; nobody new is let in when it is nearly reached.  0 for no ceiling."""
    requests_running_max: int = 1_024
    """Requests answered in a task of their own.  One more is answered 503."""

    head_bytes_max: int = 16 * 1024
    body_bytes_max: int = 1024 * 1024
    frame_bytes_max: int = 64 * 1024
    """One WebSocket message, however it is fragmented.  A larger one closes with 1009."""
    quick_bytes_max: int = QUICK_BYTES_MAX
    """Larger messages are decoded by wsproto; 0 leaves all to it."""
    deflate: bool = False
    """Whether clients may ask for permessage-deflate."""
    outbox_bytes_max: int = 256 * 1024
    """What waits for a slow peer; more closes it with 4003.  An empty outbox takes any frame.

    Above half of it ephemeral frames are dropped: they never take an ordinary one's place.  Above
    a quarter a peer is not read from until it has taken some.  All are smaller under pressure.
    """

    handshake_s: float = 10.0
    """From the first byte of a request (or the accept) to the end of its head."""
    body_s: float = 30.0
    keep_alive_s: float = 60.0
    request_s: float = 30.0
    """For an answer made in a task; then 504."""
    write_s: float = 30.0
    """For an HTTP client to take at least something of what waits for it."""
    message_s: float = 30.0
    """From a WebSocket message's first byte to its last."""
    ping_s: float = 30.0
    """A WebSocket that has been silent this long is pinged."""
    pong_s: float = 10.0
    """And dropped with 4002 when it stays silent this much longer."""
    close_wait_s: float = 5.0
    """For the peer to answer a close frame, or to hang up."""
    accept_pause_s: float = 0.5
    """When the process has run out of file descriptors."""
    retry_after_s: int = 5

    accept_per_pass: int = 16
    handshakes_per_pass: int = 16
    events_per_pass: int = 256
    read_bytes: int = 16 * 1024
    """At a time, of HTTP and of a message that is incomplete."""
    messages_read_bytes: int = 4 * 1024
    """At a time, of a WebSocket: some dozens of small messages, and then it is others' turn."""
    greedy_read_bytes: int = 256
    """At a time, of one that had to rest, until it has no more to say than that."""
