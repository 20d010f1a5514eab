"""What rules decided is kept, the newest of it, the same on every node."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state import commands as c
from cluster.state import snapshot
from cluster.state.outcome import Done
from cluster.state.route import Queue, Route, Step
from cluster.state.routings import NOTED_MAX, Routing, counted, size_of
from cluster.state.state import State
from tests.cluster.state.desk import ANN, OPS, SUE, Desk

FILES = {"main.toml": "[fallback]\nroute = 'general'\n"}


def route(cv: str, queue: str = "general", rule: str = "r", rev: int = 1, **more: Any) -> Any:
    return c.RouteConversation(cv, Route((Step(queue),), rule, rev), **more)


def test_a_decision_is_kept_with_the_values_as_they_were() -> None:
    desk = Desk()
    desk.open("cv1", tags={"arpu": 6_200}, attrs={"intent": "refund"}, subject="退款", lang="zh")
    desk.done(route("cv1", "vip", erred=("gold",), shadows=(("new", "refunds"),)))
    (kept,) = desk.state.routings
    assert (kept.number, kept.cv, kept.rev, kept.rule, kept.queue) == (1, "cv1", 1, "r", "vip")
    assert (kept.tags, kept.attrs) == ({"arpu": 6_200}, {"intent": "refund"})
    assert (kept.subject, kept.lang, kept.channel) == ("退款", "zh", "web")
    assert (kept.erred, kept.shadows) == (("gold",), (("new", "refunds"),))
    assert kept.at_ms == desk.conversation("cv1").tail[-1].ts


def test_a_refused_decision_is_not_kept() -> None:
    desk = Desk()
    desk.open()
    desk.refused(route("cv1", "x" * 300))
    desk.refused(route("cv1", erred=("x" * 300,)))
    desk.refused(route("cv2"))
    assert not desk.state.routings


def test_what_a_decision_notes_is_bounded() -> None:
    desk = Desk()
    desk.open()
    desk.done(route("cv1", erred=("r",) * 50, shadows=(("r", "q"),) * 50))
    assert len(desk.state.routings[0].erred) == len(desk.state.routings[0].shadows) == NOTED_MAX


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.state.state.ROUTINGS_MAX", 5)
    monkeypatch.setattr("cluster.state.state.ROUTINGS_BYTES_MAX", 1_000)


@pytest.mark.usefixtures("small")
def test_the_oldest_go_by_number_and_by_bytes() -> None:
    state = State()
    for number in range(1, 9):
        state.put_routing(Routing(number, number, f"cv{number}", 1, "", "q", size=10))
    assert [one.number for one in state.routings] == [4, 5, 6, 7, 8]
    state.put_routing(Routing(9, 9, "cv9", 1, "", "q", size=970))
    assert [one.number for one in state.routings] == [6, 7, 8, 9]
    assert state.routings_bytes == 1_000


@given(st.lists(st.integers(0, 9), max_size=8))
def test_a_snapshot_brings_them_back_and_leaves_them_out_while_there_are_none(
    arpus: list[int],
) -> None:
    state = State()
    for number, arpu in enumerate(arpus, start=1):
        tags = {"arpu": arpu}
        one = Routing(number, 5, "cv", 1, "r", "q", tags=tags, size=size_of("", tags, {}))
        state.put_routing(one)
    frames = list(snapshot.dump(state))
    assert (b"routings" in b"".join(frames)) == bool(arpus)
    loaded = snapshot.load(frames)
    assert loaded.routings == state.routings
    assert loaded.routings_bytes == state.routings_bytes


def test_counts_are_of_one_revision() -> None:
    kept = [
        Routing(1, 1, "a", 1, "old", "q"),
        Routing(2, 2, "b", 2, "vip", "q", erred=("gold",)),
        Routing(3, 3, "c", 2, "", "q", erred=("gold",), shadows=(("new", "r"),)),
    ]
    counts = counted(kept, 2)
    assert counts.matched == {"vip": 1, "": 1}
    assert (counts.erred, counts.shadow) == ({"gold": 2}, {"new": 1})


def apply(desk: Desk, text: str) -> None:
    files = {"main.toml": text}
    desk.done(c.ApplyRules(OPS, files, {"general": Queue()}))


def test_a_rollback_is_a_new_revision_with_the_old_files_and_queues() -> None:
    desk = Desk()
    desk.done(c.ApplyRules(OPS, FILES, {"general": Queue(accept_ms=9_000)}, reroute=True))
    apply(desk, "# two")
    assert desk.done(c.RollbackRules(OPS, 1, 2, "n1"))["rev"] == 3
    record = desk.state.rules
    assert record is not None
    assert (record.files, record.queues["general"].accept_ms) == (FILES, 9_000)
    assert not record.reroute, "who waits was not asked about this time"
    line = desk.state.audit[-1]
    assert (line.what, line.detail["to"], line.detail["node"]) == ("rules.rollback", 1, "n1")


def test_a_rollback_to_what_is_in_force_changes_nothing_also_when_it_is_repeated() -> None:
    desk = Desk()
    apply(desk, "# one")
    apply(desk, "# two")
    command = c.RollbackRules(OPS, 1, 2)
    desk.done(command)
    again = desk.run(command)
    assert isinstance(again, Done)
    assert (again.dup, again.result["unchanged"]) == (True, True)
    assert len(desk.state.rule_sets) == 3


def test_a_rollback_is_refused_clearly() -> None:
    desk = Desk()
    assert desk.refused(c.RollbackRules(OPS, 1)).code == "not_found"
    apply(desk, "# one")
    apply(desk, "# two")
    refused = desk.refused(c.RollbackRules(OPS, 7))
    assert (refused.code, refused.message) == (
        "not_found",
        "revision 7 is not kept: there are 1 to 2",
    )
    assert desk.refused(c.RollbackRules(OPS, 1, 5)).code == "conflict"
    for by in (SUE, ANN):
        refused = desk.refused(c.RollbackRules(by, 1))
        assert (refused.code, refused.data) == ("forbidden", {"rule": "role"})
