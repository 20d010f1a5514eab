"""Packing: all of it, in order, in entries that stay below their limit."""

from collections import deque

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cluster.packing import ENTRY_BYTES_MAX, pack
from cluster.state.entry import Batch, Proposal, decode_entry

sizes = st.lists(st.integers(0, 200_000), min_size=1, max_size=8)


def batch(number: int, size: int) -> Batch:
    command = msgspec.Raw(msgspec.msgpack.encode(b"c" * size))
    return Batch("n1", "b", 1, (Proposal(number, command),))


@given(sizes)
def test_every_batch_is_packed_once_and_in_order(sizes: list[int]) -> None:
    batches = deque(batch(number, size) for number, size in enumerate(sizes))
    packed = []
    while batches:
        entry = pack(batches, 7)
        decoded = decode_entry(entry)
        assert decoded.now_ms == 7
        assert len(entry) <= ENTRY_BYTES_MAX + 64 or len(decoded.batches) == 1
        packed += [one.proposals[0].number for one in decoded.batches]
    assert packed == list(range(len(sizes)))


def test_what_does_not_fit_waits_for_the_next_entry() -> None:
    batches = deque([batch(1, 300_000), batch(2, 300_000)])
    pack(batches, 0)
    assert len(batches) == 1


def test_as_much_as_fits_goes_into_one_entry() -> None:
    batches = deque(batch(number, 1_000) for number in range(100))
    pack(batches, 0)
    assert not batches
