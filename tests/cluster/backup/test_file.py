"""A backup file: whole, or refused with the place of the damage."""

import io
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.backup import file
from cluster.backup.file import BackupRefused, Header, Reader, encode
from wal.blocks import BLOCK_BYTES_MAX

HEADER = Header("shop", "n1", 7, 3, 1_000, 2_000, "0.1.0", 2)


def written(chunks: list[bytes]) -> bytes:
    return b"".join(encode(HEADER, chunks))


def reader(data: bytes) -> Reader:
    return Reader("shop.backup", io.BytesIO(data).read)


def read(data: bytes) -> bytes:
    return b"".join(reader(data).blocks())


@given(st.lists(st.binary(max_size=2_000), max_size=5))
def test_what_was_written_is_read_back(chunks: list[bytes]) -> None:
    found = reader(written(chunks))
    assert found.header == HEADER
    assert b"".join(found.blocks()) == b"".join(chunks)
    assert found.end is not None
    assert found.end.bytes == sum(map(len, chunks))


def test_the_end_is_unknown_until_all_was_read() -> None:
    found = reader(written([b"state"]))
    blocks: Iterator[bytes] = found.blocks()
    next(blocks)
    assert found.end is None


def test_large_states_are_cut_into_blocks() -> None:
    state = bytes(range(256)) * (BLOCK_BYTES_MAX // 100)
    assert [len(one) for one in reader(written([state])).blocks()][:2] == [BLOCK_BYTES_MAX] * 2
    assert read(written([state])) == state


@pytest.mark.parametrize(
    "forged",
    [
        {"created_ms": 2**62},
        {"cluster_ms": -1},
        {"index": -(2**62)},
        {"level": -1},
        {"release": "0.1\x1b[2J"},
    ],
)
def test_a_header_that_cannot_be_shown_is_refused(forged: dict[str, Any]) -> None:
    header = msgspec.structs.replace(HEADER, **forged)
    data = b"".join(encode(header, [b"state"]))
    with pytest.raises(BackupRefused, match=f"its header: {next(iter(forged))}"):
        reader(data)


SMALL = written([b"one", b"two"])


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_a_file_that_ends_early_anywhere_is_refused(length: int) -> None:
    with pytest.raises(BackupRefused, match=r"shop.backup: at byte \d+: "):
        read(SMALL[:length])


@pytest.mark.parametrize("place", range(len(SMALL)))
def test_a_bit_that_is_flipped_anywhere_is_seen(place: int) -> None:
    flipped = SMALL[:place] + bytes([SMALL[place] ^ 1]) + SMALL[place + 1 :]
    with pytest.raises(BackupRefused, match=r"shop\.backup: "):
        read(flipped)


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(BackupRefused, match="bytes behind its end"):
        read(SMALL + b"x")


def test_what_is_no_backup_is_called_so() -> None:
    with pytest.raises(BackupRefused, match="no backup of unidesk"):
        reader(b"PK\x03\x04" + bytes(100))


def test_a_backup_of_another_format_is_refused_with_both_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file, "VERSION", 2)
    later = written([b"state"])
    monkeypatch.undo()
    with pytest.raises(BackupRefused, match=r"version 2 of the format; this program reads 1"):
        reader(later)


def test_a_state_that_is_larger_than_a_backup_may_be_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file, "BACKUP_BYTES_MAX", 9)
    assert written([b"x" * 9])
    with pytest.raises(BackupRefused, match="may have 9 bytes"):
        written([b"x" * 10])
