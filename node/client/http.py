"""One HTTP request: h11 over trio's streams.  Talks to a node's client port.

Source: RFC 9112.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import h11
import trio

from node.client.address import Address
from node.client.dialing import dial
from node.client.failures import plainly

BODY_BYTES_MAX = 4 * 1024 * 1024
FORM = "application/x-www-form-urlencoded"


class Unreachable(Exception):
    """There was no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


async def get(address: Address, target: str, *, timeout_s: float, token: str = "") -> Answer:
    """Return the answer to `GET target` at the host of `address`.  Raises `Unreachable`."""
    return await _within(timeout_s, address, "GET", target, b"", token)


async def post_form(
    address: Address, target: str, fields: Mapping[str, str], *, timeout_s: float
) -> Answer:
    """Return the answer to `POST target` with a form as its body.  Raises `Unreachable`."""
    return await _within(timeout_s, address, "POST", target, urlencode(fields).encode())


async def _within(
    timeout_s: float, address: Address, method: str, target: str, body: bytes, token: str = ""
) -> Answer:
    try:
        with trio.fail_after(timeout_s):
            return await _ask(address, method, target, body, token)
    except trio.TooSlowError:
        raise Unreachable(f"{address.authority}: no answer within {timeout_s:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise Unreachable(f"{address.authority}: {plainly(error)}") from None
    except h11.LocalProtocolError as error:  # a token of characters that no header may have
        raise Unreachable(f"{address.authority}: cannot be asked that: {error}") from None
    except h11.ProtocolError as error:
        raise Unreachable(f"{address.authority}: not HTTP: {error}") from None


async def _ask(address: Address, method: str, target: str, form: bytes, token: str) -> Answer:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=64 * 1024)
    headers = [("Host", address.authority), ("Connection", "close")]
    if token:
        headers.append(("Authorization", f"Bearer {token}"))
    if method == "POST":
        headers += [("Content-Type", FORM), ("Content-Length", str(len(form)))]
    request = h11.Request(method=method, target=target, headers=headers)
    async with await dial(address) as stream:
        data = connection.send(request) or b""
        if form:
            data += connection.send(h11.Data(data=form)) or b""
        await stream.send_all(data + (connection.send(h11.EndOfMessage()) or b""))
        status, body = 0, bytearray()
        while True:
            event = connection.next_event()
            match event:
                case h11.NEED_DATA:
                    connection.receive_data(bytes(await stream.receive_some(64 * 1024)))
                case h11.Response():
                    status = event.status_code
                case h11.Data():
                    body += event.data
                    if len(body) > BODY_BYTES_MAX:
                        raise Unreachable(f"{address.authority}: over {BODY_BYTES_MAX} bytes")
                case h11.EndOfMessage() | h11.ConnectionClosed():
                    return Answer(status, bytes(body))
