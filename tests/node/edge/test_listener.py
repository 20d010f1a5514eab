"""A listener is set up for small answers, or says why there is none."""

import socket

import pytest
import trio

from node.edge.listener import ListenRefused, open_listener
from tests.node.edge.client import GET, Recorder, serving


def test_a_listener_sends_at_once_and_keeps_little_in_the_kernel() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert listener.getsockopt(socket.IPPROTO_TCP, 25) == 16 * 1024
        assert listener.gettimeout() == 0


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ListenRefused, match=f"127.0.0.1:{port}: the port is taken; stop"):
            open_listener("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("127.0.0.1", 70_000, "a port is 0 to 65535"),
        ("256.1.1.1.invalid", 0, "unknown host"),
        ("192.0.2.1", 0, "no such address"),
    ],
)
def test_an_address_that_cannot_be_is_refused(host: str, port: int, reason: str) -> None:
    with pytest.raises(ListenRefused, match=reason):
        open_listener(host, port)


async def test_after_stop_accepting_connections_live_on_and_no_new_ones_come() -> None:
    async with serving(Recorder()) as edge:
        client = await edge.websocket()
        edge.server.stop_accepting()
        edge.server.stop_accepting()
        with pytest.raises(OSError, match="refused"):
            await edge.connect()
        await client.text("still here")
        assert await client.receive_message() == "still here"


async def test_ipv6_peers_are_named_with_brackets() -> None:
    from node.edge.server import EdgeServer

    try:
        listener = open_listener("::1", 0)
    except ListenRefused:
        pytest.skip("no IPv6 here")
    application = Recorder()
    async with trio.open_nursery() as nursery:
        await nursery.start(EdgeServer(application).serve, [listener])
        stream = await trio.open_tcp_stream("::1", listener.getsockname()[1])
        async with stream:
            await stream.send_all(GET)
            assert b"200 OK" in await stream.receive_some()
        nursery.cancel_scope.cancel()
    assert application.requests[0].peer.startswith("[::1]:")
