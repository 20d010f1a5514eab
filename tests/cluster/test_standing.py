"""Standing: who may serve, said in words."""

from cluster.port import Standing
from cluster.standing import Judge

FENCE_S = 1.0


def judge() -> Judge:
    return Judge(voters=3, fence_s=FENCE_S)


def standing(one: Judge) -> Standing:
    return one.standing


def serving() -> Judge:
    one = judge()
    one.look(led=True, silent_s=0)
    one.note_caught_up()
    one.look(led=True, silent_s=0)
    assert standing(one) == "serving"
    return one


def test_a_node_that_was_never_led_is_starting_however_long_it_takes() -> None:
    one = judge()
    one.look(led=False, silent_s=100)
    assert standing(one) == "starting"
    assert one.why


def test_a_leader_is_not_enough_to_serve_what_was_missed_comes_first() -> None:
    one = judge()
    one.look(led=True, silent_s=0)
    assert standing(one) == "catching_up"
    one.note_caught_up()
    one.look(led=True, silent_s=0)
    assert (standing(one), one.why) == ("serving", "")


def test_a_short_silence_is_an_election_and_a_long_one_fences() -> None:
    one = serving()
    one.look(led=False, silent_s=FENCE_S)
    assert standing(one) == "serving"
    one.look(led=False, silent_s=FENCE_S + 0.1)
    assert standing(one) == "fenced"
    assert "majority of 3" in one.why


def test_a_fenced_node_reads_again_what_it_missed_before_it_serves() -> None:
    one = serving()
    one.look(led=False, silent_s=2)
    one.look(led=True, silent_s=0)
    assert standing(one) == "catching_up"
    assert not one.caught_up


def test_a_failed_disk_is_for_good() -> None:
    one = serving()
    one.fail("the disk failed: it is full")
    one.look(led=True, silent_s=0)
    assert standing(one) == "failed"
    assert "full" in one.why


def test_a_node_serves_when_the_cluster_knows_that_it_was_started() -> None:
    one = serving()
    one.look(led=True, silent_s=0, announced=False)
    assert standing(one) == "catching_up"
    assert "does not know this start" in one.why
    one.look(led=True, silent_s=0)
    assert standing(one) == "serving"


def test_a_sync_that_hangs_fences_once_until_a_turn_is_taken_again() -> None:
    judge = Judge(3, 1.2)
    judge.note_caught_up()
    judge.look(led=True, silent_s=0)
    assert not judge.stall(1.8)
    assert judge.stall(2.4)
    assert (judge.standing, judge.caught_up) == ("fenced", False)
    assert "the disk has not answered for 2.4 s" in judge.why
    assert not judge.stall(2.8)
    judge.look(led=True, silent_s=0)
    assert judge.standing == "catching_up"


def test_a_node_that_is_held_is_fenced_with_its_reason_and_catches_up_after() -> None:
    judge = Judge(3, 1.2)
    judge.note_caught_up()
    judge.held = "its disk is full"
    judge.look(led=True, silent_s=0)
    assert (judge.standing, judge.why) == ("fenced", "its disk is full")
    judge.held = ""
    judge.look(led=True, silent_s=0)
    assert judge.standing == "catching_up"
