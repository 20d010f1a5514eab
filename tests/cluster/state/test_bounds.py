"""Nothing in the state grows without a bound, and no field is kept unlooked at."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from cluster.state import commands as c
from cluster.state import idempotency, limits
from cluster.state.commands import By
from cluster.state.entry import VERSION, Batch, Entry, Proposal, encode
from cluster.state.machine import Machine
from cluster.state.outcome import Done, Refused
from cluster.state.snapshot import digest
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk, entry

LONG = "x" * (limits.NAME_BYTES_MAX + 1)


@pytest.mark.parametrize("field", ["id", "name"])
@pytest.mark.parametrize(
    "command",
    [
        c.OpenConversation("cv9", ANN, "k"),
        c.SendMessage("cv1", "m", SUE, "k", "text", "hi"),
        c.AcceptOffer("o-cv2-bob", BOB, "k"),
        c.TransferConversation("cv1", SUE, "k", to_queue="general"),
        c.CloseConversation("cv1", SUE, "k"),
        c.SetStatus(SUE, "bob", "away"),
        c.OpenSession("s9", LI, "n1", "b1"),
        c.ApplyRules(OPS, {}, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_whoever_acts_has_an_id_and_a_name_of_bounded_length(command: Any, field: str) -> None:
    """They are kept with every event and audit line: thousands of copies of each."""
    desk = Desk()
    desk.online(BOB, capacity=3)
    desk.assigned("cv1")
    desk.waiting("cv2")
    desk.offered("cv2", BOB)
    refused = desk.refused(replace(command, by=replace(command.by, **{field: LONG})))
    assert refused.code == "too_large"
    assert LONG not in repr(desk.state.audit)


def test_conversations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONVERSATIONS_MAX", 2)
    desk = Desk()
    desk.open("cv1")
    desk.open("cv2")
    retry = c.OpenConversation("cv3", ANN, "k")
    assert desk.refused(retry).code == "at_capacity"
    desk.done(c.CloseConversation("cv1", ANN, "k1"))
    desk.wait(limits.CONVERSATION_RETENTION_MS)
    desk.done(c.PurgeConversations(("cv1",)))
    desk.done(retry)


def test_agents_are_bounded_and_of_those_who_left_the_longest_known_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Staff comes and goes for years; who is here is never forgotten."""
    monkeypatch.setattr(limits, "AGENTS_MAX", 3)
    desk = Desk()
    for name in ("a", "b", "c"):
        desk.online(By("agent", name))
    full = c.OpenSession("s-d", By("agent", "d"), "n1", "b1")
    assert desk.refused(full).code == "at_capacity"
    desk.done(c.OpenSession("s-a2", By("agent", "a"), "n1", "b1"))
    desk.done(c.CloseSession("sid-c"))
    desk.done(c.CloseSession("sid-b"))
    desk.done(full)
    assert list(desk.state.agents) == ["a", "c", "d"]
    assert desk.refused(c.SetStatus(SUE, "b", "offline")).code == "not_found"


def test_who_waits_for_one_agent_by_name_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One command puts them all back when the agent leaves."""
    monkeypatch.setattr(limits, "TARGETED_MAX", 2)
    desk = Desk()
    desk.online(BOB)
    for cv in ("cv1", "cv2", "cv3"):
        desk.waiting(cv)
    for cv in ("cv1", "cv2"):
        desk.done(c.TransferConversation(cv, SUE, f"k-{cv}", to_agent="bob"))
    one_more = c.TransferConversation("cv3", SUE, "k", to_agent="bob")
    assert desk.refused(one_more).code == "at_capacity"
    desk.offered("cv1", BOB)
    desk.done(c.DeclineOffer("o-cv1-bob", BOB))
    desk.done(one_more)


def test_what_one_entry_forgets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a quiet day a million keys may be old at once: no pause for them."""
    monkeypatch.setattr(idempotency, "FORGET_MAX", 3)
    desk = Desk()
    desk.open()
    for number in range(10):
        desk.done(desk.say(ANN, key=f"k{number}"))
    left = [len(desk.state.keys)]
    desk.wait(2 * limits.KEY_RETENTION_MS)
    for _ in range(4):
        desk.apply(entry(desk.now_ms))
        left.append(len(desk.state.keys))
    assert left == [11, 8, 5, 2, 0]


def test_a_key_answers_until_it_is_really_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "FORGET_MAX", 0)
    desk = Desk()
    desk.open()
    command = desk.say(ANN, key="k")
    first = desk.done(command)
    desk.wait(2 * limits.KEY_RETENTION_MS)
    assert desk.run(command) == Done(first, dup=True)


# -- numbers and boots that no node of ours would make up


def codes(target: Machine, number: int, settled: int, command: c.Command, **batch: str) -> str:
    node, boot = batch.get("node", "n1"), batch.get("boot", "b1")
    proposal = Proposal(number, msgspec.Raw(c.encode(command)))
    payload = encode(Entry(VERSION, 5, (Batch(node, boot, settled, (proposal,)),)))
    (*_, outcome) = target.apply(target.state.applied_index + 1, payload).outcomes[0]
    return outcome.code if isinstance(outcome, Refused) else type(outcome).__name__


@pytest.mark.parametrize("number", [2**53, 2**64 - 1])
def test_a_number_beyond_all_numbers_is_late_and_the_state_can_still_be_written(
    number: int,
) -> None:
    """The next one would be 2**64, which no snapshot can hold."""
    boot = c.BootNode("n1", "b1", "")
    target = Machine()
    assert codes(target, number, 0, boot) == "Skipped"
    assert codes(target, 1, number, boot) == "Skipped"
    assert not target.state.proposers
    assert codes(target, 1, 0, boot) == "Done"
    assert codes(target, number, number, boot) == "Skipped"
    assert codes(target, 2, number, boot) == "Skipped"
    assert codes(target, -1, -(2**63), boot) == "Skipped"
    assert digest(target.state)
    assert codes(target, 2, 2, boot) == "Done"


@pytest.mark.parametrize(
    ("node", "boot", "url", "code"),
    [
        ("", "b", "", "bad_request"),
        (LONG, "b", "", "too_large"),
        ("n1", "", "", "bad_request"),
        ("n1", LONG, "", "too_large"),
        ("n1", "b", LONG, "too_large"),
    ],
)
def test_a_boot_whose_announcement_is_refused_does_not_begin(
    node: str, boot: str, url: str, code: str
) -> None:
    """Else the node's proposals apply while its sessions count as another boot's."""
    target = Machine()
    assert codes(target, 1, 0, c.BootNode(node, boot, url), node=node, boot=boot) == code
    assert not target.state.proposers
    assert not target.state.nodes
    later = c.OpenConversation("cv1", ANN, "k")
    assert codes(target, 2, 2, later, node=node, boot=boot) == "Skipped"


def test_a_boot_begins_with_its_announcement_whatever_number_that_has() -> None:
    """The first announcements were given up for want of a leader; other proposals went on."""
    target = Machine()
    boot = c.BootNode("n1", "b1", "")
    assert codes(target, 4, 2, boot) == "Done"
    assert target.state.nodes["n1"].boot == target.state.proposers["n1"].boot == "b1"
    assert codes(target, 3, 2, c.OpenConversation("cv1", ANN, "k")) == "Skipped"
    assert codes(target, 5, 5, c.OpenConversation("cv1", ANN, "k")) == "Done"
    assert codes(target, 6, 7, c.BootNode("n1", "b2", ""), boot="b2") == "Skipped"
    assert target.state.proposers["n1"].boot == "b1", "an announcement that was given up"
