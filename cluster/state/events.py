"""What happened in a conversation, and the newest of it in chunks.  No I/O.

    chunks   ((1 ... 25) (26 ... 50) ... (476 ... 500))   newest   (501 502 503)
             oldest first, each full, at most CHUNKS_MAX           fewer than CHUNK

Values of the state are immutable, so an append copies.  It copies `newest` alone, which the last
appends left in the processor's cache; one tuple of 500 would cost a walk over 500 events for
every message.  A full `newest` becomes a chunk, and the oldest chunk beyond CHUNKS_MAX goes.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, overload

import msgspec

from cluster.state.commands import By
from cluster.state.limits import EVENTS_KEPT

CHUNK = 25
CHUNKS_MAX = EVENTS_KEPT // CHUNK


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One durable thing that happened in a conversation; `seq` is 1, 2, 3 ... without a gap."""

    seq: int
    type: str
    by: By
    ts: int
    mid: str = ""
    data: dict[str, Any] = {}
    """What the type adds: `body`, `agent`, `fence`, `queue`, `reason` ..."""
    hidden: bool = False
    """Visitors see only that there was an event, not what."""


class Tail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A sequence of events, oldest first: all of them, or EVENTS_KEPT at least."""

    chunks: tuple[tuple[Event, ...], ...] = ()
    newest: tuple[Event, ...] = ()

    @staticmethod
    def of(events: Iterable[Event]) -> "Tail":
        """Return the tail to which `events` were appended in their order."""
        tail = Tail()
        for event in events:
            tail = tail.append(event)
        return tail

    def append(self, event: Event) -> "Tail":
        """Return the tail with `event` behind all others."""
        newest = (*self.newest, event)
        if len(newest) < CHUNK:
            return Tail(self.chunks, newest)
        return Tail((*self.chunks[-(CHUNKS_MAX - 1) :], newest))

    def corrected(self, mid: str, correct: Callable[[Event], Event]) -> "Tail":
        """Return the tail with `correct` applied to every event that is about message `mid`."""

        def in_chunk(chunk: tuple[Event, ...]) -> tuple[Event, ...]:
            if all(event.mid != mid for event in chunk):
                return chunk
            return tuple(correct(event) if event.mid == mid else event for event in chunk)

        return Tail(tuple(in_chunk(chunk) for chunk in self.chunks), in_chunk(self.newest))

    def __len__(self) -> int:
        return len(self.chunks) * CHUNK + len(self.newest)

    def __iter__(self) -> Iterator[Event]:
        return chain(*self.chunks, self.newest)

    def __reversed__(self) -> Iterator[Event]:
        yield from reversed(self.newest)
        for chunk in reversed(self.chunks):
            yield from reversed(chunk)

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Event, ...]: ...
    def __getitem__(self, place: int | slice) -> Event | tuple[Event, ...]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step < 0:
                return tuple(self)[place]
            skipped = start // CHUNK
            events = tuple(chain(*self.chunks[skipped:], self.newest))
            first = skipped * CHUNK
            return events[start - first : max(0, stop - first) : step]
        within = range(len(self))[place]
        chunk, offset = divmod(within, CHUNK)
        return (self.chunks[chunk] if chunk < len(self.chunks) else self.newest)[offset]

    @property
    def is_whole(self) -> bool:
        """Whether chunks are full and no more than there may be, as `append` leaves them."""
        full = all(len(chunk) == CHUNK for chunk in self.chunks)
        return full and len(self.chunks) <= CHUNKS_MAX and len(self.newest) < CHUNK


def kept(seq: int) -> int:
    """Return how many events the tail of a conversation that had `seq` of them holds."""
    return seq if seq < EVENTS_KEPT + CHUNK else EVENTS_KEPT + seq % CHUNK
