"""Connections on their way to the successor, with their sessions.  Talks to it; waits for it.

    at rest ──▶ its descriptor, then `Moved` ──▶ Taken
    busy    ──▶ asked to come to rest ──▶ the next round

A connection is silent only while its own batch travels.  One that waits for an answer is not read
from until it has it, and leaves then; who has not by STRAGGLERS_S ends with this process.
"""

import socket
from collections.abc import Iterator, Sequence

import structlog
import trio

from node.desk.application import Desk
from node.desk.parcel import SessionParcel
from node.edge.channel import Channel
from node.edge.parcel import Parcel
from node.edge.server import EdgeServer
from node.edge.stream import Stream
from node.handover import descriptors, messages
from node.handover.errors import HandoverFailed
from node.protocol.catalogue import Role
from node.workers.feed import Feed

TAKEN_S = 10.0
STRAGGLERS_S = 6.0
"""For requests under way: longer than any of them waits for the log."""
POLL_S = 0.005
UNDER_WAY_MAX = 1
"""Batches that the successor has not taken yet."""

log = structlog.get_logger(__name__)


class Moving:
    """All connections of one edge."""

    def __init__(self, desk: Desk, edge: EdgeServer) -> None:
        self._desk = desk
        self._edge = edge
        self.moved = 0
        """How many have left."""
        self._number = 0
        self._taken = 0
        self._took = trio.Event()
        self._gone: dict[Role, list[str]] = {"agent": [], "supervisor": []}
        """Sessions that have left, of those whose end the log is told."""

    async def move_all(self, feed: Feed, channel: socket.socket) -> None:
        """Hand over all there are; each `Moved` goes by `feed`, its descriptors by `channel`.

        Raises `HandoverFailed` when the successor takes none.
        """
        until = trio.current_time() + STRAGGLERS_S
        while streams := self._edge.streams():
            for batch in _batches(streams, messages.CONNECTIONS_MAX):
                await self._move(feed, channel, batch)
            if trio.current_time() >= until:
                log.warning("connections end with this process", count=len(self._edge.streams()))
                return
            await trio.sleep(POLL_S)

    def taken(self, number: int) -> None:
        """The successor serves what came with this number."""
        self._taken = number
        self._took.set()

    def give_up(self) -> None:
        """Whoever has left is gone: this process serves on, without them."""
        self._desk.presence.give_up(self._gone["agent"])
        self._desk.supervising.give_up(self._gone["supervisor"])

    async def _move(self, feed: Feed, channel: socket.socket, streams: Sequence[Stream]) -> None:
        """Hand over those that are at rest; let the others come to rest."""
        await self._wait_taken(self._number - UNDER_WAY_MAX)
        while batch := self._ready(streams):
            self._number += 1
            try:
                descriptors.send(channel, self._number, [one.fd for one in batch])
            except BlockingIOError:
                self._number -= 1
                await trio.lowlevel.wait_writable(channel)
                continue
            # Nothing is awaited from here on: what is packed stands where the feed stands.
            moved = messages.Moved(self._number, [self._pack(one) for one in batch])
            feed.send(moved)
            self.moved += len(batch)
            await trio.lowlevel.checkpoint()

    def _ready(self, streams: Sequence[Stream]) -> list[Stream]:
        ready, size = [], 0
        for stream in streams:
            if stream.fd < 0:
                continue
            if not self._is_at_rest(stream):
                self._edge.rest(stream)
            elif size < messages.BATCH_BYTES_MAX:
                ready.append(stream)
                size += stream.held_bytes
        return ready

    def _is_at_rest(self, stream: Stream) -> bool:
        if not stream.at_rest:
            return False
        return not isinstance(stream, Channel) or self._desk.moving.is_at_rest(stream)

    def _pack(self, stream: Stream) -> tuple[Parcel, SessionParcel | None]:
        session = None
        if isinstance(stream, Channel):
            session = self._desk.moving.give(stream)
            role = session.principal.role if session.live and session.principal else None
            if role in self._gone:
                self._gone[role].append(session.sid)
        return self._edge.give(stream), session

    async def _wait_taken(self, number: int) -> None:
        with trio.move_on_after(TAKEN_S):
            while self._taken < number:
                self._took = trio.Event()
                await self._took.wait()
            return
        raise HandoverFailed("the new process takes no connections")


def _batches(streams: Sequence[Stream], size: int) -> Iterator[Sequence[Stream]]:
    for start in range(0, len(streams), size):
        yield streams[start : start + size]
