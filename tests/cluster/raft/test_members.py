"""Who takes part: what may be asked, and what a leader does of itself."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.raft.members import MEMBERS_MAX, VOTERS_MAX, Member, Members, MembersRefused, Role
from tests.cluster.raft.rig import roles

ABC = Members.of("abc")


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
    with pytest.raises(MembersRefused, match="wait until b is gone"):
        steps[0].replace("c", "x")
    for step in steps[:2]:
        with pytest.raises(MembersRefused, match="9 voters are the most, without b"):
            step.keep("b")


def test_two_of_few_voters_can_be_replaced_at_once_and_kept() -> None:
    members = ABC.replace("b", "x").replace("c", "y")
    assert len(members.keep("b").voters) == 3
    joined = members.next_step("a", ready)
    assert joined is not None
    assert joined.keep("b").in_role("voter") == ("a", "b", "x")


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
