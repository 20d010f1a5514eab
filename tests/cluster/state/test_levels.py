"""Nodes of two releases have one state: what is newer waits until all understand it."""

import msgspec
import pytest

from cluster.state import commands as c
from cluster.state import levels, snapshot
from tests.cluster.state.desk import BOB, Desk

NOTE = c.NoteHeal(9, "syncs take 300 ms", "leadership to n2", "done", 5, {"p99_ms": 300})


def test_a_command_of_a_later_level_waits_for_it() -> None:
    desk = Desk()
    assert desk.refused(NOTE).code == "conflict"
    assert not desk.state.heal_log
    desk.done(c.RaiseLevel(2))
    desk.done(NOTE)
    (line,) = desk.state.heal_log
    assert (line.rule, line.figures, line.at_ms) == (9, {"p99_ms": 300}, 5)


def test_a_level_never_falls_and_is_never_above_the_release() -> None:
    desk = Desk()
    desk.done(c.RaiseLevel(levels.LEVEL))
    for level in (0, 1, levels.LEVEL):
        assert desk.refused(c.RaiseLevel(level)).code == "conflict"
    assert desk.state.level == levels.LEVEL


def test_a_release_stops_where_the_log_goes_on_without_it() -> None:
    desk = Desk()
    desk.done(c.RaiseLevel(levels.LEVEL))
    with pytest.raises(levels.Outgrown, match=f"level {levels.LEVEL + 1}, .* up to {levels.LEVEL}"):
        desk.run(c.RaiseLevel(levels.LEVEL + 1))
    assert desk.state.level == levels.LEVEL


def test_a_snapshot_of_a_later_level_is_refused_with_the_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.done(c.RaiseLevel(2))
    saved = b"".join(snapshot.dump(desk.state))
    monkeypatch.setattr(levels, "LEVEL", 1)
    with pytest.raises(snapshot.SnapshotRefused, match=r"level 2, .* up to 1: start the release"):
        snapshot.load([saved])


def test_a_field_of_a_later_level_makes_a_command_one_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levels, "_FIELDS_SINCE", {c.SetStatus: {"until_ms": 3}})
    plain = c.SetStatus(BOB, "bob", "away")
    assert levels.since(plain) == levels.FIRST
    assert levels.since(msgspec.structs.replace(plain, until_ms=5)) == 3
    assert levels.refusal(plain, 1) is None
    assert levels.refusal(msgspec.structs.replace(plain, until_ms=5), 2) is not None


def test_level_and_heal_log_are_in_a_snapshot_only_where_there_is_more_than_the_first() -> None:
    old, new = Desk(), Desk()
    assert b"heal_log" not in b"".join(snapshot.dump(old.state))
    assert b"level" not in b"".join(snapshot.dump(old.state))
    new.done(c.RaiseLevel(2))
    new.done(NOTE)
    loaded = snapshot.load(snapshot.dump(new.state))
    assert (loaded.level, loaded.heal_log) == (2, new.state.heal_log)
    assert snapshot.digest(loaded) == snapshot.digest(new.state)
    assert loaded.heal_log.maxlen == new.state.heal_log.maxlen


def test_a_note_has_bounds() -> None:
    desk = Desk()
    desk.done(c.RaiseLevel(2))
    long = "x" * 2_000
    for change, code in (
        ({"seen": long}, "too_large"),
        ({"done": long}, "too_large"),
        ({"figures": {str(n): n for n in range(99)}}, "too_large"),
        ({"figures": {"a": {"b": 1}}}, "bad_request"),
        ({"at_ms": -1}, "bad_request"),
    ):
        fields = {name: getattr(NOTE, name) for name in NOTE.__struct_fields__} | change
        assert desk.refused(c.NoteHeal(**fields)).code == code
    assert not desk.state.heal_log
