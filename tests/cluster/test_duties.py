from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from cluster.duties import LOSE_PAUSE_MS, NODE_LOST_S, LeaderDuties
from cluster.port import Answer, Unavailable
from cluster.routing.dispatch import RECHECK_MS, REFUSED_PAUSE_MS, Dispatcher
from cluster.state import commands as c
from cluster.state.commands import Command
from cluster.state.outcome import Refused
from cluster.state.state import State
from tests.cluster.state.desk import OPS, Desk

SILENT = {"n1": NODE_LOST_S + 0.1}


class Proposer:
    """A replica's side of it: keeps what is submitted until the test answers."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.submitted: list[tuple[Command, Callable[[Answer], None]]] = []
        self.duties = LeaderDuties(self, Dispatcher(lambda: "id1", 20_000))

    @property
    def state(self) -> State:
        return self.desk.state

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        self.submitted.append((command, on_answer))

    def turn(
        self,
        later_ms: int = 0,
        *,
        leading: bool = True,
        silent_s: dict[str, float] | None = None,
        level: int = 1,
    ) -> list[Command]:
        """Take a turn and return what was proposed in it."""
        before = len(self.submitted)
        now_ms = self.desk.now_ms + later_ms
        self.duties.turn(leading=leading, now_ms=now_ms, silent_s=silent_s or {}, level=level)
        return [command for command, _ in self.submitted[before:]]

    def answer(self, answer: Answer | None = None) -> None:
        """Answer everything: with what applying it says, or with `answer`."""
        waiting, self.submitted = self.submitted, []
        for command, on_answer in waiting:
            on_answer(answer or self.desk.run(command))


@pytest.fixture
def proposer() -> Proposer:
    return Proposer()


def test_a_follower_proposes_nothing(proposer: Proposer) -> None:
    proposer.desk.open()
    assert proposer.turn(leading=False, silent_s=SILENT) == []


def test_the_leader_routes_and_offers_until_nothing_is_due(proposer: Proposer) -> None:
    proposer.desk.online()
    proposer.desk.open()
    (route,) = proposer.turn()
    assert isinstance(route, c.RouteConversation)
    assert proposer.turn(later_ms=RECHECK_MS) == []
    proposer.answer()
    (offer,) = proposer.turn()
    assert isinstance(offer, c.MakeOffer)
    proposer.answer()
    assert proposer.turn() == []


def test_what_was_refused_twice_is_not_proposed_in_the_next_turn(proposer: Proposer) -> None:
    proposer.desk.open()
    for _ in range(2):
        assert len(proposer.turn()) == 1
        proposer.answer(Refused("conflict", "no"))
    assert proposer.turn() == []
    assert len(proposer.turn(later_ms=REFUSED_PAUSE_MS + RECHECK_MS)) == 1


def test_what_never_reached_the_log_is_proposed_in_the_next_turn(proposer: Proposer) -> None:
    proposer.desk.open()
    assert len(proposer.turn()) == 1
    proposer.answer(Unavailable("overloaded", "too much"))
    assert len(proposer.turn()) == 1


def test_a_new_leadership_begins_anew_and_late_answers_change_nothing(proposer: Proposer) -> None:
    proposer.desk.open()
    assert len(proposer.turn()) == 1
    assert proposer.turn(leading=False) == []
    proposer.answer(Unavailable("timeout", "unknown"))
    assert len(proposer.turn()) == 1


def test_a_node_is_lost_after_its_silence_and_only_once(proposer: Proposer) -> None:
    assert proposer.turn(silent_s={"n1": NODE_LOST_S}) == []
    with capture_logs() as logs:
        assert proposer.turn(silent_s=SILENT) == [c.LoseNode("n1", "b1")]
        assert proposer.turn(silent_s=SILENT) == []
    assert [(one["event"], one["peer"]) for one in logs] == [("node lost", "n1")]
    proposer.answer()
    assert proposer.state.nodes["n1"].lost_ms
    assert proposer.turn(later_ms=10 * LOSE_PAUSE_MS, silent_s=SILENT) == []


def test_a_node_that_never_took_part_cannot_be_lost(proposer: Proposer) -> None:
    assert proposer.turn(silent_s={"n9": 100.0}) == []


def test_a_loss_that_was_not_applied_is_proposed_again_after_a_pause(proposer: Proposer) -> None:
    assert len(proposer.turn(silent_s=SILENT)) == 1
    proposer.answer(Unavailable("overloaded", "too much"))
    assert proposer.turn(later_ms=LOSE_PAUSE_MS - 1, silent_s=SILENT) == []
    assert len(proposer.turn(later_ms=LOSE_PAUSE_MS, silent_s=SILENT)) == 1


def test_a_node_that_spoke_again_can_be_lost_again_in_the_same_leadership(
    proposer: Proposer,
) -> None:
    for _ in range(2):
        assert proposer.turn(silent_s=SILENT) == [c.LoseNode("n1", "b1")]
        proposer.answer()
        proposer.desk.online()  # a session at the node: it lives
        assert not proposer.state.nodes["n1"].lost_ms
        proposer.desk.wait(LOSE_PAUSE_MS)


def test_rules_that_cannot_be_read_are_told_once(proposer: Proposer) -> None:
    proposer.desk.done(c.ApplyRules(OPS, {"main.toml": "[newer]"}, {}))
    proposer.desk.open()
    with capture_logs() as logs:
        proposer.turn()
        proposer.turn()
    assert [one["log_level"] for one in logs] == ["error"]
    assert "revision 1 cannot be read here: main.toml:1" in logs[0]["problem"]


def test_the_level_is_raised_once_all_members_understand_more(proposer: Proposer) -> None:
    assert c.RaiseLevel(2) not in proposer.turn(level=1)
    assert c.RaiseLevel(2) in proposer.turn(level=2)
    assert c.RaiseLevel(2) not in proposer.turn(level=2), "it is under way"
    proposer.answer(Unavailable("timeout", ""))
    assert c.RaiseLevel(2) in proposer.turn(level=2), "once more, as its outcome is unknown"
    proposer.answer()
    assert proposer.state.level == 2
    assert c.RaiseLevel(2) not in proposer.turn(level=2)
