"""What counts against an agent's capacity: weights, wrap-up, and the ways to get work."""

import pytest

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By
from cluster.state.outcome import OfferMade
from cluster.state.route import Choice, Queue, Route, Step
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk


def with_queue(**settings: object) -> Desk:
    desk = Desk()
    desk.done(c.ApplyRules(OPS, {"a": "1"}, {"general": Queue(**settings)}))  # type: ignore[arg-type]
    return desk


def heavy(desk: Desk, cv: str, weight: int) -> None:
    desk.open(cv)
    desk.done(c.RouteConversation(cv, Route((Step("general"),), weight=weight)))


def closed(desk: Desk, cv: str = "cv1", by: By = BOB) -> None:
    desk.assigned(cv, by)
    desk.done(c.CloseConversation(cv, by, desk.key()))


# -- weights


def test_load_is_the_weights_of_what_is_held_and_offered() -> None:
    desk = Desk()
    desk.online(BOB, capacity=5)
    heavy(desk, "cv1", 2)
    heavy(desk, "cv2", 3)
    heavy(desk, "cv3", 1)
    desk.done(c.AcceptOffer(desk.offered("cv1"), BOB, "k"))
    assert desk.agent().load == 2
    oid = desk.offered("cv2")
    assert desk.agent().load == 5
    refused = desk.refused(c.MakeOffer("o", "cv3", "bob", 20_000))
    assert (refused.code, refused.data) == ("at_capacity", {"load": 5})
    desk.done(c.DeclineOffer(oid, BOB))
    assert desk.agent().load == 2
    desk.offered("cv3")


def test_what_is_too_heavy_is_not_offered_though_there_is_room() -> None:
    desk = Desk()
    desk.online(BOB, capacity=2)
    heavy(desk, "cv1", 3)
    assert desk.refused(c.MakeOffer("o", "cv1", "bob", 20_000)).code == "at_capacity"


# -- wrap-up


def test_an_agent_keeps_the_weight_until_the_wrap_up_is_over() -> None:
    desk = with_queue(wrap_up_ms=30_000)
    desk.online(BOB, capacity=1)
    closed(desk)
    assert (desk.agent().load, desk.agent().conversations) == (1, ())
    desk.waiting("cv2")
    assert desk.refused(c.MakeOffer("o", "cv2", "bob", 20_000)).code == "at_capacity"
    early = desk.refused(c.EndWrapUp("bob", "cv1"))
    assert early.code == "conflict"
    desk.wait(30_000)
    desk.done(c.EndWrapUp("bob", "cv1"))
    assert (desk.agent().load, desk.agent().idle_since_ms) == (0, desk.now_ms)
    assert desk.refused(c.EndWrapUp("bob", "cv1")).code == "not_found"


def test_an_agent_is_done_when_they_say_so() -> None:
    desk = with_queue(wrap_up_ms=30_000)
    desk.online(BOB)
    closed(desk)
    assert desk.refused(c.FinishWrapUp(SUE, "cv1")).code == "forbidden"
    assert desk.refused(c.FinishWrapUp(BOB, "cv2")).code == "not_found"
    desk.done(c.FinishWrapUp(BOB, "cv1"))
    assert desk.agent().load == 0
    assert not desk.state.wrap_ends


def test_a_transfer_is_wrapped_up_too_and_who_gets_it_back_has_it_once() -> None:
    desk = with_queue(wrap_up_ms=30_000)
    desk.online(BOB, capacity=2)
    desk.assigned("cv1")
    desk.done(c.TransferConversation("cv1", BOB, "k", to_queue="general"))
    assert desk.agent().load == 1
    desk.done(c.AcceptOffer(desk.offered("cv1", oid="again"), BOB, "k2"))
    assert (desk.agent().load, desk.agent().wrap_ups) == (1, ())


def test_who_leaves_wraps_nothing_up() -> None:
    desk = with_queue(wrap_up_ms=30_000)
    desk.online(BOB, capacity=2)
    closed(desk)
    desk.assigned("cv2")
    desk.done(c.CloseSession("sid-bob"))
    assert (desk.agent().load, desk.agent().wrap_ups) == (0, ())


def test_of_too_many_wrap_ups_the_first_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRAP_UPS_MAX", 2)
    desk = with_queue(wrap_up_ms=30_000)
    desk.online(BOB, capacity=9)
    for number in range(3):
        closed(desk, f"cv{number}")
    assert [one.cv for one in desk.agent().wrap_ups] == ["cv1", "cv2"]
    assert desk.agent().load == 2


# -- modes


def test_where_a_queue_says_auto_an_offer_is_accepted_by_being_made() -> None:
    desk = with_queue(mode="auto")
    desk.online(BOB)
    desk.waiting("cv1")
    result = desk.done(c.MakeOffer("o", "cv1", "bob", 20_000))
    conversation = desk.conversation()
    assert (conversation.owner, conversation.fence, desk.state.offers) == ("bob", 1, {})
    assert result == {"cv": "cv1", "seq": conversation.seq, "fence": 1}
    assert desk.events()[-1] == "assigned"
    assert not any(isinstance(notice, OfferMade) for notice in desk.notices)
    assert desk.agent().offered_ms == desk.now_ms


def test_who_lets_an_offer_lapse_is_away_where_the_queue_says_so() -> None:
    desk = with_queue(on_timeout=("next", "away"))
    desk.online(BOB)
    desk.waiting("cv1")
    oid = desk.offered()
    desk.wait(20_000)
    desk.done(c.ExpireOffer(oid))
    assert (desk.agent().status, desk.agent().reason) == ("away", "offer_timeout")
    assert desk.conversation().passed == ("bob",)


def test_transfer_only_is_offered_what_was_transferred_by_name() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.done(c.SetStatus(BOB, "bob", "transfer_only"))
    desk.waiting("cv1")
    assert desk.refused(c.MakeOffer("o", "cv1", "bob", 20_000)).code == "conflict"
    desk.done(c.TransferConversation("cv1", SUE, "k", to_agent="bob"))
    desk.offered("cv1")


# -- take


def test_an_agent_takes_what_waits_even_out_of_turn_and_while_away() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.done(c.SetStatus(BOB, "bob", "away"))
    desk.waiting("cv1")
    desk.waiting("cv2")
    result = desk.done(c.TakeConversation("cv2", BOB, "k"))
    assert (result["fence"], desk.conversation("cv2").owner) == (1, "bob")
    assert desk.done(c.TakeConversation("cv2", BOB, "k")) == result, "a retry"


def test_what_cannot_be_taken() -> None:
    desk = Desk()
    desk.online(BOB, capacity=1)
    desk.online(LI, capacity=9)
    desk.open("new")
    desk.waiting("skilled", skills=("dutch",))
    desk.waiting("offered")
    desk.offered("offered", LI)
    desk.assigned("held", LI)
    desk.waiting("named")
    desk.done(c.TransferConversation("named", SUE, "k", to_agent="li"))
    for cv in ("new", "skilled", "offered", "held", "named"):
        assert desk.refused(c.TakeConversation(cv, BOB, "k1")).code == "conflict", cv
    assert desk.refused(c.TakeConversation("nope", BOB, "k1")).code == "not_found"
    desk.waiting("cv1")
    for by in (SUE, ANN):
        assert desk.refused(c.TakeConversation("cv1", by, "k1")).code == "forbidden"
    desk.done(c.TakeConversation("cv1", BOB, "k2"))
    desk.waiting("cv2")
    assert desk.refused(c.TakeConversation("cv2", BOB, "k3")).code == "at_capacity"
    desk.done(c.SetStatus(BOB, "bob", "offline"))
    desk.done(c.CloseConversation("cv1", SUE, "k4"))
    assert desk.refused(c.TakeConversation("cv2", BOB, "k5")).message == "bob is not here"


# -- why


def test_the_reasons_of_the_last_offers_are_kept() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.waiting("cv1")
    for number in range(limits.CHOICES_KEPT + 2):
        choice = Choice(number, "bob", 0, tie="nobody else fits", counts={"away": 1})
        desk.done(c.MakeOffer("o", "cv1", "bob", 20_000, choice))
        desk.done(c.DeclineOffer("o", BOB))
    kept = [one.at_ms for one in desk.conversation().choices]
    assert kept == list(range(2, limits.CHOICES_KEPT + 2))
    for bad in (
        Choice(1, "bob", 0, passed=(("a", "b"),) * 9),
        Choice(1, "bob", 0, counts={str(n): 1 for n in range(9)}),
        Choice(1, "bob", 0, tie="x" * 1_000),
        Choice(1, "", 0),
    ):
        refused = desk.refused(c.MakeOffer("o", "cv1", "bob", 20_000, bad))
        assert refused.code in ("too_large", "bad_request")
