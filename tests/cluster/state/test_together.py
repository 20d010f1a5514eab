"""What happens between features: each is right alone, and here they meet."""

import pytest

from cluster.state import commands as c
from cluster.state.commands import By
from cluster.state.route import Overflow, Queue, Route, Step
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk

KIM = By("agent", "kim")
ROBOT = By("agent", "robot")


def invited(desk: Desk, by: By = LI, iid: str = "i1") -> str:
    desk.done(c.InviteAgent("cv1", SUE, by.id, iid, 600_000))
    return iid


def members(desk: Desk) -> list[str]:
    return [one.agent for one in desk.conversation().members]


def rules(desk: Desk, name: str, **queues: Queue) -> None:
    desk.done(c.ApplyRules(OPS, {"a": name}, queues))


# -- invitations, and ownership by another way


@pytest.mark.parametrize("way", ["offer", "take", "auto", "warm"])
def test_who_comes_to_own_it_is_asked_in_no_more(way: str) -> None:
    desk = Desk()
    rules(desk, "1", general=Queue(mode="auto" if way == "auto" else "ask"))
    desk.online(BOB)
    desk.online(LI)
    if way == "auto":
        desk.waiting()
        iid = invited(desk)
        desk.done(c.MakeOffer("o1", "cv1", LI.id, 20_000))
    elif way == "warm":
        desk.assigned()
        desk.done(c.TransferConversation("cv1", BOB, "k", "", "general", warm=True, iid="w1"))
        desk.done(c.AskColleague("w1", LI.id, 20_000))
        assert desk.refused(c.InviteAgent("cv1", SUE, LI.id, "i1", 600_000)).code == "conflict"
        desk.done(c.AcceptOffer("w1", LI, "k2"))
        iid = "i1"
    else:
        desk.assigned()
        iid = invited(desk)
        desk.done(c.TransferConversation("cv1", BOB, "k", "", "general"))
        if way == "offer":
            desk.done(c.AcceptOffer(desk.offered("cv1", LI), LI, "k2"))
        else:
            desk.done(c.TakeConversation("cv1", LI, "k2"))
    assert desk.conversation().owner == LI.id
    assert desk.refused(c.AcceptOffer(iid, LI, "k3")).code == "offer_gone"
    assert members(desk) == []
    assert desk.agent(LI).invitations == ()
    assert desk.conversation().invitations == ()


# -- waiting for one by name, and other ways on


def named(desk: Desk, overflow: Overflow | None = None) -> None:
    """cv1 waits in the first of two steps, for its last agent by name."""
    desk.online(BOB)
    desk.open()
    steps = (Step("vip", 0, {"refund": 1}, for_ms=30_000), Step("general"))
    desk.done(c.RouteConversation("cv1", Route(steps, "r", 1, overflow=overflow)))
    desk.done(c.AcceptOffer(desk.offered(), BOB, "k"))
    desk.done(c.CloseConversation("cv1", BOB, "k2"))
    desk.done(c.ReopenConversation("cv1", ANN, "k3"))
    assert desk.conversation().target == BOB.id


def test_the_next_step_is_for_anybody() -> None:
    desk = Desk()
    named(desk)
    desk.wait(30_000)
    desk.done(c.AdvanceStep("cv1", 0, 1))
    assert (desk.conversation().queue, desk.conversation().target) == ("general", "")


def test_who_overflows_into_another_queue_waits_there_for_anybody() -> None:
    desk = Desk()
    named(desk, Overflow(60_000, "queue", "general"))
    desk.wait(60_000)
    desk.done(c.OverflowConversation("cv1"))
    assert (desk.conversation().queue, desk.conversation().target) == ("general", "")


def test_who_is_routed_anew_waits_for_anybody() -> None:
    desk = Desk()
    named(desk)
    desk.done(c.RouteConversation("cv1", Route((Step("general"),), "r", 2)))
    assert desk.conversation().target == ""
    assert desk.state.by_target == {}


def test_a_bot_gets_what_overflows_to_it_whatever_the_rules_ask_of_people() -> None:
    desk = Desk()
    desk.done(c.OpenSession("s", ROBOT, "n1", "b1", {"bot": 1}, 50))
    desk.done(c.SetStatus(ROBOT, "robot", "online"))
    desk.open()
    route = Route((Step("vip", 0, {"refund": 2}),), "r", 1, overflow=Overflow(0, "bot", "robot"))
    desk.done(c.RouteConversation("cv1", route))
    desk.done(c.OverflowConversation("cv1"))
    oid = desk.offered("cv1", ROBOT)
    desk.done(c.DeclineOffer(oid, ROBOT))
    assert desk.refused(c.MakeOffer("o2", "cv1", "robot", 20_000)).message == "robot lacks refund"


# -- statuses


def test_nobody_who_is_gone_has_a_status_that_ends() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.done(c.CloseSession("sid-bob"))
    wanted = c.SetStatus(SUE, BOB.id, "offline", "ill", desk.now_ms + 60_000)
    assert desk.refused(wanted).code == "conflict"


def test_who_is_silent_when_a_status_ends_is_away() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.done(c.SetStatus(BOB, BOB.id, "away", "lunch", desk.now_ms + 60_000))
    desk.done(c.IdleSession(BOB.id, True, "sid-bob", "n1", "b1"))
    desk.wait(60_000)
    assert desk.done(c.EndStatus(BOB.id)) == {"status": "away"}
    assert (desk.agent().status, desk.agent().status_src) == ("away", "idle")
    desk.done(c.IdleSession(BOB.id, False, "sid-bob", "n1", "b1"))
    assert desk.agent().status == "online"


# -- who is there for a queue


def unstaffed(desk: Desk) -> None:
    """Nobody is there for `vip`, and li is here without its skill."""
    rules(desk, "1", vip=Queue(skills={"vip": 1}), general=Queue())
    desk.done(c.OpenSession("s", BOB, "n1", "b1", {"vip": 1}, 2))
    desk.done(c.SetStatus(BOB, BOB.id, "online"))
    desk.online(LI)
    desk.done(c.CloseSession("s"))
    assert list(desk.state.unstaffed) == ["vip"]


def test_an_account_that_gives_a_skill_staffs_a_queue() -> None:
    desk = Desk()
    unstaffed(desk)
    desk.done(c.PutAccount(OPS, "k", LI.id, "agent", skills={"vip": 1}))
    assert desk.state.unstaffed == {}
    desk.done(c.PutAccount(OPS, "k2", LI.id, skills={}))
    assert list(desk.state.unstaffed) == ["vip"]


def test_rules_that_ask_for_less_staff_a_queue() -> None:
    desk = Desk()
    unstaffed(desk)
    rules(desk, "2", vip=Queue(), general=Queue())
    assert desk.state.unstaffed == {}
