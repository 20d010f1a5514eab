"""What a client and one node say to each other, over one WebSocket.  Talks to a node.

    reader     pushes to the consumer, replies to those who wait
    writer     what was sent
    watch      leaves a node that fell silent: for an answer it owes, or without its pings
    resends    requests that were refused for now, after a doubling pause

All four end with the connection.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from node.client.failures import Lost, RequestFailed
from node.client.pending import Pending
from node.client.tracker import Verdict
from node.client.websocket import WebSocket
from node.protocol.catalogue import (
    FRAME_BYTES_MAX,
    Bye,
    Err,
    Ev,
    Gap,
    Hello,
    Ok,
    Ping,
    Pong,
    Push,
    Reply,
    Request,
    Welcome,
)
from node.protocol.codec import BadFrame

if TYPE_CHECKING:
    from node.client.client import Client

WATCH_S = 0.5
PINGS_MISSED_MAX = 2.5


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended."""

    reason: str
    code: int | None = None
    """The close code, when the node said one."""
    welcomed: bool = False
    lived_s: float = 0.0
    """Since `welcome`."""
    bye: Bye | None = None


class Conversation:
    """One connection, from `hello` to its end."""

    def __init__(self, client: "Client", socket: WebSocket) -> None:
        self._client = client
        self._socket = socket
        self._number = 0
        self._sent: dict[int, Pending] = {}
        self._live_since: float | None = None
        self._quiet_s_max = float("inf")
        self._bye: Bye | None = None
        self._over = trio.Event()
        self._resends: trio.Nursery | None = None

    async def run(self, hello: Hello) -> Ending:
        """Say hello and stay until the connection is over; return how it ended."""
        ending = Ending("left")
        async with trio.open_nursery() as nursery:
            self._resends = nursery
            nursery.start_soon(self._socket.run_writer)
            nursery.start_soon(self._watch)
            try:
                self._socket.send_nowait(self._client.codec.encode(hello))
                await self._read()
            except Lost as lost:
                ending = self._end(lost)
            finally:
                self._resends = None
                self._over.set()
            nursery.cancel_scope.cancel()
        return ending

    def send(self, pending: Pending) -> None:
        """Send a request, if the node has said welcome."""
        if self._live_since is None:
            return
        self._number += 1
        self._client.tally.resends += pending.attempts > 0
        try:
            payload = self._encode(pending.numbered(self._number))
        except RequestFailed as failure:
            pending.fail(failure)
            return
        self._sent[self._number] = pending
        self._transmit(payload)

    def send_unasked(self, request: Request) -> None:
        """Send what has no reply.  Raises `RequestFailed` when it cannot be said."""
        if self._live_since is not None:
            self._transmit(self._encode(request))

    async def leave(self, code: int) -> None:
        """Send a close frame and wait for the node's, `close_s` at most."""
        self._socket.close_nowait(code)
        with trio.move_on_after(self._client.timing.close_s):
            await self._over.wait()

    def _encode(self, request: Request) -> bytes:
        """Return the payload of a frame.  Raises `RequestFailed`.

        A node closes the connection over a frame that is too large: with it would go, at one
        node after the other, everything else that waits.
        """
        try:
            payload = self._client.codec.encode(request)
        except (OverflowError, TypeError, ValueError, RecursionError) as error:
            raise RequestFailed("bad_request", f"it cannot be encoded: {error}") from None
        if len(payload) > FRAME_BYTES_MAX:
            raise RequestFailed(
                "too_large", f"{len(payload)} bytes; a frame holds {FRAME_BYTES_MAX}"
            )
        return payload

    def _transmit(self, payload: bytes) -> None:
        try:
            self._socket.send_nowait(payload)
        except Lost:
            pass  # the reader finds out; the request goes to the next node

    async def _read(self) -> None:
        with trio.CancelScope(deadline=trio.current_time() + self._welcome_s) as opening:
            while True:
                payload = await self._socket.receive()
                try:
                    messages = list(self._client.codec.server_messages(payload))
                except BadFrame as error:
                    raise Lost(str(error)) from None
                for message in messages:
                    await self._take(message)
                if self._live_since is not None:
                    opening.deadline = float("inf")
        raise Lost(f"no welcome within {self._welcome_s:g} s")

    @property
    def _welcome_s(self) -> float:
        return self._client.timing.welcome_s

    async def _take(self, message: Reply | Push) -> None:
        match message:
            case Ok() | Err():
                self._take_reply(message)
            case Ev():
                await self._take_event(message)
            case Welcome():
                self._take_welcome(message)
                await self._client.deliver(message)
            case Ping():
                self._transmit(self._encode(Pong()))
            case Bye():
                self._bye = message
                await self._client.deliver(message)
            case Gap():
                await self._client.deliver(message)
                self._client.tally.gaps += 1
                self._client.tally.jumps += self._client.tracker.take_gap(message) is Verdict.JUMP
            case Push():
                await self._client.deliver(message)

    def _take_welcome(self, welcome: Welcome) -> None:
        self._live_since = trio.current_time()
        self._quiet_s_max = PINGS_MISSED_MAX * max(1_000, welcome.ping_ms) / 1000
        for pending in self._client.take_welcome(welcome):
            self.send(pending)

    async def _take_event(self, event: Ev) -> None:
        client = self._client
        verdict = client.tracker.judge(event)
        if verdict is Verdict.DUPLICATE:
            client.tally.duplicates += 1
            return
        await client.deliver(event)
        client.tracker.take(event)  # seen only once the consumer has it
        client.tally.jumps += verdict is Verdict.JUMP
        client.tally.events += 1

    def _take_reply(self, reply: Ok | Err) -> None:
        pending = self._sent.pop(reply.id, None)
        if pending is None:
            return
        if isinstance(reply, Ok):
            self._client.note_done(pending.request)
        if pending.take(reply) or not isinstance(reply, Err):
            return
        timing = self._client.timing
        pause_s = min(timing.resend_s_max, timing.resend_s_min * 2 ** min(pending.attempts, 10))
        if reply.after is not None:
            pause_s = max(pause_s, min(reply.after / 1000, timing.retry_s_max))
        if self._resends is not None:
            self._resends.start_soon(self._resend, pending, pause_s)

    async def _resend(self, pending: Pending, pause_s: float) -> None:
        await trio.sleep(pause_s)
        if self._client.is_waiting(pending) and self._bye is None:
            self.send(pending)

    async def _watch(self) -> None:
        """Leave a node that has been silent for too long."""
        owed_since: float | None = None
        while True:
            await trio.sleep(WATCH_S)
            now = trio.current_time()
            waits = any(self._client.is_waiting(pending) for pending in self._sent.values())
            owed_since = (owed_since or now) if waits else None
            silent_s = now - self._socket.heard_at
            unanswered_s = now - max(owed_since, self._socket.heard_at) if owed_since else 0.0
            if silent_s > self._quiet_s_max or unanswered_s > self._client.timing.unanswered_s:
                await self._socket.abort("the node fell silent")
                return

    def _end(self, lost: Lost) -> Ending:
        bye = self._bye
        return Ending(
            reason=bye.reason if bye is not None else lost.reason,
            code=bye.code if bye is not None else lost.code,
            welcomed=self._live_since is not None,
            lived_s=trio.current_time() - self._live_since if self._live_since else 0.0,
            bye=bye,
        )
