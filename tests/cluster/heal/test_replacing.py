"""A voter that is dead for long gives way to a standby, and nothing hurries."""

from typing import Any

import pytest

from cluster.heal.decision import Decision, StandIn
from cluster.heal.picture import Seen
from cluster.heal.replacing import PAUSE_S, STABLE_S, Replacing
from cluster.heal.settings import HealSettings
from cluster.raft.members import MembersRefused
from tests.cluster.heal.keeping import members, raft, said, seen, vitals

FIVE = members(n1="voter", n2="voter", n3="voter", n6="standby")
DEAD = 61.0


def picture(now_s: float, *, silent_s: float = DEAD, **more: Any) -> Seen:
    given: dict[str, Any] = {
        "members": FIVE,
        "raft": raft(silent_s={"n2": 0.1, "n3": silent_s}),
        "others": {"n2": said(vitals()), "n6": said(vitals(applied_index=100))},
    }
    return seen(now_s, **(given | more))


def watch(replacing: Replacing, make: Any = picture, until_s: float = 30.0) -> list[Decision]:
    """Return what is decided while the same is seen for so long, twice a second."""
    decided: list[Decision] = []
    for half in range(int(until_s * 2)):
        decided += replacing.look(make(half / 2))
    return decided


def test_a_stable_standby_takes_the_place_of_a_voter_that_is_dead_for_long() -> None:
    decided = watch(Replacing(), until_s=STABLE_S + 2)
    assert [one.action for one in decided if one.action] == [StandIn("n3", "n6")]
    assert decided[-1].figures["silent_ms"] == 61_000


def test_it_waits_until_the_standby_was_well_for_a_while() -> None:
    decided = watch(Replacing(), until_s=STABLE_S)
    assert [one.outcome for one in decided] == ["held_back"]
    assert "no standby is well (n6)" in decided[0].done


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"replaced_s": PAUSE_S - 1}, "less than an hour ago"),
        ({"members": members(n1="voter", n2="voter", n3="voter")}, "no standby"),
        (
            {"members": members(n1="voter", n2="voter", n3="voter", n5="joining", n6="standby")},
            "under way: n5",
        ),
        ({"others": {"n6": said(vitals(applied_index=100), age_s=5.0)}}, "no standby is well"),
    ],
)
def test_what_holds_it_back_is_said_once(more: dict[str, Any], why: str) -> None:
    def make(now_s: float) -> Seen:
        return picture(now_s, **more)

    decided = watch(Replacing(), make)
    assert {one.outcome for one in decided} == {"held_back"}
    assert sum(why in one.done for one in decided) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"silent_s": 59.0},
        {"raft": raft("follower", {"n3": DEAD})},
        {"others": {"n3": said(vitals(), age_s=1.0), "n6": said(vitals(applied_index=100))}},
    ],
)
def test_who_is_not_dead_or_not_ours_to_judge_is_let_be(more: dict[str, Any]) -> None:
    assert not watch(Replacing(), lambda now_s: picture(now_s, **more))


def test_a_standby_that_was_removed_and_added_again_is_new() -> None:
    rule = Replacing()
    watch(rule, lambda now_s: picture(now_s, silent_s=1.0), until_s=STABLE_S + 2)
    rule.look(picture(20.0, silent_s=1.0, members=members(n1="voter", n2="voter", n3="voter")))
    decided = rule.look(picture(21.0))
    assert [one.outcome for one in decided] == ["held_back"]
    assert "no standby is well (n6)" in decided[0].done


def test_the_standby_joins_first_and_then_the_dead_one_leaves() -> None:
    wished = FIVE.stand_in("n3", "n6", 5_000)
    assert {name: one.role for name, one in wished.by_id.items()} == {
        "n1": "voter",
        "n2": "voter",
        "n3": "leaving",
        "n6": "joining",
    }
    assert wished.next_step("n1", lambda _: False) is None
    voting = wished.next_step("n1", lambda name: name == "n6")
    assert voting is not None
    assert voting.voters == ("n1", "n2", "n3", "n6")
    after = voting.next_step("n1", lambda _: True)
    assert after is not None
    assert after.voters == ("n1", "n2", "n6")
    assert {one.stood_in_ms for one in (wished, voting, after)} == {5_000}
    assert FIVE.stood_in_ms == 0


def test_only_a_standby_stands_in_and_only_for_a_voter() -> None:
    with pytest.raises(MembersRefused, match="n2 is no standby"):
        FIVE.stand_in("n3", "n2", 5_000)
    with pytest.raises(MembersRefused, match="does not vote"):
        FIVE.add("n7", "", role="standby").stand_in("n7", "n6", 5_000)


def test_what_is_only_observed_is_said_once_an_hour() -> None:
    def make(now_s: float) -> Seen:
        return picture(now_s, settings=HealSettings("observe", replace_after_s=60.0))

    assert sum(one.action is not None for one in watch(Replacing(), make, 200.0)) == 1


def test_why_a_voter_was_not_replaced_is_said_again_when_it_dies_again() -> None:
    replacing = Replacing()

    def dead(now_s: float) -> Seen:
        return picture(now_s, members=members(n1="voter", n2="voter", n3="voter"))

    def well(now_s: float) -> Seen:
        return picture(now_s, silent_s=0.1, members=members(n1="voter", n2="voter", n3="voter"))

    assert len(watch(replacing, dead)) == 1
    assert watch(replacing, well) == []
    (again,) = watch(replacing, dead)
    assert again.outcome == "held_back"
