"""A set kept in order: a list and bisection.  No I/O.

Insertion and removal move memory, which for ten thousand short tuples is a few microseconds;
reading the first is free.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=tuple[Any, ...])


class SortedSet(Generic[Item]):
    """Items in rising order, each at most once."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[Item] = []

    def add(self, item: Item) -> None:
        if item not in self:
            insort(self._items, item)

    def discard(self, item: Item) -> None:
        place = bisect_left(self._items, item)
        if place < len(self._items) and self._items[place] == item:
            del self._items[place]

    def __contains__(self, item: Item) -> bool:
        place = bisect_left(self._items, item)
        return place < len(self._items) and self._items[place] == item

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> Item | None:
        """The smallest, None when there is none."""
        return self._items[0] if self._items else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SortedSet) and self._items == other._items

    __hash__ = None  # type: ignore[assignment]
