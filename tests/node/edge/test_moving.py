"""Sockets that go on in another server: cut anywhere, nothing is lost, doubled or closed."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest
import trio
from trio.testing import MockClock
from wsproto.events import Ping, Pong, TextMessage

from node.edge.application import Feed, Listener
from node.edge.channel import Channel
from node.edge.deflate import deflated
from node.edge.event_stream import EventStream
from node.edge.frame import encode_text
from node.edge.limits import EdgeLimits
from node.edge.parcel import Parcel
from node.edge.server import EdgeServer, Request, Response
from node.edge.stream import Stream
from tests.node.edge.client import GET, Edge, Recorder, read_until, serving, wait_until
from tests.node.edge.test_deflate import shrunk, upgrade
from tests.node.edge.test_frame import masked


@dataclass
class Two:
    """The server that is left, and the one that goes on."""

    old: Edge
    new: Edge
    left: Recorder
    came: Recorder

    def stream(self) -> Stream:
        (stream,) = self.old.server.streams()
        return stream

    def move(self) -> Stream:
        """Take the one socket over, as another process would: by a copy and by bytes."""
        stream = self.stream()
        assert stream.at_rest
        fd = os.dup(stream.fd)
        parcel = self.old.server.give(stream)
        parcel = msgspec.msgpack.decode(msgspec.msgpack.encode(parcel), type=Parcel)
        adopted: list[Channel] = []
        self.new.server.take(fd, parcel, adopted.append)
        (moved,) = self.new.server.streams()
        assert adopted == ([moved] if isinstance(moved, Channel) else [])
        assert not self.old.server.streams()
        return moved


@asynccontextmanager
async def two(limits: EdgeLimits | None = None) -> AsyncIterator[Two]:
    left, came = Recorder(), Recorder()
    async with serving(left, limits) as old, serving(came, limits) as new:
        yield Two(old, new, left, came)
        assert not left.closed  # it was not told that anything ended


FRAMES = (
    masked(0x81, "Grüße, 客服".encode()),
    masked(0x01, b"one ") + masked(0x89, b"p") + masked(0x00, b"") + masked(0x80, b"two"),
    masked(0x82, bytes(range(200))),
)
MESSAGES = [("Grüße, 客服".encode(), True), (b"one two", True), (bytes(range(200)), False)]
WHOLE = b"".join(FRAMES)


@pytest.mark.parametrize("cut", range(0, len(WHOLE) + 1, 3))
async def test_a_message_cut_anywhere_is_heard_once_and_whole(cut: int) -> None:
    async with two() as both:
        client = await both.old.websocket()
        await wait_until(lambda: len(both.left.connections) == 1)
        both.left.echo = both.came.echo = False
        wanted = both.old.server.statistics().bytes_in_total + cut
        await client.stream.send_all(WHOLE[:cut])
        await wait_until(lambda: both.old.server.statistics().bytes_in_total == wanted)
        both.move()
        await client.stream.send_all(WHOLE[cut:])
        await wait_until(lambda: len(both.left.messages + both.came.messages) == len(MESSAGES))
        assert both.left.messages + both.came.messages == MESSAGES


async def test_what_waits_for_a_slow_reader_comes_whole_and_in_order() -> None:
    async with two() as both:
        client = await both.old.websocket(receive_buffer=4_096)
        await wait_until(lambda: len(both.left.connections) == 1)
        connection = both.left.connections[0]
        said = [f"{number:06d}".encode() * 2_000 for number in range(20)]
        for one in said[:18]:
            connection.send_frame(encode_text(one))
        assert connection.outbox_bytes  # the kernel had enough
        moved = both.move()
        assert isinstance(moved, Channel)
        for one in said[18:]:
            moved.send_frame(encode_text(one))
        heard = [await client.receive_message() for _ in said]
        assert heard == [one.decode() for one in said]


async def test_an_overflow_behind_a_move_still_ends_with_a_whole_frame() -> None:
    async with two(EdgeLimits(outbox_bytes_max=64 * 1024)) as both:
        client = await both.old.websocket(receive_buffer=4_096)
        await wait_until(lambda: len(both.left.connections) == 1)
        while not both.left.connections[0].outbox_bytes:
            both.left.connections[0].send_frame(encode_text(b"x" * 20_000))
        moved = both.move()
        assert isinstance(moved, Channel)
        for _ in range(5):
            moved.send_frame(encode_text(b"y" * 20_000))
        assert await client.receive_close() == 4003


async def test_http_goes_on_with_half_a_head() -> None:
    async with two() as both:
        stream = await both.old.connect()
        await stream.send_all(GET + GET[:10])
        await read_until(stream, lambda data: data.endswith(b"\r\n\r\n/"))
        both.move()
        await stream.send_all(GET[10:])
        await read_until(stream, lambda data: data.endswith(b"\r\n\r\n/"))
        assert (len(both.left.requests), len(both.came.requests)) == (1, 1)


async def test_an_answer_under_way_is_waited_for() -> None:
    go, factory_ran = trio.Event(), trio.Event()

    async def late() -> Response:
        factory_ran.set()
        await go.wait()
        return Response(200, b"late")

    async with two() as both:
        both.left.respond = lambda _: late
        stream = await both.old.connect()
        await stream.send_all(GET)
        await factory_ran.wait()
        assert not both.stream().at_rest
        go.set()
        await read_until(stream, lambda data: data.endswith(b"late"))
        both.move()
        await stream.send_all(GET)
        await read_until(stream, lambda data: data.endswith(b"\r\n\r\n/"))


async def test_a_body_that_is_not_whole_keeps_its_socket_here() -> None:
    async with two() as both:
        stream = await both.old.connect()
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: desk\r\nContent-Length: 4\r\n\r\nab")
        await wait_until(lambda: both.old.server.statistics().bytes_in_total > 0)
        assert not both.stream().at_rest
        await stream.send_all(b"cd")
        await read_until(stream, lambda data: data.endswith(b"\r\n\r\n/"))
        assert both.stream().at_rest


async def test_a_feed_goes_on() -> None:
    opened: list[Listener] = []

    def respond(request: Request) -> Feed:
        return Feed(opened.append)

    async with two() as both:
        both.left.respond = respond
        stream = await both.old.connect()
        await stream.send_all(GET)
        await wait_until(lambda: len(opened) == 1)
        opened[0].send_frame(b"data: 1\n\n")
        moved = both.move()
        assert isinstance(moved, EventStream)
        moved.send_frame(b"data: 2\n\n")
        await read_until(stream, lambda data: data.endswith(b"data: 1\n\ndata: 2\n\n"))


async def test_a_goodbye_that_is_said_stays() -> None:
    async with two() as both:
        client = await both.old.websocket()
        await wait_until(lambda: len(both.left.connections) == 1)
        both.left.connections[0].close(4000)
        assert not both.stream().at_rest
        assert await client.receive_close() == 4000
        await wait_until(lambda: both.left.codes == [4000])
        both.left.closed.clear()


async def test_who_rests_is_not_read_from_until_heard_again() -> None:
    async with two() as both:
        client = await both.old.websocket()
        await wait_until(lambda: len(both.left.connections) == 1)
        both.old.server.rest(both.stream())
        both.old.server.deafen()
        await client.text("later")
        other = await both.old.connect()
        await trio.testing.wait_all_tasks_blocked()
        assert not both.left.messages
        assert len(both.old.server.streams()) == 1
        both.old.server.hear()
        assert await client.receive_message() == "later"
        await wait_until(lambda: len(both.old.server.streams()) == 2)
        await other.aclose()
        both.old.server.rest(both.old.server.streams()[0])
        both.old.server.give(both.old.server.streams()[0])


async def test_who_rests_and_moves_is_read_from_there() -> None:
    async with two() as both:
        client = await both.old.websocket()
        await wait_until(lambda: len(both.left.connections) == 1)
        both.old.server.rest(both.stream())
        await client.text("unread")
        await trio.testing.wait_all_tasks_blocked()
        both.move()
        assert await client.receive_message() == "unread"
        assert both.came.messages == [(b"unread", True)]


@pytest.mark.parametrize("silent_s", [10.0, 35.0])
async def test_silence_counts_across_a_move(silent_s: float, autojump_clock: MockClock) -> None:
    async with two() as both:
        client = await both.old.websocket()
        await wait_until(lambda: len(both.left.connections) == 1, passes=1e4)
        await trio.sleep(silent_s)
        began = trio.current_time()
        both.move()
        pinged = await client.receive()
        assert isinstance(pinged, Ping)
        assert trio.current_time() - began <= max(0.0, 30.0 - silent_s) + 0.5
        if silent_s < 30:
            await client.send(Pong(payload=pinged.payload), TextMessage("alive"))
            assert await client.receive_message() == "alive"
        else:
            assert await client.receive_close() == 4002
        assert isinstance(both.new.server, EdgeServer)


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
async def test_what_was_agreed_on_deflating_goes_along(cut: int) -> None:
    long = b"how do I pay? " * 100
    frame = shrunk(long)
    async with two(EdgeLimits(deflate=True)) as both:
        _, stream = await upgrade(both.old, "permessage-deflate; server_max_window_bits=9")
        await wait_until(lambda: len(both.left.connections) == 1)
        wanted = both.old.server.statistics().bytes_in_total + len(frame[:cut])
        await stream.send_all(frame[:cut])
        await wait_until(lambda: both.old.server.statistics().bytes_in_total == wanted)
        both.move()
        await stream.send_all(frame[cut:])
        expected = deflated(encode_text(long), 9)
        assert await read_until(stream, lambda data: len(data) >= len(expected)) == expected
        assert both.came.messages == [(long, True)]
