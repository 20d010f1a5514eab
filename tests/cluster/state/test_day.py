"""Tags, statuses, corrections, supervision, reopening."""

from typing import Any

import pytest

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By
from cluster.state.events import CHUNK
from cluster.state.limits import EVENTS_KEPT
from cluster.state.route import Route, Step
from tests.cluster.state.desk import ANN, BOB, EVE, LI, OPS, SUE, Desk

POS = By("service", "pos")
MONITOR = ("s1", "n1", "b1")


def talking(**fields: Any) -> Desk:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.open(**fields)
    desk.done(c.RouteConversation("cv1", Route((Step("general"),), "rule")))
    desk.done(c.AcceptOffer(desk.offered(), BOB, desk.key()))
    return desk


# -- tags


def test_tags_are_set_and_unset_and_visitors_see_none_of_it() -> None:
    desk = talking(tags={"vip": True, "lang": "de"})
    desk.done(c.SetFields("cv1", BOB, "tags", {"topic": "refund"}, ("lang", "never")))
    assert desk.conversation().tags == {"vip": True, "topic": "refund"}
    event = desk.conversation().tail[-1]
    assert (event.type, event.hidden) == ("tagged", True)
    assert event.data == {"what": "tags", "set": {"topic": "refund"}, "unset": ["lang"]}
    desk.done(c.SetFields("cv1", POS, "attrs", {"order": 7}))
    assert desk.conversation().attrs == {"order": 7}


def test_what_a_supervisor_sets_is_noted() -> None:
    desk = talking()
    desk.done(c.SetFields("cv1", SUE, "tags", {"vip": True}))
    assert desk.state.audit[-1].detail == {"cv": "cv1", "fields": "tags"}


def test_what_changes_nothing_is_no_event() -> None:
    desk = talking(tags={"n": 1})
    seq = desk.conversation().seq
    assert desk.done(c.SetFields("cv1", BOB, "tags", {"n": 1}, ("x",))) == {"seq": seq}
    assert desk.done(c.SetFields("cv1", BOB, "tags", {"n": True})) == {"seq": seq + 1}


@pytest.mark.parametrize("by", [ANN, LI, OPS])
def test_who_takes_no_part_sets_no_tags(by: By) -> None:
    assert talking().refused(c.SetFields("cv1", by, "tags", {"a": 1})).code == "forbidden"


@pytest.mark.parametrize(
    ("set_", "unset", "code"),
    [
        ({}, (), "bad_request"),
        ({"a": 1}, ("a",), "bad_request"),
        ({"a": {"b": 1}}, (), "bad_request"),
        ({"a": "x" * 5_000}, (), "too_large"),
        ({str(n): n for n in range(64)}, (), "too_large"),
        ({}, ("x" * 65,), "too_large"),
    ],
)
def test_tags_stay_bounded(set_: dict[str, Any], unset: tuple[str, ...], code: str) -> None:
    desk = talking(tags={"vip": True})
    assert desk.refused(c.SetFields("cv1", BOB, "tags", set_, unset)).code == code
    assert desk.conversation().tags == {"vip": True}


def test_its_last_agent_sorts_what_is_closed() -> None:
    desk = talking()
    desk.done(c.CloseConversation("cv1", BOB, "c"))
    desk.done(c.SetFields("cv1", BOB, "tags", {"outcome": "solved"}))
    assert desk.refused(c.SetFields("cv1", LI, "tags", {"outcome": "no"})).code == "forbidden"


# -- statuses


def test_a_status_ends_by_itself_and_the_agent_is_what_they_were() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.done(c.SetStatus(BOB, "bob", "busy"))
    until_ms = desk.now_ms + 60_000
    desk.done(c.SetStatus(BOB, "bob", "away", "lunch", until_ms))
    assert list(desk.state.status_ends) == [(until_ms, "bob")]
    assert desk.refused(c.EndStatus("bob")).code == "conflict"
    desk.wait(60_000)
    desk.done(c.EndStatus("bob"))
    agent = desk.agent()
    assert (agent.status, agent.reason, agent.until_ms) == ("busy", "", 0)
    assert not list(desk.state.status_ends)


def test_a_second_until_goes_back_to_what_was_before_the_first() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.done(c.SetStatus(BOB, "bob", "away", "lunch", desk.now_ms + 60_000))
    desk.done(c.SetStatus(BOB, "bob", "busy", "call", desk.now_ms + 90_000))
    desk.wait(90_000)
    desk.done(c.EndStatus("bob"))
    assert desk.agent().status == "online"


def test_who_logs_out_has_no_status_that_ends() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.done(c.SetStatus(BOB, "bob", "away", "lunch", desk.now_ms + 60_000))
    desk.done(c.CloseSession("sid-bob"))
    assert (desk.agent().status, desk.agent().until_ms) == ("offline", 0)


@pytest.mark.parametrize("ms", [-1, 0, limits.STATUS_UNTIL_MAX_MS + 5_000])
def test_an_until_that_is_no_time_ahead_is_refused(ms: int) -> None:
    desk = Desk()
    desk.online(BOB)
    command = c.SetStatus(BOB, "bob", "away", "", desk.now_ms + ms)
    assert desk.refused(command).code == "bad_request"


def test_it_is_known_who_made_an_agent_what_they_are_and_since_when() -> None:
    desk = Desk()
    desk.online(BOB)
    since_ms = desk.agent().status_since_ms
    desk.done(c.SetStatus(BOB, "bob", "online"))
    assert desk.agent().status_since_ms == since_ms
    desk.done(c.SetStatus(SUE, "bob", "away"))
    assert (desk.agent().status_src, desk.agent().status_since_ms) == ("admin", desk.now_ms)
    assert desk.state.audit[-1].detail == {"agent": "bob", "status": "away"}
    desk.done(c.LoseSession("sid-bob", "n1", "b1"))
    desk.wait(limits.SESSION_GRACE_MS)
    desk.done(c.ExpireSession("sid-bob"))
    assert (desk.agent().status, desk.agent().status_src) == ("offline", "lost")


def idle(sid: str, yes: bool = True) -> c.IdleSession:
    return c.IdleSession("bob", yes, sid, "n1", "b1")


def test_only_when_all_devices_are_silent_is_an_agent_away() -> None:
    desk = Desk()
    desk.online(BOB, sid="phone")
    desk.online(BOB, sid="laptop")
    desk.done(idle("phone"))
    assert desk.agent().status == "online"
    desk.done(idle("laptop"))
    agent = desk.agent()
    assert (agent.status, agent.reason, agent.status_src) == ("away", "idle", "idle")
    desk.done(idle("phone", False))
    assert (desk.agent().status, desk.agent().reason) == ("online", "")


def test_a_device_that_is_lost_does_not_keep_an_agent_online() -> None:
    desk = Desk()
    desk.online(BOB, sid="phone")
    desk.online(BOB, sid="laptop")
    desk.done(idle("phone"))
    desk.done(c.CloseSession("laptop"))
    assert desk.agent().status == "away"
    desk.done(c.IdleSession("bob", False))
    assert desk.agent().status == "online"


def test_silence_changes_nothing_of_what_an_agent_chose() -> None:
    desk = Desk()
    desk.online(BOB, sid="phone")
    desk.done(c.SetStatus(BOB, "bob", "busy"))
    desk.done(idle("phone"))
    desk.done(idle("phone", False))
    assert (desk.agent().status, desk.agent().status_src) == ("busy", "user")


def test_a_silent_client_that_moves_to_another_node_is_silent_there() -> None:
    desk = Desk()
    desk.online(BOB, sid="phone")
    desk.done(idle("phone"))
    desk.done(c.OpenSession("phone", BOB, "n1", "b1"))
    assert desk.agent().status == "away"
    assert desk.refused(c.IdleSession("bob", False, "phone", "n2", "b1")).code == "conflict"
    desk.done(c.OpenSession("laptop", BOB, "n1", "b1"))
    assert desk.agent().status == "online"


# -- corrections


def body_of(desk: Desk, mid: str) -> list[Any]:
    return [e.data.get("body") for e in desk.conversation().tail if e.mid == mid]


def test_an_edited_message_says_the_new_and_nothing_of_the_old_is_kept() -> None:
    desk = talking()
    desk.done(desk.say(ANN, body="my card is 4711", key="m"))
    desk.done(c.EditMessage("cv1", "m-m", ANN, "e1", "my card is 47xx"))
    desk.done(c.EditMessage("cv1", "m-m", ANN, "e2", "my card"))
    assert body_of(desk, "m-m") == ["my card", None, "my card"]
    assert desk.events()[-2:] == ["edit", "edit"]
    desk.done(c.DeleteMessage("cv1", "m-m", ANN, "d"))
    assert body_of(desk, "m-m") == [None, None, None, None]
    assert b"4711" not in b"".join(str(e).encode() for e in desk.conversation().tail)
    for again in (
        c.DeleteMessage("cv1", "m-m", ANN, "d2"),
        c.EditMessage("cv1", "m-m", ANN, "e3", "back"),
    ):
        assert desk.refused(again).code == "not_found"


def test_a_hidden_message_stays_hidden_when_it_is_edited() -> None:
    desk = talking()
    desk.done(desk.say(BOB, visibility="agents", key="n"))
    desk.done(c.EditMessage("cv1", "m-n", BOB, "e", "calm"))
    desk.done(c.DeleteMessage("cv1", "m-n", SUE, "d"))
    assert [e.hidden for e in desk.conversation().tail][-3:] == [True, True, True]
    assert desk.state.audit[-1].what == "message.del"


def test_a_message_of_many_chunks_ago_is_found() -> None:
    desk = talking()
    desk.done(desk.say(ANN, key="m"))
    for _ in range(60):
        desk.done(desk.say(ANN))
    desk.done(c.EditMessage("cv1", "m-m", ANN, "e", "new"))
    assert body_of(desk, "m-m") == ["new", "new"]


@pytest.mark.parametrize("by", [EVE, BOB, LI, By("agent", "ann"), OPS, POS])
def test_a_message_is_corrected_by_its_author_or_a_supervisor(by: By) -> None:
    desk = talking()
    desk.done(desk.say(ANN, key="m"))
    refusal = desk.refused(c.EditMessage("cv1", "m-m", by, "e", "no"))
    assert (refusal.code, refusal.data["rule"]) == ("forbidden", "message.not_yours")
    assert desk.refused(c.DeleteMessage("cv1", "m-m", by, "d")).code == "forbidden"
    desk.done(c.EditMessage("cv1", "m-m", SUE, "e", "yes"))


def test_an_agent_who_let_go_corrects_nothing_and_a_closed_one_only_a_supervisor() -> None:
    desk = talking()
    desk.done(desk.say(BOB, key="m"))
    desk.done(c.TransferConversation("cv1", BOB, "t", to_agent="li"))
    refusal = desk.refused(c.EditMessage("cv1", "m-m", BOB, "e", "no"))
    assert refusal.data["rule"] == "conversation.no_part"
    desk.done(c.CloseConversation("cv1", SUE, "c"))
    assert desk.refused(c.DeleteMessage("cv1", "m-m", BOB, "d")).code == "closed"
    desk.done(c.DeleteMessage("cv1", "m-m", SUE, "d"))


@pytest.mark.parametrize(
    ("body", "code"),
    [(7, "bad_request"), ("x" * 17_000, "too_large"), ({b"x": 1, 1: 2}, "bad_request")],
)
def test_an_edit_is_bounded_as_a_message_is(body: Any, code: str) -> None:
    desk = talking()
    desk.done(desk.say(ANN, key="m"))
    assert desk.refused(c.EditMessage("cv1", "m-m", ANN, "e", body)).code == code


def test_a_message_is_edited_only_so_often() -> None:
    desk = talking()
    desk.done(desk.say(ANN, key="m"))
    for number in range(limits.EDITS_MAX):
        desk.done(c.EditMessage("cv1", "m-m", ANN, f"e{number}", f"{number}"))
    assert desk.refused(c.EditMessage("cv1", "m-m", ANN, "e", "more")).code == "at_capacity"
    desk.done(c.DeleteMessage("cv1", "m-m", ANN, "d"))


# -- supervision


def test_who_monitors_is_told_to_nobody_and_is_noted() -> None:
    desk = talking()
    seq = desk.conversation().seq
    desk.done(c.JoinConversation("cv1", SUE, "monitor", *MONITOR))
    assert desk.conversation().seq == seq
    assert desk.state.audit[-1].detail == {"cv": "cv1", "mode": "monitor"}
    for visibility in ("all", "agents"):
        refusal = desk.refused(desk.say(SUE, visibility=visibility))
        assert (refusal.code, refusal.data["rule"]) == ("forbidden", "supervision.mode")
    desk.done(c.EndSupervision("cv1", SUE))
    assert desk.conversation().seq == seq
    desk.done(desk.say(SUE))


def test_a_whisper_is_for_agents_alone() -> None:
    desk = talking()
    desk.done(c.JoinConversation("cv1", SUE, "whisper", *MONITOR))
    assert desk.refused(desk.say(SUE)).data["rule"] == "supervision.mode"
    desk.done(desk.say(SUE, visibility="agents", body="offer a refund"))
    desk.done(c.EndSupervision("cv1", SUE))
    assert desk.events()[-3:] == ["joined", "whisper", "left"]
    assert all(event.hidden for event in tuple(desk.conversation().tail)[-3:])


def test_who_barges_in_speaks_to_all_who_are_told() -> None:
    desk = talking()
    desk.done(c.JoinConversation("cv1", SUE, "whisper", *MONITOR))
    desk.done(c.JoinConversation("cv1", SUE, "barge", *MONITOR))
    desk.done(desk.say(SUE))
    told = [(e.type, e.hidden) for e in tuple(desk.conversation().tail)[-4:]]
    assert told == [("joined", True), ("left", True), ("joined", False), ("msg", False)]
    assert len(desk.conversation().overseers) == 1


@pytest.mark.parametrize("end", ["lose", "boot", "close"])
def test_supervision_ends_with_the_node_from_which_it_came_or_with_the_conversation(
    end: str,
) -> None:
    desk = talking()
    desk.done(c.JoinConversation("cv1", SUE, "barge", *MONITOR))
    match end:
        case "lose":
            desk.done(c.LoseNode("n1", "b1"))
            assert desk.events()[-1] == "left"
        case "boot":
            desk.done(c.BootNode("n1", "b2", "ws://n1"))
            assert desk.events()[-1] == "left"
        case _:
            desk.done(c.CloseConversation("cv1", BOB, "c"))
    assert desk.conversation().overseers == ()
    assert desk.state.overseen_at == {}


def test_a_session_that_ends_late_takes_nothing_from_the_next_one() -> None:
    desk = talking()
    desk.done(c.JoinConversation("cv1", SUE, "monitor", *MONITOR))
    desk.done(c.JoinConversation("cv1", SUE, "monitor", "s2", "n1", "b1"))
    late = c.EndSupervision("cv1", c.SYSTEM, "sue", "s1")
    assert desk.refused(late).code == "conflict"
    desk.done(c.EndSupervision("cv1", c.SYSTEM, "sue", "s2"))


def test_what_somebody_joined_ends_also_when_their_account_is_disabled() -> None:
    desk = talking()
    desk.done(c.PutAccount(OPS, "k", "sue", "supervisor"))
    desk.done(c.JoinConversation("cv1", SUE, "barge", *MONITOR))
    desk.done(c.PutAccount(OPS, "k2", "sue", disabled=True))
    assert desk.refused(c.EndSupervision("cv1", SUE)).data["rule"] == "account.disabled"
    desk.done(c.EndSupervision("cv1", c.SYSTEM, "sue", "s1"))
    assert desk.refused(c.EndSupervision("cv1", BOB)).code == "forbidden"


@pytest.mark.parametrize("by", [ANN, BOB, OPS, POS])
def test_only_supervisors_join_so(by: By) -> None:
    assert talking().refused(c.JoinConversation("cv1", by, "barge", *MONITOR)).code == "forbidden"


def test_nobody_joins_from_a_node_that_nobody_would_miss() -> None:
    command = c.JoinConversation("cv1", SUE, "barge", "s1", "n9", "b1")
    assert talking().refused(command).code == "conflict"


def test_so_many_supervisors_join_and_no_more() -> None:
    desk = talking()
    for number in range(limits.OVERSEERS_MAX):
        desk.done(c.JoinConversation("cv1", By("supervisor", f"s{number}"), "monitor", *MONITOR))
    assert desk.refused(c.JoinConversation("cv1", SUE, "monitor", *MONITOR)).code == "at_capacity"


# -- reopening


def test_its_last_agent_is_known_however_much_was_said_since() -> None:
    desk = talking()
    for number in range(EVENTS_KEPT + CHUNK):
        desk.done(c.SendMessage("cv1", f"m{number}", BOB, f"k{number}", "text", "well"))
    assert "assigned" not in [event.type for event in desk.conversation().tail]
    desk.done(c.CloseConversation("cv1", BOB, "c"))
    desk.done(c.ReopenConversation("cv1", ANN, "r"))
    assert desk.conversation().target == "bob"


def test_it_goes_back_to_its_last_agent_if_they_are_here() -> None:
    desk = talking()
    desk.done(c.CloseConversation("cv1", BOB, "c"))
    seq = desk.conversation().seq
    desk.done(c.ReopenConversation("cv1", ANN, "r"))
    now = desk.conversation()
    assert (now.state, now.target, now.closed_ms, now.seq) == ("waiting", "bob", 0, seq + 2)
    assert now.opened_ms == desk.now_ms
    assert not list(desk.state.closed)
    desk.done(c.AcceptOffer(desk.offered(), BOB, "a"))
    assert desk.conversation().fence == 2


@pytest.mark.parametrize("gone", ["logged out", "offline", "never had one"])
def test_otherwise_the_rules_decide_anew(gone: str) -> None:
    desk = talking()
    if gone == "never had one":
        desk.open("cv2")
        desk.done(c.CloseConversation("cv2", ANN, "c"))
    else:
        desk.done(c.CloseConversation("cv1", BOB, "c"))
    if gone == "logged out":
        desk.done(c.CloseSession("sid-bob"))
    elif gone == "offline":
        desk.done(c.SetStatus(BOB, "bob", "offline"))
    cv = "cv2" if gone == "never had one" else "cv1"
    assert desk.done(c.ReopenConversation(cv, ANN, "r"))["state"] == "new"
    assert list(desk.state.unrouted) == [cv]


@pytest.mark.parametrize(
    ("by", "code"), [(EVE, "forbidden"), (LI, "forbidden"), (OPS, "forbidden")]
)
def test_not_everybody_reopens_it(by: By, code: str) -> None:
    desk = talking()
    desk.done(c.CloseConversation("cv1", BOB, "c"))
    assert desk.refused(c.ReopenConversation("cv1", by, "r")).code == code


def test_what_is_open_or_forgotten_is_not_reopened() -> None:
    desk = talking()
    assert desk.refused(c.ReopenConversation("cv1", ANN, "r")).code == "conflict"
    desk.done(c.CloseConversation("cv1", BOB, "c"))
    desk.wait(limits.CONVERSATION_RETENTION_MS)
    desk.done(c.PurgeConversations(("cv1",)))
    assert desk.refused(c.ReopenConversation("cv1", ANN, "r")).code == "not_found"
