"""Messages to a stream, without waiting: gathered, and written by a task of their own.

Talks to one end of a socket pair.
"""

import trio

GATHERED_BYTES_MAX = 256 * 1024 * 1024
"""Of a peer that does not read."""
ROOM_BYTES = 4 * 1024 * 1024
"""With more than that gathered, whoever can wait does."""


class Overrun(Exception):
    """The other process does not read: it is of no use any more."""


class Outlet:
    """What one process has to say to the other."""

    def __init__(self, stream: trio.abc.SendStream) -> None:
        self._stream = stream
        self._gathered: list[bytes] = []
        self._bytes = 0
        self._some = trio.Event()
        self._room = trio.Event()
        self._life = trio.CancelScope()

    def send(self, frame: bytes) -> None:
        """Write `frame` soon, behind those before."""
        self._gathered.append(frame)
        self._bytes += len(frame)
        self._some.set()
        if self._bytes > GATHERED_BYTES_MAX:
            self._life.cancel()

    async def wait_room(self) -> None:
        """Return when little waits to be written."""
        while self._bytes > ROOM_BYTES:
            if self._room.is_set():
                self._room = trio.Event()
            await self._room.wait()

    async def run(self) -> None:
        """Write until cancelled.  Raises `Overrun`, and trio's errors when the other is gone."""
        with self._life:
            while True:
                await self._some.wait()
                self._some = trio.Event()
                gathered, self._gathered = self._gathered, []
                self._bytes = 0
                await self._stream.send_all(b"".join(gathered))
                self._room.set()
        raise Overrun(f"{self._bytes} bytes wait for a process that does not read")
