"""Frames between nodes."""

from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.peer.frames import FRAME_BYTES_MAX, LENGTH, FrameReader, PeerRefused, encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(st.lists(st.tuples(st.text(max_size=20), plain), max_size=5), st.data())
def test_frames_come_out_whole_and_in_order_however_the_bytes_arrive(
    frames: list[tuple[str, Any]], data: st.DataObject
) -> None:
    stream = b"".join(encode(kind, body) for kind, body in frames)
    reader = FrameReader()
    seen = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        seen += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert seen == frames


def test_a_length_beyond_the_limit_is_refused_before_its_bytes_arrive() -> None:
    with pytest.raises(PeerRefused, match="at most"):
        FrameReader().feed(LENGTH.pack(FRAME_BYTES_MAX + 1))


@given(st.binary(max_size=64))
@example(b"\x81\x90\x00")  # a map whose key is a list
def test_bytes_that_are_no_frame_are_refused_or_waited_for(payload: bytes) -> None:
    try:
        frames = FrameReader().feed(LENGTH.pack(len(payload)) + payload)
    except PeerRefused:
        return
    assert [encode(kind, body) for kind, body in frames]


@pytest.mark.parametrize("value", [1, [], ["kind"], [1, 2], {"kind": 1}, "kind"])
def test_msgpack_that_is_not_kind_and_body_is_refused(value: Any) -> None:
    payload = msgpack.packb(value)
    with pytest.raises(PeerRefused, match="kind, body"):
        FrameReader().feed(LENGTH.pack(len(payload)) + payload)


def test_extension_types_are_refused() -> None:
    payload = msgpack.packb(["kind", msgpack.ExtType(4, b"x")])
    with pytest.raises(PeerRefused):
        FrameReader().feed(LENGTH.pack(len(payload)) + payload)


def test_a_body_beyond_the_limit_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode("raft", bytes(FRAME_BYTES_MAX + 1))
