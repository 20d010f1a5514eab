"""What one observer has seen of conversations, and waiting for more.  No I/O of its own."""

from collections import defaultdict

import trio

from node.protocol.catalogue import Ev


class Bell:
    """Wakes those who wait for news of one conversation, and nobody else."""

    def __init__(self) -> None:
        self._waiting: dict[str, trio.Event] = {}

    def ring(self, cv: str) -> None:
        """Wake everybody who waits for news of `cv`."""
        event = self._waiting.pop(cv, None)
        if event is not None:
            event.set()

    async def wait(self, cv: str) -> None:
        """Wait for news of `cv`."""
        await self._waiting.setdefault(cv, trio.Event()).wait()


class Watching:
    """Events by conversation, in the order in which they came."""

    def __init__(self) -> None:
        self.events: defaultdict[str, list[Ev]] = defaultdict(list)
        self._bell = Bell()

    def take(self, event: Ev) -> None:
        """Take note of an event."""
        self.events[event.cv].append(event)
        self._bell.ring(event.cv)

    def last(self, cv: str) -> int:
        """Return the newest `seq` seen."""
        seen = self.events.get(cv)
        return seen[-1].seq if seen else 0

    async def wait_seq(self, cv: str, seq: int) -> None:
        """Wait until the event `seq`, or a later one, was seen."""
        while self.last(cv) < seq:
            await self._bell.wait(cv)
