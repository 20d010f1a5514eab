"""What nodes tell each other of themselves, twice a second.  No I/O.

    Vitals   ── frame "vitals" ──▶   every node of this release, or of a later one
    Circle   what is known of the others, and since when nothing new was

They may be lost, and nothing that must be true everywhere follows from them: they are evidence for
`cluster.heal`, for leaders and for people.  Fields are only ever added, with a default.

A neighbour may be faulty, and what it says ends up in figures, words and pages: every field has
bounds, and what is beyond them, or no number, is refused as a whole.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from cluster.state.limits import INTEGER_MAX

VITALS_EVERY_S = 0.5
STALE_S = 2.0
"""Vitals older than this say nothing about now."""
CLOCKS_KEPT = 20
"""Readings of another clock, over ten seconds: the one that was least on its way counts."""
BYTES_MAX = 2**62
"""Of a disk; some file systems that have no end say more."""
_HEARS_MAX = 256
"""Members, and guests that are about to be."""

_Word = Annotated[str, Meta(max_length=128)]
"""An id, a version, a checksum."""
_Count = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
_Bytes = Annotated[int, Meta(ge=-1, le=BYTES_MAX)]
_Ms = Annotated[float, Meta(ge=-1.0, le=1e12)]
"""Not NaN either, which no bound admits."""
_Clock = Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]


class Storage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node's disk; -1 is unknown."""

    free_bytes: _Bytes = -1
    total_bytes: _Bytes = -1
    sync_p99_ms: _Ms = -1.0
    """Of the syncs of the last seconds."""
    syncs_slow: _Count = 0
    """How many of them took longer than `wal.syncs.SLOW_S`."""
    sync_running_ms: _Ms = 0.0
    """How long the sync under way takes already."""


class Vitals(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one node says of itself."""

    boot: _Word
    level: _Count
    version: _Word = ""
    zone: _Word = ""
    standing: _Word = ""
    wall_ms: _Clock = 0
    """Its clock when this was sent."""
    applied_index: _Count = 0
    hears: Annotated[tuple[_Word, ...], Meta(max_length=_HEARS_MAX)] = ()
    """Other nodes that it heard within an election timeout; see `cluster.hearing`."""
    storage: Storage = Storage()
    digest: tuple[_Count, _Word] = (0, "")
    """Checksum of its state at an index that all nodes take one at."""
    leader: _Word = ""
    """Whom it hears as leader."""
    abstains: bool = False
    """Whether it lost its data, and does not vote until the others have filled it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a node said last."""

    vitals: Vitals
    at_s: float
    """Monotonic, here."""
    wall_ms: int
    """This node's own clock at that moment."""
    ahead_ms: int = 0
    """How far its clock is ahead of this node's, at least; negative: behind."""


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Vitals)


def encode(vitals: Vitals) -> bytes:
    """Return the body of a frame."""
    return _encode(vitals)


def decode(data: bytes) -> Vitals:
    """Return what `encode` made.  Raises `ValueError` for anything else."""
    return _decoder.decode(data)


class Circle:
    """The last vitals of each other node."""

    def __init__(self, clock: Callable[[], float], wall_ms: Callable[[], int]) -> None:
        self._clock = clock
        self._wall_ms = wall_ms
        self._heard: dict[str, Heard] = {}
        self._clocks: dict[str, deque[int]] = {}

    def take(self, peer: str, vitals: Vitals) -> None:
        """Note what `peer` said just now.

        A reading of its clock is as much too low as it took to come here, so the highest counts.
        """
        wall_ms = self._wall_ms()
        readings = self._clocks.setdefault(peer, deque(maxlen=CLOCKS_KEPT))
        readings.append(vitals.wall_ms - wall_ms)
        self._heard[peer] = Heard(vitals, self._clock(), wall_ms, max(readings))

    def keep(self, members: Iterable[str]) -> None:
        """Forget who is no member any more."""
        members = set(members)
        for peer in self._heard.keys() - members:
            del self._heard[peer]
            del self._clocks[peer]

    def all(self) -> Mapping[str, Heard]:
        """Return who spoke since the start, however long ago."""
        return self._heard

    def fresh(self) -> Mapping[str, Heard]:
        """Return who spoke within STALE_S."""
        now_s = self._clock()
        return {peer: one for peer, one in self._heard.items() if now_s - one.at_s <= STALE_S}
