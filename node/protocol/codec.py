"""Frames of `unidesk.v1`: bytes to requests, replies and pushes to bytes.  No I/O.

One schema, two encodings: `+json` in text frames for browsers, `+msgpack` in binary frames
for the rest.  Both are decoded into the same typed requests, or refused with the field.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from node.protocol.catalogue import (
    BY_NAME,
    FRAME_MAPS_MAX,
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    AnyPush,
    AnyRequest,
    Err,
    Ok,
    Push,
    Reply,
)


class BadFrame(Exception):
    """The frame is not of `unidesk.v1` at all: the connection cannot go on."""


@dataclass(frozen=True, slots=True)
class BadRequest:
    """One map that is no request of ours; the connection goes on."""

    id: int
    code: str
    message: str
    op: str = ""
    """What it wanted to be; empty when that is no operation."""


NO_ID = -1
"""Of a request whose `id` is something else than an integer: nothing could be answered to it."""

WORDS_MAX = 300
"""Characters of what is said about a request that does not fit its type."""

_MSGPACK_ARRAYS = frozenset(bytes([first]) for first in (*range(0x90, 0xA0), 0xDC, 0xDD))


class _Decoder(Protocol):
    def decode(self, data: bytes, /) -> Any: ...


def words_of(error: Exception) -> str:
    """Return what is wrong with a request, and where; of a long value its beginning."""
    words = str(error)
    if len(words) <= WORDS_MAX:
        return words
    return f"{words[: WORDS_MAX // 2]}… …{words[-WORDS_MAX // 2 :]}"


class Codec:
    """One of the two encodings, for servers and clients."""

    __slots__ = ("_array", "_encode", "_request", "_server", "name", "subprotocol", "text")

    def __init__(self, name: str, subprotocol: str, *, text: bool) -> None:
        module: Any = msgspec.json if text else msgspec.msgpack
        self.name = name
        self.subprotocol = subprotocol
        self.text = text
        """Whether frames are text frames."""
        self._encode = module.Encoder().encode
        self._array: _Decoder = module.Decoder(list[msgspec.Raw])
        self._request: _Decoder = module.Decoder(AnyRequest)
        self._server: _Decoder = module.Decoder(Ok | Err | AnyPush)

    def encode(self, value: Any) -> bytes:
        """Return the payload of a frame that holds `value`."""
        encoded: bytes = self._encode(value)
        return encoded

    def requests(self, payload: bytes) -> list[AnyRequest | BadRequest]:
        """Return the requests of a client's frame, in order.  Raises `BadFrame`."""
        return [self._parse_request(raw) for raw in self._maps(payload)]

    def server_messages(self, payload: bytes) -> Iterable[Reply | Push]:
        """Return what a server's frame says, in order; unknown pushes are left out.

        Raises `BadFrame`.
        """
        for raw in self._maps(payload):
            try:
                yield self._server.decode(raw)
            except msgspec.ValidationError as error:
                if self._peek(raw).get("op") in ("ok", "err"):
                    raise BadFrame(f"reply: {error}") from None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise BadFrame(f"not {self.name}: {error}") from None

    def _maps(self, payload: bytes) -> list[bytes]:
        """Split a frame into the bytes of its maps."""
        if not self._is_array(payload):
            return [payload]
        try:
            raws = self._array.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadFrame(f"not {self.name}: {error}") from None
        if len(raws) > FRAME_MAPS_MAX:
            raise BadFrame(f"{len(raws)} maps in one frame; at most {FRAME_MAPS_MAX}")
        return [bytes(raw) for raw in raws]

    def _is_array(self, payload: bytes) -> bool:
        if self.text:
            return payload.lstrip()[:1] == b"["
        return payload[:1] in _MSGPACK_ARRAYS

    def _parse_request(self, raw: bytes) -> AnyRequest | BadRequest:
        try:
            request: AnyRequest = self._request.decode(raw)
        except (msgspec.ValidationError, RecursionError) as error:
            head = self._peek(raw)
            number, op = head.get("id"), head.get("op")
            known = isinstance(op, str) and op in BY_NAME
            missing = 0 if number is None else NO_ID
            return BadRequest(
                id=number if isinstance(number, int) else missing,
                code="bad_request" if known else "unknown_op",
                message=words_of(error) if known else f"unknown op {str(op)[:64]!r}",
                op=str(op) if known else "",
            )
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadFrame(f"not {self.name}: {error}") from None
        return request

    def _peek(self, raw: bytes) -> dict[str, Any]:
        module: Any = msgspec.json if self.text else msgspec.msgpack
        try:
            value = module.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadFrame(f"not {self.name}: {error}") from None
        if not isinstance(value, dict):
            raise BadFrame(f"a frame holds maps, not {type(value).__name__}")
        return value


JSON = Codec("JSON", SUBPROTOCOL_JSON, text=True)
MSGPACK = Codec("msgpack", SUBPROTOCOL_MSGPACK, text=False)
BY_SUBPROTOCOL = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}
