"""Hearing: how long nobody led, and who spoke, in time in which the process ran."""

import math

import pytest

from cluster.hearing import Hearing
from cluster.raft.engine import Timing
from cluster.standing import Silence
from cluster.vitals import VITALS_EVERY_S, Circle, Vitals

TIMING = Timing(heartbeat_s=0.05, election_min_s=0.3, election_max_s=0.6)
VOTERS = ("n1", "n2", "n3")


class Node:
    """n1, led until now."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.led_s = self.now_s
        self.circle = Circle(lambda: self.now_s, lambda: 0)
        self.hearing = Hearing("n1", TIMING, lambda: self.now_s, self.circle)
        self.turn()

    def turn(self) -> None:
        self.hearing.turn(self.now_s - self.led_s, VOTERS)

    def passes(self, s: float, *, turns: int) -> None:
        for _ in range(turns):
            self.now_s += s / turns
            self.turn()

    def silence(self, *, abstains: bool = False) -> Silence:
        return self.hearing.silence(VOTERS, abstains=abstains, all_tell=True)


def test_who_spoke_within_the_longest_timeout_is_heard_and_nobody_else() -> None:
    node = Node()
    node.hearing.note("n3")
    node.passes(0.1, turns=2)
    node.hearing.note("n2")
    node.passes(0.55, turns=11)
    silence = node.silence()
    assert silence.s == pytest.approx(0.65)
    assert node.hearing.within == ["n2"]
    assert (silence.heard, silence.voters) == (2, 3)
    assert not silence.is_minority
    node.passes(0.1, turns=2)
    assert node.silence().is_minority


def test_while_there_is_a_leader_a_pause_between_vitals_makes_nobody_unheard() -> None:
    node = Node()
    node.hearing.note("n2")
    for _ in range(20):
        node.led_s = node.now_s
        node.passes(0.05, turns=1)
    assert node.hearing.within == ["n2"]
    assert node.hearing.every_s == VITALS_EVERY_S


def test_who_hears_no_leader_speaks_several_times_within_a_timeout() -> None:
    node = Node()
    node.passes(0.2, turns=4)
    assert node.hearing.every_s <= TIMING.election_max_s / 3


def test_where_timeouts_are_long_nobody_speaks_more_seldom_for_want_of_a_leader() -> None:
    slow = Timing(heartbeat_s=1.0, election_min_s=5.0, election_max_s=10.0)
    now_s = 100.0
    hearing = Hearing("n1", slow, lambda: now_s, Circle(lambda: now_s, lambda: 0))
    for _ in range(40):
        now_s += 0.2
        hearing.turn(now_s - 100.0, VOTERS)
        assert hearing.every_s <= VITALS_EVERY_S
        assert hearing.next_look_s() <= VITALS_EVERY_S


def test_of_the_time_that_the_process_stood_still_a_moment_counts() -> None:
    node = Node()
    node.hearing.note("n2")
    node.passes(10.0, turns=1)
    assert node.silence().s == pytest.approx(TIMING.election_min_s)
    assert node.hearing.within == ["n2"]
    node.passes(0.35, turns=7)
    assert node.silence().s == pytest.approx(TIMING.election_min_s + 0.35)
    assert node.silence().is_minority


def test_a_process_whose_turns_all_come_late_is_judged_in_the_end() -> None:
    node = Node()
    node.passes(4.0, turns=4)
    assert node.silence().s == pytest.approx(4 * TIMING.election_min_s)


def test_whoever_abstains_is_heard_and_is_not_counted() -> None:
    node = Node()
    node.hearing.note("n2")
    node.circle.take("n2", Vitals(boot="b", level=2, abstains=True))
    assert node.silence().heard == 1
    assert node.silence(abstains=True).heard == 0
    node.circle.take("n2", Vitals(boot="b", level=2))
    assert node.silence().heard == 2


def test_a_learner_counts_the_voters_that_it_hears_and_not_itself() -> None:
    node = Node()
    node.hearing.note("n2")
    silence = node.hearing.silence(("n2", "n3"), abstains=False, all_tell=True)
    assert (silence.heard, silence.voters) == (1, 2)


def test_who_left_is_forgotten() -> None:
    node = Node()
    node.hearing.note("n9")
    node.turn()
    assert node.hearing.within == []


def test_a_leader_that_nobody_who_remembers_follows_is_silent_for_ever() -> None:
    node = Node()
    node.led_s = -math.inf
    node.turn()
    assert node.silence().s == math.inf
    node.led_s = node.now_s
    node.turn()
    assert node.silence().s == 0.0


def test_the_next_look_is_never_after_the_moment_of_a_fence() -> None:
    node = Node()
    for _ in range(40):
        before_s = node.silence().s
        wait_s = node.hearing.next_look_s()
        assert 0.0 < wait_s <= TIMING.election_min_s / 2
        node.passes(wait_s, turns=1)
        for limit_s in (TIMING.election_max_s, 2 * TIMING.election_max_s):
            if before_s <= limit_s < node.silence().s:
                assert node.silence().s - limit_s < 0.01
