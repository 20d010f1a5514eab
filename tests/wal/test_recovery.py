"""`wal.recovery`: a torn tail is cut, everything else that is damaged is refused by its place."""

from dataclasses import dataclass, field

import pytest

from tests.wal.samples import entries
from wal.errors import CorruptLog
from wal.ledger import Ledger
from wal.record import (
    Base,
    Commit,
    Compact,
    Entry,
    HardState,
    Record,
    Reset,
    Truncate,
    encode_frame,
    encode_records,
)
from wal.recovery import Recovered, recover
from wal.segment import HEAD_BYTES, SegmentHead, encode_head


@dataclass
class Writer:
    """Writes segments as the log does, and knows where each frame begins."""

    ledger: Ledger = field(default_factory=Ledger)
    segments: list[bytearray] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    """Offsets in the current segment."""
    sequence: int = 1
    previous: int = 0
    salt: int = 41

    def __post_init__(self) -> None:
        self.roll()

    @property
    def number(self) -> int:
        return len(self.segments)

    def roll(self) -> None:
        self.salt += 1
        self.segments.append(bytearray())
        self.frames = []
        head = SegmentHead(self.number, 1, self.sequence, self.previous, self.salt, "shop", "a", 7)
        self.segments[-1] += encode_head(head)
        self._frame(encode_records(self.ledger.mark().records), head=True)

    def add(self, *records: Record, trusting: bool = False) -> None:
        for record in records:
            if not trusting:
                self.ledger.apply(record)
        self._frame(encode_records(records))

    def _frame(self, payload: bytes, *, head: bool = False) -> None:
        frame, self.previous = encode_frame(
            payload,
            sequence=self.sequence,
            segment=self.number,
            previous=self.previous,
            salt=self.salt,
            head=head,
        )
        self.frames.append(len(self.segments[-1]))
        self.sequence += 1
        self.segments[-1] += frame

    def recover(self, *, first: int = 1) -> Recovered:
        return recover(
            (number, f"{number:016d}.wal", bytes(data))
            for number, data in enumerate(self.segments, start=1)
            if number >= first
        )


def small_log() -> Writer:
    """Two segments; the last frame holds entry 7 alone."""
    writer = Writer()
    writer.add(HardState(1, "a"), *entries(1, 3))
    writer.add(*entries(4, 4), Commit(3))
    writer.roll()
    writer.add(*entries(5, 6, term=2), HardState(2, None))
    writer.add(Commit(6), *entries(7, 7, term=2))
    return writer


WHOLE = small_log().recover()
WITHOUT_LAST = [*entries(1, 4), *entries(5, 6, term=2)]


def test_a_clean_log_gives_back_everything() -> None:
    assert WHOLE.entries == [*WITHOUT_LAST, *entries(7, 7, term=2)]
    assert (WHOLE.hard_state, WHOLE.commit_index, WHOLE.torn) == (HardState(2, None), 6, None)
    assert WHOLE.end.offset == len(small_log().segments[-1])
    assert [(s.number, s.last_index, s.frames) for s in WHOLE.segments] == [(1, 4, 3), (2, 7, 3)]


def recovered_or_refused(writer: Writer) -> Recovered | CorruptLog:
    try:
        return writer.recover()
    except CorruptLog as refused:
        return refused


def test_each_flipped_byte_is_refused_or_costs_the_last_frame_alone() -> None:
    cut = 0
    for place in range(2):
        for at in range(len(small_log().segments[place])):
            writer = small_log()
            writer.segments[place][at] ^= 0x40
            last_frame = writer.frames[-1]
            found = recovered_or_refused(writer)
            if isinstance(found, CorruptLog):
                assert found.path == f"{place + 1:016d}.wal"
                assert found.offset <= at
                continue
            assert found.hard_state == HardState(2, None)
            if found.torn is None:
                # Padding: nothing was damaged.
                assert found.entries == WHOLE.entries
                assert found.commit_index == WHOLE.commit_index
                continue
            assert (place, found.torn.offset) == (1, last_frame)
            assert at >= last_frame
            assert (found.entries, found.commit_index) == (WITHOUT_LAST, 3)
            cut += 1
    assert cut >= len(encode_records(entries(7, 7))) + 40


def test_the_last_frame_torn_at_any_byte_is_cut() -> None:
    last_frame = small_log().frames[-1]
    size = len(small_log().segments[-1])
    padding = 0
    for cut in range(last_frame + 1, size):
        for tail in (b"", bytes(size - cut), b"\xee" * (size - cut)):
            writer = small_log()
            data = writer.segments[-1]
            del data[cut:]
            data += tail
            found = writer.recover()
            if found.torn is None:
                padding += 1
                assert found.entries == WHOLE.entries
                assert found.end == WHOLE.end
                continue
            assert found.entries == WITHOUT_LAST
            assert found.torn.offset == last_frame == found.end.offset
            assert found.torn.bytes == len(data) - last_frame
            assert found.end.sequence == WHOLE.end.sequence - 1
    assert padding <= 7 * 3


def test_zeros_behind_the_last_frame_are_a_torn_tail() -> None:
    writer = small_log()
    writer.segments[-1] += bytes(64)
    found = writer.recover()
    assert found.entries == WHOLE.entries
    assert found.torn is not None
    assert "zeros" in found.torn.reason


def test_a_bad_frame_before_a_whole_one_is_corruption() -> None:
    writer = small_log()
    at = writer.frames[1]
    writer.segments[-1][at + 50] ^= 1
    with pytest.raises(CorruptLog, match=r"payload is wrong, and frame 6 at byte \d+, written"):
        writer.recover()


def test_a_bad_frame_before_a_later_segment_is_corruption() -> None:
    writer = small_log()
    del writer.segments[0][-8:]
    with pytest.raises(CorruptLog, match="a later segment exists"):
        writer.recover()


def test_a_head_frame_is_never_torn() -> None:
    writer = Writer()
    del writer.segments[0][HEAD_BYTES + 5 :]
    with pytest.raises(CorruptLog, match="never torn"):
        writer.recover()
    writer = Writer()
    del writer.segments[0][HEAD_BYTES - 5 :]
    with pytest.raises(CorruptLog, match="never torn"):
        writer.recover()


def test_a_lost_frame_is_seen() -> None:
    writer = small_log()
    first, second = writer.frames[1], writer.frames[2]
    del writer.segments[-1][first:second]
    with pytest.raises(CorruptLog, match="frame 6 does not follow frame 4"):
        writer.recover()


def test_swapped_frames_are_seen() -> None:
    writer = small_log()
    data = writer.segments[-1]
    first, second = writer.frames[1], writer.frames[2]
    data[first:] = data[second:] + data[first:second]
    with pytest.raises(CorruptLog, match="does not follow"):
        writer.recover()


def test_a_frame_of_another_history_is_seen() -> None:
    writer = small_log()
    sequence = writer.sequence
    writer.previous ^= 1
    writer.add(*entries(8, 8, term=2))
    with pytest.raises(CorruptLog, match=f"frame {sequence} does not follow frame {sequence - 1}"):
        writer.recover()


def test_lost_segments_are_seen() -> None:
    writer = small_log()
    writer.roll()
    data = [(n, f"{n:016d}.wal", bytes(s)) for n, s in enumerate(writer.segments, start=1)]
    with pytest.raises(CorruptLog, match="segment 2 is missing"):
        recover([data[0], data[2]])
    with pytest.raises(CorruptLog, match="entries 1 to 4 are in no segment"):
        recover(data[1:])
    with pytest.raises(CorruptLog, match="under another's name"):
        recover([(2, "0000000000000002.wal", data[0][2])])


def test_frames_lost_at_the_end_of_a_segment_are_seen() -> None:
    writer = Writer()
    writer.add(*entries(1, 2))
    writer.add(*entries(3, 4))
    del writer.segments[-1][writer.frames[-1] :]
    writer.roll()
    with pytest.raises(CorruptLog, match=r"begins with frame 4.*where frame 3 is next"):
        writer.recover()


def test_a_segment_of_another_history_is_seen() -> None:
    writer = small_log()
    writer.previous ^= 1
    writer.roll()
    with pytest.raises(CorruptLog, match="frames between them are lost"):
        writer.recover()


def test_stale_frames_of_a_recycled_segment_never_come_back() -> None:
    """A segment file that is used again is full of whole frames of its earlier life."""
    old = Writer()
    for index in range(1, 9):
        old.add(*entries(index, index))
    new = Writer(salt=77)
    new.add(*entries(1, 1, term=9))
    assert len(new.segments[0]) == old.frames[2], "aligned: the hardest case"
    new.segments[0] += old.segments[0][old.frames[2] :]
    found = new.recover()
    assert found.entries == entries(1, 1, term=9)
    assert found.torn is not None


def test_an_earlier_frame_in_place_of_the_next_is_stale() -> None:
    writer = Writer()
    writer.add(*entries(1, 1))
    stale = writer.segments[0][writer.frames[0] : writer.frames[1]]
    writer.segments[0] += stale + stale
    found = writer.recover()
    assert found.entries == entries(1, 1)
    assert found.torn is not None
    assert "frame 1 again where 3 is next" in found.torn.reason


def test_a_frame_of_another_segment_number_is_stale() -> None:
    other = Writer()
    other.salt -= 1
    other.roll()
    other.add(*entries(1, 1))
    writer = Writer()
    writer.segments[0] += other.segments[1][other.frames[1] :]
    found = writer.recover()
    assert found.torn is not None
    assert "segment 2, left from an earlier life" in found.torn.reason


def test_a_second_head_frame_is_out_of_place() -> None:
    writer = Writer()
    writer._frame(encode_records(writer.ledger.mark().records), head=True)
    with pytest.raises(CorruptLog, match="out of place"):
        writer.recover()


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([Entry(9, 2, b"")], "entry 9 where 8 is next"),
        ([Entry(8, 1, b"")], "entry 8 of term 1 after term 2"),
        ([Truncate(0)], "below the first entry"),
        ([Base(1, 8, 2)], "a base outside"),
    ],
)
def test_records_that_make_no_sense_are_refused(records: list[Record], reason: str) -> None:
    writer = small_log()
    writer.add(*records, trusting=True)
    with pytest.raises(CorruptLog, match=reason):
        writer.recover()


def test_records_of_an_unknown_kind_are_refused() -> None:
    writer = small_log()
    writer._frame(b"\x63")
    with pytest.raises(CorruptLog, match="unknown kind 99"):
        writer.recover()


def test_dropped_entries_stay_dropped() -> None:
    writer = Writer()
    writer.add(*entries(1, 9), Commit(4))
    writer.add(Truncate(6), *entries(6, 7, term=3), Compact(3))
    found = writer.recover()
    assert found.entries == [*entries(3, 5), *entries(6, 7, term=3)]
    assert found.commit_index == 4
    writer.add(Reset(), *entries(90, 91, term=2))
    assert writer.recover().entries == entries(90, 91, term=2)
    writer.add(Compact(92))
    assert writer.recover().entries == []


def test_old_segments_may_go_once_their_entries_are_compacted() -> None:
    writer = small_log()
    writer.add(Truncate(3), *entries(3, 8, term=4))
    with pytest.raises(CorruptLog, match="entries 1 to 2 are in no segment"):
        writer.recover(first=2)
    writer.add(Compact(5))
    assert writer.recover(first=2).entries == entries(5, 8, term=4)
    assert writer.recover(first=2).ledger.mark() == writer.ledger.mark()
    writer.add(Compact(9))
    writer.roll()
    assert writer.recover(first=3).entries == []


def test_a_log_that_lost_all_its_entries_says_which() -> None:
    writer = Writer()
    writer.add(*entries(1, 4))
    writer.roll()
    with pytest.raises(CorruptLog, match="entries 1 to 4 are in no segment"):
        writer.recover(first=2)
