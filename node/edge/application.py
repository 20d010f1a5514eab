"""What the edge asks of the program behind it.  No I/O.

    request --on_request--> Response --> forgotten
                         `-> Feed --its open--> on_close
                         `-> a factory that may wait, of one of the two
    upgrade --on_upgrade--> subprotocol --on_open--> (on_message)* --on_close--> forgotten
                        `-> Response that refuses

All callbacks but the factory are synchronous, run on the one loop, and must return at once.
`on_close` comes exactly once after `on_open`, always on its own: never from inside a call of
`send_frame` or `close`, so a fan-out may iterate over what `on_close` changes.  An exception
closes the connection it was raised for (1011, or 500 for a request) and nothing else.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from node.edge.channel import Channel
from node.edge.connection import Connection
from node.edge.http import Request, Response


class Held(Protocol):
    """A connection or stream, as far as it belongs to the application."""

    data: object | None


class Listener(Held, Protocol):
    """A client that only listens, on an `EventStream` or another way."""

    @property
    def open(self) -> bool:
        """Whether something can still be sent."""

    @property
    def media(self) -> str:
        """What is sent, as a media type."""

    @property
    def peer(self) -> str:
        """`address:port` of the client."""

    @property
    def outbox_bytes(self) -> int:
        """What was sent and still waits for the client."""

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        """Send what was encoded; on a stream that is over, do nothing."""

    def close(self, code: int, reason: str = "") -> None:
        """End the stream after what was sent before."""


@dataclass(frozen=True, slots=True)
class Feed:
    """An answer that goes on: `open` is given the stream to send events on."""

    open: Callable[[Listener], None]
    headers: Sequence[tuple[str, str]] = ()
    """Beside those of every event stream."""


Answer = Response | Feed
ResponseFactory = Callable[[], Awaitable[Answer]]


class Application(Protocol):
    """The program behind an `EdgeServer`."""

    def on_request(self, request: Request) -> Answer | ResponseFactory:
        """Answer a request; a factory runs in a task, and later requests of the client wait."""

    def on_upgrade(self, request: Request) -> str | Response | None:
        """Choose one of `request.subprotocols` (or none), or refuse with a response."""

    def on_open(self, connection: Connection, request: Request) -> None:
        """A WebSocket is there, made of `request`; frames may be sent."""

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        """A whole message came; `text` says that it is UTF-8."""

    def on_close(self, channel: Channel, code: int) -> None:
        """A WebSocket or feed is over: the code that was received or sent, 1006 without one."""


@runtime_checkable
class OverflowListener(Protocol):
    """An application that has a last word for a consumer that is too slow."""

    def on_overflow(self, channel: Channel) -> bytes | None:
        """Return a frame to put before the end (4003), or None.  Nothing else is sent."""
