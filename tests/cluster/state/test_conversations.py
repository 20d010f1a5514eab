"""The life of a conversation, one rule a test."""

import pytest

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By
from cluster.state.outcome import Appended, ConversationPurged, OfferGone
from cluster.state.route import Queue
from tests.cluster.state.desk import ANN, BOB, EVE, LI, OPS, SUE, Desk, routed

BOT = By("service", "bot")


def test_a_new_conversation_has_its_opening_and_its_first_text() -> None:
    desk = Desk()
    result = desk.done(c.OpenConversation("cv1", ANN, "k", text="help", mid="m1", subject="bill"))
    assert result == {"cv": "cv1", "seq": 2, "state": "new"}
    opened, msg = desk.conversation().tail
    assert (opened.seq, opened.type, opened.data["subject"]) == (1, "opened", "bill")
    assert (msg.seq, msg.mid, msg.data) == (2, "m1", {"type": "text", "body": "help"})
    assert [notice for notice in desk.notices if isinstance(notice, Appended)] == [
        Appended("cv1", opened),
        Appended("cv1", msg),
    ]


def test_a_conversation_without_text_begins_with_its_opening_alone() -> None:
    desk = Desk()
    assert desk.done(c.OpenConversation("cv1", ANN, "k")) == {"cv": "cv1", "seq": 1, "state": "new"}
    assert list(desk.state.unrouted) == ["cv1"]


def test_only_visitors_and_services_open_conversations() -> None:
    desk = Desk()
    for by in (BOB, SUE, OPS):
        assert desk.refused(c.OpenConversation("cv1", by, "k")).code == "forbidden"
    desk.done(c.OpenConversation("cv1", BOT, "k"))


def test_an_id_is_used_for_one_conversation_only() -> None:
    desk = Desk()
    desk.open("cv1")
    assert desk.refused(c.OpenConversation("cv1", EVE, "k")).code == "conflict"
    assert desk.conversation().visitor == "ann"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tags": {"a": {"b": 1}}}, "bad_request"),
        ({"tags": {"a": [[1]]}}, "bad_request"),
        ({"tags": {"a": float("nan")}}, "bad_request"),
        ({"attrs": {"a": b"raw"}}, "bad_request"),
        ({"attrs": {"a": "x" * 4096}}, "too_large"),
        ({"attrs": {"x" * 65: 1}}, "too_large"),
        ({"attrs": {str(n): n for n in range(65)}}, "too_large"),
        ({"subject": "x" * 257}, "too_large"),
        ({"queue_hint": "x" * 257}, "too_large"),
        ({"text": "x" * 16_385, "mid": "m"}, "too_large"),
        ({"text": "no id"}, "bad_request"),
        ({"cv": ""}, "bad_request"),
        ({"cv": "x" * 257}, "too_large"),
        ({"key": ""}, "bad_request"),
        ({"key": "k" * 65}, "bad_request"),
    ],
)
def test_what_cannot_be_kept_is_refused(fields: dict[str, object], code: str) -> None:
    desk = Desk()
    command = c.OpenConversation(**{"cv": "cv1", "by": ANN, "key": "k", **fields})  # type: ignore[arg-type]
    assert desk.refused(command).code == code
    assert not desk.state.conversations


def test_flat_tags_of_every_scalar_are_kept() -> None:
    desk = Desk()
    tags = {"arpu": 6200.5, "langs": ["zh", "en"], "vip": True, "age": 7, "none": None}
    desk.open("cv1", tags=tags)
    assert desk.conversation().tags == tags


def test_a_routed_conversation_waits_in_its_queue() -> None:
    desk = Desk()
    desk.online()
    desk.open("cv1")
    desk.done(routed("cv1", "vip", 80, "vip_user", 3, ("refund",)))
    conversation = desk.conversation()
    assert (conversation.state, conversation.queue, conversation.skills) == (
        "waiting",
        "vip",
        {"refund": 0},
    )
    assert conversation.tail[-1].data == {
        "queue": "vip",
        "priority": 80,
        "rule": "vip_user",
        "rev": 3,
    }
    assert desk.line("vip") == ["cv1"]
    assert not desk.state.unrouted


def test_priority_goes_before_age_and_age_before_the_id() -> None:
    desk = Desk()
    for cv in ("cv3", "cv1", "cv2"):
        desk.waiting(cv)
    desk.waiting("cv0", priority=80)
    assert desk.line() == ["cv0", "cv3", "cv1", "cv2"]


def test_a_waiting_conversation_is_routed_anew_and_one_with_an_agent_is_not() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    desk.done(routed("cv1", "vip", 5, "other", 1))
    assert desk.line() == []
    assert desk.line("vip") == ["cv1"]
    oid = desk.offered()
    again = routed("cv1", "general", 5, "other", 1)
    assert desk.refused(again).code == "conflict"
    desk.done(c.AcceptOffer(oid, BOB, "k"))
    assert desk.refused(again).code == "conflict"


def test_a_route_has_a_queue_and_a_sane_priority() -> None:
    desk = Desk()
    desk.open()
    assert desk.refused(routed("cv1", "", 0, "r", 0)).code == "bad_request"
    assert desk.refused(routed("cv1", "q", 2**63, "r", 0)).code == "bad_request"
    skills = tuple(map(str, range(65)))
    assert desk.refused(routed("cv1", "q", 0, "r", 0, skills)).code == "too_large"
    assert desk.refused(routed("nope", "q", 0, "r", 0)).code == "not_found"


# -- transfer


def test_a_transfer_to_a_queue_lets_go_and_keeps_the_age() -> None:
    desk = Desk()
    desk.online()
    desk.assigned("cv1")
    desk.waiting("cv2")
    result = desk.done(c.TransferConversation("cv1", BOB, "k", to_queue="general", fence=1))
    conversation = desk.conversation()
    assert (conversation.state, conversation.owner, conversation.fence) == ("waiting", "", 1)
    assert conversation.seq == result["seq"]
    assert desk.events()[-2:] == ["transferred", "queued"]
    assert desk.line() == ["cv1", "cv2"], "older than who came meanwhile"
    assert desk.agent().conversations == ()


def test_a_note_on_a_transfer_is_hidden_from_visitors() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    desk.done(c.TransferConversation("cv1", BOB, "k", to_queue="general", note="angry"))
    transferred, note, queued = desk.conversation().tail[-3:]
    assert (note.type, note.hidden, note.data["body"]) == ("note", True, "angry")
    assert "angry" not in str(transferred) + str(queued)


def test_a_transfer_to_an_agent_is_offered_to_that_agent_only() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned()
    desk.done(c.TransferConversation("cv1", BOB, "k", to_agent="li"))
    assert desk.conversation().target == "li"
    assert desk.refused(c.MakeOffer("o9", "cv1", "bob", 20_000)).code == "conflict"
    oid = desk.offered("cv1", LI)
    desk.done(c.AcceptOffer(oid, LI, "k"))
    assert (desk.conversation().owner, desk.conversation().target) == ("li", "")


@pytest.mark.parametrize("end", ["decline", "expire"])
def test_a_named_agent_who_passes_leaves_it_to_the_queue(end: str) -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned()
    desk.done(c.TransferConversation("cv1", BOB, "k", to_agent="li"))
    oid = desk.offered("cv1", LI)
    if end == "decline":
        desk.done(c.DeclineOffer(oid, LI))
    else:
        desk.wait(20_000)
        desk.done(c.ExpireOffer(oid))
    assert (desk.conversation().target, desk.conversation().passed) == ("", ("li",))
    assert not desk.state.by_target
    desk.offered("cv1", BOB)


def test_nobody_waits_for_an_agent_who_is_not_here() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned()
    assert desk.refused(c.TransferConversation("cv1", BOB, "k", to_agent="eva")).code == "not_found"
    desk.done(c.SetStatus(LI, "li", "offline"))
    assert desk.refused(c.TransferConversation("cv1", BOB, "k", to_agent="li")).code == "conflict"
    desk.done(c.SetStatus(LI, "li", "away"))
    desk.done(c.TransferConversation("cv1", BOB, "k", to_agent="li"))
    desk.done(c.SetStatus(LI, "li", "offline"))
    assert desk.conversation().target == ""
    assert desk.conversation().tail[-1].data["reason"] == "agent_offline"


def test_who_waits_for_a_named_agent_waits_for_anyone_once_that_agent_is_lost() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned()
    desk.done(c.TransferConversation("cv1", BOB, "k", to_agent="li"))
    desk.done(c.CloseSession("sid-li"))
    assert desk.conversation().target == ""
    desk.offered("cv1", BOB)


def test_a_transfer_names_one_destination_that_exists() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    desk.done(c.ApplyRules(OPS, {"main.toml": "x"}, {"vip": Queue(20_000)}))
    both = c.TransferConversation("cv1", BOB, "k", to_agent="bob", to_queue="vip")
    assert desk.refused(both).code == "bad_request"
    assert desk.refused(c.TransferConversation("cv1", BOB, "k")).code == "bad_request"
    unknown = desk.refused(c.TransferConversation("cv1", BOB, "k", to_queue="vpi"))
    assert unknown.code == "not_found"
    assert "vip" in unknown.message
    desk.done(c.TransferConversation("cv1", BOB, "k", to_queue="vip"))
    desk.done(c.TransferConversation("cv1", SUE, "k", to_queue="general"))


def test_only_owner_and_supervision_transfer() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned()
    desk_of = {ANN: "forbidden", LI: "not_owner"}
    for by, code in desk_of.items():
        assert desk.refused(c.TransferConversation("cv1", by, "k", to_queue="general")).code == code
    old_fence = c.TransferConversation("cv1", BOB, "k", to_queue="general", fence=0)
    assert desk.refused(old_fence).code == "not_owner"
    desk.done(c.TransferConversation("cv1", SUE, "k", to_agent="li"))
    assert desk.state.audit[-1].what == "transfer"
    assert desk.state.audit[-1].by == SUE


def test_a_supervisor_transfers_what_is_on_offer_and_what_is_new() -> None:
    desk = Desk()
    desk.online(BOB)
    desk.waiting("cv1")
    desk.offered("cv1")
    desk.done(c.TransferConversation("cv1", SUE, "k1", to_queue="vip"))
    assert [n.why for n in desk.notices if isinstance(n, OfferGone)] == ["withdrawn"]
    assert desk.line("vip") == ["cv1"]
    desk.open("cv2", queue_hint="sales")
    desk.done(c.TransferConversation("cv2", SUE, "k2", to_agent="bob"))
    assert desk.line("sales") == ["cv2"], "an agent's conversation waits in the queue it asked for"
    desk.open("cv3")
    desk.done(c.TransferConversation("cv3", SUE, "k3", to_agent="bob"))
    assert desk.line("general") == ["cv3"]


def test_another_queue_asks_for_its_own_skills_and_not_for_those_of_the_last() -> None:
    """Else nobody of the new queue is ever offered it: it would wait for ever."""
    desk = Desk()
    desk.online(BOB)
    queues = {"vip": Queue(skills={"refund": 2}), "bills": Queue()}
    desk.done(c.ApplyRules(OPS, {"a": "1"}, queues))
    desk.waiting("cv1", skills=("dutch",))
    desk.done(c.TransferConversation("cv1", SUE, "k1", to_queue="vip"))
    assert desk.conversation().skills == {"refund": 2}
    desk.done(c.TransferConversation("cv1", SUE, "k2", to_queue="bills"))
    assert desk.conversation().skills == {}
    desk.offered("cv1")


def test_the_same_queue_again_asks_for_the_same_skills() -> None:
    desk = Desk()
    desk.waiting("cv1", skills=("dutch",))
    desk.done(c.TransferConversation("cv1", SUE, "k", to_queue="general"))
    assert desk.conversation().skills == {"dutch": 0}


def test_who_is_named_is_offered_it_whatever_skills_a_rule_asked_for() -> None:
    """People know better than rules; whoever comes after them must hold what was asked for."""
    desk = Desk()
    desk.online(BOB)
    desk.waiting("cv1", skills=("dutch",))
    desk.done(c.TransferConversation("cv1", SUE, "k", to_agent="bob"))
    desk.done(c.DeclineOffer(desk.offered("cv1", BOB), BOB))
    assert desk.refused(c.MakeOffer("o2", "cv1", "bob", 20_000)).message == "bob lacks dutch"


# -- close and purge


def test_closing_ends_everything_and_frees_the_agent() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    result = desk.done(c.CloseConversation("cv1", BOB, "k", "solved"))
    conversation = desk.conversation()
    assert (conversation.state, conversation.owner, conversation.closed_ms) == (
        "closed",
        "",
        desk.now_ms,
    )
    last = conversation.tail[-1]
    assert (last.seq, last.type, last.by, last.data) == (
        result["seq"],
        "closed",
        BOB,
        {"reason": "solved"},
    )
    assert (desk.agent().load, desk.agent().idle_since_ms) == (0, desk.now_ms)
    assert not desk.state.by_visitor


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (ANN, None),
        (SUE, None),
        (BOT, None),
        (EVE, "forbidden"),
        (LI, "not_owner"),
        (OPS, "forbidden"),
        (By("visitor", "bob"), "forbidden"),
        (By("agent", "ann"), "not_owner"),
    ],
)
def test_who_may_close(by: By, code: str | None) -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    command = c.CloseConversation("cv1", by, "k")
    if code is None:
        desk.done(command)
    else:
        assert desk.refused(command).code == code


def test_a_visitor_who_gives_up_while_it_rings_ends_the_offer() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    oid = desk.offered()
    desk.done(c.CloseConversation("cv1", ANN, "k"))
    assert [n.why for n in desk.notices if isinstance(n, OfferGone)] == ["closed"]
    assert desk.refused(c.AcceptOffer(oid, BOB, "k")).code == "offer_gone"
    assert desk.agent().load == 0


def test_a_closed_conversation_takes_nothing_more() -> None:
    desk = Desk()
    desk.open()
    desk.done(c.CloseConversation("cv1", ANN, "k"))
    for command in (
        c.CloseConversation("cv1", ANN, "k2"),
        desk.say(ANN),
        routed("cv1", "q", 0, "r", 0),
        c.TransferConversation("cv1", SUE, "k", to_queue="general"),
    ):
        assert desk.refused(command).code == "closed"


def test_the_visitor_of_a_services_conversation_is_not_the_visitor_of_the_same_id() -> None:
    desk = Desk()
    desk.open("cv1", BOT)
    namesake = By("visitor", "bot")
    assert desk.refused(desk.say(namesake)).code == "forbidden"
    assert desk.refused(c.CloseConversation("cv1", namesake, "k")).code == "forbidden"
    desk.done(desk.say(BOT))


def test_only_what_was_closed_long_enough_is_forgotten() -> None:
    desk = Desk()
    desk.open("old")
    desk.open("live")
    desk.done(c.CloseConversation("old", ANN, "k"))
    purge = c.PurgeConversations(("old", "live", "never"))
    assert desk.done(purge) == {"purged": 0}
    desk.wait(limits.CONVERSATION_RETENTION_MS)
    assert desk.done(purge) == {"purged": 1}
    assert desk.notices == [ConversationPurged("old")]
    assert list(desk.state.conversations) == ["live"]
    assert not desk.state.closed
