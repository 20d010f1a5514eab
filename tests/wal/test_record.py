"""`wal.record`: what was written is read back, and damage is never taken for data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wal.samples import record_values
from wal.errors import CorruptRecord, TornRecord
from wal.record import (
    ALIGNMENT_BYTES,
    HEADER_BYTES,
    INDEX_MAX,
    Base,
    Commit,
    Entry,
    HardState,
    Record,
    decode_frame,
    decode_records,
    encode_frame,
    encode_records,
    find_frame,
    size_bytes,
)

SALT = 99


def frame_of(payload: bytes, *, sequence: int = 1, segment: int = 3, previous: int = 0) -> bytes:
    return encode_frame(payload, sequence=sequence, segment=segment, previous=previous, salt=SALT)[
        0
    ]


@given(st.lists(record_values))
def test_records_are_read_back(records: list[Record]) -> None:
    payload = encode_records(records)
    assert decode_records(payload) == records
    assert len(payload) <= sum(size_bytes(record) for record in records)


@given(st.lists(record_values, min_size=1), st.data())
def test_records_cut_short_are_corrupt_or_fewer(records: list[Record], data: st.DataObject) -> None:
    payload = encode_records(records)
    cut = data.draw(st.integers(0, len(payload) - 1))
    try:
        kept = decode_records(payload[:cut])
    except CorruptRecord:
        return
    assert kept == records[: len(kept)]
    assert len(kept) < len(records)


@given(st.binary(max_size=60))
def test_any_bytes_are_records_or_refused(payload: bytes) -> None:
    try:
        assert encode_records(decode_records(payload)) == payload
    except CorruptRecord:
        pass


def test_a_record_of_an_unknown_kind_is_named() -> None:
    with pytest.raises(CorruptRecord, match="byte 9: a record of unknown kind 200"):
        decode_records(encode_records([Commit(5)]) + b"\xc8")


def test_a_vote_that_is_not_text_is_refused() -> None:
    payload = bytearray(encode_records([HardState(1, "ab")]))
    payload[-1] = 0xFF
    with pytest.raises(CorruptRecord, match="kind 2"):
        decode_records(bytes(payload))


def test_no_vote_is_not_an_empty_name() -> None:
    both = [HardState(1, None), HardState(1, "")]
    assert decode_records(encode_records(both)) == both


def test_what_is_no_record_is_a_programmers_error() -> None:
    with pytest.raises(AssertionError, match="no record"):
        encode_records(["entry"])  # type: ignore[list-item]


@given(st.binary(max_size=200), st.integers(0, INDEX_MAX), st.integers(0, 2**32 - 1))
def test_a_frame_is_read_back(payload: bytes, sequence: int, previous: int) -> None:
    data, link = encode_frame(
        payload, sequence=sequence, segment=3, previous=previous, salt=SALT, head=True
    )
    assert len(data) % ALIGNMENT_BYTES == 0
    frame = decode_frame(b"-" * 8 + data, 8, segment=3, salt=SALT)
    assert (frame.sequence, frame.previous, frame.link, frame.head) == (
        sequence,
        previous,
        link,
        True,
    )
    assert frame.end == 8 + len(data)
    assert data[frame.start - 8 :][: frame.length] == payload


def test_every_flipped_bit_of_a_frame_is_seen() -> None:
    payload = encode_records([Entry(1, 1, b"hello"), Base(1, 2, 1)])
    good = frame_of(payload)
    for bit in range(8 * (HEADER_BYTES + len(payload))):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptRecord, TornRecord)):
            decode_frame(bytes(bad), 0, segment=3, salt=SALT)


def test_a_frame_cut_anywhere_is_torn() -> None:
    payload = b"hello"
    good = frame_of(payload)
    for cut in range(HEADER_BYTES + len(payload)):
        with pytest.raises(TornRecord):
            decode_frame(good[:cut], 0, segment=3, salt=SALT)
    with pytest.raises(TornRecord, match="zeros"):
        decode_frame(bytes(100), 0, segment=3, salt=SALT)


def test_a_frame_of_another_life_of_the_segment_is_refused() -> None:
    good = frame_of(b"hello")
    with pytest.raises(CorruptRecord, match="checksum of a frame header"):
        decode_frame(good, 0, segment=3, salt=SALT + 1)
    with pytest.raises(CorruptRecord, match="segment 3, left from an earlier life"):
        decode_frame(good, 0, segment=4, salt=SALT)


def test_a_frame_of_a_newer_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wal.record.VERSION", 2)
    newer = frame_of(b"hello")
    monkeypatch.undo()
    with pytest.raises(CorruptRecord, match="version 2"):
        decode_frame(newer, 0, segment=3, salt=SALT)


def test_a_later_frame_is_found_behind_damage() -> None:
    first, second = frame_of(b"x" * 30, sequence=5), frame_of(b"y", sequence=6)
    data = b"UDWF" + first + b"UDWF....UDWF" + bytes(-len(b"UDWF" + first + b"UDWF....UDWF") % 8)
    at = len(data)
    data += second
    found = find_frame(data, 0, segment=3, salt=SALT, sequence_min=6)
    assert found is not None
    assert (found[0], found[1].sequence) == (at, 6)
    assert find_frame(data, 0, segment=3, salt=SALT, sequence_min=7) is None
    assert find_frame(b"x" + second, 0, segment=3, salt=SALT, sequence_min=6) is None, "unaligned"


def test_a_payload_that_looks_like_a_frame_is_no_later_frame() -> None:
    """Whoever writes a message does not know the salt."""
    forged = encode_frame(b"evil", sequence=9, segment=3, previous=0, salt=0)[0]
    data = frame_of(forged)
    assert find_frame(data, 0, segment=3, salt=SALT, sequence_min=1) is None
