"""What survived, which is best, and what is consented to."""

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from cluster.raft.members import Members
from cluster.recovery.plan import RecoveryRefused, make_plan
from cluster.recovery.survivor import Survivor, survivor_of
from tests.cluster.recovery.lost import MEMBERS_OF_ALL, VOTERS, folder
from tests.sim.disk import SimDisk


def survivor(node: str, disk: SimDisk) -> Survivor:
    return survivor_of(node, disk, MEMBERS_OF_ALL)


def test_a_survivor_says_how_far_it_reaches() -> None:
    found = survivor("a", folder("a", 9, commit_index=7))
    assert found.condition == "whole"
    assert (found.term, found.last_index, found.last_term, found.commit_index) == (3, 9, 3, 7)
    assert found.voters == VOTERS
    assert (found.conversations, found.reaches_ms) == (5, 6_000)
    assert [newest.cv for newest in found.newest] == ["cv6", "cv5", "cv4", "cv3", "cv2"]


def test_the_best_has_the_highest_term_and_then_the_highest_index() -> None:
    older = survivor("a", folder("a", 30, term=2))
    newer = survivor("b", folder("b", 9, term=3))
    assert make_plan([older, newer]).best == "b"
    further = survivor("a", folder("a", 10, term=3))
    plan = make_plan([further, newer])
    assert (plan.best, plan.others) == ("a", ("b",))
    assert [(node, role) for node, role, _ in plan.members] == [("a", "voter"), ("b", "joining")]
    assert [node for node, _ in plan.lost] == ["c", "d", "e"]
    assert (plan.old_id, plan.new_id) == ("shop", f"shop+1.{plan.hash[:8]}")
    assert plan.term == 4


def test_a_node_that_may_have_forgotten_is_taken_only_where_nothing_better_is() -> None:
    forgot = survivor("a", folder("a", 30, abstains=True))
    whole = survivor("b", folder("b", 9))
    assert make_plan([forgot, whole]).best == "b"
    assert make_plan([forgot]).best == "a"


def test_a_best_survivor_that_was_about_to_leave_is_said_to_be() -> None:
    alone = survivor("a", folder("a", 9))
    assert "leaving" not in make_plan([alone]).may_be_lost
    members = tuple((node, "leaving" if node == "a" else "voter", "") for node in VOTERS)
    left = make_plan([_with(alone, members=members)]).may_be_lost
    assert "a was leaving by its own log" in left
    learner = tuple((node, "learner" if node == "a" else "voter", "") for node in VOTERS)
    assert (
        "a was a learner by its own log" in make_plan([_with(alone, members=learner)]).may_be_lost
    )
    absent = tuple((node, "voter", "") for node in VOTERS if node != "a")
    assert "a was no member by its own log" in make_plan([_with(alone, members=absent)]).may_be_lost


def test_a_later_epoch_goes_before_a_longer_log() -> None:
    before = survivor("a", folder("a", 30))
    after = survivor("b", folder("b", 9, cluster_id="shop+1.5f0c2a9b"))
    plan = make_plan([before, after])
    assert (plan.best, plan.new_id[:7]) == ("b", "shop+2.")


def test_nothing_is_lost_where_every_majority_has_a_survivor() -> None:
    four = ("a", "b", "c", "d")
    here = [survivor_of(node, folder(node, 9), Members.of(four)) for node in ("a", "b")]
    here = [_with(one, members=tuple((node, "voter", "") for node in four)) for one in here]
    plan = make_plan(here)
    assert plan.complete
    assert "nothing that was acknowledged" in plan.may_be_lost
    alone = make_plan(here[:1])
    assert not alone.complete
    assert "nobody here can say how much" in alone.may_be_lost


@pytest.mark.parametrize("role", ["leaving", "joining", None])
def test_in_the_midst_of_a_change_of_members_half_the_voters_are_not_enough(
    role: str | None,
) -> None:
    """c and d are a majority without a, and with e: they may have gone on by themselves."""
    four = ("a", "b", "c", "d")
    members = [(node, "voter", "") for node in four]
    if role == "leaving":
        members[0] = ("a", role, "")
    elif role == "joining":
        members.append(("e", role, ""))
    here = [survivor_of(node, folder(node, 9), Members.of(four)) for node in ("a", "b")]
    index = 9 if role is None else 1  # by an entry that may never have been committed
    here = [_with(one, members=tuple(members), members_index=index) for one in here]
    plan = make_plan(here)
    assert not plan.complete
    assert "nobody here can say how much" in plan.may_be_lost


def test_the_hash_is_of_what_was_found_and_of_what_is_made_of_it() -> None:
    plan = make_plan([survivor("a", folder("a", 9))])
    assert make_plan([survivor("a", folder("a", 9))]).hash == plan.hash
    assert make_plan([survivor("a", folder("a", 10))]).hash != plan.hash
    two = [survivor("a", folder("a", 9)), survivor("b", folder("b", 9))]
    assert make_plan(two).hash != plan.hash


def _with(one: Survivor, **changes: Any) -> Survivor:
    return replace(one, **changes)


def damaged() -> SimDisk:
    disk = folder("a", 9)
    disk.flip_bit("0000000000000001.wal", 700)
    return disk


def test_what_is_damaged_or_empty_is_nothing_to_go_on_from() -> None:
    found = survivor("a", damaged())
    assert (found.condition, "corrupt" in found.why) == ("damaged", True)
    empty = survivor("b", SimDisk(Random(1)))
    assert empty.condition == "empty"
    with pytest.raises(RecoveryRefused, match="restore a backup"):
        make_plan([found, empty])
    other = survivor("b", folder("a", 9))
    assert "folder of a, not of b" in other.why


def test_it_is_refused_while_there_is_another_way() -> None:
    three = [survivor(node, folder(node, 9)) for node in ("a", "b", "c")]
    with pytest.raises(RecoveryRefused, match=r"a, b, c are a majority .* start them"):
        make_plan(three)
    with pytest.raises(RecoveryRefused, match="still answering: e"):
        make_plan(three[:2], ["e"])
    with pytest.raises(RecoveryRefused, match="two folders of one node"):
        make_plan([three[0], three[0]])
    strange = survivor("b", folder("b", 9, cluster_id="store"))
    with pytest.raises(RecoveryRefused, match="different clusters: shop, store"):
        make_plan([three[0], strange])
    one = survivor("a", folder("a", 9, cluster_id="shop+1.5f0c2a9b"))
    two = survivor("b", folder("b", 9, cluster_id="shop+1.00000000"))
    with pytest.raises(RecoveryRefused, match="two recoveries were made apart"):
        make_plan([one, two])


def test_a_plan_of_no_folders_is_refused_and_one_of_some_is_plain_values() -> None:
    with pytest.raises(RecoveryRefused, match=r"give the node\.toml of each survivor"):
        make_plan([])
    survivors = [survivor_of(n, folder(n, 9), MEMBERS_OF_ALL) for n in ("a", "b")]
    assert json.loads(json.dumps(make_plan(survivors).to_builtins()))
    assert json.loads(json.dumps([one.to_builtins() for one in survivors]))
