"""One client that listens by gRPC: a bounded outbox between two threads.

Sent on in trio's thread, read in asyncio's; never waits, never raises to the application.

    what happens                    the call ends with          `on_close` hears
    close(code)                     the code's status           our code
    outbox full                     RESOURCE_EXHAUSTED          4003
    the reader takes nothing        -                           1006
    cancelled, connection lost      -                           1006

The rules are those of `edge.channel.Channel`: with more than the outbox allows waiting already,
an ephemeral push is dropped and an ordinary one ends the stream.  How much waits is the difference
of two counters, each of which one thread alone writes.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from node.edge.frame import ABNORMAL
from node.protocol.codes import Close
from node.rpc.statistics import RpcCounters


class PushStream:
    """What the application sends on.

    `data` is the application's own; `peer` is `address:port`.
    """

    __slots__ = (
        "_counters",
        "_on_overflow",
        "_outbox_bytes_max",
        "_over",
        "_pushes",
        "_sent_bytes",
        "_taken_bytes",
        "_told",
        "_wake",
        "code",
        "data",
        "end",
        "peer",
    )

    media = "application/grpc"

    def __init__(
        self,
        peer: str,
        counters: RpcCounters,
        *,
        outbox_bytes_max: Callable[[], int],
        on_overflow: Callable[["PushStream"], bytes | None],
        wake: Callable[["PushStream"], None],
    ) -> None:
        """`wake` has `told` called in asyncio's thread, soon."""
        self.peer = peer
        self.data: object | None = None
        self.code = 0
        """What `on_close` hears; 0 while nobody has ended it."""
        self.end: tuple[int, str] | None = None
        """How it was closed, code and reason, once all that goes before it is in the outbox."""
        self._counters = counters
        self._outbox_bytes_max = outbox_bytes_max
        self._on_overflow = on_overflow
        self._wake = wake
        self._pushes: deque[bytes] = deque()
        self._over = False
        self._sent_bytes = 0
        self._taken_bytes = 0
        self._told = asyncio.Event()

    # -- trio's thread

    @property
    def open(self) -> bool:
        """Whether something can still be sent."""
        return not self._over

    @property
    def outbox_bytes(self) -> int:
        """What was sent and still waits for the reader."""
        return self._sent_bytes - self._taken_bytes

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        """Send a push; on a stream that is over this does nothing."""
        if self._over:
            return
        limit = self._outbox_bytes_max() // (2 if ephemeral else 1)
        waiting = self.outbox_bytes
        if waiting and waiting + len(data) > limit:
            if ephemeral:
                self._counters.ephemeral_dropped += 1
            else:
                self._overflow()
            return
        self._put(data)
        self._wake(self)

    def close(self, code: int, reason: str = "") -> None:
        """End the stream after what was sent before."""
        if not self._over:
            self._over = True
            self.code = code
            self.end = (code, reason)
            self._wake(self)

    def abandon(self) -> None:
        """The client has gone."""
        self._over = True
        self.code = self.code or ABNORMAL
        self._pushes.clear()

    def _put(self, data: bytes) -> None:
        self._counters.pushes += 1
        self._counters.sent_bytes += len(data)
        self._sent_bytes += len(data)
        self._pushes.append(data)

    def _overflow(self) -> None:
        """Replace what waits by the application's last push, and end."""
        self._counters.slow_consumers += 1
        self._over = True  # so that nothing can be sent from inside the callback
        self.code = int(Close.SLOW_CONSUMER)
        last = self._on_overflow(self)
        self._pushes.clear()
        if last:
            self._put(last)
        self.end = (self.code, "slow consumer")
        self._wake(self)

    # -- asyncio's thread

    def told(self) -> None:
        """There is something to read."""
        self._told.set()

    async def next(self) -> bytes | None:
        """Return the next push; None at the end."""
        while True:
            self._told.clear()
            over = self.end is not None  # looked at first: nothing comes behind it
            try:
                return self._pushes.popleft()
            except IndexError:
                if over:
                    return None
            if self.end is None and not self._pushes:
                await self._told.wait()

    def taken(self, data: bytes) -> None:
        """The reader has taken a push."""
        self._taken_bytes += len(data)
