"""A peer that says more than it may is read little of, and others do not wait for it."""

import os

import trio
from trio.testing import MockClock

from node.edge.server import EdgeLimits
from node.edge.timers import TICK_S
from tests.node.edge.client import Recorder, serving, wait_until
from tests.node.edge.test_frame import masked

MESSAGE = masked(0x82, b"x" * 58)
SIZE = len(MESSAGE)
LIMITS = EdgeLimits(messages_read_bytes=10 * SIZE, greedy_read_bytes=2 * SIZE)


async def test_a_flood_is_read_a_portion_at_a_time() -> None:
    application = Recorder()
    application.echo = False
    async with serving(application, LIMITS) as edge:
        flooding, other = await edge.websocket(), await edge.websocket()
        await flooding.stream.send_all(MESSAGE * 100)
        await other.stream.send_all(masked(0x82, b"other"))
        await wait_until(lambda: (b"other", False) in application.messages)
        assert application.messages.index((b"other", False)) < 50


async def test_a_connection_at_rest_is_not_read_until_the_time_is_over(
    autojump_clock: MockClock,
) -> None:
    application = Recorder()
    application.echo = False
    async with serving(application, LIMITS) as edge:
        client = await edge.websocket()
        (connection,) = application.connections
        connection.rest(2 * TICK_S)
        await client.stream.send_all(MESSAGE * 5)
        await trio.sleep(TICK_S)
        assert application.messages == []
        await trio.sleep(3 * TICK_S)
        await wait_until(lambda: len(application.messages) == 5)


async def test_after_a_rest_little_is_read_until_the_peer_has_said_all() -> None:
    application = Recorder()
    application.echo = False
    async with serving(application, LIMITS) as edge:
        client = await edge.websocket()
        (connection,) = application.connections
        portion = connection.read_bytes
        connection.rest(0.0)
        assert connection.read_bytes == LIMITS.greedy_read_bytes
        await client.stream.send_all(MESSAGE * 5)
        await wait_until(lambda: len(application.messages) == 5)
        assert connection.read_bytes == portion


async def test_a_large_message_is_read_in_large_pieces() -> None:
    application = Recorder()
    application.echo = False
    async with serving(application, LIMITS) as edge:
        client = await edge.websocket()
        (connection,) = application.connections
        large = masked(0x82, b"x" * 20_000)
        await client.stream.send_all(large[:-1])
        await wait_until(lambda: connection.read_bytes == LIMITS.read_bytes)
        await client.stream.send_all(large[-1:])
        await wait_until(lambda: len(application.messages) == 1)
        assert connection.read_bytes == LIMITS.messages_read_bytes


async def test_a_peer_that_hangs_up_at_rest_is_noticed_after_it() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        (connection,) = application.connections
        connection.rest(TICK_S)
        await client.stream.aclose()
        await wait_until(lambda: application.codes == [1006])


async def test_whoever_is_in_already_is_heard_before_a_crowd_that_comes_in() -> None:
    application = Recorder()
    application.echo = False
    limits = EdgeLimits(handshakes_per_pass=2)
    async with serving(application, limits) as edge:
        crowd = [await edge.websocket() for _ in range(20)]
        member = await edge.websocket()
        for connection in application.connections[:20]:
            connection.defer(True)
        for client, said in [*((one, b"hello") for one in crowd), (member, b"member")]:
            os.write(client.stream.socket.fileno(), masked(0x82, said))
        await wait_until(lambda: len(application.messages) == 21)
        assert application.messages.index((b"member", False)) < 20


async def test_a_connection_that_is_no_longer_deferred_is_heard_as_before() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        (connection,) = application.connections
        for deferred in (True, True, False, False):
            connection.defer(deferred)
            await client.stream.send_all(masked(0x82, b"x"))
            assert await client.receive_message() == b"x"
        connection.defer(True)
        await client.stream.aclose()
        await wait_until(lambda: application.codes == [1006])
        connection.defer(False)  # harmless
