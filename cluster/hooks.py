"""What may stand between a replica and the world: its links, its disk, its clock.  No I/O.

    frame ──▶ Wire.takes ────▶ link        link ──▶ Wire.swallows ──▶ participant
    log   ──▶ disk(Disk) ────▶ folder      clock ─▶ wall_ms(clock) ─▶ stamps

Without hooks nothing is there to be asked: a frame costs one comparison with None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from wal.disk import Disk


class Outgoing(Protocol):
    """The links, for who holds frames back."""

    def push(self, peer: str, frame: bytes) -> None:
        """Send `frame`, past the wire."""
        ...

    def reset(self, peer: str) -> None:
        """Break the connection to `peer`; it is dialled again at once."""
        ...


class Wire(Protocol):
    """Sees frames between this node and the others; calls come from the loop's thread."""

    def attach(self, links: Outgoing) -> None:
        """Take note of the links, before any frame."""
        ...

    def takes(self, peer: str, frame: bytes) -> bool:
        """Say whether `frame` is not to be sent now: it is lost, or the wire pushes it later."""
        ...

    def swallows(self, peer: str, kind: str, body: Any) -> bool:
        """Say whether what `peer` sent is not to be heard here."""
        ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """All of them; None is nothing in between."""

    wire: Wire | None = None
    disk: Callable[[Disk], Disk] | None = None
    wall_ms: Callable[[Callable[[], int]], Callable[[], int]] | None = None


NO_HOOKS = Hooks()
