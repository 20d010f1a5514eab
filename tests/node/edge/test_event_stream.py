"""Answers that do not end: events by HTTP, and how such a stream is over."""

import pytest
import trio

from node.edge.application import Listener
from node.edge.server import EdgeLimits, EventStream, Feed, Response
from tests.node.edge.client import Edge, Recorder, read_to_end, serving, wait_until

ASK = b"GET /events HTTP/1.1\r\nHost: desk\r\n\r\n"
FRAME = b"data: " + b"x" * 4096 + b"\n\n"


class Broadcaster(Recorder):
    """Gives everybody who asks a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[EventStream] = []
        self.respond = lambda _: Feed(self._open)

    def _open(self, stream: Listener) -> None:
        assert isinstance(stream, EventStream)
        self.streams.append(stream)
        stream.send_frame(b"data: welcome\n\n")


async def listen(edge: Edge, *, receive_buffer: int | None = None) -> trio.SocketStream:
    """Ask for the stream and read until the first event."""
    stream = await edge.connect(receive_buffer=receive_buffer)
    await stream.send_all(ASK)
    heard = b""
    while b"welcome" not in heard:
        heard += await stream.receive_some(4096)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"GMT\r\nContent-Type: text/event-stream\r\n" in head
    assert b"Content-Length" not in head
    assert body == b"data: welcome\n\n"
    return stream


async def test_events_come_as_they_are_sent_until_the_application_ends_it() -> None:
    application = Broadcaster()
    async with serving(application) as edge:
        client = await listen(edge)
        (stream,) = application.streams
        stream.send_frame(b"data: 1\n\n")
        assert await client.receive_some(100) == b"data: 1\n\n"
        stream.send_frame(b"data: 2\n\n", ephemeral=True)
        stream.close(4001, "drained")
        stream.send_frame(b"data: 3\n\n")
        stream.close(4000)
        assert await read_to_end(client) == b"data: 2\n\n"
        await wait_until(lambda: bool(application.closed))
        assert application.closed == [(stream, 4001)]
        await client.aclose()
        await wait_until(lambda: edge.server.statistics().connections == 0)


async def test_what_the_client_says_is_thrown_away_and_its_hanging_up_is_1006() -> None:
    application = Broadcaster()
    async with serving(application) as edge:
        client = await listen(edge)
        await client.send_all(ASK + b"\x00" * 5_000)
        (stream,) = application.streams
        stream.send_frame(b"data: still here\n\n")
        assert await client.receive_some(100) == b"data: still here\n\n"
        await client.aclose()
        await wait_until(lambda: application.codes == [1006])
        assert not stream.open
        assert len(application.requests) == 1


async def test_a_slow_reader_is_ended_with_4003_and_the_others_are_not() -> None:
    application = Broadcaster()
    async with serving(application, EdgeLimits(outbox_bytes_max=64 * 1024)) as edge:
        slow = await listen(edge, receive_buffer=4096)
        quick = await listen(edge)
        to_slow, to_quick = application.streams
        sent = 0
        while to_slow.open:
            for stream in application.streams:
                stream.send_frame(FRAME)
            sent += len(FRAME)
            heard = 0
            while heard < len(FRAME):
                heard += len(await quick.receive_some(65_536))
        await wait_until(lambda: application.closed == [(to_slow, 4003)])
        assert to_quick.open
        assert len(await read_to_end(slow)) < sent
        assert edge.server.statistics().slow_consumers_total == 1


async def test_a_reader_that_takes_nothing_at_all_is_dropped() -> None:
    application = Broadcaster()
    limits = EdgeLimits(write_s=0.6, outbox_bytes_max=64 * 1024 * 1024)
    async with serving(application, limits) as edge:
        await listen(edge, receive_buffer=4096)
        patient = await listen(edge)
        stuck, idle = application.streams
        while stuck.outbox_bytes < 100_000:
            stuck.send_frame(FRAME)
        with trio.fail_after(20):
            await wait_until(lambda: application.closed == [(stuck, 1006)])
        assert idle.open
        await patient.aclose()


async def test_there_is_room_for_so_many_and_no_more() -> None:
    application = Broadcaster()
    async with serving(application, EdgeLimits(connections_max=1)) as edge:
        await listen(edge)
        assert (await edge.exchange(ASK)).startswith(b"HTTP/1.1 503 ")


async def test_what_the_application_raises_ends_that_stream_alone() -> None:
    class Clumsy(Broadcaster):
        def _open(self, stream: Listener) -> None:
            super()._open(stream)
            if len(self.streams) == 1:
                raise RuntimeError("open")

    application = Clumsy()
    async with serving(application) as edge:
        client = await edge.connect()
        await client.send_all(ASK)
        assert (await read_to_end(client)).endswith(b"data: welcome\n\n")
        await client.aclose()
        await wait_until(lambda: application.codes == [1011])
        await listen(edge)


async def test_a_server_that_stops_ends_its_streams() -> None:
    application = Broadcaster()
    async with serving(application) as edge:
        client = await listen(edge)
        edge._streams.clear()
    assert await client.receive_some(1) == b""
    await client.aclose()
    assert application.codes == [1001]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_stream_is_the_last_answer_of_its_connection(version: bytes) -> None:
    application = Broadcaster()
    async with serving(application) as edge:
        client = await edge.connect()
        first = b"GET / HTTP/1.1\r\nHost: desk\r\n\r\n"
        application.respond = lambda request: (
            Response(200, b"plain") if request.path == "/" else Feed(application._open)
        )
        await client.send_all(first + ASK.replace(b"1.1", version))
        heard = b""
        while b"welcome" not in heard:
            heard += await client.receive_some(4096)
        assert heard.index(b"plain") < heard.index(b"text/event-stream")
        assert len(application.streams) == 1
