"""Peers that dribble, or do not take what they asked for: each has its time, and no more.

who                                   limit           test
says nothing, or half a head          `handshake_s`   test_requests.py
sends a body byte by byte             `body_s`        here
sends empty lines, or a later head    `keep_alive_s`  here and in test_requests.py
does not read its answer              `write_s`       test_requests.py
reads it a little at a time           `write_s`       here
sends on, and does not read           `write_s`       here
half a TLS handshake                  `handshake_s`   test_tls.py; byte by byte: here
half a WebSocket message              `message_s`     here
a WebSocket that says nothing         `ping_s`        test_websocket.py
does not answer a close               `close_wait_s`  test_websocket.py
sends on behind a close               `close_wait_s`  here
"""

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.edge.server import EdgeLimits, Response
from tests.node.edge.client import GET, Edge, Recorder, read_to_end, serving, wait_until
from tests.node.edge.http_cases import get, post
from tests.node.edge.test_frame import masked
from tests.node.edge.test_tls import certificate, secured


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.01)


async def drip(
    stream: trio.SocketStream, data: bytes, clock: MockClock, *, every_s: float, for_s: float
) -> None:
    """Send a byte, and `every_s` later the next, until the server hangs up or time is over."""
    for at in range(int(for_s / every_s)):
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(data[at : at + 1])
        await settle()
        clock.jump(every_s)
        await settle()


async def gone(edge: Edge) -> None:
    await wait_until(lambda: edge.server.statistics().handshaking == 0, passes=10_000)


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def test_a_tls_handshake_that_drips_is_dropped_at_its_deadline(
    mock_clock: MockClock, tmp_path: Path
) -> None:
    async with secured(Recorder(), certificate(tmp_path), EdgeLimits(handshake_s=10)) as edge:
        stream = await trio.open_tcp_stream("127.0.0.1", edge.port)
        await drip(stream, client_hello(), mock_clock, every_s=1, for_s=9)
        assert edge.server.statistics().handshaking == 1
        await drip(stream, client_hello(), mock_clock, every_s=1, for_s=2)
        assert edge.server.statistics().handshaking == 0
        assert edge.server.statistics().refused_total == {"tls_late": 1}
        await stream.aclose()


async def test_a_body_that_drips_is_408_at_its_deadline(mock_clock: MockClock) -> None:
    async with serving(Recorder(), EdgeLimits(body_s=30)) as edge:
        stream = await edge.connect()
        await stream.send_all(post(b"Content-Length: 100"))
        await drip(stream, bytes(100), mock_clock, every_s=2, for_s=28)
        assert edge.server.statistics().handshaking == 1
        await drip(stream, bytes(100), mock_clock, every_s=2, for_s=4)
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 408 ")


async def test_a_chunked_body_that_drips_is_no_different(mock_clock: MockClock) -> None:
    async with serving(Recorder(), EdgeLimits(body_s=30)) as edge:
        stream = await edge.connect()
        await stream.send_all(post(b"Transfer-Encoding: chunked"))
        await drip(stream, b"1\r\na\r\n" * 9, mock_clock, every_s=1, for_s=32)
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 408 ")


async def test_an_empty_line_does_not_hold_a_connection(mock_clock: MockClock) -> None:
    async with serving(Recorder(), EdgeLimits(keep_alive_s=60)) as edge:
        stream = await edge.connect()
        await stream.send_all(GET + b"\r\n")
        await settle()
        mock_clock.jump(61)
        await settle()
        answer = await read_to_end(stream)
        assert b"200 OK" in answer
        assert b"408" not in answer


async def test_an_answer_that_is_read_steadily_arrives(mock_clock: MockClock) -> None:
    application, size = Recorder(), 200_000
    application.respond = lambda request: Response(200, bytes(size))
    async with serving(application, EdgeLimits(write_s=30)) as edge:
        steady = await edge.connect(receive_buffer=4_096)
        await steady.send_all(get(b"Connection: close"))
        await settle()
        reads = read = 0
        while data := await steady.receive_some(4_096):
            reads, read = reads + 1, read + len(data)
            if reads % 16 == 0:
                await settle()
                mock_clock.jump(5)
            await settle()
        assert read > size


async def test_sending_on_wins_no_time_for_reading(mock_clock: MockClock) -> None:
    application = Recorder()
    application.respond = lambda request: Response(200, bytes(60_000))
    async with serving(application, EdgeLimits(write_s=30)) as edge:
        stream = await edge.connect(receive_buffer=4_096)
        await stream.send_all(GET)
        await settle()
        await drip(stream, GET + bytes(9), mock_clock, every_s=5, for_s=35)
        await gone(edge)


HALVES: dict[str, bytes] = {
    "a frame": masked(0x81, b"x" * 100)[:-60],
    "fragments": masked(0x01, b"x") + masked(0x00, b"y"),
    "a frame's head": b"\x81",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_message_that_does_not_end_is_1008(mock_clock: MockClock, half: bytes) -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(message_s=30, ping_s=20)) as edge:
        stream = (await edge.websocket()).stream
        await stream.send_all(half)
        await settle()
        await drip(stream, b"", mock_clock, every_s=5, for_s=25)
        assert application.closed == []
        await drip(stream, b"", mock_clock, every_s=5, for_s=10)
        assert application.codes == [1008]


async def test_a_message_that_drips_is_1008_however_lively_it_is(mock_clock: MockClock) -> None:
    application = Recorder()
    dribbles: dict[str, Callable[[int], bytes]] = {
        "bytes": lambda _: b"x",
        "empty fragments": lambda at: masked(0x00 if at else 0x01, b""),
        "fragments and pings": lambda at: masked(0x00 if at else 0x01, b"") + masked(0x89, b""),
    }
    async with serving(application, EdgeLimits(message_s=30, ping_s=20)) as edge:
        streams = [(await edge.websocket()).stream for _ in dribbles]
        await streams[0].send_all(masked(0x82, bytes(9_000))[:8])
        for at in range(17):
            for stream, dribble in zip(streams, dribbles.values(), strict=True):
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(dribble(at))
            await settle()
            mock_clock.jump(2)
            await settle()
        await wait_until(lambda: len(application.closed) == 3, passes=10_000)
        assert application.codes == [1008] * 3


async def test_who_is_always_in_the_midst_of_the_next_message_stays(mock_clock: MockClock) -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(message_s=30, ping_s=20)) as edge:
        stream = (await edge.websocket()).stream
        frame = masked(0x81, b"hello there")
        await stream.send_all(frame[:5])
        for _ in range(20):
            await settle()
            mock_clock.jump(10)
            await stream.send_all(frame[5:] + frame[:5])
        await settle()
        assert application.closed == []
        assert len(application.messages) == 20


async def test_sending_on_behind_a_close_ends_with_the_wait_for_it(mock_clock: MockClock) -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(close_wait_s=5)) as edge:
        refused = await edge.connect()
        await refused.send_all(b"\0")
        violator = (await edge.websocket()).stream
        await violator.send_all(masked(0x83, b""))
        await settle()
        for stream in (refused, violator):
            await drip(stream, b"x" * 9, mock_clock, every_s=1, for_s=4)
        await gone(edge)
        await wait_until(lambda: edge.server.statistics().connections == 0, passes=10_000)
