"""The same request twice has one effect and one answer."""

from typing import Any

import pytest
from msgspec.structs import replace

from cluster.state import commands as c
from cluster.state import idempotency, limits
from cluster.state.commands import By
from cluster.state.outcome import Done, Outcome
from tests.cluster.state.desk import ANN, BOB, EVE, SUE, Desk


def is_dup(outcome: Outcome, result: dict[str, Any]) -> bool:
    return isinstance(outcome, Done) and outcome.dup and outcome.result == result


def test_a_retried_message_is_in_the_conversation_once() -> None:
    """Duplicates on retry: 837 copies of one message."""
    desk = Desk()
    desk.open()
    first = desk.done(desk.say(ANN, body="help", key="k1"))
    for number in range(5):
        retry = c.SendMessage("cv1", f"other{number}", ANN, "k1", "text", "help", fence=3, after=9)
        assert is_dup(desk.run(retry), first)
        assert desk.notices == []
    assert desk.events() == ["opened", "msg"]


def test_a_retried_opening_names_the_first_conversation() -> None:
    desk = Desk()
    first = desk.done(c.OpenConversation("cv1", ANN, "k", text="hi", mid="m1"))
    assert is_dup(desk.run(c.OpenConversation("cv2", ANN, "k", text="hi", mid="m2")), first)
    assert list(desk.state.conversations) == ["cv1"]


def test_a_retried_acceptance_holds_although_the_offer_is_gone() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    command = c.AcceptOffer(desk.offered(), BOB, "k")
    assert is_dup(desk.run(command), desk.done(command)) is False
    assert is_dup(desk.run(command), {"cv": "cv1", "seq": 4, "fence": 1})


def test_a_retried_transfer_and_close_hold() -> None:
    desk = Desk()
    desk.online()
    desk.assigned()
    transfer = c.TransferConversation("cv1", BOB, "k1", to_queue="general", fence=1)
    first = desk.done(transfer)
    assert is_dup(desk.run(replace(transfer, fence=None)), first)
    close = c.CloseConversation("cv1", ANN, "k2", "bye")
    first = desk.done(close)
    assert is_dup(desk.run(close), first)


@pytest.mark.parametrize(
    "other",
    [
        {"body": "no"},
        {"type": "card"},
        {"visibility": "agents"},
        {"reply_to": "m9"},
        {"cv": "cv2"},
    ],
)
def test_a_key_means_one_thing_only(other: dict[str, Any]) -> None:
    desk = Desk()
    desk.open("cv1")
    desk.open("cv2")
    command = desk.say(SUE, body="yes", key="k")
    desk.done(command)
    assert desk.refused(replace(command, **other)).code == "key_reused"


def test_a_key_of_one_operation_is_no_key_of_another() -> None:
    desk = Desk()
    desk.open()
    desk.done(desk.say(ANN, key="k"))
    assert desk.refused(c.CloseConversation("cv1", ANN, "k")).code == "key_reused"


def test_keys_belong_to_principals() -> None:
    desk = Desk()
    desk.open("cv1", ANN)
    desk.open("cv2", EVE)
    desk.done(desk.say(ANN, "cv1", key="k"))
    desk.done(desk.say(EVE, "cv2", key="k"))
    desk.done(desk.say(By("service", "ann"), "cv1", key="k"))
    names = {
        idempotency.name_of(c.CloseConversation("cv", By("visitor", who), key))
        for who, key in [("a", "b c"), ("a b", "c"), ("a 1", "b"), ("1 a", "b")]
    }
    assert len(names) == 4


def test_a_principals_name_may_change_between_retries() -> None:
    desk = Desk()
    desk.open()
    command = desk.say(ANN, key="k")
    first = desk.done(command)
    assert is_dup(desk.run(replace(command, by=By("visitor", "ann", "Anna"))), first)


def test_a_refusal_is_not_remembered() -> None:
    desk = Desk()
    desk.online()
    desk.waiting()
    message = desk.say(BOB, key="k")
    assert desk.refused(message).code == "not_owner"
    desk.done(c.AcceptOffer(desk.offered(), BOB, "k2"))
    desk.done(message)


def test_a_key_is_forgotten_after_its_retention() -> None:
    desk = Desk()
    desk.open()
    command = desk.say(ANN, key="k")
    first = desk.done(command)
    desk.wait(limits.KEY_RETENTION_MS - 1_000)
    assert is_dup(desk.run(command), first)
    desk.run(desk.say(ANN, key="another"))
    assert desk.done(command)["seq"] == first["seq"] + 2


def test_the_oldest_of_too_many_keys_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "KEYS_MAX", 2)
    desk = Desk()
    desk.open()
    for key in ("a", "b", "c"):
        desk.done(desk.say(ANN, key=key))
    assert [name.split()[-1] for name in desk.state.keys] == ["b", "c"]


def test_who_changes_an_answer_does_not_change_what_is_remembered() -> None:
    desk = Desk()
    desk.open()
    command = desk.say(ANN, key="k")
    first = desk.done(command)
    expected = dict(first)
    first["seq"] = 99
    again = desk.run(command)
    assert is_dup(again, expected)
    assert isinstance(again, Done)
    again.result["seq"] = 98
    assert is_dup(desk.run(command), expected)


DIGEST = 10752722239861366647
"""Written down: a digest that changes between releases makes retries fail during an upgrade."""


def test_the_digest_is_the_same_in_every_process() -> None:
    command = c.SendMessage("cv1", "m", ANN, "k", "card", {"b": 1, "a": 2})
    turned = c.SendMessage("cv1", "x", ANN, "k", "card", {"a": 2, "b": 1})
    assert idempotency.digest_of(command) == idempotency.digest_of(turned) == DIGEST
