"""One WebSocket, client side: wsproto over trio's streams.  Talks to a node.

    send_nowait ──▶ outbox ──▶ run_writer ──▶ socket ──▶ receive ──▶ payloads of messages

One task may receive, any may send; nothing is sent by a task that may be cancelled half way.

Source: RFC 6455.
"""

from types import TracebackType

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

from node.client.address import Address
from node.client.dialing import dial
from node.client.failures import Lost, plainly

RECEIVE_BYTES = 64 * 1024
MESSAGE_BYTES_MAX = 1024 * 1024
OUTBOX_FRAMES_MAX = 1_024
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class WebSocket:
    """A connection that was accepted."""

    def __init__(self, stream: trio.abc.Stream, *, text: bool) -> None:
        """`text` says whether what is sent goes in text frames."""
        self._stream = stream
        self._text = text
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._ready: list[bytes] = []
        self._ended: Lost | None = None
        self._outbox, self._outgoing = trio.open_memory_channel[bytes](OUTBOX_FRAMES_MAX)
        self.heard_at = trio.current_time()
        """When bytes last came, by trio's clock."""

    @classmethod
    async def connect(cls, address: Address, subprotocol: str, *, text: bool) -> "WebSocket":
        """Return a WebSocket to `address` that speaks `subprotocol`.  Raises `Lost`."""
        try:
            stream = await dial(address)
        except _BROKEN as error:
            raise Lost(f"{address.authority}: {plainly(error)}") from None
        socket = cls(stream, text=text)
        try:
            await socket._upgrade(address, subprotocol)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return socket

    async def __aenter__(self) -> "WebSocket":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._outbox.close()
        self._outgoing.close()
        await trio.aclose_forcefully(self._stream)

    def send_nowait(self, payload: bytes) -> None:
        """Send one message, soon.  Raises `Lost` when the node has not read for too long."""
        message = TextMessage(payload.decode()) if self._text else BytesMessage(payload)
        self._send(message)

    def close_nowait(self, code: int, reason: str = "") -> None:
        """Send a close frame, soon, and nothing after it; harmless when all is over."""
        try:
            self._send(CloseConnection(code, reason))
        except Lost:
            return
        self._outbox.close()

    async def abort(self, reason: str) -> None:
        """Break the socket: whoever receives hears of it."""
        self._ended = self._ended or Lost(reason)
        await trio.aclose_forcefully(self._stream)

    async def run_writer(self) -> None:
        """Send what is in the outbox until the socket is over."""
        async for chunk in self._outgoing:
            chunks = [chunk]
            while True:
                try:
                    chunks.append(self._outgoing.receive_nowait())
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
            try:
                await self._stream.send_all(b"".join(chunks))
            except _BROKEN:
                return  # `receive` finds out and says so

    async def receive(self) -> bytes:
        """Return the payload of the next message.  Raises `Lost`."""
        while not self._ready:
            if self._ended is not None:
                raise self._ended
            await self._receive_some()
        return self._ready.pop(0)

    async def _receive_some(self) -> None:
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except _BROKEN as error:
            raise (self._ended or Lost(plainly(error))) from None
        if not data:
            raise Lost("the node closed the socket without a word")
        self.heard_at = trio.current_time()
        try:
            self._protocol.receive_data(bytes(data))
            for event in self._protocol.events():
                self._take(event)
        except ProtocolError as error:
            raise Lost(f"not a WebSocket: {error}") from None

    def _take(self, event: Event) -> None:
        match event:
            case TextMessage() | BytesMessage():
                self._take_data(event)
            case Ping():
                self._send(event.response())
            case CloseConnection():
                self._ended = Lost(event.reason or f"closed with {event.code}", int(event.code))
            case Pong():
                pass

    def _take_data(self, event: TextMessage | BytesMessage) -> None:
        data = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
        self._parts_bytes += len(data)
        if self._parts_bytes > MESSAGE_BYTES_MAX:
            raise Lost(f"a message of over {MESSAGE_BYTES_MAX} bytes")
        self._parts.append(data)
        if event.message_finished:
            self._ready.append(b"".join(self._parts))
            self._parts, self._parts_bytes = [], 0

    def _send(self, event: Event) -> None:
        try:
            self._outbox.send_nowait(self._protocol.send(event))
        except trio.WouldBlock:
            raise Lost(f"the node left {OUTBOX_FRAMES_MAX} frames unread") from None
        except (ProtocolError, trio.ClosedResourceError, trio.BrokenResourceError):
            raise Lost("the connection is closing") from None

    async def _upgrade(self, address: Address, subprotocol: str) -> None:
        request = Request(host=address.authority, target=address.path, subprotocols=[subprotocol])
        try:
            await self._stream.send_all(self._protocol.send(request))
            answer = await self._receive_answer()
        except _BROKEN as error:
            raise Lost(f"{address.authority}: {plainly(error)}") from None
        except ProtocolError as error:
            raise Lost(f"{address.authority}: not a WebSocket: {error}") from None
        if isinstance(answer, RejectConnection):
            raise Lost(f"{address.authority}: answered HTTP {answer.status_code}")
        if answer.subprotocol != subprotocol:
            raise Lost(f"{address.authority}: does not speak {subprotocol}")

    async def _receive_answer(self) -> AcceptConnection | RejectConnection:
        while True:
            data = await self._stream.receive_some(RECEIVE_BYTES)
            self._protocol.receive_data(bytes(data) or None)
            events = list(self._protocol.events())
            for place, event in enumerate(events):
                if isinstance(event, RejectConnection):
                    return event
                if isinstance(event, AcceptConnection):
                    for early in events[place + 1 :]:
                        self._take(early)
                    return event
            if not data:
                raise Lost("closed in the handshake")
