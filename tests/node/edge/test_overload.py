"""Peers that do not read, too many peers, and no descriptors left."""

import gc
import os
import resource
import tracemalloc

import pytest
import trio
from wsproto.events import CloseConnection, RejectConnection, TextMessage

from node.edge.frame import encode_text
from node.edge.memory import tune_gc
from node.edge.server import Channel, Connection, EdgeLimits
from tests.node.edge.client import (
    GET,
    Client,
    Edge,
    Recorder,
    read_until,
    serving,
    wait_until,
)
from tests.node.edge.test_frame import masked

FRAME = encode_text(b"x" * 1_000)


async def stuck(edge: Edge, application: Recorder) -> tuple[Client, Connection]:
    """Return a client that never reads, and its connection."""
    client = await edge.websocket(receive_buffer=4_096)
    return client, application.connections[-1]


def fill(connection: Connection, waiting_bytes: int) -> None:
    while connection.open and connection.outbox_bytes < waiting_bytes:
        connection.send_frame(FRAME)


class Farewell(Recorder):
    def on_overflow(self, channel: Channel) -> bytes | None:
        channel.send_frame(encode_text(b"not from here"))
        return encode_text(b"bye")


async def test_a_slow_consumer_is_closed_while_the_others_keep_receiving() -> None:
    application = Farewell()
    async with serving(application) as edge:
        slow, slow_connection = await stuck(edge, application)
        others = [await edge.websocket() for _ in range(20)]
        received = [0] * 20
        sent = 0

        def all_received() -> bool:
            return min(received) == sent

        async def read(index: int) -> None:
            while True:
                await others[index].receive_message()
                received[index] += 1

        async with trio.open_nursery() as nursery:
            for index in range(20):
                nursery.start_soon(read, index)
            with trio.fail_after(20):
                while not application.closed:
                    for _ in range(50):
                        sent += 1
                        for connection in application.connections:
                            connection.send_frame(FRAME)
                    await wait_until(all_received)
            nursery.cancel_scope.cancel()
        assert application.closed == [(slow_connection, 4003)]
        statistics = edge.server.statistics()
        assert statistics.slow_consumers_total == 1
        assert slow_connection.outbox_bytes < 2 * len(FRAME)
        # Having read up what was sent, it learns why: its last word, then the code.
        heard = [""]
        while isinstance(event := await slow.receive(), TextMessage):
            heard[-1] += event.data
            if event.message_finished:
                heard.append("")
        assert isinstance(event, CloseConnection)
        assert event.code == 4003
        assert heard[-2:] == ["bye", ""]
        assert set(heard[:-2]) == {"x" * 1_000}


class Clumsy(Recorder):
    def on_overflow(self, channel: Channel) -> bytes | None:
        raise RuntimeError("nothing to say")


@pytest.mark.parametrize("application", [Recorder(), Clumsy()])
async def test_without_a_last_word_a_slow_consumer_is_closed_all_the_same(
    application: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(application, EdgeLimits(outbox_bytes_max=20_000)) as edge:
        client, connection = await stuck(edge, application)
        while connection.open:
            connection.send_frame(FRAME)  # raises nothing, whatever the application does
        assert await client.receive_close() == 4003
        await wait_until(lambda: application.codes == [4003])
    raised = isinstance(application, Clumsy)
    assert capsys.readouterr().out.count("edge callback failed") == raised


async def test_an_ephemeral_frame_is_dropped_before_it_costs_an_ordinary_one_its_place() -> None:
    application = Recorder()
    limits = EdgeLimits(outbox_bytes_max=100_000)
    async with serving(application, limits) as edge:
        client, connection = await stuck(edge, application)
        fill(connection, 60_000)
        sent = edge.server.statistics().messages_out_total
        before = connection.outbox_bytes
        for _ in range(100):
            connection.send_frame(FRAME, ephemeral=True)
        assert connection.open
        assert connection.outbox_bytes == before
        assert edge.server.statistics().ephemeral_dropped_total == 100
        for _ in range(35):
            connection.send_frame(FRAME)
        assert connection.open
        for _ in range(sent + 35):
            assert await client.receive_message() == "x" * 1_000
        connection.send_frame(encode_text(b"typing"), ephemeral=True)
        assert await client.receive_message() == "typing"


async def test_a_peer_that_does_not_read_is_not_read_from() -> None:
    application = Recorder()
    application.echo = False
    limits = EdgeLimits(outbox_bytes_max=100_000)
    async with serving(application, limits) as edge:
        client, connection = await stuck(edge, application)
        fill(connection, 50_000)
        await client.text("not yet")
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert application.messages == []
        while not application.messages:
            await client.receive_message()
        assert application.messages == [(b"not yet", True)]


async def test_a_large_frame_fits_an_empty_outbox_and_many_small_ones_a_corked_one() -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(outbox_bytes_max=10_000)) as edge:
        client = await edge.websocket()
        application.connections[0].send_frame(encode_text(b"y" * 3_000_000))
        assert await client.receive_message() == "y" * 3_000_000
        frames = b"".join(masked(0x81, b"z" * 900) for _ in range(16))
        await client.stream.send_all(frames)
        for _ in range(16):
            assert await client.receive_message() == "z" * 900


async def test_sending_to_a_peer_that_is_gone_raises_nothing_and_is_reported_once() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client, connection = await stuck(edge, application)
        await trio.aclose_forcefully(client.stream)
        for _ in range(100):
            connection.send_frame(FRAME)
            connection.close(1000)
            connection.send_frame(FRAME, ephemeral=True)
        await wait_until(lambda: bool(application.closed))
        await trio.testing.wait_all_tasks_blocked()
        assert len(application.closed) == 1


async def test_one_connection_too_many_is_told_to_come_later() -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(connections_max=2)) as edge:
        first = await edge.websocket()
        await edge.websocket()
        refused = await Client(await edge.connect()).open()
        assert isinstance(refused, RejectConnection)
        assert refused.status_code == 503
        assert 1 <= int(dict(refused.headers)[b"retry-after"]) <= 9
        assert b"200 OK" in await edge.exchange(GET.replace(b"1.1", b"1.0"))
        await first.stream.aclose()
        await wait_until(lambda: bool(application.closed))
        await edge.websocket()


async def test_sockets_without_a_request_have_their_own_limit() -> None:
    async with serving(Recorder(), EdgeLimits(handshaking_max=3)) as edge:
        waiting = [await edge.connect() for _ in range(3)]
        answer = await read_until(await edge.connect(), lambda data: data.endswith(b"again\n"))
        assert answer.startswith(b"HTTP/1.1 503 ")
        await waiting[0].aclose()
        await wait_until(lambda: edge.server.statistics().handshaking <= 2)
        await edge.websocket()


async def test_without_descriptors_the_server_rests_and_then_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(accept_pause_s=0.05)) as edge:
        client = await edge.websocket()
        late = await edge.connect()  # accepted before the limit: its answer must not wait
        pending = trio.socket.socket()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        await wait_until(lambda: edge.server.statistics().accepted_total == 2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            await pending.connect(("127.0.0.1", edge.port))
            with trio.move_on_after(0.2):
                while True:
                    await client.text("live")
                    assert await client.receive_message() == "live"
                    await trio.sleep(0.01)
            assert edge.server.statistics().accepted_total == 2
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await wait_until(lambda: edge.server.statistics().accepted_total == 3)
        await late.send_all(GET)
        assert b"200 OK" in await late.receive_some()
        pending.close()
    assert capsys.readouterr().out.count("edge cannot accept") == 1


async def test_two_thousand_idle_connections_cost_little_each() -> None:
    number = 2_000
    application = Recorder()
    async with serving(application) as edge, trio.open_nursery() as nursery:
        await edge.websocket()  # whatever is made once
        streams = []

        async def connect() -> None:
            stream = await edge.connect()
            await stream.send_all(
                b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            streams.append(stream)

        tracemalloc.start()
        for _ in range(number // 100):
            async with trio.open_nursery() as few:
                for _ in range(100):
                    few.start_soon(connect)
        await wait_until(lambda: edge.server.statistics().connections == number + 1)
        gc.collect()
        ours = tracemalloc.take_snapshot().filter_traces(
            [
                tracemalloc.Filter(True, "*/node/edge/*"),
                tracemalloc.Filter(True, "*/wsproto/*"),
                tracemalloc.Filter(True, "*/h11/*"),
            ]
        )
        tracemalloc.stop()
        each = sum(trace.size for trace in ours.traces) / number
        assert each < 1_024, f"{each:.0f} bytes of Python objects per idle connection"
        nursery.cancel_scope.cancel()


def test_tuning_the_collector_freezes_what_is_there() -> None:
    thresholds = gc.get_threshold()
    try:
        tune_gc()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == 50_000
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
