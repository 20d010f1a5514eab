"""What a client has been through, in numbers.  No I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientStatistics:
    """Counts since the client was made."""

    node: str
    """The node it is connected to; empty while it is not."""
    attempts: int
    """Connections tried."""
    connections: int
    """Connections that got a `welcome`."""
    reconnects: int
    """Connections after the first."""
    requests: int
    resends: int
    """Requests sent once more, with the same key."""
    waiting: int
    """Requests without an answer at this moment."""
    events: int
    """Events of conversations given to the consumer."""
    duplicates: int
    """Events dropped because they had been seen."""
    gaps: int
    """Holes that the server itself declared."""
    jumps: int
    """Holes that nobody declared: a fault of the server."""
    overruns: int
    """Connections left because the consumer did not take its events."""


@dataclass(slots=True)
class Tally:
    """The counters behind `ClientStatistics`."""

    attempts: int = 0
    connections: int = 0
    requests: int = 0
    resends: int = 0
    events: int = 0
    duplicates: int = 0
    gaps: int = 0
    jumps: int = 0
    overruns: int = 0
