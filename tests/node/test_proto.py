"""`unidesk.proto`: what protoc makes of it is what a node speaks, and numbers are for ever."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from hypothesis import given
from hypothesis import strategies as st

from node.protocol import descriptors, numbers, proto
from node.protocol import proto_codec as codec
from node.protocol.catalogue import AnyPush, CvHistory, CvOpen, MsgSend, Ok
from node.protocol.schema import NAME, messages, methods, operations
from tests.node.test_protocol import PLAIN, structs


def compiled(text: str, folder: Path) -> descriptor_pb2.FileDescriptorProto:
    """The file as the official compiler reads it."""
    source = folder / NAME
    source.parent.mkdir(parents=True)
    source.write_text(text)
    found = folder / "found"
    known = resources.files("grpc_tools") / "_proto"
    arguments = ["", f"-I{folder}", f"-I{known}", f"--descriptor_set_out={found}", NAME]
    assert protoc.main(arguments) == 0
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(found.read_bytes()).file
    for kind in file.message_type:
        for field in _every_field(kind):
            field.ClearField("json_name")
    return file


def _every_field(kind: Any) -> Iterator[Any]:
    yield from kind.field
    for inner in kind.nested_type:
        yield from _every_field(inner)


def test_protoc_reads_it_as_the_node_does(tmp_path: Path) -> None:
    assert compiled(proto.text(), tmp_path) == descriptors.descriptor()


def test_every_operation_without_a_connection_is_a_method_and_so_is_the_stream() -> None:
    assert [method.op for method in methods()] == [
        *(str(kind.__struct_config__.tag) for kind in operations()),
        "",
    ]
    assert [method.name for method in methods() if method.streams] == ["Events"]
    names = [one.name for one in messages()]
    assert len(names) == len(set(names))
    assert {method.request for method in methods()} < set(names)
    assert {kind.__name__ for kind in get_args(AnyPush)} < set(names)


def test_a_field_that_may_be_left_out_can_be_told_from_zero() -> None:
    labels = {f"{one.name}.{field.name}": field.label for one in messages() for field in one.fields}
    assert labels["CvHistoryRequest.cv"] == "optional"  # needed: its absence is refused
    assert labels["CvHistoryRequest.limit"] == "optional"  # not given means 200
    assert labels["CvHistoryRequest.after"] == ""  # not given means 0
    assert labels["MsgSendRequest.fence"] == "optional"  # may be null
    assert labels["ConversationView.prio"] == "optional"
    assert labels["Said.seq"] == ""  # always given
    assert codec.fields_of("CvHistoryRequest", b"") == {"after": 0}


@given(st.dictionaries(st.text(max_size=8), PLAIN, max_size=4))
def test_free_data_comes_out_as_it_went_in_but_for_what_no_double_can_say(
    data: dict[str, Any],
) -> None:
    written = codec.message_of("CvOpenRequest", {"key": "k", "tags": data}).SerializeToString()
    read = codec.fields_of("CvOpenRequest", written)["tags"]
    assert read == as_doubles(data)
    assert json.dumps(read, sort_keys=True) == json.dumps(as_doubles(data), sort_keys=True)


def as_doubles(value: Any) -> Any:
    """What is left of plain data when every number was a double."""
    match value:
        case bool():
            return value
        case int() | float():
            number = float(value)
            whole = number.is_integer() and abs(number) <= codec.EXACT_MAX
            return int(number) if whole else number
        case list():
            return [as_doubles(inner) for inner in value]
        case dict():
            return {key: as_doubles(inner) for key, inner in value.items()}
        case _:
            return value


@given(st.one_of([structs(kind) for kind in (*get_args(AnyPush), Ok)]), st.text(max_size=40))
def test_a_push_is_a_message_and_its_place_is_put_before_it(push: Any, place: str) -> None:
    read = codec.fields_of("Push", codec.place_of(place) + codec.push_of(push))
    assert read.pop("place") == place
    (name,) = read
    assert name == str(push.__struct_config__.tag).replace(".", "_")


@given(st.binary(max_size=60))
def test_garbage_is_a_bad_message_or_fields_and_never_anything_else(data: bytes) -> None:
    for kind in (CvOpen, MsgSend, CvHistory):
        try:
            fields = codec.fields_of(f"{kind.__name__}Request", data)
        except codec.BadMessage:
            continue
        assert fields.keys() <= set(kind.__struct_fields__)


def test_nesting_without_end_is_a_bad_message() -> None:
    value = b"\x08\x00"
    for _ in range(200):
        value = b"\x32" + _length(b"\x0a" + _length(value))
    with pytest.raises(codec.BadMessage):
        codec.fields_of("MsgSendRequest", b"\x1a" + _length(value))


def _length(data: bytes) -> bytes:
    size, head = len(data), b""
    while size > 127:
        head, size = head + bytes([size & 127 | 128]), size >> 7
    return head + bytes([size]) + data


# -- numbers


def test_every_field_has_a_number_of_its_own() -> None:
    table = numbers.load()
    for one in messages():
        assert {field.name for field in one.fields} <= table[one.name].keys(), (
            "run python -m scripts.api_files"
        )


@pytest.mark.parametrize(
    "row",
    [
        '{"A": {"x": 1, "y": 1}}',
        '{"A": {"x": 1, "y": 3}}',
        '{"A": {"y": 2}}',
        '{"A": {"y": 2, "x": 1}}',
        '{"A": {"x": 0}}',
    ],
)
def test_a_number_that_was_changed_given_twice_or_taken_out_is_refused(row: str) -> None:
    with pytest.raises(numbers.NumbersRefused, match=r"A: .* rows are only added"):
        numbers.read(row)


def test_new_fields_get_new_numbers_and_old_ones_keep_theirs() -> None:
    old = {"A": {"x": 1, "y": 2}}
    new = numbers.extended(old, [("A", ["z", "y"]), ("B", ["b", "a"])])
    assert new == {"A": {"x": 1, "y": 2, "z": 3}, "B": {"b": 1, "a": 2}}
    assert numbers.read(numbers.write(new)) == new


def test_a_field_that_is_gone_stays_reserved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = {name: dict(row) for name, row in numbers.load().items()}
    table["Said"]["gone"] = len(table["Said"]) + 1
    table["Nothing"]["gone"] = 1
    text = proto.text(table)
    assert 'message Nothing {\n  reserved 1;\n  reserved "gone";\n}' in text
    assert compiled(text, tmp_path) == descriptors.descriptor(table)


def test_a_field_without_a_number_is_told_with_the_mend() -> None:
    table = {name: row for name, row in numbers.load().items() if name != "Said"}
    with pytest.raises(numbers.NoNumber, match=r"Said: .* run python -m scripts\.api_files"):
        proto.text(table)
