"""What a rule has done: at the node itself, or only written down."""

from typing import Any

import pytest

from cluster.heal.decision import (
    Action,
    Compact,
    Decision,
    Rebuild,
    Reopen,
    Shut,
    StandIn,
    Transfer,
)
from cluster.heal.hands import OwnHands
from cluster.heal.healing import Healing
from cluster.heal.journal import Journal
from cluster.heal.picture import Seen
from cluster.heal.rules import SLOW_DISK
from cluster.standing import Judge
from tests.cluster.heal.pictures import Scene
from tests.cluster.raft.rig import Rig


class Once:
    """A rule that wants one thing done."""

    def __init__(self, action: Action | None) -> None:
        self._action = action

    def look(self, seen: Seen) -> list[Decision]:
        return [Decision(SLOW_DISK, "seen", "done", action=self._action)]


class Node:
    """A leader with its hands."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.rig.lead()
        self.rig.commit_all("a")
        self.judge = Judge(1.0)
        self.hands = OwnHands(self.rig.engine, self.judge, lambda: 5)
        self.journal = Journal(lambda: 0)

    def does(self, action: Action | None, **scene: Any) -> str | None:
        """Return the outcome that is noted; nothing when nothing was looked at."""
        before = sum(self.journal.counts.values())
        Healing([Once(action)], self.hands, self.journal).look(Scene(**scene).seen())
        if sum(self.journal.counts.values()) == before:
            return None
        return self.journal.recent[-1].outcome


def test_leadership_is_handed_over_to_who_was_named_and_to_no_stranger() -> None:
    node = Node()
    assert node.does(Transfer("nobody")) == "failed"
    assert node.does(Transfer("a")) == "done"
    node.rig.turn()
    assert "timeout_now" in node.rig.kinds()


def test_a_log_is_compacted_once_for_what_was_applied_since() -> None:
    node = Node()
    node.rig.engine.propose(b"x")
    node.rig.turn()
    node.rig.ack("a")
    node.rig.turn()
    assert node.rig.engine.snapshot_wanted() is None
    assert node.does(Compact()) == "done"
    assert node.rig.engine.snapshot_wanted() is not None


def test_a_node_is_shut_and_let_go_again() -> None:
    node = Node()
    assert node.does(Shut("its disk is full")) == "done"
    assert node.judge.held == "its disk is full"
    assert node.does(Reopen()) == "done"
    assert node.judge.held == ""


def test_a_standby_that_is_none_takes_nobodys_place() -> None:
    node = Node()
    assert node.does(StandIn("a", "c")) == "failed"
    assert node.rig.engine.members.voters == ("a", "b", "c")


def test_what_must_begin_anew_is_said_to_who_drives_the_node() -> None:
    node = Node()
    assert node.does(Rebuild("it differs")) == "done"
    assert node.hands.rebuilding == "it differs"


@pytest.mark.parametrize(
    ("mode", "outcome"), [("act", "done"), ("observe", "observed"), ("off", None)]
)
def test_only_a_node_that_may_act_does(mode: str, outcome: str | None) -> None:
    node = Node()
    assert node.does(Shut("full"), mode=mode) == outcome
    assert node.judge.held == ("full" if mode == "act" else "")


def test_what_is_only_told_is_noted_as_it_is() -> None:
    assert Node().does(None, mode="observe") == "done"
