"""What becomes of a conversation that nobody takes."""

import pytest

from cluster.state import commands as c
from cluster.state.commands import By
from cluster.state.route import Overflow, Queue, Route, Step
from tests.cluster.state.desk import BOB, OPS, SUE, Desk

ROBOT = By("agent", "robot")


def waits(overflow: Overflow | None, desk: Desk | None = None, cv: str = "cv1") -> Desk:
    desk = desk or Desk()
    desk.open(cv)
    desk.done(c.RouteConversation(cv, Route((Step("vip", 7),), "r", 1, overflow=overflow)))
    return desk


def test_it_overflows_once_a_wait_and_not_before_its_time() -> None:
    desk = waits(Overflow(60_000, "message", "Leave a message."))
    assert desk.refused(c.OverflowConversation("cv1")).code == "conflict"
    desk.wait(60_000)
    assert desk.done(c.OverflowConversation("cv1")) == {"do": "message"}
    event = desk.conversation().tail[-1]
    wanted = {"do": "message", "why": "waited", "text": "Leave a message."}
    assert (event.type, event.data, event.hidden) == ("overflow", wanted, False)
    assert desk.conversation().state == "waiting", "somebody may still come"
    assert not desk.state.overflows
    assert desk.refused(c.OverflowConversation("cv1")).code == "conflict"


def test_another_wait_overflows_anew() -> None:
    desk = waits(Overflow(60_000, "callback"))
    desk.wait(60_000)
    desk.done(c.OverflowConversation("cv1"))
    desk.online(BOB)
    desk.done(c.AcceptOffer(desk.offered(), BOB, "k"))
    desk.done(c.TransferConversation("cv1", BOB, "k2", to_queue="general"))
    assert len(desk.state.overflows) == 1
    assert desk.refused(c.OverflowConversation("cv1")).code == "conflict"
    desk.wait(60_000)
    desk.done(c.OverflowConversation("cv1"))


def test_another_queue_gets_it_with_its_age_and_that_queues_skills() -> None:
    desk = Desk()
    desk.done(c.ApplyRules(OPS, {"a": "1"}, {"vip": Queue(), "more": Queue(skills={"s": 1})}))
    waits(Overflow(1_000, "queue", "more"), desk)
    since_ms = desk.conversation().waiting_since_ms
    desk.wait(1_000)
    desk.done(c.OverflowConversation("cv1"))
    conversation = desk.conversation()
    assert conversation.route == Route((Step("more", 7, {"s": 1}),), "r", 1)
    assert conversation.waiting_since_ms == since_ms
    assert desk.events()[-2:] == ["overflow", "queued"]
    assert desk.line("more") == ["cv1"]


def test_a_bot_that_is_here_gets_it_by_name() -> None:
    desk = waits(Overflow(1_000, "bot", "robot"))
    desk.online(ROBOT)
    desk.wait(1_000)
    assert desk.done(c.OverflowConversation("cv1")) == {"do": "bot"}
    assert desk.conversation().target == "robot"
    desk.offered("cv1", ROBOT)


def test_for_a_bot_that_is_not_here_the_visitor_is_asked_for_a_message() -> None:
    desk = waits(Overflow(1_000, "bot", "robot"))
    desk.wait(1_000)
    assert desk.done(c.OverflowConversation("cv1")) == {"do": "message"}
    assert desk.conversation().target == ""


def test_it_is_closed_where_the_rules_say_so() -> None:
    desk = waits(Overflow(0, "close", "We are closed."))
    desk.done(c.OverflowConversation("cv1"))
    assert desk.events()[-2:] == ["overflow", "closed"]
    assert desk.conversation().tail[-1].data == {"reason": "overflow"}


def test_of_too_many_the_newest_overflows_at_once() -> None:
    desk = Desk()
    desk.done(c.ApplyRules(OPS, {"a": "1"}, {"vip": Queue(max_waiting=2)}))
    for cv in ("cv1", "cv2", "cv3", "cv4"):
        waits(None, desk, cv)
    assert desk.refused(c.OverflowConversation("cv3")).code == "conflict"
    desk.done(c.OverflowConversation("cv4"))
    assert desk.conversation("cv4").tail[-1].data == {"do": "message", "why": "too_many"}
    desk.done(c.OverflowConversation("cv3"))
    assert desk.refused(c.OverflowConversation("cv2")).code == "conflict"
    assert len(desk.line("vip")) == 4


@pytest.mark.parametrize("held", [False, True])
def test_nothing_overflows_that_somebody_has_or_is_offered(held: bool) -> None:
    desk = waits(Overflow(0, "close"))
    desk.online(BOB)
    oid = desk.offered()
    if held:
        desk.done(c.AcceptOffer(oid, BOB, "k"))
    assert desk.refused(c.OverflowConversation("cv1")).code == "conflict"
    desk.done(c.CloseConversation("cv1", SUE, "k1"))
    assert desk.refused(c.OverflowConversation("cv1")).code == "closed"
