"""Requests come out of bytes whole and in order, however these are cut; responses are exact."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.edge.head import RequestRefused
from node.edge.http import Phase, Request, RequestParser, Response
from tests.node.edge.test_head import SMUGGLING


def parser(head_bytes_max: int = 1_000, body_bytes_max: int = 100) -> RequestParser:
    return RequestParser("peer:1", head_bytes_max=head_bytes_max, body_bytes_max=body_bytes_max)


def parse(chunks: list[bytes], several: RequestParser | None = None) -> list[Request]:
    several = several or parser()
    requests = []
    for chunk in chunks:
        several.feed(chunk)
        while (request := several.next_request()) is not None:
            requests.append(request)
    return requests


PIPELINE = (
    b"GET /first?x=1&y HTTP/1.1\r\nHost: desk\r\n\r\n"
    b"POST /second HTTP/1.1\r\nHost: desk\r\nContent-Length: 5\r\n\r\nhello"
    b"POST /third HTTP/1.1\r\nhost: desk\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    b"DELETE /fourth HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n\r\n"
)


@given(st.sets(st.integers(0, len(PIPELINE)), max_size=10))
def test_every_chunking_of_a_pipeline_gives_the_same_requests(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(PIPELINE)]
    requests = parse([PIPELINE[a:b] for a, b in itertools.pairwise(edges)])
    assert [(r.method, r.path, r.query, r.body) for r in requests] == [
        ("GET", "/first", "x=1&y", b""),
        ("POST", "/second", "", b"hello"),
        ("POST", "/third", "", b"abcde"),
        ("DELETE", "/fourth", "", b""),
    ]
    assert [r.keep_alive for r in requests] == [True, True, True, False]
    assert requests[2].header(b"host") == b"desk"


def test_byte_by_byte_is_a_chunking_too() -> None:
    assert len(parse([PIPELINE[i : i + 1] for i in range(len(PIPELINE))])) == 4


def test_a_phase_says_what_is_missing() -> None:
    post = parser()
    phases = []
    for chunk in (b"", b"POST / HTTP/1.1\r\n", b"Host: a\r\nContent-Length: 2\r\n\r\n", b"ok"):
        post.feed(chunk)
        request = post.next_request()
        phases.append(post.phase)
    assert phases == [Phase.IDLE, Phase.HEAD, Phase.BODY, Phase.IDLE]
    assert request is not None


def test_the_client_is_told_to_continue_once_and_only_if_it_waits() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    post = parser()
    post.feed(head)
    assert post.next_request() is None
    assert [post.take_continue(), post.take_continue()] == [True, False]
    post.feed(b"ok" + head)
    assert post.next_request() is not None
    assert post.next_request() is None
    assert post.take_continue()
    impatient = parser()
    impatient.feed(head + b"o")
    assert impatient.next_request() is None
    assert not impatient.take_continue()


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET /" + b"a" * 1_000, 414, "request line over 1000 bytes"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000, 431, "head over 1000 bytes"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000 + b"\r\n\r\n", 431, "head over"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413, "body over 100"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n", 400, "illegal header line"),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "illegal header line"),
        (b"P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "chunked"),
    ],
)
def test_a_request_over_a_limit_or_out_of_form_is_refused(
    data: bytes, status: int, reason: str
) -> None:
    with pytest.raises(RequestRefused, match=reason) as refused:
        parse([data])
    assert refused.value.status == status


def test_chunks_are_counted_against_the_limit_of_a_body() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(RequestRefused, match="body over"):
        parse([head, b"40\r\n" + b"a" * 64 + b"\r\n", b"40\r\n" + b"a" * 64])


@pytest.mark.parametrize("head", [head for head, _ in SMUGGLING.values()], ids=SMUGGLING)
def test_no_smuggling_head_reaches_h11(head: bytes) -> None:
    with pytest.raises(RequestRefused):
        parse([head])


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://desk:80/a?b", "/a", "b"),
        (b"HTTPS://desk", "/", ""),
        (b"http://desk?q", "/", "q"),
        (b"/%2e%2e/?a=%20", "/%2e%2e/", "a=%20"),
        (b"//double", "//double", ""),
    ],
)
def test_targets_lose_their_authority_and_nothing_else(
    target: bytes, path: str, query: str
) -> None:
    (request,) = parse([b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target])
    assert (request.path, request.query) == (path, query)


@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"GET / HTTP/1.1\r\n", b"\r\n"])))
)
def test_no_bytes_make_the_parser_raise_anything_but_a_refusal(chunks: list[bytes]) -> None:
    try:
        parse(chunks)
    except RequestRefused:
        pass


def test_a_response_is_written_as_it_is() -> None:
    answer = Response(200, b"{}", "application/json", (("X-Node", "n1"),))
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\nX-Node: n1\r\n"
    )
    assert answer.encode() == head + b"\r\n{}"
    assert answer.encode(head_only=True) == head + b"\r\n"
    dated = answer.encode(date="Sun, 06 Nov 1994 08:49:37 GMT")
    assert dated.startswith(b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
    assert answer.encode(connection="close") == head + b"Connection: close\r\n\r\n{}"
    assert Response(204).encode() == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert Response(299, b"").encode().startswith(b"HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n")


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\0b", "\u4f60"])
def test_a_header_cannot_break_out_of_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="no header may"):
        Response(200, b"", headers=(("X", value),))


def test_a_body_of_many_tiny_chunks_takes_no_more_memory_than_it_has_bytes() -> None:
    found = parser(body_bytes_max=1_000_000)
    found.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    tracemalloc.start()
    try:
        for _ in range(10):
            found.feed(b"2\r\nab\r\n" * 400)
            assert found.next_request() is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * 20_000
    found.feed(b"0\r\n\r\n")
    request = found.next_request()
    assert request is not None
    assert request.body == b"ab" * 4_000
