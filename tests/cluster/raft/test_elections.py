"""Holes 8 and 15, lost leaders and hand-overs: who may become leader, and when."""

import random
from collections.abc import Sequence

import pytest

from cluster.raft.election import HASTY_MAX, Elections, Timing
from cluster.raft.engine import PeerError
from cluster.raft.messages import PreVote
from tests.cluster.raft.rig import TIMING, Rig, run
from tests.sim.disk import SimDisk


def follow(rig: Rig, leader: str = "a", term: int = 1) -> None:
    rig.append(leader, term, (1, 0), run(2, 3, term))
    rig.sent.clear()


def wait(rig: Rig, seconds: float, step_s: float = 0.02) -> None:
    for _ in range(round(seconds / step_s)):
        rig.turn(step_s)


def test_a_node_that_nobody_answers_never_raises_its_term() -> None:
    rig = Rig()
    follow(rig)
    wait(rig, 60)
    assert rig.engine.term == 1
    assert rig.kinds().count("pre_vote_request") > 100
    assert "vote_request" not in rig.kinds()


def test_without_pre_votes_a_deaf_node_raises_its_term_for_ever() -> None:
    rig = Rig(off=["pre_vote"])
    follow(rig)
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
    follow(rig)
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


def rig_of(name: str) -> Rig:
    """Return the engine of another node, on a disk of its own."""
    rig = Rig()
    rig.me = name
    rig.others = [voter for voter in rig.members.voters if voter != name]
    rig.disk = SimDisk(random.Random(2))
    rig.boot()
    return rig


def test_who_hears_a_leader_grants_no_pre_vote_and_ignores_vote_requests() -> None:
    rig = Rig()
    follow(rig)
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
    follow(rig)
    rig.deliver("c", "vote_request", 2, last_index=9, last_term=1)
    assert rig.engine.term == 2


def test_a_late_log_gets_no_pre_vote() -> None:
    rig = Rig()
    follow(rig)
    rig.turn(0.31)
    for last_index, last_term, granted in ((2, 1, False), (9, 0, False), (3, 1, True)):
        rig.deliver("c", "pre_vote_request", 2, last_index=last_index, last_term=last_term)
        rig.turn()
        assert rig.last("pre_vote")["granted"] is granted


def test_a_leader_of_a_term_that_is_over_is_told_so_and_steps_down() -> None:
    rig = Rig()
    follow(rig, term=7)
    rig.append("c", 3, (1, 0), run(2, 4, 3))
    assert rig.last("newer_term", "c")["term"] == 7
    leader = Rig()
    term = leader.lead()
    leader.deliver("c", "newer_term", term + 6)
    assert not leader.engine.is_leader
    assert leader.engine.term == term + 6


def test_without_the_reply_an_old_leader_is_left_in_the_dark() -> None:
    rig = Rig(off=["newer_term"])
    follow(rig, term=7)
    rig.append("c", 3, (1, 0), run(2, 4, 3))
    assert rig.kinds() == []


def test_two_leaders_in_one_term_are_refused() -> None:
    rig = Rig()
    follow(rig)
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
    assert rig.now_s - 101.0 <= TIMING.election_max_s + 0.05
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


# -- a lost leader


def test_a_broken_link_to_the_leader_starts_a_pre_vote_within_a_heartbeat() -> None:
    rig = Rig()
    follow(rig)
    rig.turn(0.1)
    rig.engine.peer_lost("a")
    assert rig.engine.next_wakeup() <= 0.001
    wait(rig, TIMING.heartbeat_s + 0.02, 0.005)
    assert "pre_vote_request" in rig.kinds()
    count = rig.kinds().count("pre_vote_request")
    wait(rig, 3 * TIMING.heartbeat_s, 0.005)  # others may not have seen it yet: again, soon
    assert rig.kinds().count("pre_vote_request") > count
    assert rig.engine.term == 1


def test_a_broken_link_to_the_leader_voids_its_lease() -> None:
    rig = Rig()
    follow(rig)
    rig.engine.peer_lost("a")
    rig.turn()
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert rig.last("pre_vote", "c")["granted"]


def test_what_a_lost_leader_sent_before_does_not_restore_its_lease() -> None:
    rig = Rig()
    follow(rig)
    rig.engine.peer_lost("a")
    rig.turn()
    rig.append("a", 1, (3, 1))  # was in the socket
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert rig.last("pre_vote", "c")["granted"]
    rig.turn(TIMING.heartbeat_s)
    rig.append("a", 1, (3, 1))  # a new link: it lives
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert not rig.last("pre_vote", "c")["granted"]


def test_who_lost_the_leader_hurries_a_few_times_only() -> None:
    rig = Rig()
    follow(rig)
    rig.engine.peer_lost("a")
    wait(rig, 2 * TIMING.heartbeat_s * HASTY_MAX, 0.005)
    rig.sent.clear()
    wait(rig, 6.0)
    asked = rig.kinds().count("pre_vote_request") / len(rig.others)
    assert asked <= 6.0 / TIMING.election_min_s


def test_a_broken_link_to_someone_else_changes_nothing() -> None:
    rig = Rig()
    follow(rig)
    rig.engine.peer_lost("c")
    wait(rig, 0.25)
    assert rig.kinds() == []


# -- hand-over


def test_leadership_goes_to_a_voter_that_holds_everything() -> None:
    rig = Rig()
    term = rig.lead()
    assert not rig.engine.transfer_leadership("c")  # it never answered
    rig.commit_all("a")
    rig.engine.propose(b"x")
    rig.turn()
    assert rig.engine.transfer_leadership()
    assert rig.engine.propose(b"y") is None
    rig.turn()
    assert "timeout_now" not in rig.kinds()
    rig.ack("a")
    rig.turn()
    assert rig.last("timeout_now", "a") == {"type": "timeout_now", "term": term}


def test_who_gets_leadership_is_chosen_of_those_who_could_lead() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    rig.commit_all("c")
    asked: list[list[str]] = []

    def choose(able: Sequence[str]) -> str:
        asked.append(list(able))
        return able[0]

    rig.engine.prefer(choose)
    assert rig.engine.transfer_leadership()
    rig.turn()
    assert asked == [["a", "c"]]
    assert [to for to, message in rig.sent if message["type"] == "timeout_now"] == ["a"]


def test_a_hand_over_that_fails_ends() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    assert rig.engine.transfer_leadership("a")
    for _ in range(40):
        rig.ack("a")
        rig.turn(0.01)
    assert rig.engine.is_leader
    assert rig.engine.propose(b"y") is not None


def test_a_hand_over_that_took_too_long_does_not_happen_later() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    rig.engine.propose(b"x")
    rig.turn()
    assert rig.engine.transfer_leadership("a")
    for _ in range(20):
        rig.turn(0.02)
        rig.ack("c")
    rig.ack("a")
    rig.turn()
    assert rig.engine.status().match_index["a"] == rig.engine.status().last_index
    assert "timeout_now" not in rig.kinds()


def test_a_leader_whose_sync_takes_longer_than_a_hand_over_hands_over_after_it() -> None:
    """`make heal-report`, row 9: a disk of 300 ms a sync kept the leader that it should cost."""
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    rig.engine.propose(b"x")
    rig.turn()
    assert rig.engine.transfer_leadership("a")
    rig.ack("a")
    rig.turn(0.4)
    assert "timeout_now" in rig.kinds()


def test_nothing_is_taken_that_would_leave_the_successor_behind_after_a_slow_sync() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    assert rig.engine.transfer_leadership("a")
    rig.now_s += 0.4  # a sync; the next tick has not looked who is level
    assert rig.engine.propose(b"y") is None
    rig.ack("a")
    rig.turn()
    assert "timeout_now" in rig.kinds()
    assert rig.engine.propose(b"y") is None  # the successor has an election's time from here on
    rig.turn(0.2)
    rig.ack("a")
    rig.turn(0.2)
    assert rig.engine.propose(b"y") is not None


def test_who_was_heard_before_a_slow_sync_can_be_handed_over_to() -> None:
    """A turn hears first, then syncs, then decides: with 300 ms a sync nobody was heard lately."""
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    rig.ack("a")
    rig.turn(0.35)
    assert rig.engine.transfer_leadership("a")


def test_a_leader_that_hears_no_majority_lets_who_is_level_campaign_at_once() -> None:
    """It may be heard though it hears nobody; its followers need not wait for an election."""
    rig = Rig()
    term = rig.lead()
    rig.commit_all("a")
    for _ in range(60):
        rig.turn(0.02)
    assert not rig.engine.is_leader
    assert rig.last("timeout_now", "a") == {"type": "timeout_now", "term": term}


def test_a_leader_that_meets_a_later_term_says_no_farewell() -> None:
    rig = Rig()
    term = rig.lead()
    rig.commit_all("a")
    rig.append("a", term + 1, (rig.engine.status().last_index, term), [])
    rig.turn()
    assert not rig.engine.is_leader
    assert "timeout_now" not in rig.kinds()


def test_leadership_is_not_handed_to_who_is_silent() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    for _ in range(40):
        rig.turn(0.02)
        rig.ack("c")
    assert rig.engine.transfer_leadership("c")
    assert not rig.engine.transfer_leadership("a")


def test_who_is_handed_over_to_campaigns_at_once_past_the_lease() -> None:
    rig = Rig()
    follow(rig)
    rig.deliver("c", "timeout_now", 1)  # not the leader
    rig.turn()
    assert rig.engine.term == 1
    rig.deliver("a", "timeout_now", 1)
    rig.turn()
    request = rig.last("vote_request", "c")
    assert (request["term"], request["transfer"]) == (2, True)
    voter = Rig()
    follow(voter)
    voter.deliver("c", "vote_request", 2, last_index=9, last_term=1, transfer=True)
    voter.turn()
    assert voter.last("vote", "c")["term"] == 2


# -- moments, one by one


def elections() -> Elections:
    return Elections(Timing(0.05, 0.3, 0.6), random.Random(3), frozenset("ac"))


def test_a_lease_ends_and_a_deadline_comes_at_the_very_moment() -> None:
    one = elections()
    one.leader_heard("a", 0.0)
    assert one.lease_holds(0.299)
    assert not one.lease_holds(0.3)
    assert 0.3 <= one.deadline_s <= 0.6
    assert not one.due(one.deadline_s - 1e-9)
    assert one.due(one.deadline_s)


def test_who_lost_the_leader_hurries_a_few_times_and_not_for_ever() -> None:
    one = elections()
    one.leader_heard("a", 10.0)
    one.leader_lost("a", 10.1)
    assert 10.1 <= one.deadline_s <= 10.15
    waits = []
    for attempt in range(HASTY_MAX + 2):
        assert not one.stand(5 + attempt, 20.0)
        waits.append(one.deadline_s - 20.0)
    assert all(0.05 <= wait <= 0.1 for wait in waits[:HASTY_MAX])
    assert all(0.3 <= wait <= 0.6 for wait in waits[HASTY_MAX:])


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
