"""The frames we write are those wsproto reads; where frames end is where wsproto ends them."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from node.edge.frame import (
    Cursor,
    encode_binary,
    encode_close,
    encode_ping,
    encode_pong,
    encode_text,
    whole,
)


def masked(first: int, payload: bytes, key: bytes = b"\x11\x22\x33\x44") -> bytes:
    length = len(payload)
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 65_536:
        head = bytes([first, 0xFE]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, 0xFF]) + length.to_bytes(8, "big")
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def read(frame: bytes) -> tuple[int, object]:
    client = FrameProtocol(client=True, extensions=[])
    client.receive_bytes(frame)
    (only,) = client.received_frames()
    return int(only.opcode), only.payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_client_reads_the_data_frames_that_we_write(size: int) -> None:
    payload = os.urandom(size)
    assert read(encode_binary(payload)) == (Opcode.BINARY, payload)
    text = "é" * (size // 2)
    assert read(encode_text(text.encode())) == (Opcode.TEXT, text)


def test_a_client_reads_the_control_frames_that_we_write() -> None:
    assert read(encode_ping(b"x")) == (Opcode.PING, b"x")
    assert read(encode_pong(b"y")) == (Opcode.PONG, b"y")
    assert read(encode_close(4003, "slow")) == (Opcode.CLOSE, (4003, "slow"))
    assert read(encode_close(1005)) == (Opcode.CLOSE, (1005, ""))


def test_a_close_reason_is_cut_between_characters() -> None:
    assert read(encode_close(1000, "é" * 100)) == (Opcode.CLOSE, (1000, "é" * 61))


frames = st.builds(
    masked,
    st.sampled_from([0x81, 0x82, 0x89, 0x8A]),
    st.one_of(st.binary(max_size=20), st.sampled_from([b"a" * n for n in (125, 126, 300, 66_000)])),
)
fragments = st.builds(masked, st.sampled_from([0x01, 0x02, 0x00, 0x80]), st.binary(max_size=20))


@given(st.lists(frames, max_size=5))
def test_whole_frames_are_whole(several: list[bytes]) -> None:
    assert whole(b"".join(several))


@given(st.lists(frames, max_size=3), frames, st.data())
def test_a_cut_frame_is_not_whole(before: list[bytes], last: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(last) - 1))
    assert not whole(b"".join(before) + last[:cut])


@given(fragments)
def test_a_fragment_is_not_whole(fragment: bytes) -> None:
    assert not whole(fragment) or fragment[0] & 0x0F


@given(st.lists(st.one_of(frames, fragments), min_size=1, max_size=6), st.data())
def test_a_cursor_rests_exactly_where_a_message_ends(
    several: list[bytes], data: st.DataObject
) -> None:
    ends, at, in_message = {0: True}, 0, False
    for frame in several:
        at += len(frame)
        if frame[0] & 0x0F < 8:
            in_message = frame[0] < 0x80
        ends[at] = not in_message
    joined, cursor, position = b"".join(several), Cursor(), 0
    while position < len(joined):
        step = data.draw(st.integers(1, len(joined) - position))
        at_rest = cursor.advance(joined[position : position + step])
        position += step
        assert at_rest == ends.get(position, False)
