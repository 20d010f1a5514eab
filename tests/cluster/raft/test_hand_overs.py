"""Leadership that goes to another voter: somebody wants it so, or no majority is heard."""

from collections.abc import Sequence

from tests.cluster.raft.rig import TIMING, Rig


def leading() -> Rig:
    """Node b leads, and a holds all that it has."""
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    return rig


def handing_over() -> Rig:
    """Node b hands over to a, which lacks an entry."""
    rig = leading()
    rig.engine.propose(b"x")
    rig.turn()
    assert rig.engine.transfer_leadership("a")
    return rig


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
    rig = leading()
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
    rig = leading()
    assert rig.engine.transfer_leadership("a")
    for _ in range(40):
        rig.ack("a")
        rig.turn(0.01)
    assert rig.engine.is_leader
    assert rig.engine.propose(b"y") is not None


def test_a_hand_over_that_took_too_long_does_not_happen_later() -> None:
    rig = handing_over()
    for _ in range(20):
        rig.turn(0.02)
        rig.ack("c")
    rig.ack("a")
    rig.turn()
    assert rig.engine.status().match_index["a"] == rig.engine.status().last_index
    assert "timeout_now" not in rig.kinds()


def test_a_leader_whose_sync_takes_longer_than_a_hand_over_hands_over_after_it() -> None:
    """`make heal-report`, row 9: a disk of 300 ms a sync kept the leader that it should cost."""
    rig = handing_over()
    rig.ack("a")
    rig.turn(0.4)
    assert "timeout_now" in rig.kinds()


def test_nothing_is_taken_that_would_leave_the_successor_behind_after_a_slow_sync() -> None:
    rig = leading()
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
    rig = leading()
    rig.ack("a")
    rig.turn(TIMING.quorum_s - 0.01)
    assert rig.engine.transfer_leadership("a")


def test_a_leader_that_hears_no_majority_lets_who_is_level_campaign_at_once() -> None:
    """It may be heard though it hears nobody; its followers need not wait for an election."""
    rig = leading()
    term = rig.engine.term
    for _ in range(60):
        rig.turn(0.02)
    assert not rig.engine.is_leader
    assert rig.last("timeout_now", "a") == {"type": "timeout_now", "term": term}


def test_a_leader_that_meets_a_later_term_says_no_farewell() -> None:
    rig = leading()
    term = rig.engine.term
    rig.append("a", term + 1, (rig.engine.status().last_index, term), [])
    rig.turn()
    assert not rig.engine.is_leader
    assert "timeout_now" not in rig.kinds()


def test_leadership_is_not_handed_to_who_is_silent() -> None:
    rig = leading()
    for _ in range(40):
        rig.turn(0.02)
        rig.ack("c")
    assert rig.engine.transfer_leadership("c")
    assert not rig.engine.transfer_leadership("a")


def test_who_is_handed_over_to_campaigns_at_once_past_the_lease() -> None:
    rig = Rig()
    rig.follow()
    rig.deliver("c", "timeout_now", 1)  # not the leader
    rig.turn()
    assert rig.engine.term == 1
    rig.deliver("a", "timeout_now", 1)
    rig.turn()
    request = rig.last("vote_request", "c")
    assert (request["term"], request["transfer"]) == (2, True)
    voter = Rig()
    voter.follow()
    voter.deliver("c", "vote_request", 2, last_index=9, last_term=1, transfer=True)
    voter.turn()
    assert voter.last("vote", "c")["term"] == 2
