"""To whom a leader can hand over, and the words for why not."""

from collections.abc import Callable

import pytest

from cluster.handing_over import LEVEL_ENTRIES, SILENT_S, reason_against
from cluster.raft.members import Members
from tests.cluster.raft.rig import Rig


def leader(voters: str = "abc") -> Rig:
    rig = Rig(voters)
    rig.lead()
    rig.commit_all("a")
    return rig


def test_a_voter_that_is_level_and_heard_can_lead_and_so_can_anybody() -> None:
    rig = leader()
    assert reason_against(rig.engine, "a", ()) == ""
    assert reason_against(rig.engine, "", ()) == ""


def test_where_all_others_are_drained_there_is_nobody() -> None:
    told = reason_against(leader().engine, "", ("a", "c"))
    assert told.startswith("there is no other voter that takes clients")


def test_who_is_drained_is_not_named() -> None:
    assert "a is drained" in reason_against(leader().engine, "a", ("a",))


def test_who_has_not_been_heard_for_long_is_not_named() -> None:
    rig = leader()
    for _ in range(8):
        rig.now_s += SILENT_S / 4
        rig.ack("c")
        rig.turn()
    assert "nothing was heard of a for" in reason_against(rig.engine, "a", ())
    assert reason_against(rig.engine, "c", ()) == ""


def test_who_is_far_behind_is_not_named() -> None:
    rig = leader()
    for number in range(LEVEL_ENTRIES + 2):
        rig.engine.propose(b"%d" % number)
    for _ in range(3):
        rig.turn()
        rig.ack("c")
    rig.turn()
    assert reason_against(rig.engine, "a", ()) == (
        f"a is {LEVEL_ENTRIES + 2} entries behind: wait until it is level"
    )
    assert reason_against(rig.engine, "c", ()) == ""


@pytest.mark.parametrize(
    ("change", "role"),
    [
        (lambda members: members.add("d", "d:1"), "joining"),
        (lambda members: members.add("d", "d:1", role="learner"), "learner"),
    ],
)
def test_who_does_not_vote_is_not_named(change: Callable[[Members], Members], role: str) -> None:
    rig = leader()
    rig.engine.propose_members(change(rig.engine.members))
    rig.turn()
    told = reason_against(rig.engine, "d", ())
    assert told == f"d is {role}, and only voters lead: `cluster members promote d`"
