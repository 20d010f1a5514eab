"""Who may speak, and the guards against answering twice."""

import datetime

import msgspec
import pytest

from cluster.state import commands as c
from cluster.state import limits
from cluster.state.commands import By
from cluster.state.events import CHUNK
from tests.cluster.state.desk import ANN, BOB, EVE, LI, OPS, SUE, Desk

BOT = By("service", "bot")


def desk_with_bob() -> Desk:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.assigned("cv1", BOB)
    return desk


def test_a_message_gets_the_next_number_and_cluster_time() -> None:
    desk = desk_with_bob()
    before = desk.conversation().seq
    result = desk.done(desk.say(ANN, body="hello", key="k1", reply_to="m0"))
    assert result == {"seq": before + 1, "mid": "m-k1", "ts": desk.now_ms}
    event = desk.conversation().tail[-1]
    assert (event.type, event.by, event.hidden) == ("msg", ANN, False)
    assert event.data == {"type": "text", "body": "hello", "reply_to": "m0"}


@pytest.mark.parametrize(
    ("by", "public", "note"),
    [
        (ANN, None, "forbidden"),
        (EVE, "forbidden", "forbidden"),
        (BOB, None, None),
        (LI, "not_owner", None),
        (SUE, None, None),
        (BOT, None, None),
        (OPS, "forbidden", "forbidden"),
        (By("agent", "ann"), "not_owner", None),
        (By("visitor", "bob"), "forbidden", "forbidden"),
    ],
)
def test_who_may_speak(by: By, public: str | None, note: str | None) -> None:
    desk = desk_with_bob()
    for visibility, code in (("all", public), ("agents", note)):
        command = desk.say(by, visibility=visibility)
        if code is None:
            desk.done(command)
        else:
            assert desk.refused(command).code == code


def test_a_note_is_hidden_from_visitors() -> None:
    desk = desk_with_bob()
    desk.done(desk.say(LI, visibility="agents"))
    event = desk.conversation().tail[-1]
    assert (event.type, event.hidden) == ("note", True)


def test_a_message_with_an_old_fence_is_refused() -> None:
    desk = desk_with_bob()
    desk.done(desk.say(BOB, fence=1))
    desk.done(c.TransferConversation("cv1", BOB, "k", to_agent="bob"))
    assert desk.refused(desk.say(BOB, fence=1)).code == "not_owner"
    desk.done(c.AcceptOffer(desk.offered("cv1", BOB), BOB, "k2"))
    refused = desk.refused(desk.say(BOB, fence=1))
    assert (refused.code, refused.data) == ("not_owner", {"rule": "fence", "fence": 2})
    desk.done(desk.say(BOB, fence=2))


def test_an_answer_that_missed_a_colleagues_is_stale_and_says_what_it_missed() -> None:
    desk = desk_with_bob()
    seen = desk.conversation().seq
    desk.done(desk.say(ANN, body="hello?"))
    desk.done(desk.say(SUE, body="I take this"))
    refused = desk.refused(desk.say(BOB, after=seen))
    assert refused.code == "stale"
    assert [event["data"]["body"] for event in refused.data["events"]] == ["I take this"]
    assert [event["seq"] for event in refused.data["events"]] == [seen + 2]
    desk.done(desk.say(BOB, after=seen + 2))


def test_only_colleagues_public_answers_make_an_answer_stale() -> None:
    desk = desk_with_bob()
    seen = desk.conversation().seq
    desk.done(desk.say(ANN))
    desk.done(desk.say(BOB))
    desk.done(desk.say(LI, visibility="agents"))
    desk.done(desk.say(BOB, after=seen))
    desk.done(desk.say(SUE))
    desk.done(desk.say(BOB))
    desk.done(desk.say(BOB, after=0, visibility="agents"))
    desk.done(desk.say(ANN, after=0))


def test_a_stale_refusal_is_bounded_in_events_and_bytes() -> None:
    desk = desk_with_bob()
    for _ in range(limits.STALE_EVENTS_MAX + 5):
        desk.done(desk.say(SUE))
    refused = desk.refused(desk.say(BOB, after=0))
    assert len(refused.data["events"]) == limits.STALE_EVENTS_MAX
    assert refused.data["events"][-1]["seq"] == desk.conversation().seq
    for _ in range(4):
        desk.done(desk.say(SUE, body="x" * limits.TEXT_BYTES_MAX))
    refused = desk.refused(desk.say(BOB, after=0))
    assert 1 <= len(refused.data["events"]) <= 3


def test_bodies_are_bounded_and_plain() -> None:
    desk = desk_with_bob()

    def code(kind: str, body: object) -> str:
        command = c.SendMessage("cv1", "m", ANN, desk.key(), kind, body)  # type: ignore[arg-type]
        return desk.refused(command).code

    deep: object = 1
    for _ in range(limits.BODY_DEPTH_MAX + 1):
        deep = [deep]
    assert code("text", 5) == "bad_request"
    assert code("text", "x" * (limits.TEXT_BYTES_MAX + 1)) == "too_large"
    assert code("text", "王" * (limits.TEXT_BYTES_MAX // 3 + 1)) == "too_large"
    assert code("card", {"x": "y" * limits.BODY_BYTES_MAX}) == "too_large"
    assert code("card", deep) == "bad_request"
    assert code("card", {1: "a", "b": 2}) == "bad_request"
    assert code("card", {"a": {None: 1}}) == "bad_request"
    assert code("card", float("inf")) == "bad_request"
    assert code("event", b"raw") == "bad_request"
    assert code("event", {"at": datetime.datetime.now(datetime.UTC)}) == "bad_request"
    assert code("event", [msgspec.msgpack.Ext(5, b"x")]) == "bad_request"
    desk.done(desk.say(ANN, body="x" * limits.TEXT_BYTES_MAX))
    card = {"title": "Bill", "rows": [["a", 1], ["b", 2.5]], "on": True, "no": None}
    desk.done(c.SendMessage("cv1", "m", ANN, desk.key(), "card", card))
    assert desk.conversation().tail[-1].data["body"] == card


def test_a_message_has_an_id_and_a_conversation() -> None:
    desk = desk_with_bob()
    assert desk.refused(c.SendMessage("cv1", "", ANN, "k", "text", "hi")).code == "bad_request"
    assert desk.refused(c.SendMessage("nope", "m", ANN, "k", "text", "hi")).code == "not_found"
    long = c.SendMessage("cv1", "m", ANN, "k", "text", "hi", reply_to="m" * 257)
    assert desk.refused(long).code == "too_large"


def test_the_tail_keeps_the_newest_events() -> None:
    desk = Desk()
    desk.open()
    for _ in range(limits.EVENTS_KEPT + CHUNK + 3):
        desk.done(desk.say(ANN))
    conversation = desk.conversation()
    assert conversation.seq == limits.EVENTS_KEPT + CHUNK + 4
    seqs = [event.seq for event in conversation.tail]
    assert seqs == list(range(CHUNK + 1, conversation.seq + 1))
