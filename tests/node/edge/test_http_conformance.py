"""What is answered to each request of the table, over sockets, cut and whole."""

import re
from email.utils import parsedate_to_datetime

import pytest
import trio

from node.edge.server import Request, Response
from tests.node.edge.client import Edge, Recorder, read_to_end, serving
from tests.node.edge.http_cases import CASES, Case, get, post

STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\n")
ALIVE = get(target=b"/still-here")


def echoing() -> Recorder:
    application = Recorder()
    application.respond = lambda request: Response(200, f"[{request.path}]".encode())
    return application


def seen(requests: list[Request]) -> tuple[str, ...]:
    return tuple(f"{one.method} {one.path} {one.body.decode()}" for one in requests)


async def answers(edge: Edge, case: Case, step: int) -> list[int]:
    """Return the statuses that came until the connection ended, or the last request was answered.

    Behind a case that leaves the connection open there is one more request, and its end.
    """
    data = case.data if case.ends else case.data + ALIVE
    stream = await edge.connect()
    try:
        for at in range(0, len(data), step):
            await stream.send_all(data[at : at + step])
        if not case.ends:
            await stream.send_eof()
        return [int(status) for status in STATUS.findall(await read_to_end(stream))]
    except trio.BrokenResourceError:
        return [int(status) for status in STATUS.findall(await read_to_end(stream))]
    finally:
        await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_request_is_answered_as_the_rfc_says(case: Case) -> None:
    application = echoing()
    async with serving(application) as edge:
        expected = list(case.statuses) if case.ends else [*case.statuses, 200]
        told = case.seen if case.ends else (*case.seen, "GET /still-here ")
        for step in (len(case.data) + len(ALIVE), max(7, len(case.data) // 50)):
            application.requests.clear()
            with trio.fail_after(30):
                assert await answers(edge, case, step) == expected
            assert seen(application.requests) == told
        assert edge.server.statistics().application_errors_total == 0


async def test_every_beginning_of_a_request_waits_for_the_rest() -> None:
    whole = post(b"Content-Length: 2", body=b"ok")
    application = echoing()
    async with serving(application) as edge:
        streams = [await edge.connect() for _ in range(len(whole))]
        for end, stream in enumerate(streams):
            await stream.send_all(whole[:end])
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert edge.server.statistics().handshaking == len(whole)
        assert application.requests == []
        for end, stream in enumerate(streams):
            await stream.send_all(whole[end:])
            await stream.send_eof()
            assert STATUS.findall(await read_to_end(stream)) == [b"200"]


async def test_every_answer_has_a_date() -> None:
    """RFC 9110, 6.6.1: an origin server with a clock says when it answered."""
    async with serving(echoing()) as edge:
        for request in (get(b"Connection: close"), b"\0", get(target=b"*")):
            answer = await edge.exchange(request)
            [date] = re.findall(rb"\r\nDate: ([^\r\n]+ GMT)\r\n", answer)
            assert parsedate_to_datetime(date.decode()).tzinfo is not None


async def test_http_1_0_is_told_that_its_connection_stays() -> None:
    async with serving(echoing()) as edge:
        old = b"GET / HTTP/1.0\r\n%b\r\n"
        answer = await edge.exchange(old % b"Connection: keep-alive\r\n" + old % b"")
        assert re.findall(rb"Connection: (\S+)\r\n", answer) == [b"keep-alive", b"close"]


async def test_the_answer_to_head_is_that_to_get_without_its_body() -> None:
    async with serving(echoing()) as edge:
        whole = await edge.exchange(get(b"Connection: close"))
        head = await edge.exchange(b"HEAD" + get(b"Connection: close")[3:])
        undated = [re.sub(rb"Date: [^\r\n]*", b"", one) for one in (head, whole)]
        assert undated[0] + b"[/]" == undated[1]
