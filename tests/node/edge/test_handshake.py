"""An upgrade is proper, refused, or no upgrade at all."""

import dataclasses

import pytest

from node.edge.handshake import UPGRADE_REQUIRED, accept, upgrade_key
from node.edge.head import RequestRefused
from node.edge.http import Request

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def upgrade(method: str = "GET", body: bytes = b"", **changes: bytes | None) -> Request:
    headers: dict[bytes, bytes | None] = {
        b"upgrade": b"WebSocket",
        b"connection": b"keep-alive, Upgrade",
        b"sec-websocket-version": b"13",
        b"sec-websocket-key": KEY,
    }
    headers |= {name.replace("_", "-").encode(): value for name, value in changes.items()}
    present = tuple((name, value) for name, value in headers.items() if value is not None)
    return Request(method, "/ws", "", present, body, "peer:1")


def test_the_example_of_the_rfc_is_accepted() -> None:
    assert upgrade_key(upgrade()) == KEY
    answer = accept(KEY, "unidesk.v1")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.endswith(b"Sec-WebSocket-Protocol: unidesk.v1\r\n\r\n")
    assert b"Sec-WebSocket-Protocol" not in accept(KEY, None)


@pytest.mark.parametrize("value", [None, b"h2c", b"websockets"])
def test_another_upgrade_or_none_is_an_ordinary_request(value: bytes | None) -> None:
    assert upgrade_key(upgrade(upgrade=value)) is None


@pytest.mark.parametrize("version", [None, b"8", b"14", b"13, 8"])
def test_another_version_is_told_the_one_that_we_speak(version: bytes | None) -> None:
    assert upgrade_key(upgrade(sec_websocket_version=version)) is UPGRADE_REQUIRED
    assert b"Sec-WebSocket-Version: 13\r\n" in UPGRADE_REQUIRED.encode()


@pytest.mark.parametrize("key", [None, b"", b"short", b"!" * 24, b"A" * 24, "é".encode()])
def test_a_key_is_sixteen_bytes_of_base64(key: bytes | None) -> None:
    with pytest.raises(RequestRefused, match="Sec-WebSocket-Key"):
        upgrade_key(upgrade(sec_websocket_key=key))


def test_an_upgrade_is_a_get_without_body_that_asks_for_it_hop_by_hop() -> None:
    for request in (upgrade("POST"), upgrade(body=b"x"), upgrade(connection=b"close")):
        with pytest.raises(RequestRefused):
            upgrade_key(request)


@pytest.mark.parametrize("name", [b"sec-websocket-key", b"sec-websocket-version"])
def test_what_may_be_there_once_is_not_there_twice(name: bytes) -> None:
    request = upgrade()
    twice = (*request.headers, (name, request.header(name) or b""))
    with pytest.raises(RequestRefused, match="second Sec-WebSocket"):
        upgrade_key(dataclasses.replace(request, headers=twice))


def test_subprotocols_are_read_in_the_order_of_preference() -> None:
    request = upgrade(sec_websocket_protocol=b"unidesk.v2, unidesk.v1 ,")
    assert request.subprotocols == ("unidesk.v2", "unidesk.v1")
