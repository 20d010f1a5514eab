"""Requests out of a connection's bytes, responses into bytes.  No I/O.

    IDLE --first byte--> HEAD --blank line--> BODY --last byte--> a Request, then IDLE again

`RequestParser` gives one request at a time, so pipelined ones wait in its buffer until the one
before is answered.  The head is guarded (`node.edge.head`), then a fresh `h11.Connection` parses
it and frames the body, guarded too if it is chunked (`node.edge.chunks`), unless the same head
came before (`node.edge.seen`); the response never passes through h11, because writing ready-made
bytes costs a third of that.  Paths and queries are as on the wire: nothing is percent-decoded
here.  Trailers of a chunked body are read and dropped.  One empty line before a request is
skipped: some clients send it after a body.

Sizes in bytes: `head_bytes_max`, `body_bytes_max`.

Source: RFC 9110, RFC 9112; h11, _connection.py.
"""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import h11

from node.edge.chunks import ChunkGuard
from node.edge.head import HEAD_END, RequestRefused, check_head, check_start
from node.edge.seen import Head, SeenHeads

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_EMPTY_LINE = b"\r\n"
_ABSOLUTE = re.compile(r"https?://[^/?]*", re.IGNORECASE)
_UNSAFE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_BODILESS = frozenset({204, 304})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

ConnectionOption = Literal["", "close", "keep-alive"]
"""`close` is said with the last answer of a connection, `keep-alive` to HTTP/1.0."""


class Phase(enum.Enum):
    """What the parser is waiting for."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request; header names are lower case, values without outer blanks."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    peer: str
    version: str = "1.1"

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the first header called `name` (lower case), or None."""
        for found, value in self.headers:
            if found == name:
                return value
        return None

    def tokens(self, name: bytes) -> tuple[bytes, ...]:
        """Return the comma-separated values of every header called `name`, in order."""
        values = (value for found, value in self.headers if found == name)
        return tuple(
            token for value in values for part in value.split(b",") if (token := part.strip(b" \t"))
        )

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The WebSocket subprotocols that the client offers, its favourite first."""
        return tuple(token.decode("latin-1") for token in self.tokens(b"sec-websocket-protocol"))

    @property
    def keep_alive(self) -> bool:
        """Whether the connection takes another request after this one (RFC 9112, 9.3)."""
        if self.header(b"connection") is None:
            return self.version == "1.1"
        options = [token.lower() for token in self.tokens(b"connection")]
        return b"close" not in options and (self.version == "1.1" or b"keep-alive" in options)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.  Raises ValueError for a header that would break out of its line."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        for name, value in (("content-type", self.content_type), *self.headers):
            if _UNSAFE.search(name) or _UNSAFE.search(value):
                raise ValueError(f"header {name!r} holds a character that no header may")

    def encode(
        self, *, head_only: bool = False, connection: ConnectionOption = "", date: str = ""
    ) -> bytes:
        """Return the bytes to write; `head_only` for HEAD, `date` as HTTP writes it."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        if date:
            lines.append(f"Date: {date}")
        if self.status not in _BODILESS:
            lines.append(f"Content-Length: {len(self.body)}")
            if self.body:
                lines.append(f"Content-Type: {self.content_type}")
        lines.extend(f"{name}: {value}" for name, value in self.headers)
        if connection:
            lines.append(f"Connection: {connection}")
        head = "\r\n".join(lines).encode("latin-1") + HEAD_END
        return head if head_only or self.status in _BODILESS else head + self.body


class RequestParser:
    """The requests of one connection, one at a time and in order."""

    __slots__ = (
        "_body",
        "_body_bytes_max",
        "_buffer",
        "_chunks",
        "_continued",
        "_head",
        "_head_bytes_max",
        "_peer",
        "_protocol",
        "_searched",
        "_seen",
    )

    def __init__(
        self,
        peer: str,
        *,
        head_bytes_max: int,
        body_bytes_max: int,
        seen: SeenHeads | None = None,
    ) -> None:
        """`seen` is shared by all connections of a server."""
        self._peer = peer
        self._head_bytes_max = head_bytes_max
        self._body_bytes_max = body_bytes_max
        self._buffer = b""
        self._searched = 0
        self._protocol: h11.Connection | None = None
        self._head: Head | None = None
        self._seen = seen
        self._chunks: ChunkGuard | None = None
        self._body = bytearray()  # chunks of two bytes each would make a list twenty times as large
        self._continued = False

    @property
    def phase(self) -> Phase:
        """What the parser is waiting for."""
        if self._protocol is not None:
            return Phase.BODY
        return Phase.IDLE if _EMPTY_LINE.startswith(self._buffer) else Phase.HEAD

    def take_continue(self) -> bool:
        """Say, once per request, that the client holds its body back until it is told to go on."""
        if self._continued or self._protocol is None:
            return False
        self._continued = self._protocol.they_are_waiting_for_100_continue
        return self._continued

    @property
    def unread(self) -> bytes:
        """What has come of requests that are not begun yet."""
        return self._buffer

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive."""
        self._buffer += data

    def next_request(self) -> Request | None:
        """Return the next whole request, or None until more bytes come.

        Raises `RequestRefused`; the parser is of no use after that.
        """
        try:
            if self._protocol is None:
                head = self._take_head()
                return None if head is None else self._begin(head)
            return self._finish()
        except h11.RemoteProtocolError as error:
            reason = str(error).partition(": b")[0]  # its bytes stay out of the answer
            raise RequestRefused(error.error_status_hint, reason) from None

    def take_rest(self) -> bytes:
        """Return and forget the bytes after the last request: the first WebSocket frames."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _take_head(self) -> bytes | None:
        """Return the head if it is whole; its body's bytes stay in the buffer."""
        if _EMPTY_LINE.startswith(self._buffer):
            return None
        begin = len(_EMPTY_LINE) if self._buffer.startswith(_EMPTY_LINE) else 0
        found = self._buffer.find(HEAD_END, max(begin, self._searched))
        end = len(self._buffer) if found < 0 else found + len(HEAD_END)
        if end - begin > self._head_bytes_max:
            raise self._too_long(begin)
        if found < 0:
            check_start(self._buffer[begin:], max(0, self._searched - begin))
            self._searched = max(0, end - len(HEAD_END) + 1)
            return None
        head, self._buffer, self._searched = self._buffer[begin:end], self._buffer[end:], 0
        return head

    def _begin(self, head: bytes) -> Request | None:
        """Parse a head; return its request if it announces no body, or the body is there."""
        found = self._seen.find(head) if self._seen is not None else None
        if found is not None:
            return Request(*found[:4], b"", self._peer, found.version)
        check_head(head)
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=self._head_bytes_max)
        protocol.receive_data(head)
        request = protocol.next_event()
        assert isinstance(request, h11.Request)
        parsed = _parsed(request)
        if any(name in _FRAMING for name, _ in parsed.headers):
            self._protocol, self._head = protocol, parsed
            self._expect_body(parsed)
            return self._finish()
        if self._seen is not None:
            self._seen.keep(head, parsed)
        return Request(*parsed[:4], b"", self._peer, parsed.version)

    def _too_long(self, begin: int) -> RequestRefused:
        first_line_ends = self._buffer.find(b"\r\n", begin, begin + self._head_bytes_max) >= 0
        what, status = ("head", 431) if first_line_ends else ("request line", 414)
        return RequestRefused(status, f"{what} over {self._head_bytes_max} bytes")

    def _expect_body(self, head: Head) -> None:
        self._chunks = None
        for name, value in head.headers:
            if name == b"content-length" and int(value) > self._body_bytes_max:
                raise RequestRefused(413, f"body over {self._body_bytes_max} bytes")
            if name == b"transfer-encoding":
                self._chunks = ChunkGuard(
                    body_bytes_max=self._body_bytes_max, overhead_bytes_max=self._head_bytes_max
                )

    def _take_body(self) -> bytes:
        """Return and forget the bytes that may be read as body: of a chunked one no more."""
        end = self._chunks.advance(self._buffer) if self._chunks is not None else None
        if end is None:
            return self.take_rest()
        body, self._buffer = self._buffer[:end], self._buffer[end:]
        return body

    def _finish(self) -> Request | None:
        """Read the body; return the request once it is whole."""
        protocol = self._protocol
        assert protocol is not None
        event = protocol.next_event()
        if event is h11.NEED_DATA and self._buffer:
            protocol.receive_data(self._take_body())
            event = protocol.next_event()
        while isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._body_bytes_max:
                raise RequestRefused(413, f"body over {self._body_bytes_max} bytes")
            event = protocol.next_event()
        if not isinstance(event, h11.EndOfMessage):
            return None
        # Pipelined bytes are in h11 if it was given any, else still in the buffer.
        self._buffer = protocol.trailing_data[0] + self._buffer
        return self._request()

    def _request(self) -> Request:
        head, body = self._head, bytes(self._body)
        assert head is not None
        self._protocol = self._head = None
        self._body, self._continued = bytearray(), False
        return Request(*head[:4], body, self._peer, head.version)


def _parsed(request: h11.Request) -> Head:
    target = request.target.decode("ascii")
    if not target.startswith("/"):
        target = _ABSOLUTE.sub("", target) or "/"
    path, _, query = target.partition("?")
    return Head(
        method=request.method.decode("ascii"),
        path=path or "/",
        query=query,
        # Indexing h11's own headers costs more than to lower the names a second time.
        headers=tuple((name.lower(), value) for name, value in request.headers.raw_items()),
        version=request.http_version.decode("ascii"),
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
