"""Standing: who may serve, said in words."""

import math

import pytest

from cluster.port import Standing
from cluster.standing import Judge, Silence

TIMEOUT_S = 0.6


def judge() -> Judge:
    return Judge(TIMEOUT_S)


def silent(s: float, *, heard: int = 1, voters: int = 3, all_tell: bool = True) -> Silence:
    return Silence(s, heard, voters, all_tell)


HEARD = silent(0.0, heard=3)


def standing(one: Judge) -> Standing:
    return one.standing


def serving() -> Judge:
    one = judge()
    one.look(led=True, silence=HEARD)
    one.note_caught_up()
    one.look(led=True, silence=HEARD)
    assert standing(one) == "serving"
    return one


def test_a_node_that_was_never_led_is_starting_however_long_it_takes() -> None:
    one = judge()
    one.look(led=False, silence=silent(100))
    assert standing(one) == "starting"
    assert one.why


def test_a_leader_is_not_enough_to_serve_what_was_missed_comes_first() -> None:
    one = judge()
    one.look(led=True, silence=HEARD)
    assert standing(one) == "catching_up"
    one.note_caught_up()
    one.look(led=True, silence=HEARD)
    assert (standing(one), one.why) == ("serving", "")


@pytest.mark.parametrize(
    ("silence", "fences"),
    [
        (silent(0.6), False),  # within one timeout leaders change, whoever is heard
        (silent(0.6, heard=0), False),
        (silent(0.61), True),  # one of three
        (silent(0.61, heard=2), False),  # two of three: they elect
        (silent(0.61, heard=2, voters=4), True),  # half is no majority
        (silent(0.61, heard=3, voters=5), False),
        (silent(0.61, heard=1, voters=1), False),  # a node alone is its own majority
        (silent(0.61, heard=1, voters=2), True),
        (silent(0.61, heard=0, voters=1), True),  # a learner of a voter that fell silent
        (silent(0.61, all_tell=False), False),  # who says nothing may be of an earlier release
        (silent(1.2, heard=2), False),
        (silent(1.21, heard=3), True),  # an election without an end
        (silent(1.21, all_tell=False), True),
        (silent(math.inf, heard=2), True),  # the others have forgotten
    ],
)
def test_a_minority_fences_after_one_timeout_and_who_hears_a_majority_after_two(
    silence: Silence, fences: bool
) -> None:
    one = serving()
    one.look(led=False, silence=silence)
    assert standing(one) == ("fenced" if fences else "serving")
    assert bool(one.why) == fences


def test_a_fence_says_whether_nobody_was_heard_or_nobody_elected() -> None:
    alone, among_others = serving(), serving()
    alone.look(led=False, silence=silent(0.7))
    assert alone.why == ("no leader for 0.7 s: fewer than a majority of 3 voters can be reached")
    among_others.look(led=False, silence=silent(1.3, heard=2))
    assert among_others.why == (
        "no leader for 1.3 s: 2 of 3 voters are heard, and have elected nobody"
    )


def test_a_fenced_node_does_not_believe_again_in_a_leader_it_gave_up() -> None:
    one = serving()
    one.look(led=False, silence=silent(0.7))
    assert one.gives_up(silent(0.8, heard=3)), "the others are back, the leader is not"
    assert not one.gives_up(silent(0.1, heard=3))


def test_a_fenced_node_reads_again_what_it_missed_before_it_serves() -> None:
    one = serving()
    one.look(led=False, silence=silent(2))
    one.look(led=True, silence=HEARD)
    assert standing(one) == "catching_up"
    assert not one.caught_up


def test_a_failed_disk_is_for_good() -> None:
    one = serving()
    one.fail("the disk failed: it is full")
    one.look(led=True, silence=HEARD)
    assert standing(one) == "failed"
    assert "full" in one.why


def test_a_node_serves_when_the_cluster_knows_that_it_was_started() -> None:
    one = serving()
    one.look(led=True, silence=HEARD, announced=False)
    assert standing(one) == "catching_up"
    assert "does not know this start" in one.why
    one.look(led=True, silence=HEARD)
    assert standing(one) == "serving"


def test_a_sync_that_hangs_fences_once_until_a_turn_is_taken_again() -> None:
    judge = Judge(TIMEOUT_S)
    judge.note_caught_up()
    judge.look(led=True, silence=HEARD)
    assert not judge.stall(1.8)
    assert judge.stall(2.4)
    assert (judge.standing, judge.caught_up) == ("fenced", False)
    assert "the disk has not answered for 2.4 s" in judge.why
    assert not judge.stall(2.8)
    judge.look(led=True, silence=HEARD)
    assert judge.standing == "catching_up"


def test_a_node_that_is_held_is_fenced_with_its_reason_and_catches_up_after() -> None:
    judge = Judge(TIMEOUT_S)
    judge.note_caught_up()
    judge.held = "its disk is full"
    judge.look(led=True, silence=HEARD)
    assert (judge.standing, judge.why) == ("fenced", "its disk is full")
    judge.held = ""
    judge.look(led=True, silence=HEARD)
    assert judge.standing == "catching_up"
