"""Checksums of the applied state, at the same indexes on every node.  No I/O.

    entry applied ──index % every == 0──▶ due: a frozen copy of the state
    a thread      ──digest_of──▶ done ──▶ latest, in the vitals

One at a time: a copy that falls due while another is being read is left out.  Equal states have
equal bytes whatever way they came about (`cluster.state.snapshot`); the format goes in front, and
nobody compares two that differ in it.
"""

from cluster.state import levels, snapshot
from cluster.state.state import State

DIGEST_EVERY = 10_000
"""Entries; the same on all nodes, or they never meet."""

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
        if index % self._every == 0 and not self._busy:
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


def digest_of(state: State) -> str:
    """Return the checksum of a state that changes no more, with its format in front."""
    return f"{snapshot.FORMAT}.{levels.LEVEL}:{snapshot.digest(state)[:32]}"
