"""`cluster.raft.election`, moment by moment."""

import random

import pytest

from cluster.raft.election import HASTY_MAX, Elections, Timing
from cluster.raft.messages import PreVote


def elections() -> Elections:
    return Elections(Timing(0.05, 0.3, 0.6), random.Random(3), frozenset("ac"))


def test_a_lease_ends_and_a_deadline_comes_at_the_very_moment() -> None:
    one = elections()
    one.leader_heard("a", 0.0)
    assert one.lease_holds(0.299)
    assert not one.lease_holds(0.3)
    assert 0.3 <= one.deadline_s <= 0.35
    assert not one.due(one.deadline_s - 1e-9)
    assert one.due(one.deadline_s)


@pytest.mark.parametrize("link_broke", [True, False])
def test_who_lost_the_leader_hurries_a_few_times_each_time_less(link_broke: bool) -> None:
    one = elections()
    one.leader_heard("a", 10.0)
    if link_broke:
        one.leader_lost("a", 10.1)
        assert 10.1 <= one.deadline_s <= 10.15
    waits = []
    for attempt in range(HASTY_MAX + 2):
        assert not one.stand(5 + attempt, 20.0)
        waits.append(one.deadline_s - 20.0)
    for number, wait in enumerate(waits[:HASTY_MAX]):
        assert 2**number * 0.05 <= wait <= 2**number * 0.1
    assert all(0.3 <= wait <= 0.6 for wait in waits[HASTY_MAX:])


def test_a_leader_that_is_lost_already_is_no_reason_to_hurry_again() -> None:
    one = elections()
    one.leader_heard("a", 10.0)
    one.leader_lost("a", 10.1)
    for attempt in range(HASTY_MAX + 1):
        one.stand(5 + attempt, 20.0)
    one.leader_lost("a", 20.1)
    assert one.deadline_s >= 20.3
    assert one.yields_to(5 + HASTY_MAX, (1, 5, "a"), (1, 6, "b"), 20.1), "chance has its turn"
    one.leader_heard("a", 21.0)
    one.leader_lost("a", 21.1)
    assert one.deadline_s <= 21.15, "it was there again"


def test_who_never_heard_a_leader_does_not_hurry() -> None:
    one = elections()
    one.rearm(10.0)
    assert not one.stand(5, 20.0)
    assert 20.3 <= one.deadline_s <= 20.6


def test_of_those_who_hurry_for_a_term_the_higher_rank_goes_first() -> None:
    low, high = (1, 5, "a"), (1, 6, "b")
    one = elections()
    assert one.yields_to(5, low, high, 10.0), "nobody hurries"
    one.leader_lost("a", 10.0)
    one.stand(5, 10.0)
    assert not one.yields_to(5, low, high, 10.0)
    assert one.yields_to(6, low, high, 10.0), "another term"
    one.stand(7, 10.0)
    assert one.yields_to(7, high, low, 10.0)


def test_an_answer_to_an_earlier_question_does_not_count() -> None:
    one = elections()
    for number in (1, 2):
        assert not one.stand(5, 10.0)
        assert one.pre_votes_total == number
    assert not one.pre_vote("a", PreVote(5, True, 4, round=1))
    assert one.pre_vote("a", PreVote(5, True, 4, round=2))
