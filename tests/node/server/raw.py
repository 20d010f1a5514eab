"""A WebSocket client that may say anything, for tests of what the server makes of it."""

import json
from typing import Any

import msgpack
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError

from node.client import Address

DEADLINE_S = 10.0


class Raw:
    """One connection; `heard` is every JSON map that came, `code` how it was closed."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.heard: list[dict[str, Any]] = []
        self.code: int | None = None
        self.status: int | None = None
        self.open = False

    @classmethod
    async def connect(
        cls, address: Address, subprotocols: tuple[str, ...] = ("unidesk.v1+json",)
    ) -> "Raw":
        raw = cls(await trio.open_tcp_stream(address.host, address.port))
        request = Request(host=address.authority, target="/v1/ws", subprotocols=list(subprotocols))
        await raw.stream.send_all(raw.protocol.send(request))
        with trio.fail_after(DEADLINE_S):
            while not raw.open and raw.status is None:
                await raw._read()
        return raw

    async def say(self, *messages: Any) -> None:
        """Send each as one text frame of JSON; bytes and str go as they are."""
        for message in messages:
            event: TextMessage | BytesMessage
            if isinstance(message, bytes):
                event = BytesMessage(message)
            else:
                text = message if isinstance(message, str) else json.dumps(message)
                event = TextMessage(text)
            await self.send_bytes(self.protocol.send(event))

    async def send_bytes(self, data: bytes) -> None:
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            pass

    async def until_closed(self) -> int | None:
        """Read to the close frame or the end; return the code, None when there was none."""
        with trio.fail_after(DEADLINE_S):
            while self.code is None and await self._read():
                pass
        return self.code

    async def until(self, **fields: Any) -> dict[str, Any]:
        """Read until a map has these fields, and return it."""
        with trio.fail_after(DEADLINE_S):
            while True:
                for message in self.heard:
                    if fields.items() <= message.items():
                        return message
                if not await self._read():
                    raise AssertionError(f"closed with {self.code}; heard {self.heard}")

    async def _read(self) -> bool:
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            data = b""
        try:
            self.protocol.receive_data(data or None)
            for event in self.protocol.events():
                self._take(event)
        except LocalProtocolError:
            return False
        return bool(data)

    def _take(self, event: Any) -> None:
        match event:
            case AcceptConnection():
                self.open = True
            case RejectConnection(status_code=status):
                self.status = status
            case TextMessage(data=text):
                whole = json.loads(text)
                self.heard += whole if isinstance(whole, list) else [whole]
            case BytesMessage(data=payload):
                whole = msgpack.unpackb(bytes(payload))
                self.heard += whole if isinstance(whole, list) else [whole]
            case CloseConnection(code=code) if self.code is None:
                self.code = code

    async def __aenter__(self) -> "Raw":
        return self

    async def __aexit__(self, *_: object) -> None:
        await trio.aclose_forcefully(self.stream)
