"""The guard of chunked bodies lets nothing through that it and h11 would read differently."""

import itertools

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.edge.chunks import CHUNKS_MAX, LINE_BYTES_MAX, ChunkGuard
from node.edge.head import RequestRefused

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

extension = st.sampled_from([b"", b";a", b";a=b", b'; a = "b;\\" c"', b";a\t;b"])
chunk = st.builds(
    lambda data, ext: b"%x%b\r\n%b\r\n" % (len(data), ext, data),
    st.binary(min_size=1, max_size=20),
    extension,
)
trailer = st.sampled_from([b"X: y\r\n", b"Empty:\r\n", b"T: a\tb \xe9\r\n"])
body = st.builds(
    lambda chunks, zeros, ext, trailers: b"".join(
        (*chunks, zeros, ext, b"\r\n", *trailers, b"\r\n")
    ),
    st.lists(chunk, max_size=4),
    st.sampled_from([b"0", b"000"]),
    extension,
    st.lists(trailer, max_size=2),
)


def guard() -> ChunkGuard:
    return ChunkGuard(body_bytes_max=1_000, overhead_bytes_max=500)


def pieces(data: bytes, cuts: set[int]) -> list[bytes]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def length(data: bytes, cuts: set[int]) -> int | None:
    """Return how long the body at the begin of `data` is, None if it does not end."""
    follower, before = guard(), 0
    for piece in pieces(data, cuts):
        end = follower.advance(piece)
        if end is not None:
            return before + end
        before += len(piece)
    return None


def length_of_h11(data: bytes) -> int | None:
    """The same; raises `h11.RemoteProtocolError`."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(HEAD + data)
    while (event := connection.next_event()) is not h11.NEED_DATA:
        if isinstance(event, h11.EndOfMessage):
            return len(data) - len(connection.trailing_data[0])
    return None


cuts = st.sets(st.integers(0, 120), max_size=8)


@given(body, st.binary(max_size=10), cuts)
def test_a_body_ends_where_it_ends_however_it_is_cut(
    data: bytes, behind: bytes, at: set[int]
) -> None:
    assert length(data + behind, at) == len(data) == length_of_h11(data + behind)


@given(body, cuts, st.integers(0, 60), st.integers(0, 2), st.binary(max_size=3))
@example(b"0\r\n\r\n", set(), 3, 1, b"")
@example(b"0\r\nX: y\r\n\r\n", set(), 7, 1, b"")
@example(b"1\r\na\r\n0\r\n\r\n", set(), 1, 0, b" ")
def test_a_changed_body_is_refused_or_ends_where_h11_says(
    data: bytes, at: set[int], place: int, gone: int, new: bytes
) -> None:
    place %= len(data)
    changed = data[:place] + new + data[place + gone :]
    try:
        found, expected = length(changed, at), length_of_h11(changed)
    except (RequestRefused, h11.RemoteProtocolError):  # blanks before an extension it refuses
        return
    assert found == expected


@given(st.binary(max_size=80), cuts)
def test_no_bytes_make_it_raise_anything_but_a_refusal(data: bytes, at: set[int]) -> None:
    try:
        length(data, at)
    except RequestRefused:
        pass


def test_what_is_too_much_is_refused_before_it_is_there() -> None:
    for data, status in (
        (b"3e9", None),
        (b"3e9\r\n", 413),
        (b"1" * (LINE_BYTES_MAX + 1), 400),
        (b"1;" + b"a" * 501 + b"\r\n", 431),
        (b"0\r\n" + b"X: y\r\n" * 126, 431),
    ):
        if status is None:
            assert guard().advance(data) is None
            continue
        with pytest.raises(RequestRefused) as refused:
            guard().advance(data)
        assert refused.value.status == status


def test_a_body_may_have_many_chunks_but_not_any_number() -> None:
    follower = guard()
    assert follower.advance(b"1\r\na\r\n" * CHUNKS_MAX) is None
    with pytest.raises(RequestRefused, match="chunks"):
        follower.advance(b"1\r\n")
