"""Checksums of the applied state, at the same indexes on every node.  No I/O.

    entry applied ──index % interval == 0──▶ due: a frozen copy of the state
    a thread      ──digest_of──▶ done ──▶ latest, in the vitals

    conversations   up to 4,000   8,000   16,000   32,000 ...      what is read per entry stays
    interval              2,000   4,000    8,000   16,000 ...      the same, however much there is

Intervals are doublings of one number: nodes whose states differ in size, as they may when one is
wrong, still meet at every multiple of the larger.  One at a time: a copy that falls due while
another is being read is left out.  Equal states have equal bytes whatever way they came about
(`cluster.state.snapshot`); the format goes in front, and nobody compares two that differ in it.
"""

from cluster.state import levels, snapshot
from cluster.state.state import State

DIGEST_EVERY = 2_000
"""Entries at least; the same on all nodes, or they never meet."""
PER_ENTRY = 2
"""Conversations that are read for each entry, at most; one takes 25 us (`scripts.bench_digest`)."""

Due = tuple[int, State]
"""Log index, and a copy of the state right after it."""


class Digests:
    """One replica's."""

    def __init__(self, every: int = DIGEST_EVERY) -> None:
        self._every = every
        self._due: Due | None = None
        self._busy = False
        self.latest: tuple[int, str] = (0, "")

    def applied(self, index: int, state: State) -> None:
        """`state` is that right after the entry at `index`."""
        if index % self._every or self._busy:
            return
        if index % interval(self._every, len(state.conversations)) == 0:
            self._due = (index, state.frozen_copy())

    def take(self) -> Due | None:
        """Return what to read now, once; tell `done` after."""
        due, self._due = self._due, None
        if due is not None:
            self._busy = True
        return due

    def done(self, index: int, digest: str) -> None:
        """The checksum of what was taken is known."""
        self._busy = False
        self.latest = (index, digest)


def interval(every: int, conversations: int) -> int:
    """Return how many entries there are from one checksum of such a state to the next."""
    while every * PER_ENTRY < conversations:
        every *= 2
    return every


def digest_of(state: State) -> str:
    """Return the checksum of a state that changes no more, with its format in front."""
    return f"{snapshot.FORMAT}.{levels.LEVEL}:{snapshot.digest(state)[:32]}"
