"""Holes 8 and 15: who may become leader, and when."""

import pytest

from cluster.raft.engine import PeerError
from tests.cluster.raft.rig import TIMING, Rig, rig_of, run, wait


def test_a_node_that_nobody_answers_never_raises_its_term() -> None:
    rig = Rig()
    rig.follow()
    wait(rig, 60)
    assert rig.engine.term == 1
    assert rig.kinds().count("pre_vote_request") > 100
    assert "vote_request" not in rig.kinds()


def test_without_pre_votes_a_deaf_node_raises_its_term_for_ever() -> None:
    rig = Rig(off=["pre_vote"])
    rig.follow()
    wait(rig, 60)
    assert rig.engine.term > 60


@pytest.mark.parametrize("voters", ["ab", "abc", "abcd", "abcde"])
def test_a_majority_of_pre_votes_and_of_votes_is_needed(voters: str) -> None:
    rig = Rig(voters=voters)
    needed = len(voters) // 2  # besides its own
    rig.turn(1.0)
    for count, voter in enumerate(rig.others[:needed], start=1):
        rig.turn()
        assert "vote_request" not in rig.kinds()
        rig.grant(voter)
        rig.grant(voter)  # twice is once
        assert count <= needed
    rig.turn()
    assert rig.engine.term == 1
    for voter in rig.others[:needed]:
        assert not rig.engine.is_leader
        rig.deliver(voter, "vote", 1)
    assert rig.engine.is_leader


def test_one_voter_is_counted_once() -> None:
    for off, wins in (((), False), (("one_vote_per_voter",), True)):
        rig = Rig(voters="abcde", off=off)
        rig.turn(1.0)
        for voter in "ac":
            rig.grant(voter)
        rig.turn()
        rig.deliver("a", "vote", 1)
        rig.deliver("a", "vote", 1)
        assert rig.engine.is_leader is wins


def test_a_late_vote_of_an_old_term_does_not_let_one_voter_count_twice() -> None:
    rig = Rig(voters="abcde")
    for _ in range(2):  # the first candidacy fails
        rig.turn(1.0)
        for voter in "ac":
            rig.grant(voter)
        rig.turn()
    assert rig.engine.term == 2
    for term in (2, 1, 2):
        rig.deliver("a", "vote", term)
    assert not rig.engine.is_leader
    rig.deliver("c", "vote", 2)
    assert rig.engine.is_leader


def test_a_candidate_gets_a_vote_in_every_term_that_it_stands_in() -> None:
    rig = Rig()
    for term in (1, 2, 5):
        rig.deliver("a", "vote_request", term, last_index=1, last_term=0)
        rig.turn()
        assert rig.last("vote", "a")["term"] == term


def test_who_gave_a_vote_waits_before_it_stands_itself() -> None:
    rig = Rig()
    for term in range(1, 8):
        rig.turn(TIMING.election_min_s * 0.9)
        rig.deliver("a", "vote_request", term, last_index=1, last_term=0)
        rig.turn()
    assert "pre_vote_request" not in rig.kinds()


def test_a_pre_vote_for_a_term_that_has_begun_is_refused_and_its_asker_told() -> None:
    rig = Rig()
    rig.deliver("a", "vote_request", 5, last_index=1, last_term=0)
    rig.deliver("c", "pre_vote_request", 5, last_index=9, last_term=4, round=3)
    rig.turn()
    assert rig.last("pre_vote", "c") == {
        "type": "pre_vote",
        "term": 5,
        "granted": False,
        "current_term": 5,
        "round": 3,
        "empty": False,
        "life": 0,
        "knows": True,
    }


def test_who_learns_of_a_newer_term_from_a_pre_vote_follows_into_it() -> None:
    rig = Rig()
    rig.turn(1.0)
    rig.grant("a", granted=False, current_term=9)
    assert rig.engine.term == 9
    rig.turn(1.0)
    assert rig.last("pre_vote_request")["term"] == 10


def test_pre_votes_that_come_after_a_leader_was_heard_start_nothing() -> None:
    rig = Rig()
    rig.follow()
    rig.turn(1.0)
    assert rig.last("pre_vote_request")["term"] == 2
    rig.append("a", 1, (3, 1))
    rig.grant("c")
    rig.turn()
    assert rig.engine.term == 1


def test_a_leader_that_slept_and_was_deposed_waits_before_it_stands_again() -> None:
    rig = Rig()
    term = rig.lead()
    rig.sent.clear()
    rig.now_s += 60
    rig.deliver("c", "newer_term", term + 1)
    rig.turn()
    rig.turn(TIMING.election_min_s * 0.9)
    assert rig.kinds() == []


@pytest.mark.parametrize("longer", ["survivor", "restarted"])
def test_of_three_nodes_one_dead_one_restarted_a_leader_comes_soon(longer: str) -> None:
    survivor, restarted = Rig(), rig_of("c")
    for rig in (survivor, restarted):
        rig.append("a", 1, (1, 0), run(2, 5, 1))
    (survivor if longer == "survivor" else restarted).append("a", 1, (5, 1), [(6, 1)])
    restarted.reboot()
    restarted.now_s = survivor.now_s
    rigs = {"b": survivor, "c": restarted}
    begun_s = survivor.now_s
    while not any(rig.engine.is_leader for rig in rigs.values()):
        for name, rig in rigs.items():
            for to, message in rig.turn(0.01):
                if to in rigs:
                    rigs[to].engine.deliver(name, message)
        assert survivor.now_s - begun_s < 3 * TIMING.election_max_s
    assert rigs["b" if longer == "survivor" else "c"].engine.is_leader


def test_who_hears_a_leader_grants_no_pre_vote_and_ignores_vote_requests() -> None:
    rig = Rig()
    rig.follow()
    rig.turn(TIMING.election_min_s - 0.01)
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.deliver("c", "vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert rig.last("pre_vote") == {
        "type": "pre_vote",
        "term": 2,
        "granted": False,
        "current_term": 1,
        "round": 0,
        "empty": False,
        "life": 0,
        "knows": True,
    }
    assert rig.engine.term == 1
    rig.turn(0.02)
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert rig.last("pre_vote")["granted"]


def test_without_the_lease_a_flapping_node_deposes_a_healthy_leader() -> None:
    rig = Rig(off=["lease"])
    rig.follow()
    rig.deliver("c", "vote_request", 2, last_index=9, last_term=1)
    assert rig.engine.term == 2


def test_a_late_log_gets_no_pre_vote() -> None:
    rig = Rig()
    rig.follow()
    rig.turn(0.31)
    for last_index, last_term, granted in ((2, 1, False), (9, 0, False), (3, 1, True)):
        rig.deliver("c", "pre_vote_request", 2, last_index=last_index, last_term=last_term)
        rig.turn()
        assert rig.last("pre_vote")["granted"] is granted


def test_a_leader_of_a_term_that_is_over_is_told_so_and_steps_down() -> None:
    rig = Rig()
    rig.follow(term=7)
    rig.append("c", 3, (1, 0), run(2, 4, 3))
    assert rig.last("newer_term", "c")["term"] == 7
    leader = Rig()
    term = leader.lead()
    leader.deliver("c", "newer_term", term + 6)
    assert not leader.engine.is_leader
    assert leader.engine.term == term + 6


def test_without_the_reply_an_old_leader_is_left_in_the_dark() -> None:
    rig = Rig(off=["newer_term"])
    rig.follow(term=7)
    rig.append("c", 3, (1, 0), run(2, 4, 3))
    assert rig.kinds() == []


def test_two_leaders_in_one_term_are_refused() -> None:
    rig = Rig()
    rig.follow()
    with pytest.raises(PeerError, match="term 1 is led by a already"):
        rig.append("c", 1, (1, 0), run(2, 4, 1))
    leader = Rig()
    term = leader.lead()
    with pytest.raises(PeerError, match=f"term {term} is led by b already"):
        leader.append("c", term, (1, 0), run(2, 4, term))
    assert leader.engine.is_leader


def test_a_leader_without_a_majority_steps_down_within_an_election_timeout() -> None:
    rig = Rig(voters="abcde")
    rig.lead(votes="ac")
    for _ in range(100):
        rig.ack("a")
        rig.turn(0.02)
        if not rig.engine.is_leader:
            break
    assert not rig.engine.is_leader  # a alone is no majority of five
    assert rig.now_s - 101.0 <= TIMING.quorum_s + 0.05
    assert rig.engine.leader is None


@pytest.mark.parametrize("answer", ["read_ack", "reset"])
def test_whatever_a_follower_answers_shows_that_it_lives(answer: str) -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all()
    rig.ack("a", success=False, next_index=2)  # the one that is served
    for _ in range(100):
        if answer == "read_ack":
            rig.deliver("a", "read_ack", rig.engine.term, request=1)
        else:
            old = {"request": 1, "success": False, "next_index": 2}
            rig.deliver("a", "append_ack", rig.engine.term, **old)
        rig.turn(0.02)
    assert rig.engine.is_leader


def test_a_leader_that_is_answered_stays() -> None:
    rig = Rig()
    rig.lead()
    for _ in range(100):
        rig.ack("a")
        rig.turn(0.02)
    assert rig.engine.is_leader
    assert rig.engine.status().quorum_contact_age_s < 0.05


def test_a_leader_that_hears_nobody_wakes_to_give_up_not_at_the_heartbeat_after() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    heard_s = rig.now_s
    while rig.engine.is_leader:
        rig.turn(rig.engine.next_wakeup())
    assert rig.now_s - heard_s == pytest.approx(TIMING.quorum_s, abs=0.005)


def test_a_leader_with_heartbeats_to_send_and_nobody_to_hear_does_not_spin() -> None:
    """All others abstain: no majority answers, and none was heard lately."""
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    for voter in rig.others:
        rig.ack(voter, life=7)
    assert rig.engine.is_leader
    rig.turn()
    assert rig.engine.next_wakeup() > 0.01
