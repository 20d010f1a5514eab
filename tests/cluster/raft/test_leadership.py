"""What a leader knows of its followers: who counts, who is full, and whose word is an old one."""

import pytest

from cluster.raft.abstaining import Memory
from cluster.raft.leadership import (
    IN_FLIGHT_BYTES_MAX,
    IN_FLIGHT_MESSAGES_MAX,
    Follower,
    Leadership,
)


def leadership() -> Leadership:
    return Leadership(3, ["a", "c"], ["d", "e"], 10.0)


def test_learners_confirm_no_read_and_keep_no_leader() -> None:
    one = leadership()
    for _ in range(7):
        one.next_request()
    for learner in ("d", "e"):
        one.followers[learner].answers.answered_request = 7
        one.followers[learner].answered(7, 20.0)
    assert one.confirmed_request() == 0
    assert one.quorum_heard_s(20.0) == 10.0
    one.followers["a"].answers.answered_request = 6
    one.followers["a"].answered(6, 19.0)
    assert one.confirmed_request() == 6
    assert one.quorum_heard_s(20.0) == 19.0


def test_who_forgot_counts_for_nothing_until_it_is_vouched_for() -> None:
    one = leadership()
    one.next_request()
    for voter in ("a", "c"):
        one.followers[voter].answers.answered_request = 1
        one.followers[voter].answered(1, 20.0)
        one.followers[voter].memory.changed(7, request_last=1, proof_index=9)
    assert one.confirmed_request() == 0
    assert one.quorum_heard_s(20.0) == float("-inf")


def test_requests_are_numbered_one_by_one_over_all_followers() -> None:
    one = leadership()
    assert [one.next_request() for _ in range(3)] == [1, 2, 3]


def test_a_change_of_members_keeps_what_is_known_of_those_who_stay() -> None:
    one = leadership()
    stays = one.followers["a"]
    stays.proven_index = 8
    one.set_peers(["a", "d"], ["c"], 30.0)
    assert one.followers["a"] is stays
    assert {peer: one.followers[peer].votes for peer in one.followers} == {
        "a": True,
        "c": False,
        "d": True,
    }


@pytest.mark.parametrize(
    ("count", "size"), [(IN_FLIGHT_MESSAGES_MAX, 1), (4, IN_FLIGHT_BYTES_MAX // 4)]
)
def test_a_follower_is_full_at_either_limit_and_an_answer_makes_room(count: int, size: int) -> None:
    one = Follower(0.0)
    seen = []
    for request in range(1, count + 1):
        seen.append(one.full)
        one.sent(request, size)
    seen.append(one.full)
    one.answered(1, 1.0)  # that very one arrived
    seen.append(one.full)
    one.sent(count + 1, size)
    seen.append(one.full)
    one.answered(count + 1, 2.0)  # and all the others
    one.sent(count + 2, size)
    seen.append(one.full)
    assert seen == [False] * count + [True, False, True, False]


def test_an_answer_of_an_earlier_life_is_stale_up_to_the_last_request_it_can_have_seen() -> None:
    memory = Memory()
    assert not memory.is_stale(1, 0)
    memory.changed(7, request_last=5, proof_index=9)
    assert memory.is_stale(5, 0), "it remembered then, and forgot since"
    assert not memory.is_stale(5, 7)
    assert not memory.is_stale(6, 0), "asked after it came back: it was vouched for"
    assert not memory.is_stale(6, 8)
    memory.changed(8, request_last=9, proof_index=12)
    assert memory.is_stale(9, 7)
    assert memory.is_stale(9, 0)
    assert not memory.is_stale(1, 8)
