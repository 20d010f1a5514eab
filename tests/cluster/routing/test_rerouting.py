"""Who waits is routed anew when rules say so: in parts, and not while something is proposed."""

import pytest

from cluster.routing import router
from cluster.state import commands as c
from tests.cluster.routing.dispatching import act, dispatcher, kinds, planned
from tests.cluster.state.desk import ANN, BOB, OPS, Desk

TO_VIP = "[queue.general]\n[queue.vip]\n[rule.r]\nroute = 'vip'\n[fallback]\nroute = 'general'\n"


def waiting(*cvs: str) -> Desk:
    desk = Desk()
    for cv in cvs:
        desk.waiting(cv)
    return desk


def reroute(desk: Desk, text: str = TO_VIP) -> None:
    desk.done(c.ApplyRules(OPS, {"main.toml": text}, {}, reroute=True))


def routed_anew(plan: list[c.Command]) -> list[str]:
    return [one.cv for one in plan if isinstance(one, c.RouteConversation)]


def test_a_plan_takes_as_many_as_it_may_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, one = waiting("cv1", "cv2", "cv3"), dispatcher()
    reroute(desk)
    monkeypatch.setattr(router, "TRIED_MAX", 1)
    assert routed_anew(act(desk, one)) == ["cv1"]
    assert one.has_more
    assert routed_anew(act(desk, one)) == ["cv2"]
    assert routed_anew(act(desk, one)) == ["cv3"]
    assert routed_anew(act(desk, one)) == []
    assert desk.line("vip") == ["cv1", "cv2", "cv3"]
    assert not one.has_more


def test_who_is_offered_meanwhile_is_routed_when_that_came_to_nothing() -> None:
    desk, one = waiting("cv1", "cv2"), dispatcher()
    desk.online(BOB, capacity=1)
    (offer,) = planned(desk, one)
    assert isinstance(offer, c.MakeOffer)
    reroute(desk)
    first = planned(desk, one)
    assert "cv1" not in routed_anew(first)
    one.settled(offer, refused=True)
    desk.state.applied_index += 1
    assert "cv1" in routed_anew(planned(desk, one))


def test_who_left_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, one = waiting("cv1", "cv2", "cv3"), dispatcher()
    reroute(desk)
    monkeypatch.setattr(router, "TRIED_MAX", 1)
    assert routed_anew(act(desk, one)) == ["cv1"]
    desk.done(c.CloseConversation("cv2", ANN, "k"))
    assert routed_anew(act(desk, one)) == ["cv3"]


def test_rules_that_cannot_be_read_here_route_nobody_anew() -> None:
    desk, one = waiting("cv1"), dispatcher()
    reroute(desk, "[rule.r]\nroute = 'of a later release'\nwhen = 'later()'\n")
    assert kinds(planned(desk, one)) == []
    assert "cannot be read here" in one.router.problem
    reroute(desk)
    assert routed_anew(act(desk, one)) == ["cv1"]
