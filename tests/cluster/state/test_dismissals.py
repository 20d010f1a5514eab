"""Clients that operators send away."""

from cluster.state import commands as c
from cluster.state.levels import LEVEL
from cluster.state.outcome import Dismissed, SessionGone
from tests.cluster.state.desk import BOB, OPS, SUE, Desk


def desk_with_bob() -> Desk:
    desk = Desk()
    desk.done(c.RaiseLevel(LEVEL))
    desk.done(c.OpenSession("s1", BOB, "n1", "b1", {}, 2))
    desk.done(c.OpenSession("s2", BOB, "n1", "b1", {}, 2))
    return desk


def test_a_session_that_is_moved_stays_and_every_node_is_told() -> None:
    desk = desk_with_bob()
    assert desk.done(c.DismissSession(OPS, "s1"))["sids"] == ["s1"]
    assert desk.notices == [Dismissed("agent", "bob", "s1")]
    assert set(desk.state.sessions) == {"s1", "s2"}


def test_a_session_that_is_closed_is_gone_after_its_goodbye() -> None:
    desk = desk_with_bob()
    desk.done(c.DismissSession(OPS, "s1", stop=True))
    kinds = [type(one) for one in desk.notices]
    assert kinds.index(Dismissed) < kinds.index(SessionGone)
    assert set(desk.state.sessions) == {"s2"}
    assert desk.state.audit[-1].what == "session.close"


def test_all_sessions_of_an_agent_are_closed_and_the_agent_is_gone() -> None:
    desk = desk_with_bob()
    assert desk.done(c.DismissSession(OPS, kind="agent", id="bob", stop=True))["sids"] == [
        "s1",
        "s2",
    ]
    assert not desk.state.sessions
    assert desk.state.agents["bob"].status == "offline"
    assert desk.refused(c.DismissSession(OPS, kind="agent", id="bob")).code == "not_found"


def test_a_visitor_is_named_by_id_and_need_not_be_known() -> None:
    desk = desk_with_bob()
    done = desk.done(c.DismissSession(OPS, kind="visitor", id="ann"))
    assert done == {"kind": "visitor", "who": "ann", "sids": []}
    assert desk.notices == [Dismissed("visitor", "ann")]


def test_what_names_nobody_is_refused() -> None:
    desk = desk_with_bob()
    for command, code in (
        (c.DismissSession(SUE, "s1"), "forbidden"),
        (c.DismissSession(OPS), "bad_request"),
        (c.DismissSession(OPS, "s9"), "not_found"),
        (c.DismissSession(OPS, "s1", to="n9"), "not_found"),
        (c.DismissSession(OPS, kind="visitor"), "bad_request"),
    ):
        assert desk.refused(command).code == code
        assert not desk.notices
