"""Steps, and what a step's end changes."""

import pytest

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By
from cluster.state.model import Conversation
from cluster.state.outcome import Refused
from cluster.state.route import Overflow, Queue, Route, Step
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk

RELAXING = Route(
    (Step("vip", 5, {"refund": 3}, for_ms=10_000), Step("vip", 5, for_ms=20_000), Step("general")),
    "relax",
    1,
)
LAST = Route((Step("vip", prefer="last_agent", for_ms=10_000), Step("general")), "last")


def on_its_way(route: Route = RELAXING, **fields: object) -> Desk:
    desk = Desk()
    desk.open("cv1")
    desk.done(c.RouteConversation("cv1", route, **fields))  # type: ignore[arg-type]
    return desk


def served_by(desk: Desk, by: By, cv: str = "before") -> None:
    """Let `by` serve Ann, to the end."""
    desk.online(by)
    desk.assigned(cv, by)
    desk.done(c.CloseConversation(cv, by, desk.key()))


def at(desk: Desk) -> tuple[int, str, int]:
    conversation = desk.conversation()
    return conversation.step, conversation.queue, conversation.priority


def test_a_step_ends_when_its_time_has_passed_and_not_before() -> None:
    desk = on_its_way()
    assert at(desk) == (0, "vip", 5)
    desk.wait(8_000)
    early = desk.refused(c.AdvanceStep("cv1", 0, 1))
    assert (early.code, early.message) == ("conflict", "the step is not over")
    desk.done(c.AdvanceStep("cv1", 0, 1))
    assert at(desk) == (1, "vip", 5)
    assert desk.conversation().skills == {}
    event = desk.conversation().tail[-1]
    assert event.data == {"queue": "vip", "priority": 5, "reason": "step", "step": 1}
    assert event.hidden, "the visitor waits in the same queue"
    desk.wait(20_000)
    desk.done(c.AdvanceStep("cv1", 1, 2))
    assert at(desk) == (2, "general", 0)
    assert not desk.conversation().tail[-1].hidden
    desk.wait(10**6)
    assert desk.refused(c.AdvanceStep("cv1", 2, 3)).code == "bad_request"


def test_a_step_ends_once_whoever_proposes_it_again() -> None:
    desk = on_its_way()
    desk.wait(10_000)
    desk.done(c.AdvanceStep("cv1", 0, 1))
    again = desk.refused(c.AdvanceStep("cv1", 0, 1))
    assert again.message == "the conversation is at step 1"


def test_a_pending_offer_outlives_its_step_and_then_the_step_ends() -> None:
    desk = on_its_way()
    desk.online(BOB)
    oid = desk.offered()
    desk.wait(30_000)
    assert not desk.state.step_ends
    assert desk.refused(c.AdvanceStep("cv1", 0, 1)).code == "conflict"
    desk.done(c.ExpireOffer(oid))
    assert len(desk.state.step_ends) == 1
    desk.done(c.AdvanceStep("cv1", 0, 1))
    assert desk.conversation().waiting_since_ms == desk.conversation().tail[1].ts


def test_every_step_between_is_skipped_for_a_reason() -> None:
    desk = on_its_way(step=1, skipped=((0, "skip_if"),))
    assert desk.conversation().tail[-1].data["skipped"] == [[0, "skip_if"]]
    desk.wait(30_000)
    for to, skipped in ((2, ((1, "why"),)), (1, ()), (0, ()), (3, ()), (-1, ())):
        assert desk.refused(c.AdvanceStep("cv1", 1, to, skipped)).code == "bad_request"
    desk = on_its_way()
    desk.wait(30_000)
    assert desk.refused(c.AdvanceStep("cv1", 0, 2)).code == "bad_request"
    desk.done(c.AdvanceStep("cv1", 0, 2, ((1, "skip_if"),)))
    assert at(desk) == (2, "general", 0)


def test_the_last_agent_alone_is_offered_it_as_long_as_the_step_lasts() -> None:
    desk = Desk()
    served_by(desk, BOB)
    desk.online(LI)
    desk.open("cv1")
    desk.done(c.RouteConversation("cv1", LAST))
    assert desk.conversation().preferred == "bob"
    refused = desk.refused(c.MakeOffer("o", "cv1", "li", 20_000))
    assert refused.message == "the conversation prefers bob"
    assert desk.refused(c.AdvanceStep("cv1", 0, 1)).code == "conflict"
    desk.wait(10_000)
    desk.done(c.AdvanceStep("cv1", 0, 1))
    assert desk.conversation().preferred == ""
    desk.offered("cv1", LI)


def test_who_is_not_here_is_not_waited_for() -> None:
    desk = Desk()
    served_by(desk, BOB)
    desk.open("cv1")
    desk.done(c.RouteConversation("cv1", LAST))
    desk.done(c.SetStatus(BOB, "bob", "offline"))
    desk.done(c.AdvanceStep("cv1", 0, 1))
    assert at(desk)[0] == 1


def test_who_was_served_is_remembered_when_the_conversation_is_purged() -> None:
    desk = Desk()
    served_by(desk, BOB)
    desk.wait(limits.CONVERSATION_RETENTION_MS)
    assert desk.done(c.PurgeConversations(("before",))) == {"purged": 1}
    assert desk.state.served == {("visitor", "ann"): "bob"}


def test_the_longest_not_served_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.state.state.SERVED_MAX", 4)
    monkeypatch.setattr("cluster.state.state.SERVED_FORGET", 2)
    state = Desk().state
    for number in (1, 2, 3, 4, 1, 5):
        state.put_served("visitor", str(number), "bob")
    assert [visitor for _, visitor in state.served] == ["4", "1", "5"]


def test_a_transfer_to_a_queue_makes_a_route_of_one_step_with_that_queues_skills() -> None:
    desk = on_its_way()
    desk.done(c.ApplyRules(OPS, {"a": "1"}, {"bills": Queue(skills={"bills": 2})}))
    desk.done(c.TransferConversation("cv1", SUE, "k", to_queue="bills"))
    conversation = desk.conversation()
    assert conversation.route == Route((Step("bills", 5, {"bills": 2}),), "relax", 1)
    assert (conversation.step, conversation.by_hand) == (0, True)


def test_an_agent_who_is_lost_gives_it_back_to_the_step_it_had_come_to() -> None:
    desk = on_its_way()
    desk.online(BOB)
    desk.wait(10_000)
    desk.done(c.AdvanceStep("cv1", 0, 1))
    desk.done(c.AcceptOffer(desk.offered(), BOB, "k"))
    assert desk.conversation().waiting_since_ms == 0
    desk.done(c.CloseSession("sid-bob"))
    conversation = desk.conversation()
    assert (conversation.state, conversation.step) == ("waiting", 1)
    assert conversation.step_ms == conversation.waiting_since_ms == desk.now_ms


@pytest.mark.parametrize(
    ("route", "code"),
    [
        (Route(()), "bad_request"),
        (Route((Step("q"),) * (limits.ROUTE_STEPS_MAX + 1)), "bad_request"),
        (Route((Step("q"),), weight=0), "bad_request"),
        (Route((Step("q"),), weight=limits.CAPACITY_MAX + 1), "bad_request"),
        (Route((Step("q", for_ms=-1),)), "bad_request"),
        (Route((Step("q", skills={"s": 101}),)), "bad_request"),
        (Route((Step("q", need="n" * limits.STEP_NEED_BYTES_MAX, skip_if="s"),)), "too_large"),
        (Route((Step("q"),), overflow=Overflow(-1, "message")), "bad_request"),
        (Route((Step("q"),), overflow=Overflow(1, "queue")), "bad_request"),
        (Route((Step("q"),), overflow=Overflow(1, "message", "x" * 1025)), "too_large"),
    ],
)
def test_a_route_that_could_not_be_followed_is_refused(route: Route, code: str) -> None:
    desk = Desk()
    desk.open("cv1", by=ANN)
    assert desk.refused(c.RouteConversation("cv1", route)).code == code
    assert isinstance(desk.conversation(), Conversation)
    outcome = desk.run(c.RouteConversation("cv1", Route((Step("q"),)), 1))
    assert isinstance(outcome, Refused)
