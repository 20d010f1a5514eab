"""A set kept in order: a list and bisection.  No I/O.

    items   . . . a b c d e        `.` was taken from the front and is cut off in one go later
                  ^ start

Most of what leaves does so in order - the oldest waits no more, the earliest deadline passes -
so removal from the front only moves `start`.  Elsewhere memory moves, which for 100,000 short
tuples is some ten microseconds.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=tuple[Any, ...])

CUT_MIN = 64
"""Places at the front that are not worth cutting off."""


class SortedSet(Generic[Item]):
    """Items in rising order, each at most once."""

    __slots__ = ("_items", "_start")

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._start = 0

    def add(self, item: Item) -> None:
        """Put `item` in its place; harmless when it is there."""
        place = self._place(item)
        if place == len(self._items) or self._items[place] != item:
            self._items.insert(place, item)

    def discard(self, item: Item) -> None:
        """Take `item` out; harmless when it is not there."""
        place = self._place(item)
        if place == len(self._items) or self._items[place] != item:
            return
        if place != self._start:
            del self._items[place]
            return
        self._start += 1
        if self._start >= CUT_MIN and 2 * self._start >= len(self._items):
            del self._items[: self._start]
            self._start = 0

    def _place(self, item: Item) -> int:
        return bisect_left(self._items, item, self._start)

    def __contains__(self, item: Item) -> bool:
        place = self._place(item)
        return place < len(self._items) and self._items[place] == item

    def __iter__(self) -> Iterator[Item]:
        return islice(self._items, self._start, None)

    def __reversed__(self) -> Iterator[Item]:
        items = self._items
        return (items[at] for at in range(len(items) - 1, self._start - 1, -1))

    def __len__(self) -> int:
        return len(self._items) - self._start

    def after(self, item: Item | None) -> Iterator[Item]:
        """Yield what comes after `item`, in order; everything for None."""
        items = self._items
        place = self._start if item is None else self._place(item)
        if item is not None and place < len(items) and items[place] == item:
            place += 1
        return (items[at] for at in range(place, len(items)))

    def rank(self, item: Item) -> int:
        """Return how many items are before `item`."""
        return self._place(item) - self._start

    @property
    def first(self) -> Item | None:
        """The smallest, None when there is none."""
        return self._items[self._start] if len(self) else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SortedSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"SortedSet({list(self)!r})"
