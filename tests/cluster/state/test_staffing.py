"""Queues that nobody is there for: told to supervisors once, in their hours."""

from cluster.routing.service import due_service
from cluster.state import commands as c
from cluster.state.commands import By
from cluster.state.outcome import QueueStaffing
from cluster.state.route import Queue
from tests.cluster.state.desk import BOB, LI, OPS, Desk

QUEUES = {
    "general": Queue(),
    "refunds": Queue(skills={"refund": 2}),
    "vip": Queue(skills={"charm": 1}),
}


def desk_with_queues() -> Desk:
    desk = Desk()
    desk.done(c.ApplyRules(OPS, {"main.toml": "x"}, QUEUES))
    return desk


def told(desk: Desk) -> list[tuple[str, bool]]:
    return [(one.queue, one.staffed) for one in desk.notices if isinstance(one, QueueStaffing)]


def test_a_queue_is_unstaffed_when_the_last_who_could_serve_it_goes() -> None:
    desk = desk_with_queues()
    desk.online(BOB)
    desk.done(c.OpenSession("sid-li", LI, "n1", "b1", {}, 2))
    desk.done(c.SetStatus(LI, "li", "online"))
    desk.done(c.SetStatus(BOB, "bob", "offline"))
    assert list(desk.state.unstaffed) == ["refunds"], "general has li, vip never had anybody"
    desk.done(c.SetStatus(LI, "li", "away"))
    assert list(desk.state.unstaffed) == ["refunds"], "away is coming back"
    desk.done(c.CloseSession("sid-li"))
    assert list(desk.state.unstaffed) == ["refunds", "general"]


def test_supervisors_are_told_once_that_nobody_is_there_and_once_that_somebody_is() -> None:
    desk = desk_with_queues()
    desk.online(BOB)
    desk.done(c.CloseSession("sid-bob"))
    due = list(due_service(desk.state, desk.now_ms, bool))
    assert due == [c.QueueAlert("general"), c.QueueAlert("refunds")]
    desk.done(due[0])
    assert told(desk) == [("general", False)]
    assert desk.refused(due[0]).code == "conflict"
    assert list(due_service(desk.state, desk.now_ms, bool)) == due[1:]
    desk.online(BOB)
    assert not desk.state.unstaffed
    assert desk.refused(due[1]).code == "conflict"


def test_who_was_told_of_nothing_is_not_told_that_it_is_over() -> None:
    desk = desk_with_queues()
    desk.online(BOB)
    desk.done(c.CloseSession("sid-bob"))
    desk.done(c.QueueAlert("refunds"))
    desk.done(c.OpenSession("sid-bob", BOB, "n1", "b1", {"refund": 3}, 2))
    desk.done(c.SetStatus(BOB, "bob", "busy"))
    assert told(desk) == [("refunds", True)]


def test_nothing_is_told_outside_the_hours_of_a_queue() -> None:
    desk = desk_with_queues()
    desk.online(BOB)
    desk.done(c.CloseSession("sid-bob"))
    at = desk.now_ms
    assert list(due_service(desk.state, at, lambda queue: queue == "refunds")) == [
        c.QueueAlert("refunds")
    ]


def test_a_queue_that_new_rules_do_not_name_is_forgotten() -> None:
    desk = desk_with_queues()
    desk.online(BOB)
    desk.done(c.CloseSession("sid-bob"))
    desk.done(c.ApplyRules(OPS, {"main.toml": "y"}, {"general": Queue()}))
    assert list(desk.state.unstaffed) == ["general"]


def test_a_bot_staffs_queues_for_bots_alone() -> None:
    desk = Desk()
    queues = {"bots": Queue(skills={"bot": 1}), "general": Queue()}
    desk.done(c.ApplyRules(OPS, {"main.toml": "x"}, queues))
    robo = By("agent", "robo")
    desk.done(c.OpenSession("sid-robo", robo, "n1", "b1", {"bot": 1}, 9))
    desk.done(c.SetStatus(robo, "robo", "online"))
    desk.online(BOB)
    desk.done(c.CloseSession("sid-bob"))
    assert list(desk.state.unstaffed) == ["general"]
    desk.done(c.CloseSession("sid-robo"))
    assert list(desk.state.unstaffed) == ["general", "bots"]
