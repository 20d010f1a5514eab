"""The newest changes of an index, for a reader that keeps up.  No I/O.

    note ──▶ [ . . . . ] the newest `kept`        since(mark) ──▶ those after `mark`, once each
                       ▲ mark                                     None: too many, look at everything

A writer never waits for a reader, and nobody has to read: what is not read falls out.
"""

from collections import deque
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Journal(Generic[Item]):
    """Items in the order in which they were noted."""

    __slots__ = ("_items", "mark")

    def __init__(self, kept: int) -> None:
        self._items: deque[Item] = deque(maxlen=kept)
        self.mark = 0
        """How many were ever noted."""

    def note(self, item: Item) -> None:
        """Say that `item` changed."""
        self._items.append(item)
        self.mark += 1

    def since(self, mark: int) -> dict[Item, None] | None:
        """Return what was noted after `mark`, oldest first; None when that is not kept any more."""
        behind = self.mark - mark
        if behind > len(self._items):
            return None
        newest = list(islice(reversed(self._items), behind))  # a deque is slow in its middle
        return dict.fromkeys(reversed(newest))
