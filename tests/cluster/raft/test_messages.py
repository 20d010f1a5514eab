"""Holes 7, 18 and 19: what a peer may say, to the field."""

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.raft.engine import PeerError
from cluster.raft.messages import COMMAND, NO_OP, PAYLOAD_BYTES_MAX, Message, parse, to_wire
from tests.cluster.raft.rig import Rig

APPEND: dict[str, Any] = {
    "type": "append_entries",
    "term": 3,
    "request": 1,
    "prev_index": 4,
    "prev_term": 2,
    "commit_index": 4,
    "entries": [[COMMAND + b"x", 5, 3]],
}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"term": -1}, r"\$\.term"),
        ({"term": "3"}, r"\$\.term"),
        ({"term": True}, r"\$\.term"),
        ({"term": 2**63}, r"\$\.term"),
        ({"type": "apply_command"}, r"\$\.type"),
        ({"type": None}, r"type"),
        ({"prev_index": 0}, r"\$\.prev_index"),
        ({"prev_index": None}, r"\$\.prev_index"),
        ({"transmission": "start"}, "transmission"),
        ({"serialized": [b"", True, True]}, "serialized"),
        ({"entries": [[COMMAND, 5]]}, r"\$\.entries\[0\]"),
        ({"entries": [["text", 5, 3]]}, r"\$\.entries\[0\]\[0\]"),
        ({"entries": [[b"", 5, 3]]}, r"\$\.entries\[0\]\[0\]"),
        ({"entries": [[COMMAND, 6, 3]]}, "index 6 follows 4"),
        ({"entries": [[COMMAND, 5, 4]]}, r"entries\[index 5\]\.term"),
        ({"entries": [[COMMAND, 5, 1]]}, r"entries\[index 5\]\.term"),
        ({"entries": [[COMMAND, 5, 3]] * 4097}, r"\$\.entries"),
        ({"prev_term": 4}, "prev_term 4 is above term 3"),
        ({"prev_term": 3, "entries": [[COMMAND, 5, 2]]}, r"entries\[index 5\]\.term: 2 after 3"),
    ],
)
def test_a_message_that_does_not_fit_is_refused_by_the_name_of_its_field(
    change: dict[str, Any], names: str
) -> None:
    parse(APPEND)
    with pytest.raises(PeerError, match=names):
        parse({**APPEND, **change})


def test_a_chunk_of_a_snapshot_from_a_later_term_is_refused() -> None:
    chunk = {"type": "snapshot_chunk", "term": 3, "request": 1, "index": 9, "offset": 0}
    rest = {"data": b"", "done": False}
    parse({**chunk, **rest, "index_term": 3})
    with pytest.raises(PeerError, match="index_term 4 is above term 3"):
        parse({**chunk, **rest, "index_term": 4})


@pytest.mark.parametrize(
    "command",
    [b"\x00pickled call", b"\x02pickled membership", b"\x03pickled version", b"\x01x", b"\xff"],
)
def test_entry_types_that_pysyncobj_would_look_into_are_refused(command: bytes) -> None:
    rig = Rig()
    with pytest.raises(PeerError, match=r"entries\[index 2\]\.command: type"):
        rig.deliver(
            "a",
            "append_entries",
            1,
            request=1,
            prev_index=1,
            prev_term=0,
            commit_index=1,
            entries=[[command, 2, 1]],
        )
    assert rig.engine.status().last_index == 1


def test_a_payload_has_a_limit_on_both_ends() -> None:
    rig = Rig()
    rig.lead()
    assert rig.engine.propose(bytes(PAYLOAD_BYTES_MAX)) is not None
    with pytest.raises(ValueError, match="at most 524288"):
        rig.engine.propose(bytes(PAYLOAD_BYTES_MAX + 1))
    largest = COMMAND + bytes(PAYLOAD_BYTES_MAX)
    parse({**APPEND, "entries": [[largest, 5, 3]]})
    with pytest.raises(PeerError):
        parse({**APPEND, "entries": [[largest + b"x", 5, 3]]})


def test_the_largest_entries_reach_a_follower_whole() -> None:
    rig = Rig()
    rig.lead()
    payloads = [bytes([n]) * PAYLOAD_BYTES_MAX for n in range(4)]
    for payload in payloads:
        rig.engine.propose(payload)
    rig.turn()
    entries = [e for to, m in rig.sent if to == "a" and "entries" in m for e in m["entries"]]
    assert [command for command, _, _ in entries if command != NO_OP] == [
        COMMAND + payload for payload in payloads
    ]


def test_what_is_refused_is_named_briefly_however_large_or_deep_it_is() -> None:
    deep: list[object] = []
    for _ in range(1_000):
        deep = [deep]
    hostile: list[object] = [
        {"type": deep},
        {"type": "x" * 100_000},
        {"type": "vote", "term": deep},
        {"type": "vote", "term": 1, "y" * 100_000: 2},
        {"type": "vote", "term": 1, 5: 2},
        {"type": "vote", "term": 1, b"term": 2},
        deep,
    ]
    for value in hostile:
        with pytest.raises(PeerError) as refusal:
            parse(value)
        assert len(str(refusal.value)) <= 200


def test_who_is_refused_is_counted() -> None:
    rig = Rig()
    with pytest.raises(PeerError, match="unknown kind"):
        rig.deliver("a", "status", 9)
    assert rig.engine.status().peer_errors_total == 1


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=12,
)
fields = st.sampled_from(
    ["term", "request", "prev_index", "prev_term", "commit_index", "entries", "index", "offset"]
)
kinds = st.sampled_from(
    ["append_entries", "append_ack", "snapshot_chunk", "vote", "vote_request", "read_answer"]
)


@given(
    st.one_of(
        values,
        st.dictionaries(fields, values).flatmap(
            lambda d: kinds.map(lambda kind: {**d, "type": kind})
        ),
    )
)
def test_whatever_a_peer_sends_is_parsed_or_refused(value: object) -> None:
    with contextlib.suppress(PeerError):
        parse(value)


@given(st.data())
def test_every_message_survives_the_wire(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(Message.__args__))
    entries = st.just([[COMMAND + b"x", 8, 3], [NO_OP, 9, 3]])
    known: dict[str, st.SearchStrategy[object]] = {
        "entries": entries,
        "data": st.binary(max_size=20),
        "term": st.integers(3, 2**62),
        "prev_index": st.just(7),
        "prev_term": st.just(2),
        "index_term": st.just(2),
    }
    wire: dict[str, object] = {"type": kind.__struct_config__.tag}
    for name, annotation in kind.__annotations__.items() | {"term": None}.items():
        of_bool = name in ("success", "done", "granted", "transfer", "quiet", "empty", "knows")
        default = st.booleans() if of_bool else st.integers(2, 2**62)
        wire[name] = data.draw(known.get(name, default), label=f"{name}: {annotation}")
    message = parse(wire)
    assert parse(msgpack.unpackb(msgpack.packb(to_wire(message)))) == message
