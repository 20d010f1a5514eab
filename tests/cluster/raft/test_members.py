"""Who takes part: what may be asked, what a leader does of itself, and what the log says."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.raft.members import MEMBERS_MAX, VOTERS_MAX, Member, Members, MembersRefused, Role
from cluster.raft.messages import MEMBERS, PeerError
from tests.cluster.raft.rig import TIMING, Rig, meta_at, run
from wal.snapfile import encode_snapshot

ABC = Members.of("abc")


def roles(members: Members) -> dict[str, str]:
    return {name: member.role for name, member in members.by_id.items()}


def ready(_node: str) -> bool:
    return True


# -- what may be asked


def test_members_survive_their_encoding_in_order() -> None:
    members = Members.of({"b": "host:2", "a": "host:1"}).add("n", "host:3").remove("a")
    assert Members.decode(members.encode()) == members
    assert list(members.by_id) == ["a", "b", "n"]
    assert members.by_id["n"] == Member("joining", "host:3")


def test_members_are_written_as_ever_until_a_standby_stands_in() -> None:
    """The bytes are those of the first release, which reads nothing else."""
    members = ABC.add("s", "host:4", role="standby")
    assert members.encode() == (
        b'{"a":["voter",""],"b":["voter",""],"c":["voter",""],"s":["standby","host:4"]}'
    )
    stood_in = members.stand_in("b", "s", 1_790_000_000_000)
    assert stood_in.encode().endswith(b',"stood_in_ms":1790000000000}')
    assert Members.decode(stood_in.encode()) == stood_in


def test_when_a_standby_stood_in_is_kept_by_every_change_after() -> None:
    members: Members | None = ABC.add("s", "", role="standby").stand_in("b", "s", 7)
    while members is not None:
        last, members = members, members.next_step("a", lambda _: True)
        assert last.stood_in_ms == 7
    with_another = last.add("t", "", role="standby")
    for changed in (last.remove("s"), with_another, last.replace("c", "d", "")):
        assert changed.stood_in_ms == 7
    again = with_another.stand_in("c", "t", 5)
    assert again.stood_in_ms == 7, "a leader with a late clock makes it no earlier"


def test_nodes_may_be_called_what_is_written_beside_them() -> None:
    members = Members.of(("members", "stood_in_ms"))
    assert Members.decode(members.encode()) == members


@pytest.mark.parametrize(
    "data",
    [
        b'{"members":{"a":["voter",""]}}',
        b'{"members":{"a":["voter",""]},"stood_in_ms":0}',
        b'{"members":{"a":["voter",""]},"stood_in_ms":1.5}',
        b'{"members":{"a":["voter",""]},"stood_in_ms":9223372036854775808}',
        b'{"members":{"a":["voter",""]},"stood_in_ms":1,"more":1}',
        b'{"members":{},"stood_in_ms":1}',
        b'{"stood_in_ms":1}',
        b"",
        b"{}",
        b"[]",
        b'{"a":["king",""]}',
        b'{"":["voter",""]}',
        b'{"a":["learner",""]}',
        b"\xff",
    ],
)
def test_what_is_no_list_of_members_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Members.decode(data)


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda m: m.add("a", ""), "a is a member already, voter"),
        (lambda m: m.remove("x"), "x is no member; there are a, b, c"),
        (lambda m: m.promote("a"), "a votes already"),
        (lambda m: m.keep("a"), "a is not about to leave: it is voter"),
        (lambda m: m.remove("a").remove("b").remove("c"), "without c no voter would stay"),
        (
            lambda m: Members.of("a").add("n", "").remove("a").remove("n"),
            "without n no voter would stay",
        ),
        (lambda m: m.add("x", "", role="learner").replace("x", "y", ""), "x does not vote"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(ask: Any, why: str) -> None:
    with pytest.raises(MembersRefused, match=why):
        ask(ABC)


def test_there_is_a_most_of_voters_and_of_members() -> None:
    members = ABC
    for number in range(VOTERS_MAX - 3):
        members = members.add(f"n{number}", "")
    with pytest.raises(MembersRefused, match="voters are the most; add it as a learner"):
        members.add("x", "")
    while len(members.by_id) < MEMBERS_MAX:
        members = members.add(f"m{len(members.by_id)}", "", role="learner")
    with pytest.raises(MembersRefused, match="members, and that is the most"):
        members.add("x", "", role="learner")


def test_neighbours_differ_by_one_voter_at_most() -> None:
    assert ABC.is_neighbour(Members.of("abcd"))
    assert ABC.is_neighbour(Members.of("ab"))
    assert ABC.is_neighbour(ABC.add("n", "", role="learner"))
    assert not ABC.is_neighbour(Members.of("abcde"))
    assert not ABC.is_neighbour(Members.of("abd"))


def test_as_many_members_as_there_may_be_can_be_read() -> None:
    members = Members.of(f"n{number}" for number in range(MEMBERS_MAX))
    assert Members.decode(members.encode()) == members
    with pytest.raises(ValueError, match="65 members"):
        Members.decode(Members.of(f"n{number}" for number in range(MEMBERS_MAX + 1)).encode())


# -- what a leader does of itself


@pytest.mark.parametrize("role", ["standby", "learner"])
def test_who_holds_everything_already_may_take_a_voters_place(role: Role) -> None:
    members = ABC.add("s", "host:9", role=role).replace("b", "s", "")
    assert members.in_role("leaving") == ("b",)
    assert members.by_id["s"] == Member("joining", "host:9")


@pytest.mark.parametrize("role", ["standby", "learner", None])
def test_one_of_the_most_voters_can_be_replaced_and_never_two_at_once(role: Role | None) -> None:
    full = Members.of("abcdefghi")
    assert len(full.voters) == VOTERS_MAX
    waiting = full.add("s", "", role=role) if role else full
    steps = [waiting.replace("b", "s", "host:9")]
    if role == "standby":
        assert waiting.stand_in("b", "s", 7).by_id == steps[0].by_id
    while (following := steps[-1].next_step("a", ready)) is not None:
        steps.append(following)
    assert [len(one.voters) for one in steps] == [9, 10, 9]
    assert all(one.is_neighbour(two) for one, two in pairwise(steps))
    assert roles(steps[-1]) == dict.fromkeys("acdefghis", "voter")
    with pytest.raises(MembersRefused, match="9 voters are the most"):
        steps[0].add("x", "")
    with pytest.raises(MembersRefused, match="9 voters are the most"):
        steps[0].replace("b", "x")


def test_the_only_voter_can_be_replaced() -> None:
    members = Members.of("a").replace("a", "n")
    assert members.voters == ("a",)
    joined = members.next_step("a", ready)
    assert joined is not None
    assert joined.must_leave("a")


def test_a_voter_takes_no_other_voters_place() -> None:
    with pytest.raises(MembersRefused, match="c is a member already, voter"):
        ABC.replace("b", "c", "")


def test_who_is_replaced_leaves_when_the_new_one_votes() -> None:
    members = ABC.replace("b", "n", "host:1")
    assert roles(members) == {"a": "voter", "b": "leaving", "c": "voter", "n": "joining"}
    assert members.next_step("a", lambda _: False) is None
    joined = members.next_step("a", ready)
    assert joined is not None
    assert roles(joined) == {"a": "voter", "b": "leaving", "c": "voter", "n": "voter"}
    left = joined.next_step("a", ready)
    assert left is not None
    assert roles(left) == {"a": "voter", "c": "voter", "n": "voter"}
    assert left.next_step("a", ready) is None


def test_a_leader_does_not_remove_itself() -> None:
    members = ABC.remove("a")
    assert members.next_step("a", ready) is None
    assert members.must_leave("a")
    assert not members.must_leave("b")
    assert not members.add("n", "").must_leave("a")


def test_a_learner_stays_one_until_asked() -> None:
    members = ABC.add("n", "", role="learner")
    assert members.next_step("a", ready) is None
    assert roles(members.promote("n"))["n"] == "joining"
    assert members.remove("n") == ABC
    assert ABC.remove("b").keep("b") == ABC


names = st.sampled_from("abcnmxyz")
asks = st.one_of(
    st.tuples(st.sampled_from(["promote", "remove", "keep"]), names),
    st.tuples(st.just("add"), names, st.just("")),
    st.tuples(st.just("replace"), names, names, st.just("")),
    st.tuples(st.just("next_step"), names, st.just(ready)),
)


@given(st.lists(asks, max_size=30))
def test_each_change_is_a_neighbour_of_the_one_before_and_leaves_a_voter(script: list[Any]) -> None:
    members = ABC
    for name, *arguments in script:
        try:
            changed = getattr(members, name)(*arguments)
        except MembersRefused:
            continue
        if changed is not None:
            assert changed.is_neighbour(members)
            assert changed.voters
            assert Members.decode(changed.encode()) == changed
            members = changed


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
