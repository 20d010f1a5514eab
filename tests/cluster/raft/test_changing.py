"""A change of members: in the log, at who follows it, and at the leader that makes it."""

from typing import Any

import pytest

from cluster.raft.members import Members, MembersRefused
from cluster.raft.messages import MEMBERS, PeerError
from tests.cluster.raft.rig import TIMING, Rig, meta_at, roles, run
from wal.snapfile import encode_snapshot

ABC = Members.of("abc")


# -- in the log


def members_entry(index: int, term: int, members: Members) -> list[Any]:
    return [MEMBERS + members.encode(), index, term]


def append_members(rig: Rig, index: int, term: int, members: Members, *, request: int = 2) -> None:
    fields: Any = {"prev_index": index - 1, "prev_term": term, "commit_index": 1}
    entries = [members_entry(index, term, members)]
    rig.deliver("a", "append_entries", term, request=request, entries=entries, **fields)
    rig.turn()


def test_a_follower_goes_by_the_newest_members_committed_or_not() -> None:
    rig = Rig()
    rig.append("a", 3, (1, 0), run(2, 4, 3))
    five = ABC.add("d", "")
    append_members(rig, 5, 3, five)
    assert rig.engine.members == five
    rig.append("c", 4, (4, 3), [(5, 4)])
    assert rig.engine.members == ABC


def test_the_newest_members_in_the_log_count_after_a_start_and_behind_a_snapshot() -> None:
    rig = Rig(snapshot_every_entries=2)
    rig.append("a", 3, (1, 0), run(2, 4, 3))
    four = ABC.add("d", "host:4")
    append_members(rig, 5, 3, four)
    rig.reboot()
    assert rig.engine.members == four
    rig.append("a", 3, (5, 3), run(6, 9, 3), commit=9)
    meta = rig.engine.snapshot_wanted()
    assert meta is not None
    assert Members.decode(meta.members) == four
    rig.store.save(meta, [b"state"])
    rig.engine.snapshot_saved(meta)
    rig.turn()
    rig.reboot()
    assert rig.engine.members == four


def test_the_members_of_a_snapshot_from_the_leader_count() -> None:
    rig = Rig()
    rig.append("a", 3, (1, 0))
    rig.turn()
    data = b"".join(encode_snapshot(meta_at(40, 2, "abcde"), "rig", [b"state"]))
    fields: Any = {"request": 1, "index": 40, "index_term": 2, "offset": 0}
    rig.deliver("a", "snapshot_chunk", 3, data=data, done=True, **fields)
    assert "".join(rig.engine.members.voters) == "abcde"


def test_members_that_are_none_are_refused_from_a_peer() -> None:
    rig = Rig()
    fields: Any = {"request": 1, "prev_index": 1, "prev_term": 0, "commit_index": 1}
    with pytest.raises(PeerError, match=r"entries\[index 2\].command: no members"):
        rig.deliver("a", "append_entries", 1, entries=[[MEMBERS + b"{}", 2, 1]], **fields)


def test_votes_are_counted_among_the_newest_voters() -> None:
    rig = Rig()
    rig.append("a", 3, (1, 0), run(2, 4, 3))
    append_members(rig, 5, 3, Members.of("abcde"))
    rig.turn(1.0)
    rig.grant("x")
    rig.grant("a")
    rig.turn()
    assert "vote_request" not in rig.kinds()
    rig.grant("d")
    rig.turn()
    assert rig.engine.term == 4
    rig.deliver("x", "vote", 4)
    rig.deliver("a", "vote", 4)
    assert not rig.engine.is_leader
    rig.deliver("e", "vote", 4)
    assert rig.engine.is_leader


def test_a_learner_does_not_stand_and_is_not_handed_leadership() -> None:
    rig = Rig()
    rig.append("a", 3, (1, 0), run(2, 4, 3))
    append_members(rig, 5, 3, Members.of("ac").add("b", "", role="learner"))
    rig.deliver("a", "timeout_now", 3)
    for _ in range(5):
        rig.turn(TIMING.election_max_s)
    assert "vote_request" not in rig.kinds()
    assert rig.last("pre_vote_request")["term"] == 0


def test_whoever_most_voters_do_not_know_learns_that() -> None:
    rig = Rig()
    rig.turn(1.0)
    rig.grant("a", granted=False, knows=False)
    assert not rig.engine.status().is_unknown
    rig.grant("c", granted=False, knows=False)
    assert rig.engine.status().is_unknown
    rig.grant("c", granted=False)
    assert not rig.engine.status().is_unknown


def test_whoever_is_led_again_is_a_member_whatever_voters_said_before() -> None:
    rig = Rig()
    rig.turn(1.0)
    for voter in "ac":
        rig.grant(voter, granted=False, knows=False)
    assert rig.engine.status().is_unknown
    rig.turn(0.1)
    rig.append("a", 3, (1, 0), run(2, 4, 3))
    assert not rig.engine.status().is_unknown


@pytest.mark.parametrize("left", [ABC.remove("b"), Members.of("ac").add("b", "", role="learner")])
def test_who_is_to_leave_or_does_not_vote_asks_whether_it_is_still_known(left: Members) -> None:
    rig = Rig()
    fields: Any = {"request": 1, "prev_index": 1, "prev_term": 0, "commit_index": 2}
    rig.deliver("a", "append_entries", 1, entries=[members_entry(2, 1, left)], **fields)
    rig.turn()
    rig.turn(TIMING.election_max_s)
    asked = [message["term"] for _, message in rig.sent if message["type"] == "pre_vote_request"]
    assert asked
    for voter in "ac":
        rig.deliver(
            voter, "pre_vote", asked[-1], granted=False, current_term=1, round=0, knows=False
        )
    rig.turn()
    assert rig.engine.status().is_unknown
    assert "vote_request" not in rig.kinds()


def test_nobody_grants_or_yields_to_a_question_for_no_term() -> None:
    rig = Rig()
    rig.turn(TIMING.election_max_s + 1)
    rig.deliver("c", "pre_vote_request", 0, last_index=99, last_term=9, round=1)
    rig.turn()
    answer = rig.last("pre_vote", "c")
    assert (answer["term"], answer["granted"], answer["knows"]) == (0, False, True)
    assert rig.engine.term == 0


def test_a_voter_says_whether_it_knows_the_asker() -> None:
    rig = Rig()
    for asker in "ax":
        rig.deliver(asker, "pre_vote_request", 1, last_index=1, last_term=0)
        rig.turn()
        assert rig.last("pre_vote", asker)["knows"] is (asker == "a")


# -- at the leader


def leader() -> Rig:
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    rig.turn(0.06)
    rig.ack("a")
    rig.ack("c")
    return rig


def sent_to(rig: Rig, peer: str) -> list[Any]:
    return [m for to, m in rig.sent if to == peer and m["type"] == "append_entries"]


def test_a_learner_is_sent_everything_and_counted_for_nothing() -> None:
    rig = leader()
    index = rig.engine.propose_members(ABC.add("d", "", role="learner"))
    rig.turn()
    assert sent_to(rig, "d")
    rig.ack("d", next_index=index + 1)
    rig.turn()
    assert rig.engine.status().commit_index < index
    rig.commit_all("a")
    assert rig.engine.status().commit_index == index
    assert rig.engine.status().match_index["d"] == index


def test_who_joins_votes_when_it_has_caught_up() -> None:
    rig = leader()
    index = rig.engine.propose_members(ABC.add("d", ""))
    rig.turn()
    rig.commit_all("a")
    assert roles(rig.engine.members)["d"] == "joining"
    rig.turn(0.06)
    rig.ack("a")
    rig.ack("d", next_index=index + 1, life=7)  # it holds everything and remembers nothing
    rig.turn()
    assert roles(rig.engine.members)["d"] == "joining"
    rig.commit_all("a")
    rig.turn(0.06)
    rig.ack("a")
    rig.ack("d")
    rig.turn()
    rig.turn()
    assert roles(rig.engine.members)["d"] == "voter"


def test_who_is_removed_does_not_get_the_entry_that_removes_it() -> None:
    rig = leader()
    rig.engine.propose_members(ABC.remove("c"))
    rig.turn()
    rig.commit_all("a")
    for _ in range(4):
        rig.turn(0.06)
        rig.ack("a")
    assert "".join(rig.engine.members.voters) == "ab"
    newest = rig.engine.status().last_index
    assert all(entry[1] < newest for message in sent_to(rig, "c") for entry in message["entries"])
    rig.deliver("c", "append_ack", 1, request=1, success=True, next_index=2)
    assert "c" not in rig.engine.status().match_index


def test_a_leader_that_is_to_leave_hands_over() -> None:
    rig = leader()
    rig.engine.propose_members(ABC.remove("b"))
    rig.turn()
    for _ in range(3):
        rig.turn(0.06)
        rig.ack("a")
        rig.ack("c")
    assert "timeout_now" in rig.kinds()


def test_a_voter_is_removed_only_when_the_others_answered_since_it_was_wished() -> None:
    """Who died a moment ago was heard lately: soak seed 1795475150282 left two voters, and one of
    them had lost its disk.
    """
    rig = leader()
    rig.engine.propose_members(ABC.remove("c"))
    rig.turn()
    rig.ack("c")
    for _ in range(3):
        rig.turn()
    assert rig.engine.status().commit_index == rig.engine.journal.members_index
    assert roles(rig.engine.members) == {"a": "voter", "b": "voter", "c": "leaving"}
    rig.ack("a")
    for _ in range(2):
        rig.turn()
    assert roles(rig.engine.members) == {"a": "voter", "b": "voter"}


@pytest.mark.parametrize("case", ["follower", "new leader", "under way", "itself", "no quorum"])
def test_a_change_at_the_wrong_time_is_refused(case: str) -> None:
    rig = Rig()
    members = ABC.add("d", "")
    if case == "follower":
        why = "does not lead"
    elif case == "new leader":
        rig.lead()
        why = "has just begun"
    else:
        rig = leader()
        why = "under way"
        if case == "under way":
            rig.engine.propose_members(members)
            members = ABC.add("e", "")
        elif case == "itself":
            members, why = Members.of("ac"), "who leads cannot leave"
        else:
            rig.now_s += TIMING.election_min_s + 0.01
            why = "of the voters a, b, c only b could commit"
    with pytest.raises(MembersRefused, match=why):
        rig.engine.propose_members(members)


def test_the_log_names_the_members_as_soon_as_there_is_a_leader() -> None:
    rig = Rig()
    rig.engine.record_members()
    rig.lead()
    rig.engine.record_members()
    rig.commit_all("a")
    for _ in range(2):
        rig.engine.record_members()
        rig.turn()
    assert rig.log_terms()[-1][0] == 3
    rig.reboot()
    rig.engine.record_members()
    assert rig.engine.members == ABC
