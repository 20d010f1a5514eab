"""Members, invitations, warm transfers: who else is in a conversation."""

from typing import Any

import pytest

from cluster.state import commands as c
from cluster.state import limits, snapshot
from cluster.state.commands import By
from cluster.state.outcome import InvitationGone, InvitationMade
from cluster.state.route import Route, Step
from tests.cluster.state.desk import ANN, BOB, EVE, LI, SUE, Desk

KIM = By("agent", "kim", "Kim")


def talking(*others: By) -> Desk:
    """Bob owns cv1; others are here."""
    desk = Desk()
    desk.online(BOB)
    for other in others:
        desk.online(other)
    desk.assigned("cv1", BOB)
    return desk


def invite(desk: Desk, agent: By = LI, by: By = BOB, iid: str = "i1") -> dict[str, Any]:
    return desk.done(c.InviteAgent("cv1", by, agent.id, iid, 20_000))


def warm(by: By = BOB, **fields: Any) -> c.TransferConversation:
    return c.TransferConversation("cv1", by, fields.pop("key", "w"), warm=True, iid="i1", **fields)


def hidden(desk: Desk, cv: str = "cv1") -> list[str]:
    return [event.type for event in desk.conversation(cv).tail if event.hidden]


def test_who_accepts_an_invitation_takes_part_and_may_speak() -> None:
    desk = talking(LI)
    invite(desk)
    assert [type(notice) for notice in desk.notices if isinstance(notice, InvitationMade)]
    desk.done(c.AcceptOffer("i1", LI, "a"))
    assert desk.events()[-2:] == ["invited", "joined"]
    assert [one.agent for one in desk.conversation().members] == ["li"]
    assert desk.agent(LI).helps == ("cv1",)
    assert desk.agent(LI).load == 0
    desk.done(desk.say(LI))
    assert desk.conversation().owner == "bob"
    desk.done(desk.say(BOB, fence=1))


def test_the_fence_guards_the_owner_and_not_those_who_take_part() -> None:
    desk = talking(LI)
    invite(desk)
    desk.done(c.AcceptOffer("i1", LI, "a"))
    desk.done(desk.say(LI, fence=7))
    assert desk.refused(desk.say(BOB, fence=7)).code == "not_owner"


def test_who_declines_or_lets_it_lapse_takes_no_part_and_colleagues_are_told() -> None:
    desk = talking(LI, KIM)
    invite(desk, LI, iid="i1")
    invite(desk, KIM, iid="i2")
    desk.done(c.DeclineOffer("i1", LI))
    assert desk.refused(c.ExpireOffer("i2")).code == "conflict"
    desk.wait(20_000)
    desk.done(c.ExpireOffer("i2"))
    reasons = [e.data["reason"] for e in desk.conversation().tail if e.type == "uninvited"]
    assert reasons == ["declined", "timeout"]
    assert set(hidden(desk)) == {"invited", "uninvited"}
    assert not desk.state.invitations
    assert desk.refused(c.AcceptOffer("i1", LI, "late")).code == "offer_gone"


def test_only_the_one_who_is_asked_can_answer() -> None:
    desk = talking(LI, KIM)
    invite(desk)
    refusal = desk.refused(c.AcceptOffer("i1", KIM, "a"))
    assert (refusal.code, refusal.data["rule"]) == ("forbidden", "offer.not_yours")
    assert desk.refused(c.DeclineOffer("i1", BOB)).code == "forbidden"


@pytest.mark.parametrize(
    ("by", "agent", "code"),
    [
        (LI, "kim", "not_owner"),
        (ANN, "li", "forbidden"),
        (BOB, "bob", "conflict"),
        (BOB, "nobody", "not_found"),
        (SUE, "gone", "conflict"),
    ],
)
def test_an_invitation_is_refused(by: By, agent: str, code: str) -> None:
    desk = talking(LI, KIM)
    desk.online(By("agent", "gone"))
    desk.done(c.SetStatus(SUE, "gone", "offline"))
    before = desk.conversation()
    assert desk.refused(c.InviteAgent("cv1", by, agent, "i1", 20_000)).code == code
    assert desk.conversation() == before
    assert not desk.state.invitations


def test_nobody_is_asked_twice_and_no_more_than_may_be_are() -> None:
    desk = talking(*(By("agent", f"a{n}") for n in range(limits.INVITATIONS_MAX + 1)))
    for number in range(limits.INVITATIONS_MAX):
        invite(desk, By("agent", f"a{number}"), iid=f"i{number}")
    assert desk.refused(c.InviteAgent("cv1", BOB, "a0", "again", 20_000)).code in (
        "conflict",
        "at_capacity",
    )
    last = f"a{limits.INVITATIONS_MAX}"
    assert desk.refused(c.InviteAgent("cv1", BOB, last, "i99", 20_000)).code == "at_capacity"
    desk.done(c.DeclineOffer("i0", By("agent", "a0")))
    assert desk.refused(c.InviteAgent("cv1", BOB, "a1", "i99", 20_000)).code == "conflict"


def test_who_takes_part_leaves_and_the_owner_does_not() -> None:
    desk = talking(LI)
    invite(desk)
    desk.done(c.AcceptOffer("i1", LI, "a"))
    assert desk.refused(c.LeaveConversation("cv1", BOB)).code == "conflict"
    assert desk.refused(c.LeaveConversation("cv1", BOB, "li")).code == "forbidden"
    desk.done(c.LeaveConversation("cv1", LI))
    assert desk.events()[-1] == "left"
    assert desk.agent(LI).helps == ()
    assert desk.refused(desk.say(LI)).code == "not_owner"
    assert desk.refused(c.LeaveConversation("cv1", LI)).code == "conflict"


def test_a_supervisor_sends_a_member_away_and_that_is_noted() -> None:
    desk = talking(LI)
    invite(desk, by=SUE)
    desk.done(c.AcceptOffer("i1", LI, "a"))
    desk.done(c.LeaveConversation("cv1", SUE, "li"))
    assert [line.what for line in desk.state.audit][-2:] == ["invite", "leave"]


def test_whose_last_session_is_gone_takes_part_no_more() -> None:
    desk = talking(LI, KIM)
    invite(desk)
    desk.done(c.AcceptOffer("i1", LI, "a"))
    invite(desk, KIM, iid="i2")
    desk.done(c.CloseSession("sid-li"))
    desk.done(c.CloseSession("sid-kim"))
    assert desk.events()[-2:] == ["left", "uninvited"]
    assert desk.conversation().members == ()
    assert any(isinstance(notice, InvitationGone) for notice in desk.notices)


def test_a_close_ends_all_of_it() -> None:
    desk = talking(LI, KIM)
    invite(desk)
    desk.done(c.AcceptOffer("i1", LI, "a"))
    invite(desk, KIM, iid="i2")
    desk.done(c.CloseConversation("cv1", BOB, "c"))
    assert desk.events()[-1] == "closed"
    assert (desk.agent(LI).helps, desk.agent(KIM).invitations) == ((), ())


def test_members_stay_when_the_owner_lets_go_and_one_who_is_offered_it_owns_it() -> None:
    desk = talking(LI)
    invite(desk)
    desk.done(c.AcceptOffer("i1", LI, "a"))
    desk.done(c.TransferConversation("cv1", BOB, "t", to_agent="li"))
    assert desk.agent(LI).helps == ("cv1",)
    desk.done(c.AcceptOffer(desk.offered("cv1", LI), LI, "b"))
    assert desk.conversation().owner == "li"
    assert desk.agent(LI).helps == ()


# -- warm transfers


def test_the_owner_keeps_it_until_the_colleague_accepts() -> None:
    desk = talking(LI)
    desk.done(warm(to_agent="li", note="she is angry"))
    assert desk.conversation().owner == "bob"
    desk.done(desk.say(BOB, fence=1))
    desk.done(desk.say(LI, visibility="agents"))
    result = desk.done(c.AcceptOffer("i1", LI, "a"))
    assert (result["fence"], desk.conversation().owner) == (2, "li")
    assert desk.events()[-2:] == ["transferred", "assigned"]
    assert desk.refused(desk.say(BOB, fence=1)).code == "not_owner"
    assert desk.agent(BOB).conversations == ()
    assert desk.agent(LI).conversations == ("cv1",)


def test_with_keep_the_one_who_transfers_stays_as_a_member() -> None:
    desk = talking(LI)
    desk.done(warm(to_agent="li", keep=True))
    desk.done(c.AcceptOffer("i1", LI, "a"))
    assert [one.agent for one in desk.conversation().members] == ["bob"]
    desk.done(desk.say(BOB))
    assert desk.events()[-4:] == ["joined", "transferred", "assigned", "msg"]


def test_a_member_who_takes_over_is_a_member_no_more() -> None:
    desk = talking(LI)
    invite(desk, iid="i0")
    desk.done(c.AcceptOffer("i0", LI, "a"))
    desk.done(warm(to_agent="li"))
    desk.done(c.AcceptOffer("i1", LI, "b"))
    assert desk.conversation().members == ()
    assert desk.agent(LI).helps == ()


def test_declined_or_lapsed_it_stays_with_the_owner_who_is_told() -> None:
    desk = talking(LI)
    desk.done(warm(to_agent="li"))
    desk.done(c.DeclineOffer("i1", LI))
    assert desk.events()[-1] == "uninvited"
    assert (desk.conversation().owner, desk.conversation().fence) == ("bob", 1)
    desk.done(c.TransferConversation("cv1", BOB, "w2", "li", warm=True, iid="i2"))
    desk.wait(60_000)
    desk.done(c.ExpireOffer("i2"))
    assert desk.conversation().owner == "bob"


def test_of_a_queue_one_after_the_other_is_asked_until_the_time_is_over() -> None:
    desk = talking(LI, KIM)
    desk.done(warm(to_queue="general"))
    assert list(desk.state.unasked) == ["i1"]
    desk.done(c.AskColleague("i1", "li", 20_000))
    assert desk.refused(c.AskColleague("i1", "kim", 20_000)).code == "conflict"
    desk.done(c.DeclineOffer("i1", LI))
    assert desk.state.invitations["i1"].passed == ("li",)
    desk.done(c.AskColleague("i1", "kim", 20_000))
    desk.wait(20_000)
    desk.done(c.ExpireOffer("i1"))
    assert list(desk.state.unasked) == ["i1"]
    desk.wait(limits.ASK_QUEUE_MS)
    desk.done(c.ExpireOffer("i1"))
    assert desk.events()[-1] == "uninvited"
    assert desk.conversation().owner == "bob"


def test_when_the_owner_is_gone_there_is_nothing_to_take_over() -> None:
    desk = talking(LI)
    desk.done(warm(to_agent="li"))
    desk.done(c.CloseSession("sid-bob"))
    assert desk.state.invitations == {}
    assert desk.conversation().state == "waiting"
    assert desk.refused(c.AcceptOffer("i1", LI, "a")).code == "offer_gone"


def test_a_colleague_without_room_is_not_asked_to_take_over() -> None:
    desk = talking()
    desk.online(LI, capacity=1)
    desk.assigned("cv2", LI)
    assert desk.refused(warm(to_agent="li")).code == "at_capacity"
    invite(desk)
    desk.done(c.AcceptOffer("i1", LI, "a"))


@pytest.mark.parametrize("by", [ANN, EVE, LI])
def test_a_warm_transfer_is_the_owners(by: By) -> None:
    desk = talking(LI, KIM)
    assert desk.refused(warm(by, to_agent="kim")).code in ("forbidden", "not_owner")


def test_a_warm_transfer_of_what_nobody_owns_and_a_second_one_are_refused() -> None:
    desk = talking(LI)
    desk.done(warm(to_agent="li"))
    second = c.TransferConversation("cv1", BOB, "w2", to_queue="general", warm=True, iid="i2")
    assert desk.refused(second).code == "conflict"
    desk.waiting("cv2")
    unowned = c.TransferConversation("cv2", SUE, "w3", "li", warm=True, iid="i3")
    assert desk.refused(unowned).code == "conflict"
    desk.done(c.TransferConversation("cv1", BOB, "cold", to_queue="general"))
    assert desk.state.invitations == {}


def test_a_retry_of_a_warm_transfer_by_another_node_has_one_effect() -> None:
    desk = talking(LI)
    first = desk.done(warm(to_agent="li"))
    again = c.TransferConversation("cv1", BOB, "w", "li", warm=True, iid="another")
    assert desk.done(again) == first
    assert list(desk.state.invitations) == ["i1"]


def test_a_snapshot_keeps_all_of_it() -> None:
    desk = talking(LI, KIM)
    invite(desk)
    desk.done(c.AcceptOffer("i1", LI, "a"))
    desk.done(c.TransferConversation("cv1", BOB, "w", to_queue="general", warm=True, iid="i2"))
    desk.done(c.JoinConversation("cv1", SUE, "monitor", "s", "n1", "b1"))
    loaded = snapshot.load(snapshot.dump(desk.state))
    assert snapshot.digest(loaded) == snapshot.digest(desk.state)
    assert loaded.overseen_at == desk.state.overseen_at
    assert loaded.unasked == desk.state.unasked


# -- to a rule


def test_to_the_rules_it_is_unrouted_again_with_its_age_and_no_hint() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.open(queue_hint="vip")
    opened_ms = desk.conversation().opened_ms
    desk.done(c.RouteConversation("cv1", Route((Step("vip"),), "r")))
    desk.done(c.AcceptOffer(desk.offered(), BOB, "a"))
    desk.done(c.TransferConversation("cv1", BOB, "t", to_rule="", note="not mine"))
    now = desk.conversation()
    assert (now.state, now.queue_hint, now.opened_ms) == ("new", "", opened_ms)
    assert list(desk.state.unrouted) == ["cv1"]
    assert desk.agent().conversations == ()
    desk.done(c.RouteConversation("cv1", Route((Step("general"),), "r")))
    desk.done(c.TransferConversation("cv1", SUE, "t2", to_rule="night"))
    assert desk.conversation().wanted_rule == "night"
    both = c.TransferConversation("cv1", SUE, "t3", to_queue="vip", to_rule="")
    assert desk.refused(both).code == "bad_request"
