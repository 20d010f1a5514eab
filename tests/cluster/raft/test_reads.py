"""Hole 14: a read is answered only by a leader that a majority follows after the question."""

import pytest

from cluster.raft.engine import PeerError
from tests.cluster.raft.rig import TIMING, Rig, run


def leader(off: tuple[str, ...] = ()) -> Rig:
    rig = Rig(voters="abcde", off=off)
    rig.lead(votes="ac")
    rig.ack("a")
    rig.ack("c")
    rig.turn()
    return rig


def probe_ack(rig: Rig, source: str) -> None:
    request = rig.last("read_probe", source)["request"]
    rig.deliver(source, "read_ack", rig.engine.term, request=request)


def test_a_read_waits_for_a_majority_that_answers_after_the_question() -> None:
    rig = leader()
    answers: list[int | None] = []
    rig.ack("a")
    rig.ack("c")  # before the question: proves nothing
    rig.engine.read_index(answers.append)
    rig.turn()
    rig.turn()
    probe_ack(rig, "a")
    rig.turn()
    assert answers == []
    probe_ack(rig, "c")
    rig.turn()
    assert answers == [2]


@pytest.mark.parametrize("voters", ["ab", "abc", "abcd", "abcde", "abcdefg"])
def test_a_read_needs_more_than_half_of_any_number_of_voters(voters: str) -> None:
    rig = Rig(voters=voters)
    needed = len(voters) // 2  # besides the leader
    rig.lead(votes=rig.others[:needed])
    for voter in rig.others[:needed]:
        rig.ack(voter)
    rig.turn()
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    rig.turn(0.01)
    for voter in rig.others[:needed]:
        assert answers == []
        assert rig.engine.status().quorum_contact_age_s > 0.009
        probe_ack(rig, voter)
        rig.turn()
    assert answers == [2]
    assert rig.engine.status().quorum_contact_age_s < 0.001


def test_a_probe_is_answered_to_the_leader_of_this_term_only() -> None:
    rig = Rig()
    rig.append("a", 2, (1, 0), run(2, 4, 2))
    rig.sent.clear()
    rig.deliver("c", "read_probe", 2, request=1)
    rig.deliver("a", "read_probe", 3, request=1)
    rig.turn()
    assert rig.sent == []
    rig.deliver("a", "read_probe", 1, request=1)
    rig.turn()
    assert rig.kinds() == ["newer_term"]
    rig.deliver("a", "read_probe", 2, request=9)
    rig.turn()
    assert rig.last("read_ack", "a") == {
        "type": "read_ack",
        "term": 2,
        "request": 9,
        "life": 0,
    }


def test_an_answer_to_what_was_never_asked_is_refused() -> None:
    rig = leader()
    with pytest.raises(PeerError, match="request 1000 was never made"):
        rig.deliver("a", "read_ack", rig.engine.term, request=1_000)


def test_an_append_acknowledged_after_the_question_answers_it_too() -> None:
    rig = leader()
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    rig.turn()
    rig.turn(TIMING.heartbeat_s * 1.1)
    rig.ack("a")
    rig.ack("c")
    rig.turn()
    assert answers == [2]


def test_an_isolated_leader_answers_no_read() -> None:
    rig = leader()
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    for _ in range(40):
        rig.turn(0.02)
    assert answers == [None]
    assert not rig.engine.is_leader


def test_without_the_rule_an_isolated_leader_answers_stale_reads() -> None:
    rig = leader(off=("read_quorum",))
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    rig.turn()
    assert answers == [2]


def test_a_deposed_leader_answers_no_read() -> None:
    rig = leader()
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    rig.turn()
    term = rig.engine.term
    rig.append("d", term + 1, (2, term), run(3, 3, term + 1))
    assert answers == [None]


def test_a_new_leader_answers_only_behind_an_entry_of_its_own() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 9, 1), commit=4)
    rig.turn(1.0)
    rig.lead()  # 5 to 9 may be committed: this node cannot know yet
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    rig.turn()
    probe_ack(rig, "a")
    rig.turn()
    assert answers == []
    rig.commit_all("a")
    assert answers == [10]


def test_a_follower_asks_its_leader() -> None:
    rig = Rig()
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    assert answers == [None]  # no leader is known
    rig.append("a", 1, (1, 0), run(2, 9, 1), commit=4)
    rig.engine.read_index(answers.append)
    rig.turn()
    number = rig.last("read_request", "a")["number"]
    rig.deliver("a", "read_answer", 1, number=number + 1, index=3)  # somebody else's
    assert answers == [None]
    rig.deliver("a", "read_answer", 1, number=number, index=7)
    rig.deliver("a", "read_answer", 1, number=number, index=7)
    assert answers == [None, 7]


def test_a_question_that_nobody_answers_ends() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 9, 1))
    answers: list[int | None] = []
    rig.turn()
    waits_s = rig.engine.next_wakeup()
    rig.engine.read_index(answers.append)
    assert rig.engine.next_wakeup() < waits_s
    rig.turn(TIMING.election_max_s + 0.01)
    assert answers == [None]


def test_a_leader_answers_its_followers() -> None:
    rig = leader()
    rig.deliver("d", "read_request", rig.engine.term, number=77)
    rig.turn()
    for voter in "ac":
        probe_ack(rig, voter)
    rig.turn()
    answer = rig.last("read_answer", "d")
    assert (answer["number"], answer["index"]) == (77, 2)
    follower = Rig()
    follower.deliver("a", "read_request", 1, number=5)
    follower.turn()
    assert follower.last("read_answer", "a")["index"] is None


def test_questions_between_two_ticks_share_one_probe() -> None:
    rig = leader()
    answers: list[int | None] = []
    for _ in range(50):
        rig.engine.read_index(answers.append)
    rig.sent.clear()
    rig.turn()
    assert rig.kinds().count("read_probe") == len(rig.others)


@pytest.mark.parametrize("forwarded", [False, True])
def test_questions_have_a_limit(forwarded: bool) -> None:
    rig = leader()
    if forwarded:
        rig = Rig()
        rig.append("a", 1, (1, 0), run(2, 9, 1))
    answers: list[int | None] = []
    for _ in range(10_001):
        rig.engine.read_index(answers.append)
    assert answers == [None]
