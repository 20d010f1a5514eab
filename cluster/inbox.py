"""What peers said and this node has not taken up yet.  No I/O.

    raft     messages about the log     the next turn's first step
    batch    proposals of followers     the next turn of a leader, which puts them into the log

Both are bounded; what is dropped is sent again by whoever waits for it.
"""

from collections import deque
from typing import Any

from cluster import vitals
from cluster.peer.frames import PeerRefused
from cluster.state import entry
from cluster.vitals import Vitals

MESSAGES_MAX = 10_000
FORWARDED_MAX = 1_000


class Inbox:
    """One node's."""

    def __init__(self) -> None:
        self.messages: deque[tuple[str, Any]] = deque()
        """By whom, and what."""
        self.forwarded: deque[entry.Batch] = deque()

    def __len__(self) -> int:
        return len(self.messages) + len(self.forwarded)

    def take_message(self, peer: str, body: dict[Any, Any]) -> None:
        if len(self.messages) < MESSAGES_MAX:
            self.messages.append((peer, body))

    def take_batch(self, peer: str, body: bytes) -> None:
        """Raise `PeerRefused` for one that is none, or in another's name."""
        if len(self.forwarded) < FORWARDED_MAX:
            self.forwarded.append(_parse_batch(peer, body))

    def clear(self) -> None:
        self.messages.clear()
        self.forwarded.clear()


def parse_vitals(peer: str, body: bytes) -> Vitals:
    """Return what `peer` says of itself.  Raises `PeerRefused`."""
    try:
        return vitals.decode(body)
    except (ValueError, RecursionError) as error:
        raise PeerRefused(f"{peer}: vitals that are none: {error}") from None


def _parse_batch(peer: str, body: bytes) -> entry.Batch:
    try:
        batch = entry.decode_batch(body)
    except (ValueError, RecursionError) as error:
        raise PeerRefused(f"{peer}: a batch that is none: {error}") from None
    if batch.node != peer:
        raise PeerRefused(f"{peer}: a batch in the name of {batch.node[:64]!r}")
    return batch
