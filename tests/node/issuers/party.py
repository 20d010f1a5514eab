"""A server that plays a provider and does whatever a test wants, also what no provider should."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import h11
import jwt
import trio
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

KEY = ec.generate_private_key(ec.SECP256R1())
KEY_SET = {"keys": [{**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "ec"}]}

Page = bytes | dict[str, Any] | int | Callable[[trio.SocketStream], Awaitable[None]]
"""A body, one as JSON, a status, or whatever is done with the socket."""


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


@dataclass
class Party:
    """What it serves, by path, and what it was asked."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def describe(self, **changes: Any) -> None:
        """Serve the metadata and keys of a provider."""
        told = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "introspection_endpoint": f"{self.url}/introspect",
        }
        self.pages["/.well-known/openid-configuration"] = told | changes
        self.pages["/keys"] = KEY_SET

    def count(self, path: str) -> int:
        return sum(one.path == path for one in self.asked)

    def token(self, kid: str = "ec", **changes: Any) -> str:
        claims = {"iss": self.url, "aud": "unidesk", "sub": "ada", "role": "agent"}
        claims["exp"] = int(time.time()) + 86_400  # type: ignore[assignment]
        claims |= changes
        made = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(made, KEY, algorithm="ES256", headers={"kid": kid})


@asynccontextmanager
async def party() -> AsyncIterator[Party]:
    """Serve on a port of loopback."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    one = Party(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}")

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await _serve(one, stream)
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield one
        nursery.cancel_scope.cancel()


async def _serve(one: Party, stream: trio.SocketStream) -> None:
    connection = h11.Connection(h11.SERVER)
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return
    path = request.target.decode().partition("?")[0]
    headers = {name.decode(): value.decode() for name, value in request.headers}
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    one.asked.append(Asked(request.method.decode(), path, headers, form))
    page = one.pages.get(path, 404)
    if callable(page):
        await page(stream)
        return
    if isinstance(page, int):
        status, content = page, b""
    else:
        status, content = 200, page if isinstance(page, bytes) else json.dumps(page).encode()
    await stream.send_all(
        b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(content))
        + content
    )
