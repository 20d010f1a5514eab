"""Several HTTP requests on one connection: h11 over trio's streams.  Talks to a node's client port.

For what one process of a node keeps between two requests.

Source: RFC 9112, 9.3 (persistence).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import h11
import trio

from node.client.address import Address
from node.client.dialing import dial
from node.client.failures import plainly
from node.client.http import BODY_BYTES_MAX, Answer, Unreachable

READ_BYTES = 256 * 1024


class KeptHttp:
    """One connection; one request at a time."""

    def __init__(
        self, address: Address, stream: trio.abc.Stream, headers: Mapping[str, str]
    ) -> None:
        self._address = address
        self._stream = stream
        self._headers = [("Host", address.authority), *headers.items()]
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=64 * 1024)

    async def ask(self, method: str, target: str, *, timeout_s: float) -> Answer:
        """Return the answer to a request without a body.  Raises `Unreachable`."""
        try:
            with trio.fail_after(timeout_s):
                return await self._ask(method, target)
        except trio.TooSlowError:
            raise self._gone(f"no answer within {timeout_s:g} s") from None
        except (OSError, trio.BrokenResourceError) as error:
            raise self._gone(plainly(error)) from None
        except h11.ProtocolError as error:
            raise self._gone(f"not HTTP: {error}") from None

    async def _ask(self, method: str, target: str) -> Answer:
        connection = self._connection
        if connection.our_state is h11.DONE:
            connection.start_next_cycle()
        length = [("Content-Length", "0")] if method == "POST" else []
        request = h11.Request(method=method, target=target, headers=[*self._headers, *length])
        data = (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")
        await self._stream.send_all(data)
        status, body = 0, bytearray()
        while True:
            event = connection.next_event()
            match event:
                case h11.NEED_DATA:
                    connection.receive_data(bytes(await self._stream.receive_some(READ_BYTES)))
                case h11.Response():
                    status = event.status_code
                case h11.Data():
                    body += event.data
                    if len(body) > BODY_BYTES_MAX:
                        raise self._gone(f"over {BODY_BYTES_MAX} bytes")
                case h11.EndOfMessage():
                    return Answer(status, bytes(body))
                case h11.ConnectionClosed():
                    raise self._gone("the connection was closed")

    def _gone(self, why: str) -> Unreachable:
        return Unreachable(f"{self._address.authority}: {why}")


@asynccontextmanager
async def open_http(
    address: Address, headers: Mapping[str, str], *, timeout_s: float
) -> AsyncIterator[KeptHttp]:
    """Connect to the host of `address`; `headers` go with every request.  Raises `Unreachable`."""
    try:
        with trio.fail_after(timeout_s):
            stream = await dial(address)
    except trio.TooSlowError:
        raise Unreachable(f"{address.authority}: no answer within {timeout_s:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise Unreachable(f"{address.authority}: {plainly(error)}") from None
    async with stream:
        yield KeptHttp(address, stream, headers)
