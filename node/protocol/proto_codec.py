"""Protobuf messages of `unidesk.v1` to plain fields and back.  No I/O.

    message ──fields_of──▶ the fields of a JSON body         what was not given is left out
    message ◀──message_of── a struct, or a map               what is null is left out

Free maps and bodies are google.protobuf.Struct and Value, whose numbers are doubles: one without
a fraction, up to 2^53, is taken for an integer, so that 7 comes out of gRPC as it does out of
JSON and two requests that say the same are the same.

Source: google/protobuf/struct.proto.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtobufMessage

from node.protocol.catalogue import Push, Reply
from node.protocol.descriptors import message_class
from node.protocol.schema import PUSH, STRUCT, VALUE, push_field

EXACT_MAX = 2**53
"""Above it not every integer is a double."""


class BadMessage(Exception):
    """The bytes are no such message."""


def fields_of(name: str, data: bytes) -> dict[str, Any]:
    """Return the fields of message `name` that `data` holds.  Raises `BadMessage`."""
    try:
        return _fields(message_class(name).FromString(data))
    except (DecodeError, RecursionError):
        raise BadMessage(f"not a {name}") from None


def message_of(name: str, value: Any) -> ProtobufMessage:
    """Return message `name` with what `value`, a struct or a map, holds."""
    message = message_class(name)()
    _fill(message, value)
    return message


def push_of(said: Push | Reply) -> bytes:
    """Return a `Push` that says so, without its `place`."""
    push = message_class(PUSH)()
    inner = getattr(push, push_field(type(said)))
    inner.SetInParent()
    _fill(inner, said)
    return push.SerializeToString(deterministic=True)


def place_of(place: str) -> bytes:
    """Return a `Push` with nothing but its `place`.

    Messages one after the other are one message: before a push it makes that push say its place.
    """
    return message_class(PUSH)(place=place).SerializeToString()


# -- out of a message


def _fields(message: ProtobufMessage) -> dict[str, Any]:
    return {field.name: _value(field, value) for field, value in _given(message)}


def _given(message: ProtobufMessage) -> Iterator[tuple[Any, Any]]:
    """Yield the fields that were given; lists and maps always are."""
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated or not field.has_presence or message.HasField(field.name):
            yield field, getattr(message, field.name)


def _value(field: Any, value: Any) -> Any:
    if field.is_repeated:
        return dict(value) if _is_map(field) else [_single(field, one) for one in value]
    return _single(field, value)


def _single(field: Any, value: Any) -> Any:
    kind = field.message_type
    if kind is None:
        return value
    if kind.full_name == STRUCT:
        return {key: _plain(inner) for key, inner in value.fields.items()}
    return _plain(value) if kind.full_name == VALUE else _fields(value)


def _plain(value: Any) -> Any:
    """Return what a google.protobuf.Value says; nothing at all is null."""
    match value.WhichOneof("kind"):
        case "number_value":
            return _number(value.number_value)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return {key: _plain(inner) for key, inner in value.struct_value.fields.items()}
        case "list_value":
            return [_plain(inner) for inner in value.list_value.values]
        case _:
            return None


def _number(double: float) -> int | float:
    if not math.isfinite(double):
        raise BadMessage("a number that is not finite")
    return int(double) if double.is_integer() and abs(double) <= EXACT_MAX else double


# -- into a message


def _fill(message: ProtobufMessage, value: Any) -> None:
    held = value.get if isinstance(value, Mapping) else _reader(value)
    for field in message.DESCRIPTOR.fields:
        inner = held(field.name)
        if inner is not None:
            _set(message, field, inner)


def _reader(struct: msgspec.Struct) -> Any:
    """Return what reads a struct's fields by their names on the wire."""
    names = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
    return lambda name: getattr(struct, names[name]) if name in names else None


def _set(message: ProtobufMessage, field: Any, value: Any) -> None:
    held = getattr(message, field.name)
    kind = field.message_type
    if kind is None:
        if field.is_repeated:
            held.extend(value)
        else:
            setattr(message, field.name, value)
    elif _is_map(field):
        held.update(value)
    elif field.is_repeated:
        for one in value:
            _fill(held.add(), one)
    elif kind.full_name == STRUCT:
        held.SetInParent()
        for key, inner in value.items():
            _set_plain(held.fields[key], inner)
    elif kind.full_name == VALUE:
        _set_plain(held, value)
    else:
        held.SetInParent()
        _fill(held, value)


def _set_plain(held: Any, value: Any) -> None:
    match value:
        case None:
            held.null_value = 0
        case bool():
            held.bool_value = value
        case int() | float():
            held.number_value = value
        case str():
            held.string_value = value
        case Mapping():
            held.struct_value.SetInParent()
            for key, inner in value.items():
                _set_plain(held.struct_value.fields[key], inner)
        case list() | tuple():
            held.list_value.SetInParent()
            for inner in value:
                _set_plain(held.list_value.values.add(), inner)
        case _:  # a struct within free data, such as who did it
            _set_plain(held, msgspec.to_builtins(value))


def _is_map(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry
