"""What a participant sees of the world besides messages: clocks, chance, its disk's figures, and
the way to its peers.  No I/O.

`cluster.replica` gives it real ones, `tests/sim` simulated ones; a run hangs on nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cluster.heal.picture import Troubles
from cluster.peer.address import Address
from cluster.port import Figures
from cluster.vitals import Storage


class Peers(Protocol):
    """The way to the other nodes; what is sent may be lost."""

    def send(self, peer: str, frame: bytes) -> None: ...

    def connected(self, peer: str) -> bool: ...

    def level(self, peer: str) -> int:
        """Return which commands the release of `peer` understands, 0 while that is unknown."""
        ...

    def set_peers(self, peers: dict[str, Address]) -> None: ...

    def figures(self) -> dict[str, Figures]:
        """Return per peer what is known of the link: `connected`, and whatever helps people."""
        ...

    def troubles(self) -> dict[str, Troubles]:
        """Return who resets, or speaks no sense; by name, or by address where none is proven."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """All that a participant sees of the world besides messages."""

    clock: Callable[[], float]
    """Seconds, monotonic."""
    wall_ms: Callable[[], int]
    """Milliseconds UTC; may jump."""
    new_id: Callable[[], str]
    storage: Callable[[], Storage] = Storage
    """How this node's disk does."""
