"""Requests to an issuer: bounded in time, size and number.  Talks HTTP through httpx2.

    https://…                   TLS, by the system's certificates or SSL_CERT_FILE
    http://127.0.0.1 …          loopback alone
    a redirect, another status  no answer: whoever moved says so in the configuration
    gzip and the like           not asked for: a small answer must not unfold to a large one

httpx2 keeps connections and knows forms and TLS; it is loaded, and its certificates are read, in a
thread, when the first request is made: neither takes the loop's time.
"""

import functools
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import trio

from node.client.address import Address, BadAddress, is_loopback
from node.client.http import Unreachable

if TYPE_CHECKING:
    import httpx2

_PLAIN = re.compile(r"https?://[\x21-\x7e]+")
BODY_BYTES_MAX = 256 * 1024
FETCH_S = 5.0
IN_FLIGHT_MAX = 16
"""At once, to one issuer; the others wait, within their deadline."""
KEEP_ALIVE_S = 30.0


def check_url(url: str) -> None:
    """Raise `ValueError` when `url` is none that may be asked."""
    if not _PLAIN.fullmatch(url):  # urlsplit would drop what breaks out of a line
        raise ValueError(f"{url[:200]!r} is no https:// address")
    try:
        address = Address.parse(url)
    except BadAddress:
        raise ValueError(f"{url[:200]!r} is no https:// address") from None
    if not address.tls and not is_loopback(address.host):
        raise ValueError(f"{url!r} would come unprotected: it must be https://")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an issuer answered."""

    status: int
    body: bytes


class Fetcher:
    """The requests to one issuer."""

    def __init__(self) -> None:
        self._client: httpx2.AsyncClient | None = None
        self._loading = trio.Lock()
        self._in_flight = trio.CapacityLimiter(IN_FLIGHT_MAX)

    async def get(self, url: str) -> bytes:
        """Return what is at `url`.  Raises `Unreachable`, also for a status that is not 200."""
        answer = await self._request("GET", url, None, {})
        if answer.status != 200:
            raise Unreachable(f"{url}: answered {answer.status}")
        return answer.body

    async def post(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]
    ) -> Fetched:
        """Return the answer to a form.  Raises `Unreachable`."""
        return await self._request("POST", url, fields, headers)

    async def aclose(self) -> None:
        """Close what is kept open."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _request(
        self, method: str, url: str, fields: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> Fetched:
        try:
            check_url(url)
            client = await self._opened()  # no time of the issuer's
            with trio.fail_after(FETCH_S):
                async with self._in_flight:
                    return await _exchange(client, method, url, fields, headers)
        except ValueError as error:
            raise Unreachable(str(error)) from None
        except trio.TooSlowError:
            raise Unreachable(f"{url}: no answer within {FETCH_S:g} s") from None

    async def _opened(self) -> "httpx2.AsyncClient":
        async with self._loading:
            if self._client is None:
                library = await trio.to_thread.run_sync(_library)
                self._client = library.AsyncClient(
                    verify=await trio.to_thread.run_sync(ssl.create_default_context),
                    headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                    timeout=None,  # the deadline is ours, and covers all of it
                    limits=library.Limits(
                        max_connections=IN_FLIGHT_MAX, keepalive_expiry=KEEP_ALIVE_S
                    ),
                    trust_env=False,
                )
            return self._client


async def _exchange(
    client: "httpx2.AsyncClient",
    method: str,
    url: str,
    fields: Mapping[str, str] | None,
    headers: Mapping[str, str],
) -> Fetched:
    try:
        async with client.stream(method, url, data=fields, headers=dict(headers)) as response:
            body = bytearray()
            with trio.CancelScope() as enough:  # ends the library's generators from within
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        enough.cancel()
            client.cookies.clear()  # no request has to do with the one before
    except Exception as error:  # a connection's boundary: whatever a stranger makes a parser raise
        raise Unreachable(f"{url}: {str(error) or type(error).__name__}") from None
    if len(body) > BODY_BYTES_MAX:
        raise Unreachable(f"{url}: answered with over {BODY_BYTES_MAX} bytes")
    return Fetched(response.status_code, bytes(body))


@functools.cache
def _library() -> ModuleType:
    import httpx2

    return httpx2
