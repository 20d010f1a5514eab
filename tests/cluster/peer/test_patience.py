"""How long a dialler waits, and who is known to make trouble."""

import pytest

from cluster.peer.patience import (
    PATIENT,
    PAUSE_S_MAX,
    PAUSE_S_USUAL,
    TROUBLED_MAX,
    Patience,
    TroubleBook,
)


def test_a_peer_that_is_away_is_tried_twice_a_second_for_ever() -> None:
    patience = Patience(lambda: 0.5)
    pauses = [patience.missed() for _ in range(50)]
    assert pauses[:3] == [0.02, 0.04, 0.08]
    assert pauses[-1] == max(pauses) == PAUSE_S_USUAL


def test_a_peer_that_answers_badly_is_tried_more_and_more_rarely_up_to_a_bound() -> None:
    patience = Patience(lambda: 0.5)
    pauses = [patience.troubled() for _ in range(60)]
    assert pauses == sorted(pauses)
    assert max(pauses[:PATIENT]) <= PAUSE_S_USUAL
    assert pauses[-1] == PAUSE_S_MAX


def test_a_link_that_was_up_makes_good_for_all() -> None:
    patience = Patience(lambda: 0.5)
    for _ in range(20):
        patience.troubled()
    patience.steady()
    assert patience.troubled() == 0.02


def test_pauses_differ_by_chance() -> None:
    assert Patience(lambda: 0.0).missed() == pytest.approx(0.015)
    assert Patience(lambda: 1.0).missed() == pytest.approx(0.025)


def test_the_book_of_trouble_has_an_end() -> None:
    book = TroubleBook()
    for number in range(TROUBLED_MAX + 10):
        book.note(f"10.0.0.{number}", "no frame")
        book.note("n2", "reset")
    assert len(book.all()) == TROUBLED_MAX
    assert book.all()["n2"].total == TROUBLED_MAX + 10
