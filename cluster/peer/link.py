"""The outgoing side to one peer: what waits for it, and how the connection does.

    push ──▶ the socket, if it takes the frame at once ──▶ else a queue ──▶ take, by the pump

A frame for a peer that is away, or for which `QUEUE_BYTES_MAX` wait, is dropped.
"""

import os
from collections import deque
from dataclasses import dataclass

import trio

from cluster.peer import handshake
from cluster.peer.address import Address
from cluster.peer.patience import PAUSE_S_USUAL

QUEUE_BYTES_MAX = 32 * 1024 * 1024
WRITE_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    connected: bool
    queued_bytes: int
    sent_bytes_total: int
    dropped_total: int
    connects_total: int
    remade_total: int
    """How often a new connection took over, as this node's certificate was renewed."""
    refused: str
    """Why the last attempt failed, in words; empty while connected."""


@dataclass(frozen=True, slots=True)
class Made:
    """A connection whose other end has accepted this node."""

    tcp: trio.SocketStream
    stream: trio.abc.Stream
    peer: handshake.Peer
    generation: int


class Link:
    """The outgoing side to one peer."""

    def __init__(self, peer: str, address: Address) -> None:
        self.peer = peer
        self.address = address
        self.queue: deque[bytes] = deque()
        self.queued_bytes = 0
        self.sent_bytes = 0
        self.dropped = 0
        self.connects = 0
        self.connected = False
        self.refused = "not tried yet"
        self.level = 0
        """Of the peer's release; 0 before the first handshake."""
        self.origin = handshake.NO_ORIGIN
        """Of the peer's state, when it was met."""
        self.wake = trio.Event()
        self.life = trio.CancelScope()
        """Of its dialling; cancelled when the peer is no member any more."""
        self.call = trio.CancelScope()
        """Of the connection there is."""
        self.fd = -1
        """Where a frame may be written at once; -1 while the link is down or encrypted."""
        self.pumping = False
        self.remade = 0
        self.generation = 0
        """Of the certificate that it was made with."""
        self.successor: Made | None = None
        """What carries on once the pump has sent what it has in hand."""
        self.reached = False
        """Whether the last attempt met somebody at the address."""
        self.since_s = 0.0
        """When it came up last."""
        self.redial = trio.Event()
        """The peer dialled in: it is there."""

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(
            connected=self.connected,
            queued_bytes=self.queued_bytes,
            sent_bytes_total=self.sent_bytes,
            dropped_total=self.dropped,
            connects_total=self.connects,
            remade_total=self.remade,
            refused="" if self.connected else self.refused,
        )

    async def pause(self, pause_s: float) -> None:
        """Wait, but not long for a peer that dials in meanwhile."""
        self.redial = trio.Event()
        await trio.sleep(min(pause_s, PAUSE_S_USUAL))
        with trio.move_on_after(max(pause_s - PAUSE_S_USUAL, 0.0)):
            await self.redial.wait()

    def push(self, frame: bytes) -> None:
        """Send `frame` at once if the socket takes it, else queue it."""
        if self.fd >= 0 and not self.queue and not self.pumping:
            frame = self._write(frame)
            if not frame:
                return
        if not self.connected or self.queued_bytes + len(frame) > QUEUE_BYTES_MAX:
            self.dropped += 1
            return
        self.queue.append(frame)
        self.queued_bytes += len(frame)
        self.wake.set()

    def _write(self, frame: bytes) -> bytes:
        """Return what the socket did not take: a task less to wake for nearly every frame."""
        try:
            sent = os.write(self.fd, frame)
        except BlockingIOError:
            return frame
        except OSError:
            return frame  # the pump meets it too, and ends the link
        self.sent_bytes += sent
        return frame[sent:]

    def take(self) -> bytes:
        """Return what may leave in one write."""
        taken = []
        size = 0
        while self.queue and size < WRITE_BYTES_MAX:
            taken.append(self.queue.popleft())
            size += len(taken[-1])
        self.queued_bytes -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def clear(self) -> None:
        """Drop what waits."""
        self.dropped += len(self.queue)
        self.queue.clear()
        self.queued_bytes = 0
