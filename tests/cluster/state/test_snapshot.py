"""Snapshots: what comes back is what went in, or it is refused."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state import commands as c
from cluster.state import snapshot
from cluster.state.invariants import INDEXES, check
from cluster.state.machine import Machine
from cluster.state.route import Queue
from cluster.state.snapshot import SnapshotRefused, digest, dump, load
from cluster.state.state import State
from tests.cluster.state.desk import ANN, BOB, LI, OPS, SUE, Desk, entry


def busy_desk() -> Desk:
    desk = Desk()
    desk.online(BOB)
    desk.online(LI)
    desk.done(c.ApplyRules(OPS, {"main.toml": "x"}, {"general": Queue(20_000)}))
    for number in range(30):
        desk.waiting(f"cv{number}", priority=number % 3)
    desk.done(c.AcceptOffer(desk.offered("cv0"), BOB, "k"))
    desk.offered("cv1", LI)
    desk.done(c.CloseConversation("cv2", ANN, "k2"))
    desk.done(c.TransferConversation("cv3", SUE, "k3", to_agent="li"))
    desk.done(c.LoseSession("sid-li", "n1", "b1"))
    desk.open("unrouted")
    return desk


BUSY = busy_desk().state.frozen_copy()


def test_a_loaded_state_is_the_one_that_was_written() -> None:
    state = busy_desk().state
    loaded = load(dump(state.frozen_copy()))
    assert digest(loaded) == digest(state)
    check(loaded)
    for name in INDEXES:
        assert getattr(loaded, name) == getattr(state, name), name
    for name in ("conversations", "agents", "sessions", "keys", "nodes", "offers", "proposers"):
        assert list(getattr(loaded, name).items()) == list(getattr(state, name).items())


def test_a_loaded_machine_goes_on_like_the_one_that_was_written() -> None:
    desk = busy_desk()
    other = Machine(load(dump(desk.state.frozen_copy())))
    late = c.SendMessage("cv0", "m", BOB, "late", "text", "hi", fence=1)
    payload = entry(desk.now_ms + 5, (500, late), (500, late), (501, late), settled=500)
    index = desk.state.applied_index + 1
    applied = desk.machine.apply(index, payload)
    assert applied == other.apply(index, payload)
    assert [getattr(outcome, "dup", None) for *_, outcome in applied.outcomes] == [
        False,
        None,
        True,
    ]
    assert digest(desk.state) == digest(other.state)


def test_a_frozen_copy_stays_as_it_was_while_the_machine_goes_on() -> None:
    desk = busy_desk()
    copy = desk.state.frozen_copy()
    before = digest(copy)
    assert before == digest(desk.state)
    desk.done(desk.say(SUE, "cv0"))
    desk.apply(entry(desk.now_ms, (900, c.ExpireOffer("no")), settled=900))
    assert digest(copy) == before != digest(desk.state)


def test_a_snapshot_may_be_cut_anywhere_on_its_way() -> None:
    state = busy_desk().state
    data = b"".join(dump(state))
    for size in (1, 7, 4096):
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        assert digest(load(pieces)) == digest(state)


def test_chunks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    state = busy_desk().state
    monkeypatch.setattr(snapshot, "CHUNK_BYTES", 2_000)
    largest = max(len(msgspec.msgpack.encode(cv)) for cv in state.conversations.values())
    chunks = list(dump(state))
    assert len(chunks) > 10
    assert all(len(chunk) < 2_000 + largest for chunk in chunks)
    assert digest(load(chunks)) == digest(state)


def test_states_that_differ_in_anything_have_other_digests() -> None:
    desk = busy_desk()
    seen = {digest(desk.state)}
    steps: list[c.Command] = [
        desk.say(SUE, "cv0"),
        c.SetStatus(BOB, "bob", "away"),
        c.BootNode("n9", "x", ""),
        c.OpenSession("s9", BOB, "n1", "b1"),
    ]
    for command in steps:
        desk.done(command)
        seen.add(digest(desk.state))
    assert len(seen) == 5


def test_an_empty_state_survives_too() -> None:
    assert digest(load(dump(State()))) == digest(State())


@pytest.mark.parametrize("keep", [0, 1, 2, -1])
def test_a_snapshot_without_its_end_is_refused(keep: int) -> None:
    chunks = list(dump(busy_desk().state))[:keep]
    with pytest.raises(SnapshotRefused):
        load(chunks)


def test_a_snapshot_cut_within_a_frame_is_refused() -> None:
    data = b"".join(dump(busy_desk().state))
    with pytest.raises(SnapshotRefused, match="no whole frame"):
        load([data[:-1]])


def test_a_snapshot_with_a_chunk_missing_or_too_much_is_refused() -> None:
    chunks = list(dump(busy_desk().state))
    with pytest.raises(SnapshotRefused, match="and should"):
        load([*chunks[:-2], chunks[-1]])
    with pytest.raises(SnapshotRefused, match="follows its end"):
        load([*chunks, chunks[-1]])


@pytest.mark.parametrize(
    "frame",
    [
        msgspec.msgpack.encode({"format": 99, "now_ms": 0, "applied_index": 0}),
        msgspec.msgpack.encode(["proposers", []]),
        b"\xc1",
        b"\x83\xa2\xff\xff\x01\x01\x01\x01\x01",
    ],
)
def test_what_no_release_wrote_is_refused(frame: bytes) -> None:
    with pytest.raises(SnapshotRefused):
        load([len(frame).to_bytes(4, "little") + frame])


def framed(value: object) -> bytes:
    data = value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
    return len(data).to_bytes(4, "little") + data


def test_an_end_that_counts_not_every_section_is_none() -> None:
    first, *rest = dump(busy_desk().state)
    for counts in ([], [["nodes", 1]]):
        with pytest.raises(SnapshotRefused, match="items"):
            load([first, *rest[:-1], framed(["end", counts])])


@pytest.mark.parametrize(
    "header",
    [
        {"format": 1, "now_ms": -1, "applied_index": 5},
        {"format": 1, "now_ms": 2**53, "applied_index": 5},
        {"format": 1, "now_ms": 5, "applied_index": -1},
        {"format": 1, "now_ms": 5, "applied_index": 2**53},
        {"format": "1", "now_ms": 5, "applied_index": 5},
    ],
)
def test_a_header_from_no_time_or_place_is_refused(header: dict[str, object]) -> None:
    with pytest.raises(SnapshotRefused):
        load([framed(header), *list(dump(State()))[1:]])


@pytest.mark.parametrize("depth", [3_000, 100_000])
def test_a_snapshot_nested_too_deep_is_refused(depth: int) -> None:
    first, *rest = dump(State())
    deep = b"\x92\xa5audit\x91\x94\x05\x93\xa6system\xa1u\xa0\xa1x\x81\xa1a"
    bomb = deep + b"\x91" * depth + b"\x01"
    with pytest.raises(SnapshotRefused):
        load([first, framed(bomb), *rest])


@pytest.mark.parametrize(
    ("section", "name"),
    [("offers", "o-cv1-li"), ("sessions", "sid-li"), ("agents", "bob"), ("conversations", "cv0")],
)
def test_a_snapshot_whose_parts_do_not_fit_is_refused(section: str, name: str) -> None:
    """Whole frames and right counts, and yet no state: nothing could be applied to it."""
    state = busy_desk().state.frozen_copy()
    del getattr(state, section)[name]
    with pytest.raises(SnapshotRefused):
        load(dump(state))


@given(st.data())
def test_no_bytes_make_loading_raise_anything_else(data: st.DataObject) -> None:
    """A byte or two of a real snapshot replaced, cut out or put in."""
    whole = bytearray(b"".join(dump(BUSY)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with suppress(SnapshotRefused):
        load([bytes(whole)])


@given(st.binary(max_size=200))
def test_no_section_makes_loading_raise_anything_else(rubbish: bytes) -> None:
    first, *rest = dump(State())
    for name in (b"\xa5audit", b"\xa4keys", b"\xaaproposers", b"\xa3end"):
        with suppress(SnapshotRefused):
            load([first, framed(b"\x92" + name + rubbish), *rest])


def test_a_section_of_another_release_is_refused() -> None:
    first, *rest = dump(State())
    chunk = msgspec.msgpack.encode(["webhooks", []])
    with pytest.raises(SnapshotRefused, match="webhooks"):
        load([first, len(chunk).to_bytes(4, "little") + chunk, *rest])
