"""The WebSocket opening handshake: a request to its key, or to a refusal.  No I/O.

    asks for `Upgrade: websocket`   version 13   key of 16 bytes   outcome
    no                              -            -                 None: an ordinary request
    yes                             no           -                 426, naming version 13
    yes                             yes          no, or two        400
    yes                             yes          yes               the key

The only extension is permessage-deflate, where it is enabled (`node.edge.deflate`).

Source: RFC 6455, sections 4.2 and 11.3.
"""

import base64
import binascii

from wsproto.utilities import generate_accept_token

from node.edge.head import RequestRefused
from node.edge.http import Request, Response

KEY_BYTES = 16
VERSION = b"13"
_ONCE = (b"sec-websocket-key", b"sec-websocket-version")

UPGRADE_REQUIRED = Response(
    426,
    b"this server speaks WebSocket version 13\n",
    headers=(
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", VERSION.decode()),
    ),
)


def upgrade_key(request: Request) -> bytes | Response | None:
    """Return the key of a proper upgrade, a refusal of an improper one, None for another request.

    Raises `RequestRefused` where the client cannot mean what it says.
    """
    if request.header(b"upgrade") is None:
        return None
    if b"websocket" not in (token.lower() for token in request.tokens(b"upgrade")):
        return None
    if b"upgrade" not in (token.lower() for token in request.tokens(b"connection")):
        raise RequestRefused(400, "upgrade to WebSocket without Connection: Upgrade")
    if request.method != "GET" or request.version != "1.1" or request.body:
        raise RequestRefused(400, "upgrade to WebSocket takes a GET of HTTP/1.1 without a body")
    names = [name for name, _ in request.headers]
    if max(names.count(name) for name in _ONCE) > 1:
        raise RequestRefused(400, "a second Sec-WebSocket-Key or -Version")
    if request.header(b"sec-websocket-version") != VERSION:
        return UPGRADE_REQUIRED
    key = request.header(b"sec-websocket-key") or b""
    if not _is_key(key):
        raise RequestRefused(400, "Sec-WebSocket-Key is not 16 bytes of base64")
    return key


def accept(key: bytes, subprotocol: str | None, extension: str | None = None) -> bytes:
    """Return the response that turns the connection into a WebSocket."""
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol is not None else ""
    if extension is not None:
        chosen += f"Sec-WebSocket-Extensions: {extension}\r\n"
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n"
        b"%b\r\n"
    ) % (generate_accept_token(key), chosen.encode("ascii"))


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == KEY_BYTES
    except binascii.Error:
        return False
