"""How long a client waits for what.  No I/O.

lost ──▶ at once elsewhere ──▶ jitter up to 250 ms ──▶ 500 ms ──▶ 1 s … ──▶ `retry_s_max`
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits of a client, in seconds."""

    request_s: float = 30.0
    """Deadline of a request, all its attempts together."""
    connect_s: float = 3.0
    """TCP and the WebSocket handshake."""
    welcome_s: float = 10.0
    """From `hello` to `welcome`; a node gives an opening up after 8 s."""
    unanswered_s: float = 10.0
    """A node that says nothing at all for so long while it owes an answer is left."""
    retry_s_min: float = 0.25
    retry_s_max: float = 10.0
    """Bounds of the doubling wait between attempts; what is waited is a random part of it."""
    stable_s: float = 1.0
    """A connection that lived for less does not make the next wait short again."""
    resend_s_min: float = 0.05
    resend_s_max: float = 1.0
    """Bounds of the doubling wait before a request is sent again where it was refused."""
    close_s: float = 1.0
    """How long a goodbye may take."""
