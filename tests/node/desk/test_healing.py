"""The heal log as people read it."""

import pytest

from cluster.heal.rules import DEAD_VOTER, RULES
from cluster.port import Figures
from cluster.state.model import HealNote
from node.desk.auditing import BadCursor
from node.desk.healing import HELD_BACK_MAX, held_back, read, table


def notes(count: int) -> list[HealNote]:
    """Two a moment; odd ones are n1's by rule 9, the others n2's by rule 1."""
    return [
        HealNote(1_000 + n // 2, f"n{2 - n % 2}", 9 if n % 2 else 1, f"seen {n}", "done", "done")
        for n in range(count)
    ]


def page(kept: list[HealNote], **asked: object) -> dict[str, object]:
    known: dict[str, object] = {"after": "", "before": "", "node": "", "rule": 0, "limit": 10}
    return read(kept, **{**known, **asked})  # type: ignore[arg-type]


def test_the_newest_come_first_and_pages_go_back_without_a_gap() -> None:
    kept, seen, before = notes(25), [], ""
    while True:
        one = page(kept, before=before)
        seen += [line.seen for line in one["lines"]]  # type: ignore[attr-defined]
        before = str(one["past"])
        if not one["more"]:
            break
    assert seen == [f"seen {n}" for n in reversed(range(25))]


def test_who_follows_gets_what_came_behind_once() -> None:
    kept = notes(5)
    newest = str(page(kept)["next"])
    kept = notes(9)
    later = page(kept, after=newest)
    assert [line.seen for line in later["lines"]] == [f"seen {n}" for n in range(5, 9)]  # type: ignore[attr-defined]
    assert page(kept, after=str(later["next"]))["lines"] == []
    assert page(kept, after=str(later["next"]))["next"] == later["next"]


def test_lines_of_one_node_or_one_rule_are_picked() -> None:
    kept = notes(10)
    picked = page(kept, node="n1", rule=9)["lines"]
    assert [line.seen for line in picked] == [f"seen {n}" for n in (9, 7, 5, 3, 1)]  # type: ignore[attr-defined]
    assert page(kept, node="n1", rule=1)["lines"] == []


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(BadCursor):
        page(notes(1), after="yesterday")


def test_the_table_has_every_rule_and_counts() -> None:
    rows = {one.rule: one for one in table(notes(10))}
    assert rows.keys() == RULES.keys()
    assert (rows[9].counts, rows[9].last_at) == ({"done": 5}, 1_004)
    assert (rows[8].counts, rows[8].last_at) == ({}, 0)


def test_however_much_was_held_back_the_newest_lines_are_told() -> None:
    many = [
        HealNote(700_000 + n, "n2", 9, f"seen {n}", "leads on", "held_back") for n in range(500)
    ]
    found = held_back(many, 800_000, {})
    assert [line.seen for line in found[:2]] == ["seen 499", "seen 498"]
    assert len(found) == HELD_BACK_MAX


def test_what_was_held_back_lately_is_named() -> None:
    old = HealNote(1_000, "n1", 9, "slow", "leads on", "held_back")
    new = HealNote(700_000, "n2", 9, "slow", "leads on", "held_back")
    assert [line.node for line in held_back([old, new], 800_000, {})] == ["n2"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"member": "voter", "known": False}, True),
        ({"member": "voter", "known": True, "fresh": False}, True),
        ({"member": "voter", "known": True, "fresh": True}, False),
        ({"member": "leaving", "known": False}, False),
        (None, False),
    ],
)
def test_a_replacement_is_held_back_while_there_is_a_dead_voter_to_replace(
    row: Figures | None, told: bool
) -> None:
    """Not after it was removed by hand, is about to leave, or is back."""
    figures = {"dead": "n3", "silent_ms": 61_000}
    note = HealNote(700_000, "n1", DEAD_VOTER, "n3", "not replaced", "held_back", figures)
    nodes: dict[str, Figures] = {"n1": {"member": "voter"}}
    if row is not None:
        nodes["n3"] = row
    assert bool(held_back([note], 800_000, nodes)) is told
