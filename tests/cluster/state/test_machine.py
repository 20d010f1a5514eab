"""Entries, batches, proposals: applied once, in order, and never an exception."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state import commands as c
from cluster.state import entry as entries
from cluster.state import limits, nesting
from cluster.state.entry import VERSION, Batch, Entry, Proposal
from cluster.state.machine import Machine, Skipped
from cluster.state.outcome import Done, Refused
from cluster.state.proposer import Proposer
from cluster.state.route import Queue
from cluster.state.snapshot import digest
from tests.cluster.state.desk import ANN, BOB, Desk, entry, routed

BOOT = c.BootNode("n1", "b1", "ws://n1")
OPEN = c.OpenConversation("cv1", ANN, "k0")


def codes(target: Machine, payload: bytes) -> list[str]:
    applied = target.apply(target.state.applied_index + 1, payload)
    return [
        outcome.code if isinstance(outcome, Refused) else type(outcome).__name__
        for *_, outcome in applied.outcomes
    ]


def booted() -> Machine:
    target = Machine()
    assert codes(target, entry(1_000, (1, BOOT))) == ["Done"]
    return target


def test_outcomes_name_their_proposals_in_order() -> None:
    target = booted()
    close = c.CloseConversation("cv1", ANN, "k1")
    applied = target.apply(9, entry(2_000, (2, OPEN), (3, close), (4, close)))
    assert (applied.index, applied.now_ms) == (9, 2_000)
    assert [outcome[:3] for outcome in applied.outcomes] == [("n1", "b1", n) for n in (2, 3, 4)]
    assert [getattr(outcome[3], "dup", None) for outcome in applied.outcomes] == [
        False,
        False,
        True,
    ]


def test_a_proposal_applies_once_however_often_it_comes() -> None:
    target = booted()
    message = c.SendMessage("cv1", "m", ANN, "k", "text", "hi")
    assert codes(target, entry(2_000, (2, OPEN), (3, message), (3, message))) == [
        "Done",
        "Done",
        "Skipped",
    ]
    assert codes(target, entry(2_001, (3, message))) == ["Skipped"]
    assert target.state.conversations["cv1"].seq == 2


def test_a_proposal_that_was_given_up_is_skipped() -> None:
    target = booted()
    assert codes(target, entry(2_000, (7, OPEN), settled=7)) == ["Done"]
    assert codes(target, entry(2_000, (5, BOOT), (6, BOOT))) == ["Skipped", "Skipped"]


def test_what_was_overtaken_on_its_way_applies_first() -> None:
    """A link broke: the first message was lost, the second came, then both came again."""
    target = booted()
    assert codes(target, entry(2_000, (2, OPEN))) == ["Done"]
    first = c.SendMessage("cv1", "m1", ANN, "k1", "text", "first")
    then = c.SendMessage("cv1", "m2", ANN, "k2", "text", "then")
    applied = target.apply(50, entry(2_000, (4, then)))
    assert [outcome for *_, outcome in applied.outcomes] == [Skipped(early=True)]
    applied = target.apply(51, entry(2_000, (3, first), (4, then), (3, first)))
    assert [type(outcome) for *_, outcome in applied.outcomes] == [Done, Done, Skipped]
    assert applied.outcomes[2][3] == Skipped(early=False)
    assert [event.by.id for event in target.state.conversations["cv1"].tail][-2:] == ["ann"] * 2
    assert [event.seq for event in target.state.conversations["cv1"].tail] == [1, 2, 3]


def test_a_boot_is_known_by_its_announcement() -> None:
    target = Machine()
    assert codes(target, entry(1_000, (2, OPEN))) == ["Skipped"]
    elsewhere = c.BootNode("n2", "b1", "")
    assert codes(target, entry(1_000, (1, elsewhere))) == ["Skipped"]
    assert codes(target, entry(1_000, (1, c.BootNode("n1", "b2", "")))) == ["Skipped"]
    assert codes(target, entry(1_000, (1, BOOT), (2, OPEN))) == ["Done", "Done"]


def test_an_earlier_boot_comes_too_late_for_ever() -> None:
    target = booted()
    assert codes(target, entry(2_000, (1, c.BootNode("n1", "b2", "")), boot="b2")) == ["Done"]
    assert codes(target, entry(2_000, (2, OPEN))) == ["Skipped"]
    assert codes(target, entry(2_000, (3, BOOT))) == ["Skipped"]
    assert target.state.proposers["n1"].boot == "b2"
    for number in range(3, 20):
        boot = f"b{number}"
        announced = entry(2_000, (1, c.BootNode("n1", boot, "")), boot=boot)
        assert codes(target, announced) == ["Done"]
    assert len(target.state.proposers["n1"].retired) == limits.RETIRED_BOOTS_MAX


def test_nodes_that_may_announce_themselves_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NODES_MAX", 1)
    target = booted()
    other = entry(1_000, (1, c.BootNode("n2", "x", "")), node="n2", boot="x")
    assert codes(target, other) == ["conflict"]
    assert list(target.state.proposers) == ["n1"]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_numbers_apply_in_order_and_once_whatever_comes(steps: list[tuple[int, int]]) -> None:
    proposer = Proposer("b1")
    applied: list[int] = []
    settled_most = 1
    for number, settled in steps:
        settled_most = max(settled_most, settled)
        turn = proposer.take_turn(number, settled)
        expected = max(settled_most, applied[-1] + 1 if applied else 1)
        assert turn == ("now" if number == expected else "late" if number < expected else "early")
        if turn == "now":
            applied.append(number)
    assert applied == sorted(set(applied))


def test_cluster_time_never_runs_backwards() -> None:
    target = booted()
    assert target.apply(20, entry(5_000)).now_ms == 5_000
    assert target.apply(21, entry(4_000)).now_ms == 5_000


@pytest.mark.parametrize("now_ms", [-1, limits.NOW_MS_MAX + 1, 2**64 - 1])
def test_an_entry_from_no_time_is_none(now_ms: int) -> None:
    target = booted()
    assert codes(target, entry(now_ms, (2, OPEN))) == []
    assert target.state.now_ms == 1_000


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x93\x01\x05",
        b"\x80",
        b"\xdd\xff\xff\xff\xff",
        msgspec.msgpack.encode([1, 5, None]),
        msgspec.msgpack.encode([1, 5, [["n1", "b1", 0, [[2]]]]]),
        b"\x93\x01\x05\x91\x94\xa2\xff\xff\xa1b\x00\x90",
        entries.encode(Entry(VERSION + 1, 5_000, ())),
    ],
)
def test_what_is_no_entry_moves_the_index_and_nothing_else(payload: bytes) -> None:
    target = booted()
    before = digest(target.state)
    applied = target.apply(7, payload)
    assert (applied.outcomes, applied.notices, applied.now_ms) == ([], [], 1_000)
    assert target.state.applied_index == 7
    target.state.applied_index = 1
    assert digest(target.state) == before


@pytest.mark.parametrize(
    "command",
    [
        b"\xc0",
        b"\x91\xa5no.op",
        b"\x91\x05",
        msgspec.msgpack.encode(["msg.send", "cv1"]),
        msgspec.msgpack.encode(["session.open", "s", ["visitor?", "x"], "n1", "b1"]),
        b"\x92\xacoffer.expire\xa2\xff\xff",
    ],
)
def test_what_is_no_command_is_refused_and_counts_as_applied(command: bytes) -> None:
    target = booted()
    batch = Batch("n1", "b1", 0, (Proposal(2, msgspec.Raw(command)),))
    payload = entries.encode(Entry(VERSION, 2_000, (batch,)))
    assert codes(target, payload) == ["bad_request"]
    assert codes(target, payload) == ["Skipped"]


def test_a_body_that_no_canonical_form_exists_for_is_refused() -> None:
    target = booted()
    codes(target, entry(2_000, (2, OPEN)))
    numbers = itertools.count(3)
    for body in ({1: 2, "a": 3}, {"a": {(1,): 2}}, [msgspec.msgpack.Ext(1, b"")]):
        command = c.SendMessage("cv1", "m", ANN, "k", "card", body)
        assert codes(target, entry(2_000, (next(numbers), command))) == ["bad_request"]


# -- nesting


def nested(depth: int) -> bytes:
    """A message whose body is `depth` lists in one another."""
    head = c.encode(c.SendMessage("cv1", "m", ANN, "k", "card", None))
    at = head.index(b"\xa4card") + 5
    return head[:at] + b"\x91" * depth + head[at:]


@pytest.mark.parametrize("depth", [limits.BODY_DEPTH_MAX + 1, 100, 800, 5_000, 100_000])
def test_a_message_nested_too_deep_is_refused_and_its_neighbours_are_not(depth: int) -> None:
    target = booted()
    close = msgspec.Raw(c.encode(c.CloseConversation("cv1", ANN, "k9")))
    proposals = (
        Proposal(2, msgspec.Raw(c.encode(OPEN))),
        Proposal(3, msgspec.Raw(nested(depth))),
        Proposal(4, close),
    )
    payload = entries.encode(Entry(VERSION, 2_000, (Batch("n1", "b1", 0, proposals),)))
    assert codes(target, payload) == ["Done", "bad_request", "Done"]


def test_nodes_agree_on_an_entry_whatever_their_stack() -> None:
    def deeper(frames: int, payload: bytes, target: Machine) -> list[str]:
        return deeper(frames - 1, payload, target) if frames else codes(target, payload)

    for depth in (60, 300, 700, 900, 960):
        proposals = (
            Proposal(2, msgspec.Raw(c.encode(OPEN))),
            Proposal(3, msgspec.Raw(nested(depth))),
        )
        payload = entries.encode(Entry(VERSION, 2_000, (Batch("n1", "b1", 0, proposals),)))
        shallow, deep = booted(), booted()
        assert codes(shallow, payload) == deeper(600, payload, deep)
        assert digest(shallow.state) == digest(deep.state)


def test_a_batch_on_its_way_to_the_leader_is_read_as_it_was_written() -> None:
    batch = Batch("n1", "b1", 3, (Proposal(4, msgspec.Raw(c.encode(BOOT))),))
    assert entries.decode_batch(entries.encode(batch)) == batch
    with pytest.raises(msgspec.DecodeError):
        entries.decode_batch(entries.encode(batch)[:-1])


exts = st.builds(msgspec.msgpack.Ext, st.integers(0, 127), st.binary(max_size=20))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | exts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=10,
)
keyed_by_anything = st.dictionaries(
    st.integers(-5, 5) | st.binary(max_size=3) | st.floats() | st.none() | st.text(max_size=3),
    plain,
    max_size=3,
)
stamps = st.builds(
    msgspec.msgpack.Ext, st.just(-1), st.binary(min_size=4, max_size=4) | st.binary(max_size=13)
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list) and value:
        return 1 + max(map(depth_of, value))
    return 0


@given(plain)
def test_depth_is_told_exactly_with_and_without_the_short_cut(value: Any) -> None:
    data = msgspec.msgpack.encode(value)
    depth = depth_of(value)
    assert not nesting.is_deeper(data, depth)
    if depth:
        assert nesting.is_deeper(data, depth - 1)


batches_of = st.tuples(st.text(max_size=5), st.integers(0, 2**64 - 1), st.lists(plain, max_size=3))


@given(st.lists(batches_of, max_size=3))
def test_an_entry_taken_apart_is_the_entry_decoded(batches: list[tuple[str, int, Any]]) -> None:
    payload = entries.encode(
        Entry(
            VERSION,
            5,
            tuple(
                Batch(
                    node,
                    node,
                    settled,
                    tuple(
                        Proposal(number, msgspec.Raw(msgspec.msgpack.encode(value)))
                        for number, value in enumerate(values)
                    ),
                )
                for node, settled, values in batches
            ),
        )
    )
    assert entries.encode(nesting.split_entry(payload)) == payload
    longer = b"\x94" + payload[1:] + b"\xa5later"
    assert entries.encode(nesting.split_entry(longer)) == payload


@given(st.binary(max_size=60))
def test_taking_apart_refuses_what_decoding_refuses(data: bytes) -> None:
    def tried(decode: Any) -> Any:
        try:
            return entries.encode(decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    assert tried(nesting.split_entry) == tried(entries.decode_entry)
    nesting.is_deeper(data, 0)


def test_every_kind_of_head_is_stepped_over() -> None:
    big = {str(n): n for n in range(70_000)}
    values: list[Any] = [
        "x" * 40,
        "x" * 300,
        "x" * 70_000,
        b"x" * 300,
        b"x" * 70_000,
        list(range(20)),
    ]
    values += [list(range(70_000)), {str(n): n for n in range(20)}, big, 1.5]
    values += [msgspec.msgpack.Ext(1, b"x" * n) for n in (1, 2, 4, 8, 16, 3, 300, 70_000)]
    for value in values:
        assert not nesting.is_deeper(msgspec.msgpack.encode([value] * 2), 2)
    assert not nesting.is_deeper(b"\x91\xca\x00\x00\x00\x00", 1)
    assert not nesting.is_deeper(b"\x92\x90\xc1", 1), "no msgpack, so not deep"
    for cut in (b"", b"\x93\x01", b"\xc0", b"\x92\x01\x02", b"\x93\x01\x02\x90\x00"):
        with pytest.raises(msgspec.DecodeError):
            nesting.split_entry(cut)


# -- any bytes


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_no_bytes_make_an_entry_raise(payloads: list[bytes]) -> None:
    target = booted()
    for payload in payloads:
        codes(target, payload)


COMMANDS = [
    OPEN,
    routed("cv1", "q", 5, "r", 1, ("refund",)),
    c.SendMessage("cv1", "m", BOB, "k", "text", "hi", fence=1, after=2),
    c.SetStatus(BOB, "bob", "online"),
    c.OpenSession("s1", BOB, "n1", "b1", {"refund": 1}, 2),
    c.LoseSession("s1", "n1", "b1"),
    c.CloseSession("s1", "n1", "b1"),
    c.ExpireSession("s1"),
    BOOT,
    c.LoseNode("n1", "b1"),
    c.MakeOffer("o1", "cv1", "bob", 20_000),
    c.AcceptOffer("o1", BOB, "k"),
    c.DeclineOffer("o1", BOB),
    c.ExpireOffer("o1"),
    c.TransferConversation("cv1", BOB, "k", to_queue="q"),
    c.CloseConversation("cv1", ANN, "k"),
    c.ApplyRules(c.SYSTEM, {"a": "b"}, {"q": Queue(15_000, {"refund": 2})}),
    c.PurgeConversations(("cv1",)),
]


@given(st.data())
def test_no_shape_of_a_command_makes_it_raise(data: st.DataObject) -> None:
    """Fields of real commands, each perhaps replaced by something else, often of another type."""
    desk = Desk()
    desk.online()
    desk.assigned()
    proposals = []
    for number in range(100, 104):
        fields = msgspec.to_builtins(data.draw(st.sampled_from(COMMANDS)))
        for place in range(1, len(fields)):
            if data.draw(st.booleans()):
                fields[place] = data.draw(
                    plain | keyed_by_anything | stamps | st.sampled_from(["cv1", "bob", BOB, -1])
                )
        command = msgspec.Raw(msgspec.msgpack.encode(fields))
        proposals.append(Proposal(number, command))
    batch = Batch("n1", "b1", 100, tuple(proposals))
    applied = desk.apply(entries.encode(Entry(VERSION, desk.now_ms, (batch,))))
    assert digest(desk.state), "what was applied can be written"
    assert all(isinstance(outcome, Done | Refused) for *_, outcome in applied.outcomes)
