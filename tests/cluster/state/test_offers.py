"""Offers: who may be offered what, and how an offer ends exactly once."""

import pytest

from cluster.state import commands as c
from cluster.state.commands import By, Command
from cluster.state.outcome import AgentChanged, Done, OfferGone, OfferMade, Refused
from tests.cluster.state.desk import ANN, BOB, LI, SUE, Desk, entry


def test_an_offer_is_told_and_counts_as_load() -> None:
    desk = Desk()
    desk.online(BOB, capacity=1)
    desk.waiting()
    result = desk.done(c.MakeOffer("o1", "cv1", "bob", 20_000))
    assert result == {"oid": "o1", "deadline": desk.now_ms + 20_000}
    offer = desk.state.offers["o1"]
    assert OfferMade(offer) in desk.notices
    assert AgentChanged("bob") in desk.notices
    event = desk.conversation().tail[-1]
    assert (event.type, event.data, event.hidden) == ("offered", {"agent": "bob"}, False)
    assert (desk.conversation().state, desk.agent().load) == ("offered", 1)
    assert not list(desk.state.free)
    assert list(desk.state.deadlines) == [(offer.deadline_ms, "o1")]


def test_no_agent_is_offered_more_than_the_capacity() -> None:
    """Over-assignment: three nodes, a limit of three, four conversations."""
    desk = Desk()
    desk.online(BOB, capacity=3)
    for cv in ("cv1", "cv2", "cv3", "cv4"):
        desk.waiting(cv)
    for number in (1, 2, 3):
        desk.offered(f"cv{number}")
    refused = desk.refused(c.MakeOffer("o4", "cv4", "bob", 20_000))
    assert (refused.code, refused.data) == ("at_capacity", {"load": 3})
    desk.done(c.AcceptOffer("o-cv1-bob", BOB, "k"))
    assert desk.refused(c.MakeOffer("o4", "cv4", "bob", 20_000)).code == "at_capacity"
    desk.done(c.CloseConversation("cv1", BOB, "k2"))
    desk.offered("cv4")


def test_a_capacity_that_shrinks_takes_nothing_away_and_gives_nothing_new() -> None:
    desk = Desk()
    desk.online(BOB, capacity=2)
    desk.assigned("cv1")
    desk.assigned("cv2")
    desk.online(BOB, capacity=1)
    assert desk.agent().conversations == ("cv1", "cv2")
    desk.done(c.CloseConversation("cv1", BOB, "k"))
    desk.waiting("cv3")
    assert desk.refused(c.MakeOffer("o", "cv3", "bob", 20_000)).code == "at_capacity"


def test_a_conversation_is_offered_to_one_agent_at_a_time() -> None:
    """One inquiry, taken by several agents."""
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.waiting()
    oid = desk.offered("cv1", BOB)
    assert desk.refused(c.MakeOffer("o2", "cv1", "li", 20_000)).code == "conflict"
    desk.done(c.AcceptOffer(oid, BOB, "k"))
    assert desk.refused(c.MakeOffer("o2", "cv1", "li", 20_000)).code == "conflict"
    assert desk.refused(c.AcceptOffer(oid, LI, "k")).code == "offer_gone"
    assert desk.conversation().owner == "bob"


def test_of_two_takers_in_one_moment_the_first_in_the_log_has_it() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.waiting()
    offers = entry(
        desk.now_ms,
        (100, c.MakeOffer("o1", "cv1", "bob", 20_000)),
        (101, c.MakeOffer("o2", "cv1", "li", 20_000)),
        (102, c.AcceptOffer("o2", LI, "k")),
        (103, c.AcceptOffer("o1", BOB, "k")),
        settled=100,
    )
    outcomes = [outcome for *_, outcome in desk.apply(offers).outcomes]
    assert [getattr(outcome, "code", "done") for outcome in outcomes] == [
        "done",
        "conflict",
        "offer_gone",
        "done",
    ]
    assert desk.conversation().owner == "bob"


@pytest.mark.parametrize("status", ["away", "busy", "offline", "transfer_only"])
def test_only_agents_who_are_online_are_offered_anything(status: str) -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    desk.done(c.SetStatus(BOB, "bob", status))  # type: ignore[arg-type]
    assert desk.refused(c.MakeOffer("o", "cv1", "bob", 20_000)).code == "conflict"
    assert not list(desk.state.free)


def test_an_agent_whose_socket_broke_is_offered_nothing() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    assert desk.refused(c.MakeOffer("o", "cv1", "bob", 20_000)).code == "conflict"
    assert not list(desk.state.free)


def test_an_offer_needs_the_skills_that_the_route_asked_for() -> None:
    desk = Desk()
    desk.online()
    desk.waiting("cv1", skills=("refund", "dutch"))
    refused = desk.refused(c.MakeOffer("o", "cv1", "bob", 20_000))
    assert refused.code == "conflict"
    assert "dutch" in refused.message
    desk.waiting("cv2", skills=("refund",))
    desk.offered("cv2")


def test_an_offer_has_an_id_of_its_own_a_sane_time_and_real_parties() -> None:
    desk = Desk()
    desk.online()
    desk.waiting("cv1")
    desk.waiting("cv2")
    desk.offered("cv1", oid="o1")
    for command, code in (
        (c.MakeOffer("o1", "cv2", "bob", 20_000), "conflict"),
        (c.MakeOffer("", "cv2", "bob", 20_000), "bad_request"),
        (c.MakeOffer("o2", "cv2", "bob", 99), "bad_request"),
        (c.MakeOffer("o2", "cv2", "bob", 2**64 - 1), "bad_request"),
        (c.MakeOffer("o2", "cv9", "bob", 20_000), "not_found"),
        (c.MakeOffer("o2", "cv2", "eva", 20_000), "not_found"),
    ):
        assert desk.refused(command).code == code


def test_accepting_assigns_and_raises_the_fence() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    oid = desk.offered()
    offer = desk.state.offers[oid]
    result = desk.done(c.AcceptOffer(oid, BOB, "k"))
    assert result == {"cv": "cv1", "seq": desk.conversation().seq, "fence": 1}
    event = desk.conversation().tail[-1]
    assert (event.type, event.data) == ("assigned", {"agent": "bob", "name": "Bob", "fence": 1})
    assert OfferGone(offer, "accepted") in desk.notices
    assert (desk.agent().conversations, desk.agent().offers) == (("cv1",), ())
    desk.done(c.TransferConversation("cv1", BOB, "k2", to_queue="general"))
    again = desk.done(c.AcceptOffer(desk.offered(), BOB, "k3"))
    assert again["fence"] == 2


@pytest.mark.parametrize("by", [LI, ANN, SUE, By("visitor", "bob")])
def test_nobody_else_takes_or_declines_an_agents_offer(by: By) -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    oid = desk.offered()
    assert desk.refused(c.AcceptOffer(oid, by, "k")).code == "forbidden"
    assert desk.refused(c.DeclineOffer(oid, by)).code == "forbidden"


def test_a_declined_conversation_waits_again_with_its_original_age() -> None:
    """A newer conversation does not overtake one that was declined."""
    desk = Desk()
    desk.online(BOB)
    desk.waiting("cv1")
    oid = desk.offered("cv1")
    desk.waiting("cv2")
    desk.done(c.DeclineOffer(oid, BOB, "lunch"))
    assert desk.line() == ["cv1", "cv2"]
    assert desk.conversation().passed == ("bob",)
    event = desk.conversation().tail[-1]
    assert (event.type, event.data["reason"], event.data["agent"]) == ("queued", "declined", "bob")
    assert [n.why for n in desk.notices if isinstance(n, OfferGone)] == ["declined"]


def test_an_offer_expires_at_its_deadline_and_not_before() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    oid = desk.offered()
    assert desk.refused(c.ExpireOffer(oid)).code == "conflict"
    desk.wait(20_000)
    desk.done(c.ExpireOffer(oid))
    assert [n.why for n in desk.notices if isinstance(n, OfferGone)] == ["timeout"]
    assert (desk.conversation().state, desk.agent().load) == ("waiting", 0)
    assert desk.agent().status == "online"
    assert desk.refused(c.ExpireOffer(oid)).code == "offer_gone"


def test_accepting_after_the_expiry_comes_too_late() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    oid = desk.offered()
    desk.wait(20_000)
    desk.done(c.ExpireOffer(oid))
    assert desk.refused(c.AcceptOffer(oid, BOB, "k")).code == "offer_gone"
    assert desk.refused(c.DeclineOffer(oid, BOB)).code == "offer_gone"


@pytest.mark.parametrize("accept_first", [True, False])
def test_accept_and_expiry_of_one_moment_are_ordered_by_the_log(accept_first: bool) -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    oid = desk.offered()
    race: list[Command] = [c.AcceptOffer(oid, BOB, "k"), c.ExpireOffer(oid)]
    if not accept_first:
        race.reverse()
    payload = entry(desk.now_ms + 20_000, (100, race[0]), (101, race[1]), settled=100)
    first, second = (outcome for *_, outcome in desk.apply(payload).outcomes)
    assert isinstance(first, Done)
    assert isinstance(second, Refused)
    assert second.code == "offer_gone"
    assert desk.conversation().state == ("assigned" if accept_first else "waiting")


def test_who_let_an_offer_lapse_goes_to_the_end_of_the_line() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    assert [name for _, name in desk.state.free] == ["bob", "li"]
    desk.waiting()
    oid = desk.offered("cv1", BOB)
    desk.wait(20_000)
    desk.done(c.ExpireOffer(oid))
    assert [name for _, name in desk.state.free] == ["li", "bob"]


def test_work_goes_round_among_agents_with_room() -> None:
    """The longest idle is asked next: an offer, taken or not, ends the idle time."""
    desk = Desk()
    desk.online(BOB, capacity=5)
    desk.online(LI, capacity=5)
    desk.assigned("cv1", BOB)
    assert [name for _, name in desk.state.free] == ["li", "bob"]
    desk.waiting("cv2")
    desk.offered("cv2", LI)
    assert [name for _, name in desk.state.free] == ["bob", "li"]


def test_an_agent_is_remembered_once_as_having_passed() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.waiting()
    for by in (BOB, LI, BOB):
        desk.done(c.DeclineOffer(desk.offered("cv1", by), by))
    assert desk.conversation().passed == ("li", "bob")
    desk.done(c.AcceptOffer(desk.offered("cv1", LI), LI, "k"))
    assert desk.conversation().passed == ()


def test_an_agent_who_goes_offline_leaves_no_visitor_ringing() -> None:
    desk = Desk()
    desk.online()
    desk.assigned("cv1")
    desk.waiting("cv2")
    desk.offered("cv2")
    desk.done(c.SetStatus(BOB, "bob", "offline", "home"))
    assert [n.why for n in desk.notices if isinstance(n, OfferGone)] == ["withdrawn"]
    assert desk.line() == ["cv2"]
    assert desk.agent().conversations == ("cv1",), "what the agent has stays"
