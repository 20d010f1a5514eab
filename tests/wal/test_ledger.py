"""`wal.ledger`: only what makes sense follows, and the commit index covers only what is there."""

import pytest

from tests.wal.samples import entries
from wal.ledger import Ledger, OutOfOrder
from wal.record import Base, Commit, Compact, Entry, HardState, Record, Reset, Truncate


def ledger(*records: Record) -> Ledger:
    made = Ledger()
    for record in records:
        made.apply(record)
    return made


def test_the_first_entry_may_have_any_index_and_the_next_is_the_next() -> None:
    made = ledger(Entry(7, 2, b""), Entry(8, 2, b""))
    assert (made.first_index, made.next_index, made.last_index) == (7, 9, 8)
    for index in (8, 10, 1):
        with pytest.raises(OutOfOrder, match=f"entry {index} where 9 is next"):
            made.apply(Entry(index, 2, b""))
    assert made.next_index == 9


def test_there_is_no_entry_zero() -> None:
    with pytest.raises(OutOfOrder, match="entry 0"):
        ledger(Entry(0, 1, b""))


def test_terms_do_not_fall_but_for_entries_that_were_dropped() -> None:
    made = ledger(*entries(1, 3, term=1), *entries(4, 5, term=3))
    with pytest.raises(OutOfOrder, match="entry 6 of term 2 after term 3"):
        made.apply(Entry(6, 2, b""))
    made.apply(Truncate(4))
    made.apply(Entry(4, 2, b""))
    assert made.mark().base == Base(1, 5, 2)


def test_the_next_entry_after_a_reset_may_have_any_index_and_term() -> None:
    made = ledger(*entries(5, 9, term=4), Commit(9), Reset())
    assert (made.first_index, made.last_index, made.commit_index) == (0, 0, 0)
    made.apply(Entry(3, 1, b""))
    assert (made.first_index, made.last_index) == (3, 3)


def test_the_commit_index_never_covers_what_is_not_there() -> None:
    made = ledger(*entries(1, 5), Commit(9))
    assert made.commit_index == 5
    made.apply(Truncate(3))
    for entry in entries(3, 9):
        made.apply(entry)
    assert made.commit_index == 2
    assert ledger(Commit(4)).commit_index == 0


def test_truncating_behind_the_end_does_nothing_and_below_the_begin_is_refused() -> None:
    made = ledger(*entries(4, 6), Truncate(7), Truncate(99))
    assert made.last_index == 6
    with pytest.raises(OutOfOrder, match="below the first entry 4"):
        made.apply(Truncate(3))
    assert ledger(Truncate(1)).next_index == 0


def test_compaction_moves_the_begin_and_at_most_empties_the_log() -> None:
    made = ledger(*entries(1, 3, term=1), *entries(4, 6, term=2), Compact(5))
    assert (made.first_index, made.next_index) == (5, 7)
    made.apply(Compact(2))
    assert made.first_index == 5
    made.apply(Compact(7))
    assert (made.first_index, made.next_index) == (7, 7)
    with pytest.raises(OutOfOrder, match="term 1 after term 2"):
        made.apply(Entry(7, 1, b""))
    made.apply(Compact(20))
    assert (made.first_index, made.next_index) == (20, 20)
    assert ledger(Compact(5)).next_index == 0


def test_compaction_keeps_the_term_of_the_first_entry() -> None:
    made = ledger(*entries(1, 3, term=1), *entries(4, 6, term=2), Compact(3), Truncate(4))
    with pytest.raises(OutOfOrder, match="term 0 after term 1"):
        made.apply(Entry(4, 0, b""))


def test_a_mark_brings_a_fresh_ledger_to_the_same_place() -> None:
    made = ledger(*entries(3, 9, term=2), HardState(4, "b"), Commit(8), Compact(5))
    assert ledger(*made.mark().records).mark() == made.mark()
    empty = Ledger()
    assert ledger(*empty.mark().records).mark() == empty.mark()


def test_a_base_that_does_not_fit_is_refused() -> None:
    made = ledger(*entries(3, 9, term=2))
    made.apply(Base(3, 10, 2))
    with pytest.raises(OutOfOrder, match="entries 3 to 10"):
        made.apply(Base(3, 11, 2))
    with pytest.raises(OutOfOrder, match="last term 2 where 3"):
        made.apply(Base(3, 10, 3))


def test_a_term_known_only_from_a_base_is_forgotten_when_its_entry_goes() -> None:
    """Entries 4..8 are in segments that are gone; 6 may have had a lower term than 8."""
    made = ledger(Base(4, 9, 5), Truncate(6), Entry(6, 3, b""))
    assert made.mark().base == Base(4, 7, 3)
    made = ledger(Base(4, 9, 5), Truncate(6), Base(4, 6, 2))
    with pytest.raises(OutOfOrder, match="term 1 after term 2"):
        made.apply(Entry(6, 1, b""))
