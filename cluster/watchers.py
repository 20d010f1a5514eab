"""Who wants to be told of something, in the order they came.  No I/O."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVarTuple

Arguments = TypeVarTuple("Arguments")


class Watchers(Generic[*Arguments]):
    """Callables that are told the same; a watcher may leave while it is told."""

    def __init__(self) -> None:
        self._watchers: list[Callable[[*Arguments], None]] = []

    def add(self, watcher: Callable[[*Arguments], None]) -> Callable[[], None]:
        """Tell `watcher` from now on; return how to stop."""
        self._watchers.append(watcher)
        return partial(self._watchers.remove, watcher)

    def tell(self, *arguments: *Arguments) -> None:
        """Call every watcher that was there when this began."""
        for watcher in tuple(self._watchers):
            watcher(*arguments)
