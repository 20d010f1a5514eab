"""The heal log keeps what limits go by, however many lines one rule makes."""

import pytest

from cluster.state import commands as c
from cluster.state import heal_log, limits
from tests.cluster.state.desk import Desk

BAD_PEER, SLOW_DISK, DEAD_VOTER = 16, 9, 11


def note(rule: int, **figures: object) -> c.NoteHeal:
    return c.NoteHeal(rule, "seen", "done", "done", 5, figures)


def test_a_flood_of_one_rule_pushes_out_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEAL_LOG_MAX", 20)
    desk = Desk()
    desk.done(c.RaiseLevel(2))
    desk.done(note(DEAD_VOTER))
    for number in range(50):
        desk.done(note(BAD_PEER, number=number))
    kept = [(line.rule, line.figures.get("number")) for line in desk.state.heal_log]
    assert kept == [(DEAD_VOTER, None), *((BAD_PEER, number) for number in range(31, 50))]


def test_hand_overs_are_counted_newest_first_and_none_that_was_held_back() -> None:
    desk = Desk()
    desk.done(c.RaiseLevel(2))
    assert heal_log.hand_overs_s(desk.state, 3) == []
    for _ in range(4):
        desk.done(note(SLOW_DISK, target="n2"))
    desk.done(c.NoteHeal(SLOW_DISK, "seen", "leads on", "held_back", 5, {"target": "n2"}))
    desk.done(note(SLOW_DISK, running_ms=3_000))
    assert heal_log.hand_overs_s(desk.state, 3) == [2.0, 3.0, 4.0]
