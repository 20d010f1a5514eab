"""The guard refuses, by name, every head that two readers could read differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.edge.head import RequestRefused, check_head, check_start

GOOD = b"GET /a?b=c HTTP/1.1\r\nHost: desk\r\nX-Note: \xc3\xa9 tab\there\r\n\r\n"

SMUGGLING = {
    "bare line feed": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "line feed without"),
    "bare carriage return": (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "return without"),
    "folded line": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "folded"),
    "folded by tab": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", "folded"),
    "NUL": (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", "control"),
    "DEL": (b"GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", "control"),
    "escape": (b"GET / HTTP/1.1\r\nHost: a\x1b[2J\r\n\r\n", "control"),
    "lower-case http": (b"GET / http/1.1\r\nHost: a\r\n\r\n", "version"),
    "no version": (b"GET /\r\nHost: a\r\n\r\n", "version"),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "more than one",
    ),
    "two equal lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "more than one",
    ),
    "list of lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n",
        "not a number",
    ),
    "signed length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",
        "not a number",
    ),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "both",
    ),
    "chunks and length": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "both",
    ),
    "chunks in 1.0": (
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0",
    ),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "control"),
    "a blank before the method": (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
}


@pytest.mark.parametrize(("head", "reason"), SMUGGLING.values(), ids=SMUGGLING)
def test_a_head_that_could_smuggle_is_refused_by_name(head: bytes, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason) as refused:
        check_head(head)
    assert refused.value.status == 400


def a_post(*fields: bytes) -> bytes:
    return b"\r\n".join((b"POST / HTTP/1.1", b"Host: a", *fields, b"", b""))


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505, "version"),
        (b"PRI * HTTP/2.0\r\n\r\n", 505, "version"),
        (b"M" * 25 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method of more than 24"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "proxies"),
        (a_post(b"Transfer-Encoding: gzip, chunked"), 501, "understood"),
        (a_post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"), 501, "understood"),
        (a_post(b"Content-Length: " + b"1" * 5_000), 413, "beyond all limits"),
        (a_post(*[b"X: y"] * 100), 431, "more than 100 headers"),
    ],
)
def test_what_has_a_status_of_its_own_gets_that(head: bytes, status: int, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason) as refused:
        check_head(head)
    assert refused.value.status == status


def test_a_hundred_headers_pass() -> None:
    check_head(a_post(*[b"X: y"] * 99))


def refuses(data: bytes, checked: int) -> bool:
    try:
        check_start(data, checked)
    except RequestRefused:
        return True
    return False


@pytest.mark.parametrize("step", [1, 2, 3, 7])
@pytest.mark.parametrize("bad", [b"\n", b"\r", b"\r\n ", b"\r\n\t", b"\0"])
def test_what_is_new_is_checked_with_what_it_belongs_to(bad: bytes, step: int) -> None:
    head = GOOD[:-4] + bad + b"x\r\n"
    bad_at = len(GOOD) - 4
    for end in range(step, bad_at + 1, step):
        check_start(head[:end], max(0, end - step - 3))
    ends = range(bad_at + 1, len(head) + step, step)
    assert any(refuses(head[:end], max(0, end - step - 3)) for end in ends)


def test_a_plain_head_passes_and_so_does_each_of_its_beginnings() -> None:
    check_head(GOOD)
    for end in range(1, len(GOOD)):
        check_start(GOOD[:end])


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01", b"hello\x00", b"\r\n", b"{", b"A" * 30, b"GET /\n"]
)
def test_garbage_is_refused_without_waiting_for_a_blank_line(data: bytes) -> None:
    with pytest.raises(RequestRefused):
        check_start(data)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    for check, suffix in ((check_start, b""), (check_head, b"\r\n\r\n")):
        try:
            check(data + suffix)
        except RequestRefused:
            pass
