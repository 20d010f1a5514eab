"""What one gRPC server allows, in one place.  No I/O.

Names end in their unit: `_bytes`, `_s` (seconds).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """The limits of one `RpcServer`; its node's configuration sets some of them."""

    calls_max: int = 1_000
    """Calls under way, also those whose clients have left.  One more: `overloaded`."""
    streams_max: int = 10_000
    """Streams of events.  One more: `overloaded`."""
    others_max: int = 1_000
    """Streams of health and reflection beside them; gRPC itself refuses what is beyond all."""
    streams_per_connection_max: int = 1_000
    message_bytes_max: int = 1024 * 1024
    """As much as a body by HTTP; what an operation takes is less, and refused in words."""
    metadata_bytes_max: int = 16 * 1024
    """As much as a head by HTTP."""
    outbox_bytes_max: int = 256 * 1024
    """What waits for a slow reader; more ends its stream.  Over half, what is ephemeral is dropped.

    Beside it gRPC and the kernel hold what the client's own windows let them.
    """
    outbox_bytes_pressed: int = 64 * 1024
    """The same while the node is short of memory."""

    call_s: float = 30.0
    """For an answer; then `timeout`."""
    write_s: float = 30.0
    """For a reader to take a push."""
    handshake_s: float = 10.0
    """From a connection to the end of its handshakes."""
    ping_s: float = 30.0
    """A connection that is silent as long is pinged."""
    pong_s: float = 10.0
    ping_every_s_min: float = 10.0
    """Clients that ping more often are sent away: GOAWAY, too many pings."""
    idle_s: float = 300.0
    """A connection without a call for so long is closed."""
    age_s: float = 0.0
    """So old a connection is given up, so that clients spread anew; 0 for never."""
    age_grace_s: float = 30.0
    """For its calls to end; streams are cut, and resume."""
    stop_s: float = 1.0
    """For what is under way when the server stops, after the goodbyes."""
