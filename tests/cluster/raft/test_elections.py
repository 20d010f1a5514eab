"""Holes 8 and 15, and lost leaders: who may become leader, and when."""

import random
from collections.abc import Sequence
from itertools import accumulate

import pytest

from cluster.peer.patience import Patience
from cluster.raft.election import HASTY_MAX, Elections, Timing
from cluster.raft.engine import PeerError
from cluster.raft.messages import PreVote
from tests.cluster.raft.rig import TIMING, Rig, Wire, run
from tests.sim.disk import SimDisk


def wait(rig: Rig, seconds: float, step_s: float = 0.02) -> None:
    for _ in range(round(seconds / step_s)):
        rig.turn(step_s)


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


def rig_of(name: str, *, seed: int = 5) -> Rig:
    """Return the engine of another node, on a disk of its own."""
    rig = Rig(seed=seed)
    rig.me = name
    rig.others = [voter for voter in rig.members.voters if voter != name]
    rig.disk = SimDisk(random.Random(2))
    rig.boot()
    return rig


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


# -- a lost leader


@pytest.mark.parametrize("delay_s", [0.01, 0.03])
def test_two_who_lose_a_leader_at_once_elect_one_in_one_term(delay_s: float) -> None:
    """Both asked within a message's time, granted each other, stood, and waited a timeout again."""
    for seed in range(20):
        rigs = {"b": Rig(seed=seed), "c": rig_of("c", seed=seed + 100)}
        for rig in rigs.values():
            rig.follow()
        assert elect(rigs, delay_s) <= TIMING.election_min_s + TIMING.heartbeat_s + 8 * delay_s
        assert {rig.engine.term for rig in rigs.values()} == {2}


@pytest.mark.parametrize("delay_s", [0.01, 0.045])
def test_a_leader_that_is_dialled_again_and_again_in_vain_is_lost_once(delay_s: float) -> None:
    """Each miss began another round, and made void what was being answered to the one before."""
    for seed in range(12):
        rigs = {"b": Rig(seed=seed), "c": rig_of("c", seed=seed + 100)}
        for rig in rigs.values():
            rig.follow()
        dialled_s = random.Random(seed).random() * delay_s
        took_s = elect(rigs, delay_s, misses_s=misses(dialled_s, seed))
        assert took_s <= dialled_s + TIMING.heartbeat_s + 8 * delay_s


def misses(dialled_s: float, seed: int) -> list[float]:
    """When somebody who dials from a moment on finds nobody there."""
    patience = Patience(random.Random(seed).random)
    return list(accumulate((patience.missed() for _ in range(12)), initial=dialled_s))


def elect(rigs: dict[str, Rig], delay_s: float, misses_s: Sequence[float] = ()) -> float:
    """Let messages take `delay_s` until one leads; return how long that took."""
    step_s, seconds = 0.001, 0.0
    under_way: list[tuple[float, str, str, Wire]] = []
    while not any(rig.engine.is_leader for rig in rigs.values()):
        assert seconds < 3 * TIMING.election_max_s
        if any(seconds <= miss_s < seconds + step_s for miss_s in misses_s):
            for rig in rigs.values():
                rig.engine.peer_lost("a")
        seconds += step_s
        for name, rig in rigs.items():
            for _, source, to, message in [one for one in under_way if one[0] <= seconds]:
                if to == name:
                    rig.engine.deliver(source, message)
        under_way = [one for one in under_way if one[0] > seconds]
        for name, rig in rigs.items():
            for to, message in rig.turn(step_s):
                if to in rigs:
                    under_way.append((seconds + delay_s, name, to, message))
    return seconds


def test_a_broken_link_to_the_leader_starts_a_pre_vote_within_a_heartbeat() -> None:
    rig = Rig()
    rig.follow()
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
    rig.follow()
    rig.engine.peer_lost("a")
    rig.turn()
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert rig.last("pre_vote", "c")["granted"]


def test_what_a_lost_leader_sent_before_does_not_restore_its_lease() -> None:
    rig = Rig()
    rig.follow()
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
    rig.follow()
    rig.engine.peer_lost("a")
    wait(rig, 2 * TIMING.heartbeat_s * HASTY_MAX, 0.005)
    rig.sent.clear()
    wait(rig, 6.0)
    asked = rig.kinds().count("pre_vote_request") / len(rig.others)
    assert asked <= 6.0 / TIMING.election_min_s


def test_a_broken_link_to_someone_else_changes_nothing() -> None:
    rig = Rig()
    rig.follow()
    rig.engine.peer_lost("c")
    wait(rig, 0.25)
    assert rig.kinds() == []


# -- hand-over


# -- moments, one by one


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
