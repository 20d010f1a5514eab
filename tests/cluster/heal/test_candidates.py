"""Whom leadership goes to: one choice for operators, drains, processes that go, and healing."""

from dataclasses import replace
from typing import Any

import pytest

from cluster.heal.candidates import best, candidates, in_order, reason_against
from cluster.heal.picture import Other, Seen
from cluster.raft.members import Members
from cluster.vitals import Storage
from tests.cluster.heal.pictures import GIB, HEALTHY, SLOW, Scene, vitals

FIVE = ("n1", "n2", "n3", "n4", "n5")
SHORT = Storage(free_bytes=GIB // 2, total_bytes=100 * GIB, sync_p99_ms=2.0)
QUICK = Storage(free_bytes=50 * GIB, total_bytes=100 * GIB, sync_p99_ms=1.0)


def said(storage: Storage = HEALTHY, *, age_s: float = 0.1, **more: Any) -> Other:
    return Other(vitals(storage, **more), age_s)


def picture(drained: frozenset[str] = frozenset(), /, **others: Other) -> Seen:
    """Five voters, of whom n1 leads; who is not named is well."""
    match_index = dict.fromkeys(FIVE[1:], 100)
    scene = Scene(voters=FIVE, others=dict(others), raft={"match_index": match_index})
    return replace(scene.seen(), drained=drained)


def matching(seen: Seen, **match_index: int) -> Seen:
    return replace(seen, raft=replace(seen.raft, match_index=seen.raft.match_index | match_index))


@pytest.mark.parametrize(
    ("worse", "seen"),
    [
        ("drained", picture(frozenset({"n5"}))),
        ("silent", picture(n5=said(age_s=5.0))),
        ("fenced", picture(n5=said(standing="fenced"))),
        ("draining", picture(n5=said(standing="draining"))),
        ("slow", picture(n5=said(SLOW))),
        ("short of room", picture(n5=said(SHORT))),
        (
            "alone in its zone",
            picture(**{name: said(zone="a") for name in FIVE[1:4]}, n5=said(zone="b")),
        ),
        ("not as quick", picture(**{name: said(QUICK) for name in FIVE[1:4]})),
        ("behind", matching(picture(), n5=99)),
    ],
)
def test_whoever_is_worse_off_in_one_thing_comes_last(worse: str, seen: Seen) -> None:
    assert in_order(seen, drained_too=True) == ["n4", "n3", "n2", "n5"], worse
    assert best(seen, FIVE[1:]) == "n4"


def test_what_counts_more_is_looked_at_first() -> None:
    seen = picture(
        frozenset({"n2"}),
        n2=said(QUICK, zone="a"),
        n3=said(SLOW, zone="a"),
        n4=said(zone="a"),
        n5=said(QUICK, zone="b"),
    )
    seen = matching(replace(seen, mine=vitals(zone="a")), n4=100, n5=200)
    assert in_order(seen, drained_too=True) == ["n4", "n5", "n3", "n2"]


def test_who_says_nothing_of_itself_leads_before_nobody_does() -> None:
    """Nodes of the first release send no vitals: healing lets them be, a person may not have to."""
    seen = picture(**{name: said(age_s=60.0) for name in FIVE[1:]})
    assert not candidates(seen)
    assert in_order(matching(seen, n3=101))[0] == "n3"


def test_a_drained_node_leads_only_where_a_process_goes_and_there_is_no_other() -> None:
    seen = picture(frozenset(FIVE[1:]))
    assert in_order(seen) == []
    assert in_order(seen, drained_too=True) == ["n5", "n4", "n3", "n2"]
    assert not candidates(seen)
    assert "undrain one" in reason_against(seen)


def test_who_is_about_to_leave_the_members_is_no_heir_while_there_are_others() -> None:
    seen = replace(picture(), members=Members.of(FIVE).remove("n5"))
    assert in_order(seen) == ["n4", "n3", "n2", "n5"]
    assert best(seen, ["n5"]) == "n5"


def test_a_learner_is_in_no_order() -> None:
    seen = replace(picture(), members=Members.of(FIVE[:4]).add("n5", "", role="learner"))
    assert "n5" not in in_order(seen)
    assert "promote n5" in reason_against(seen, "n5")


@pytest.mark.parametrize(
    ("to", "seen", "why"),
    [
        ("n1", picture(), "leads already"),
        ("n9", picture(), "no member; there are n1, n2"),
        ("n2", picture(frozenset({"n2"})), "n2 is drained"),
        ("n2", matching(picture(), n2=-2_000), "2100 entries behind"),
        ("n2", picture(n2=said(SLOW)), ""),
        ("", picture(), ""),
    ],
)
def test_a_person_is_told_why_not_and_may_choose_a_slow_one(to: str, seen: Seen, why: str) -> None:
    assert why in reason_against(seen, to)
    assert bool(why) == bool(reason_against(seen, to))


def test_a_node_that_is_silent_is_not_asked() -> None:
    seen = picture()
    seen = replace(seen, raft=replace(seen.raft, contact_age_s={"n2": 1.5}))
    assert "nothing was heard of n2 for 1.5 s" in reason_against(seen, "n2")
