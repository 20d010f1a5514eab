"""Heads that came before are answered from memory, and mean the same."""

from hypothesis import given
from hypothesis import strategies as st

from node.edge.head import RequestRefused
from node.edge.http import Request, RequestParser
from node.edge.seen import HEAD_BYTES_MAX, HEADS_MAX, SeenHeads

PROBE = b"GET /health?deep=1 HTTP/1.1\r\nHost: desk\r\nAccept: */*\r\n\r\n"


def parser(seen: SeenHeads | None, peer: str = "peer:1") -> RequestParser:
    return RequestParser(peer, head_bytes_max=16_384, body_bytes_max=1_000, seen=seen)


def parse(seen: SeenHeads | None, data: bytes, peer: str = "peer:1") -> list[Request | int]:
    """Return the requests in `data`, and the status of what is refused."""
    requests = parser(seen, peer)
    requests.feed(data)
    found: list[Request | int] = []
    try:
        while (request := requests.next_request()) is not None:
            found.append(request)
    except RequestRefused as refused:
        found.append(refused.status)
    return found


def test_a_head_that_came_before_means_the_same_on_any_connection() -> None:
    seen = SeenHeads()
    first = parse(seen, PROBE, "one:1")
    again = parse(seen, PROBE, "two:2")
    assert len(seen) == 1
    assert first == parse(None, PROBE, "one:1")
    assert again == parse(None, PROBE, "two:2")


def test_a_body_is_never_taken_for_that_of_an_earlier_request() -> None:
    seen = SeenHeads()
    post = b"POST /v1/op/cv.open HTTP/1.1\r\nHost: desk\r\nContent-Length: 3\r\n\r\n"
    bodies = [
        one.body for one in parse(seen, post + b"abc" + post + b"def") if isinstance(one, Request)
    ]
    assert bodies == [b"abc", b"def"]
    assert not len(seen)


def test_what_proves_who_somebody_is_is_not_kept() -> None:
    seen = SeenHeads()
    for line in (b"Authorization: Bearer x", b"Cookie: seat=1", b"Idempotency-Key: 1"):
        parse(seen, b"GET / HTTP/1.1\r\nHost: desk\r\n" + line + b"\r\n\r\n")
    assert not len(seen)


def test_what_was_refused_is_refused_again() -> None:
    seen = SeenHeads()
    for bad in (b"GET / HTTP/1.1\r\nHost : desk\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        assert parse(seen, bad) == parse(seen, bad) == [400]
    assert not len(seen)


def test_as_many_heads_are_kept_as_the_limit_says_the_oldest_goes_first() -> None:
    seen = SeenHeads()
    for number in range(HEADS_MAX + 3):
        parse(seen, b"GET /%d HTTP/1.1\r\nHost: desk\r\n\r\n" % number)
    assert len(seen) == HEADS_MAX
    assert seen.find(b"GET /2 HTTP/1.1\r\nHost: desk\r\n\r\n") is None
    assert seen.find(b"GET /3 HTTP/1.1\r\nHost: desk\r\n\r\n") is not None


def test_a_long_head_is_not_kept() -> None:
    seen = SeenHeads()
    long = b"GET / HTTP/1.1\r\nHost: desk\r\nX-Long: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n"
    parse(seen, long)
    assert not len(seen)


lines = st.lists(
    st.sampled_from(
        [
            *(b"Host: desk", b"Host: other", b"Accept: */*", b"Connection: close", b"Cookie: a=1"),
            *(b"Content-Length: 0", b"Content-Length: 2", b"Transfer-Encoding: chunked"),
            *(b"Upgrade: websocket", b"Connection: Upgrade", b"Expect: 100-continue", b"X : bad"),
        ]
    ),
    max_size=4,
)
requests = st.builds(
    lambda method, target, version, fields, body: (
        b"%b %b HTTP/%b\r\n%b\r\n%b"
        % (method, target, version, b"".join(one + b"\r\n" for one in fields), body)
    ),
    st.sampled_from([b"GET", b"POST", b"CONNECT", b"HEAD"]),
    st.sampled_from([b"/", b"/a?b=c", b"http://desk/x", b"*"]),
    st.sampled_from([b"1.1", b"1.0"]),
    lines,
    st.sampled_from([b"", b"ok", b"2\r\nok\r\n0\r\n\r\n"]),
)


@given(st.lists(requests, min_size=1, max_size=4))
def test_with_and_without_a_memory_the_same_requests_are_heard(asked: list[bytes]) -> None:
    seen = SeenHeads()
    for data in [*asked, *asked, b"".join(asked)]:
        assert parse(seen, data) == parse(None, data)
