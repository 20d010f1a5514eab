"""Conversations that nobody answered: on which list, why, and what takes them off."""

import pytest

from cluster.state import commands as c
from cluster.state.route import Overflow, Route, Step
from tests.cluster.state.desk import ANN, BOB, SUE, Desk, routed

BOT = c.By("service", "bot")


def lists(desk: Desk, cv: str = "cv1") -> list[str]:
    return [
        name for name, found in desk.state.unserved.items() if any(cv == one for _, one in found)
    ]


def close(desk: Desk, by: c.By) -> None:
    desk.done(c.CloseConversation("cv1", by, desk.key()))


@pytest.mark.parametrize(("by", "why"), [(ANN, "abandoned"), (SUE, "no_agent")])
def test_a_conversation_closed_without_an_answer_is_missed(by: c.By, why: str) -> None:
    desk = Desk()
    desk.waiting()
    close(desk, by)
    assert desk.conversation().missed == why
    assert lists(desk) == ["missed"]
    assert desk.state.tallies == {f"missed.{why}": 1}


def test_one_that_an_agent_had_and_never_answered_is_missed() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    close(desk, BOB)
    assert desk.conversation().missed == "no_agent"


@pytest.mark.parametrize("by", [SUE, BOT])
def test_an_answer_of_anybody_makes_it_not_missed(by: c.By) -> None:
    desk = Desk()
    desk.waiting()
    desk.done(desk.say(by))
    close(desk, ANN)
    assert desk.conversation().missed == ""
    assert lists(desk) == []


@pytest.mark.parametrize(
    ("overflow", "why", "listed"),
    [
        (Overflow(0, "message"), "outside_hours", ["offline"]),
        (Overflow(60_000, "message"), "overflow", ["offline"]),
        (Overflow(60_000, "callback"), "overflow", ["callback"]),
        (Overflow(60_000, "queue", "vip"), "abandoned", []),
    ],
)
def test_of_one_that_overflowed_that_is_the_reason(
    overflow: Overflow, why: str, listed: list[str]
) -> None:
    desk = Desk()
    desk.online()
    desk.open("cv1")
    desk.done(c.RouteConversation("cv1", Route((Step("general"),), "r", 0, overflow=overflow)))
    desk.wait(60_000)
    desk.done(c.OverflowConversation("cv1"))
    assert lists(desk) == listed
    close(desk, ANN)
    assert desk.conversation().missed == why


def test_one_that_was_closed_by_its_overflow_is_missed_for_that() -> None:
    desk = Desk()
    desk.open("cv1")
    route = Route((Step("general"),), "r", 0, overflow=Overflow(1_000, "close"))
    desk.done(c.RouteConversation("cv1", route))
    desk.done(c.OverflowConversation("cv1"))
    assert desk.conversation().missed == "overflow"
    assert lists(desk) == ["missed"]


def test_who_comes_while_nobody_is_there_is_told_so_and_listed_until_answered() -> None:
    desk = Desk()
    desk.waiting()
    assert desk.conversation().tail[-1].data["offline"] is True
    assert lists(desk) == ["offline"]
    desk.online()
    desk.done(c.AcceptOffer(desk.offered(), BOB, desk.key()))
    assert lists(desk) == ["offline"]
    desk.done(desk.say(BOB))
    assert lists(desk) == []


def test_who_comes_while_somebody_is_there_is_told_nothing() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    assert "offline" not in desk.conversation().tail[-1].data
    assert lists(desk) == []


def test_whose_agent_is_lost_is_told_when_nobody_is_left() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    desk.done(c.CloseSession("sid-bob"))
    assert desk.conversation().tail[-1].data["offline"] is True
    assert lists(desk) == ["offline"]


def test_a_wish_to_be_called_is_listed_until_somebody_answers() -> None:
    desk = Desk()
    desk.open("cv1", attrs={"callback_contact": "+49 30 1", "callback_from": "14:00"})
    desk.open("cv2", attrs={"callback_contact": ""})
    assert lists(desk) == ["callback"]
    assert lists(desk, "cv2") == []
    desk.done(routed("cv1", "general", 0, "rule", 0))
    close(desk, ANN)
    assert lists(desk) == ["missed", "callback"]


def test_a_purged_conversation_is_on_no_list() -> None:
    desk = Desk()
    desk.waiting()
    close(desk, ANN)
    desk.wait(8 * 24 * 3600 * 1000)
    desk.done(c.PurgeConversations(("cv1",)))
    assert lists(desk) == []
