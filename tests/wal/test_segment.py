"""`wal.segment`: the head says whose log it is; a damaged head says nothing."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wal.errors import CorruptRecord, TornRecord
from wal.segment import (
    HEAD_BYTES,
    SegmentHead,
    UnknownVersion,
    decode_head,
    encode_head,
    segment_name,
    segment_number,
)

HEAD = SegmentHead(3, 2, 17, 12345, 99, "shop", "a", 7)


@given(st.integers(1, 2**64 - 1), st.text(max_size=50), st.text(max_size=50))
def test_a_head_is_read_back(number: int, cluster: str, node: str) -> None:
    head = SegmentHead(number, 1, 17, 12345, 99, cluster, node, 7)
    data = encode_head(head)
    assert len(data) == HEAD_BYTES
    assert decode_head(data + b"more") == head
    assert segment_number(segment_name(number)) == number


def test_every_flipped_byte_is_seen() -> None:
    for at in range(HEAD_BYTES):
        data = bytearray(encode_head(HEAD))
        data[at] ^= 0x10
        with pytest.raises(CorruptRecord):
            decode_head(bytes(data))


def test_a_short_head_is_torn() -> None:
    with pytest.raises(TornRecord):
        decode_head(encode_head(HEAD)[:-1])


def test_another_version_is_not_called_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wal.segment.VERSION", 2)
    data = encode_head(HEAD)
    monkeypatch.undo()
    with pytest.raises(UnknownVersion, match="version 2"):
        decode_head(data)


def test_nonsense_with_a_right_checksum_is_refused() -> None:
    with pytest.raises(CorruptRecord, match="oldest"):
        decode_head(encode_head(SegmentHead(3, 4, 1, 0, 0, "c", "n", 1)))


def test_ids_that_are_not_text_are_refused() -> None:
    data = bytearray(encode_head(HEAD))
    data[data.index(b"shop")] = 0xFF
    data[4:8] = zlib.crc32(data[8:]).to_bytes(4, "little")
    with pytest.raises(CorruptRecord, match="UTF-8"):
        decode_head(bytes(data))


@pytest.mark.parametrize("name", ["1.wal", "0000000000000001.wal.tmp", "00000000000000001.wal"])
def test_other_names_are_no_segments(name: str) -> None:
    assert segment_number(name) is None
