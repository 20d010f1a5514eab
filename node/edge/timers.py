"""Deadlines of very many things, in buckets of a quarter second.  No I/O.

One sweep asks `due` for whatever has come up; setting, moving and clearing a deadline is one set
operation.  A deadline is never early and late by less than `TICK_S`.  Times are seconds of the
caller's monotonic clock.

Deadlines that are pushed back all the time (an idle timeout) are not moved: the thing is looked
at when its old deadline comes up and then says itself when to look again.  `no_later_than`
therefore only ever moves a deadline forward.

Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987.
"""

import math
from typing import Generic, Protocol, TypeVar

TICK_S = 0.25
UNSCHEDULED = -1


class Scheduled(Protocol):
    """A thing with a deadline; `due_tick` belongs to `Timers`."""

    due_tick: int


T = TypeVar("T", bound=Scheduled)


class Timers(Generic[T]):
    """Which things are to be looked at when."""

    __slots__ = ("_buckets", "_tick")

    def __init__(self, now: float) -> None:
        self._buckets: dict[int, set[T]] = {}
        self._tick = math.floor(now / TICK_S)

    def no_later_than(self, item: T, at: float) -> None:
        """See to it that `item` comes up at `at`, or earlier if that is already so."""
        tick = max(math.ceil(at / TICK_S), self._tick + 1)
        if UNSCHEDULED < item.due_tick <= tick:
            return
        self.cancel(item)
        item.due_tick = tick
        self._buckets.setdefault(tick, set()).add(item)

    def cancel(self, item: T) -> None:
        """Forget `item`."""
        if item.due_tick == UNSCHEDULED:
            return
        bucket = self._buckets[item.due_tick]
        bucket.discard(item)
        if not bucket:
            del self._buckets[item.due_tick]
        item.due_tick = UNSCHEDULED

    def due(self, now: float) -> list[T]:
        """Return, and forget, all that has come up by `now`, the longest overdue first."""
        items: list[T] = []
        end = math.floor(now / TICK_S)
        while self._tick < end:
            self._tick += 1
            items.extend(self._buckets.pop(self._tick, ()))
        for item in items:
            item.due_tick = UNSCHEDULED
        return items
