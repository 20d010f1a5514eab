"""Frames of `unidesk.v1` look as they always did: clients in the field speak them."""

from typing import Any, get_args

import msgspec
import pytest

from node.protocol import catalogue as ops
from node.protocol.codec import JSON, MSGPACK
from node.protocol.descriptors import message_class
from node.protocol.examples import example
from node.protocol.schema import STRUCT, VALUE, messages
from tests.node.golden import full, samples

EVER, NOW = full.frozen(), full.lines()
FROZEN = {key: data for key, (_, data) in full.newest(EVER).items()}
"""The newest form of every message."""


@pytest.mark.parametrize("key", FROZEN)
def test_every_message_looks_as_it_always_did(key: str) -> None:
    line = NOW.get(key, "(nothing: it is gone)")
    assert line == FROZEN[key], full.WORDS.format(line=f"{key} {line}", frozen=FROZEN[key])


@pytest.mark.parametrize("key", [key for key in EVER if EVER[key] not in FROZEN.values()])
def test_what_a_message_said_before_it_grew_it_says_still(key: str) -> None:
    newest = key.partition("#")[0]
    assert full.has_grown(full.content(key, EVER[key]), full.content(newest, FROZEN[newest]))


def test_a_message_that_says_something_else_has_not_grown() -> None:
    old = {"op": "ok", "r": {"conv": {"cv": "1", "tags": ["a"]}}}
    assert full.has_grown(old, {"op": "ok", "r": {"conv": {"cv": "1", "tags": ["a"], "sla": {}}}})
    assert not full.has_grown(old, {"op": "ok", "r": {"conv": {"cv": "1"}}})
    assert not full.has_grown(old, {"op": "ok", "r": {"conv": {"cv": 1, "tags": ["a"]}}})


def test_every_message_is_frozen() -> None:
    assert not NOW.keys() - FROZEN.keys(), "new on the wire: python -m tests.node.golden.full"


def test_the_frames_that_were_written_by_hand_look_as_they_always_did() -> None:
    frozen = samples.FILE.read_text().splitlines()
    for line, old in zip(samples.lines(), frozen, strict=True):
        assert line == old, full.WORDS.format(line=line, frozen=old)


def test_what_is_frozen_is_understood_by_servers_and_clients() -> None:
    for request in get_args(ops.AnyRequest):
        name = full.tag(request)
        assert JSON.requests(FROZEN[f"json {name}"].encode()) == [example(request)]
        assert MSGPACK.requests(bytes.fromhex(FROZEN[f"msgpack {name}"])) == [example(request)]
    for name, said in full.answers():
        (from_json,) = JSON.server_messages(FROZEN[f"json {name}"].encode())
        (from_msgpack,) = MSGPACK.server_messages(bytes.fromhex(FROZEN[f"msgpack {name}"]))
        assert from_json == from_msgpack == said


def test_every_field_of_every_message_has_its_place_in_what_is_frozen() -> None:
    seen: dict[str, set[str]] = {one.name: set() for one in messages()}
    for key, data in FROZEN.items():
        encoding, name = key.split(" ")
        if encoding == "protobuf":
            kind = name if name in seen else "Push"
            _note(message_class(kind).FromString(bytes.fromhex(data)), seen)
    for one in messages():
        assert seen[one.name] == {field.name for field in one.fields}, one.name


def _note(message: Any, seen: dict[str, set[str]]) -> None:
    for field, value in message.ListFields():
        seen[message.DESCRIPTOR.name].add(field.name)
        kind = field.message_type
        if kind is None or kind.full_name in (STRUCT, VALUE) or kind.GetOptions().map_entry:
            continue
        for inner in value if field.is_repeated else [value]:
            _note(inner, seen)


def test_in_json_no_field_is_left_out_of_an_example() -> None:
    for struct in (*get_args(ops.AnyRequest), *get_args(ops.AnyPush), *ops.RESULTS.values()):
        shown = msgspec.to_builtins(example(struct))
        assert shown.keys() - {"op"} == set(struct.__struct_encode_fields__) - {"op"}, struct
