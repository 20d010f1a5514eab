"""HTTP over real sockets: order, keep-alive, deadlines, and clients that mean no good."""

import random
import re
import select
import socket
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from node.edge.exchange import Exchange
from node.edge.server import EdgeLimits, Request, Response
from tests.node.edge.client import (
    GET,
    Edge,
    Recorder,
    read_to_end,
    read_until,
    serving,
    wait_until,
)
from tests.node.edge.test_head import SMUGGLING


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: desk", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def bodies(answers: bytes) -> list[bytes]:
    """Split a run of responses by their lengths."""
    found = []
    while answers:
        head, _, rest = answers.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        found.append(rest[:length])
        answers = rest[length:]
    return found


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.01)


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with serving(Recorder()) as edge:
        pipeline = b"".join(get(f"/{i}") for i in range(50)) + get("/last", "Connection: close")
        answers = bodies(await edge.exchange(pipeline))
        assert answers == [*(b"/%d" % i for i in range(50)), b"/last"]
        assert edge.server.statistics().accepted_total == 1


async def test_a_slow_answer_holds_back_the_later_ones_of_its_client_only() -> None:
    application, gate = Recorder(), trio.Event()

    async def slow() -> Response:
        await gate.wait()
        return Response(200, b"slow")

    application.respond = lambda request: (
        slow if request.path == "/slow" else Response(200, request.path.encode())
    )
    async with serving(application) as edge, trio.open_nursery() as nursery:
        answers: list[bytes] = []

        async def client() -> None:
            requests = get("/slow") + get("/1") + get("/2", "Connection: close")
            answers.extend(bodies(await edge.exchange(requests)))

        nursery.start_soon(client)
        await wait_until(lambda: edge.server.statistics().requests_running == 1)
        assert bodies(await edge.exchange(get("/other", "Connection: close"))) == [b"/other"]
        assert answers == []
        gate.set()
    assert answers == [b"slow", b"/1", b"/2"]


async def test_an_answer_that_takes_too_long_is_504(mock_clock: MockClock) -> None:
    application = Recorder()

    async def never() -> Response:
        await trio.sleep_forever()
        raise AssertionError

    application.respond = lambda request: never
    async with serving(application, EdgeLimits(request_s=20)) as edge:
        stream = await edge.connect()
        await stream.send_all(GET)
        await wait_until(lambda: edge.server.statistics().requests_running == 1)
        await settle()  # counted at once, but its deadline begins with its task
        mock_clock.jump(21)
        answer = await read_until(stream, lambda data: data.endswith(b"in time\n"))
        assert answer.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
        assert edge.server.statistics().requests_running == 0


async def test_an_exception_in_a_request_is_500_and_one_log_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    application = Recorder()

    async def broken() -> Response:
        raise RuntimeError("later")

    def respond(request: Request) -> Response | Callable[[], Awaitable[Response]]:
        if request.path == "/later":
            return broken
        raise RuntimeError("now")

    application.respond = respond
    async with serving(application) as edge:
        assert (await edge.exchange(get("/now"))).startswith(b"HTTP/1.1 500 ")
        answer = await edge.exchange(get("/later", "Connection: close"))
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"RuntimeError" not in answer
    assert capsys.readouterr().out.count("edge callback failed") == 2


async def test_more_running_requests_than_allowed_are_503() -> None:
    application, gate = Recorder(), trio.Event()

    async def slow() -> Response:
        await gate.wait()
        return Response(200, b"slow")

    application.respond = lambda request: slow
    async with serving(application, EdgeLimits(requests_running_max=1)) as edge:
        first = await edge.connect()
        await first.send_all(GET)
        await wait_until(lambda: edge.server.statistics().requests_running == 1)
        refused = await edge.exchange(get("/", "Connection: close"))
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert re.search(rb"Retry-After: [1-9]\r\n", refused)
        gate.set()
        assert b"slow" in await read_until(first, lambda data: b"slow" in data)


async def test_a_client_that_leaves_while_its_answer_is_made_harms_nobody() -> None:
    application, gate = Recorder(), trio.Event()

    async def slow() -> Response:
        await gate.wait()
        return Response(200, b"slow")

    application.respond = lambda request: slow
    async with serving(application) as edge:
        stream = await edge.connect()
        await stream.send_all(GET + GET)
        await wait_until(lambda: edge.server.statistics().requests_running == 1)
        await stream.aclose()
        gate.set()
        await wait_until(lambda: edge.server.statistics().handshaking == 0)
        assert edge.server.statistics().application_errors_total == 0


async def test_head_gets_the_head_alone_and_1_0_is_closed() -> None:
    async with serving(Recorder()) as edge:
        head = await edge.exchange(b"HEAD /abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"Content-Length: 4\r\n" in head
        assert head.endswith(b"\r\n\r\n")
        old = await edge.exchange(b"GET /old HTTP/1.0\r\n\r\n")
        assert b"Connection: close\r\n" in old
        assert bodies(old) == [b"/old"]


async def test_bodies_arrive_whole_with_and_without_leave_to_continue() -> None:
    application = Recorder()
    application.respond = lambda request: Response(200, request.body)
    async with serving(application) as edge:
        body = bytes(range(256)) * 1_000
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(body)
        stream = await edge.connect()
        await stream.send_all(post + b"Expect: 100-continue\r\n\r\n")
        leave = await stream.receive_some()
        assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, body + post + b"Connection: close\r\n\r\n" + body)
            answers = await read_to_end(stream)
        assert bodies(answers) == [body, body]


async def test_a_body_over_the_limit_is_refused_and_the_client_can_read_that() -> None:
    async with serving(Recorder(), EdgeLimits(body_bytes_max=1_000)) as edge:
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)
        assert (await edge.exchange(post)).startswith(b"HTTP/1.1 413 ")


async def test_a_half_closed_client_is_answered_before_the_close() -> None:
    application = Recorder()

    async def slow() -> Response:
        await trio.sleep(0.01)
        return Response(200, b"slow")

    application.respond = lambda request: slow
    async with serving(application) as edge:
        stream = await edge.connect()
        await stream.send_all(GET + GET)
        await stream.send_eof()
        assert bodies(await read_to_end(stream)) == [b"slow", b"slow"]


@pytest.mark.parametrize(("head", "reason"), SMUGGLING.values(), ids=SMUGGLING)
async def test_smuggling_is_answered_by_name_and_ends_the_connection(
    head: bytes, reason: str
) -> None:
    application = Recorder()
    async with serving(application) as edge:
        answer = await edge.exchange(get("/first") + head + get("/smuggled"))
        assert answer.count(b"HTTP/1.1 400 Bad Request\r\n") == 1
        assert reason.encode() in answer
        assert [request.path for request in application.requests] == ["/first"]


async def test_a_thousand_blobs_of_garbage_leave_a_server_that_answers() -> None:
    dice = random.Random(7)
    application = Recorder()
    async with serving(application) as edge:
        for round_number in range(20):
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    blob = dice.randbytes(dice.randrange(1, 200))
                    nursery.start_soon(throw, edge, blob, round_number)
        assert bodies(await edge.exchange(get("/ok", "Connection: close"))) == [b"/ok"]
        client = await edge.websocket()
        await client.text("ok")
        assert await client.receive_message() == "ok"
        statistics = edge.server.statistics()
        assert statistics.application_errors_total == 0
        assert statistics.refused_total["400"] > 900
        await wait_until(lambda: edge.server.statistics().handshaking == 0)


async def throw(edge: Edge, blob: bytes, round_number: int) -> None:
    stream = await edge.connect()
    try:
        await stream.send_all(blob)
        if round_number % 2:
            await stream.send_eof()
            assert b"200 OK" not in await read_to_end(stream)
    except trio.BrokenResourceError:
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def test_half_heads_are_closed_at_the_deadline_however_they_drip(
    mock_clock: MockClock,
) -> None:
    async with serving(Recorder(), EdgeLimits(handshake_s=10)) as edge:
        silent, dripping = await edge.connect(), await edge.connect()
        for byte in GET[:9]:
            await dripping.send_all(bytes([byte]))
            await settle()
            mock_clock.jump(1)
        await settle()
        assert edge.server.statistics().handshaking == 2
        mock_clock.jump(1.5)
        assert (await read_to_end(dripping)).startswith(b"HTTP/1.1 408 ")
        assert await read_to_end(silent) == b""
        await silent.aclose()
        await dripping.aclose()
        await wait_until(lambda: edge.server.statistics().handshaking == 0, passes=10_000)


async def test_later_heads_and_bodies_and_idleness_have_deadlines_too(
    mock_clock: MockClock,
) -> None:
    limits = EdgeLimits(handshake_s=10, body_s=20, keep_alive_s=60)
    async with serving(Recorder(), limits) as edge:
        idle, head, body = [await edge.connect() for _ in range(3)]
        for stream in (idle, head, body):
            await stream.send_all(GET)
            await read_until(stream, lambda data: data.endswith(b"/"))
        mock_clock.jump(50)
        await head.send_all(GET[:5])
        await body.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await settle()
        mock_clock.jump(10.5)
        await settle()
        assert await read_to_end(idle) == b""
        assert (await read_to_end(head)).startswith(b"HTTP/1.1 408 ")
        assert edge.server.statistics().requests_total == 3
        mock_clock.jump(10)
        assert (await read_to_end(body)).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_does_not_read_its_answers_is_dropped(mock_clock: MockClock) -> None:
    application = Recorder()
    application.respond = lambda request: Response(200, bytes(1_000_000))
    async with serving(application, EdgeLimits(write_s=30)) as edge:
        stream = await edge.connect(receive_buffer=4_096)
        with trio.move_on_after(0.1):
            await stream.send_all(GET * 100)
        await settle()
        answered = edge.server.statistics().requests_total
        assert answered < 20
        mock_clock.jump(31)
        await wait_until(lambda: edge.server.statistics().handshaking == 0, passes=10_000)
        assert edge.server.statistics().requests_total == answered


async def test_a_large_answer_reaches_a_client_that_reads_slowly() -> None:
    application, size = Recorder(), 3_000_000
    application.respond = lambda request: Response(200, bytes(size))
    async with serving(application) as edge:
        stream = await edge.connect(receive_buffer=8_192)
        await stream.send_all(GET + get("/", "Connection: close"))
        assert bodies(await read_to_end(stream)) == [bytes(size)] * 2


async def test_who_asks_on_while_the_last_of_an_answer_goes_out_is_answered() -> None:
    application, large = Recorder(), Response(200, b"x" * 300_000)

    async def slow() -> Response:
        return Response(200, b"slow")

    application.respond = lambda request: slow if request.path == "/slow" else large
    async with serving(application, EdgeLimits(outbox_bytes_max=200_000)) as edge:
        reactor = edge.server._reactor
        assert reactor is not None
        ours, theirs = socket.socketpair()
        with theirs:
            for one in (ours, theirs):
                one.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024)
            exchange = Exchange(reactor, ours.detach(), "local")
            reactor.add(exchange)
            exchange.received(get("/large") + get("/slow"))
            while exchange.outbox_bytes > 8_000:
                theirs.recv(1 << 20)
                exchange.ready(select.EPOLLOUT)
            assert exchange.outbox_bytes, "all went out at once"
            theirs.send(get("/more"))
            while exchange.outbox_bytes:
                theirs.recv(1 << 20)
                exchange.ready(select.EPOLLIN | select.EPOLLOUT)
            await wait_until(lambda: edge.server.statistics().requests_total == 3)
