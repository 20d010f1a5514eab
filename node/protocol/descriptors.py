"""`unidesk.proto` as the gRPC server uses it: descriptors, and classes of messages.  No I/O.

    schema (from the catalogue) ─┬─▶ proto.text()      what `protoc` compiles, with comments
          + numbers              └─▶ descriptor()      what the node itself speaks and reflects

Nothing is generated into Python: message classes are made from the descriptor at run time, so
that a node cannot speak another protocol than its catalogue.  A test has `protoc` compile the
text and compares.

Source: google/protobuf/descriptor.proto.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2
from google.protobuf.message import Message as ProtobufMessage

from node.protocol import numbers
from node.protocol.schema import (
    NAME,
    ONEOF,
    PACKAGE,
    SERVICE,
    STRUCT,
    STRUCT_FILE,
    VALUE,
    Field,
    Message,
    messages,
    methods,
)

assert struct_pb2.DESCRIPTOR.name == STRUCT_FILE

_F = descriptor_pb2.FieldDescriptorProto
_SCALARS: dict[str, Any] = {
    "string": _F.TYPE_STRING,
    "int64": _F.TYPE_INT64,
    "bool": _F.TYPE_BOOL,
    "double": _F.TYPE_DOUBLE,
}


@cache
def message_class(name: str) -> type[ProtobufMessage]:
    """Return the class of message `name`.  Raises `NoNumber`."""
    _registered()
    descriptor = descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}")
    return message_factory.GetMessageClass(descriptor)


@cache
def _registered() -> None:
    """Make the file known to protobuf, once in a process: reflection finds it there."""
    descriptor_pool.Default().AddSerializedFile(descriptor().SerializeToString())


def descriptor(table: numbers.Table | None = None) -> descriptor_pb2.FileDescriptorProto:
    """Return the file as `protoc` would.  Raises `NoNumber`."""
    table = numbers.load() if table is None else table
    file = descriptor_pb2.FileDescriptorProto(
        name=NAME, package=PACKAGE, syntax="proto3", dependency=[STRUCT_FILE]
    )
    for message in messages():
        _describe(file.message_type.add(), message, table)
    service = file.service.add(name=SERVICE)
    for method in methods():
        service.method.add(
            name=method.name,
            input_type=f".{PACKAGE}.{method.request}",
            output_type=f".{PACKAGE}.{method.reply}",
            server_streaming=method.streams or None,
        )
    return file


def _describe(made: Any, message: Message, table: numbers.Table) -> None:
    row = numbers.row_of(table, message.name, [field.name for field in message.fields])
    made.name = message.name
    if any(field.oneof for field in message.fields):
        made.oneof_decl.add(name=ONEOF)
    for field in message.fields:
        one = made.field.add(name=field.name, number=row.pop(field.name))
        repeated = field.label in ("repeated", "map")
        one.label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
        if field.label == "map":
            _describe_entry(made, one, field)
        else:
            _set_type(one, field.type)
        if field.oneof:
            one.oneof_index = 0
    for field in message.fields:  # protoc puts these behind the real ones
        if field.label == "optional":
            one = next(one for one in made.field if one.name == field.name)
            one.proto3_optional = True
            one.oneof_index = len(made.oneof_decl)
            made.oneof_decl.add(name=f"_{field.name}")
    for name, number in row.items():
        made.reserved_range.add(start=number, end=number + 1)
        made.reserved_name.append(name)


def _describe_entry(made: Any, one: Any, field: Field) -> None:
    """Describe a map as protobuf does: a list of entries."""
    name = "".join(part.title() for part in field.name.split("_")) + "Entry"
    entry = made.nested_type.add(name=name)
    entry.options.map_entry = True
    for place, (part, kind) in enumerate((("key", "string"), ("value", field.type)), start=1):
        inner = entry.field.add(name=part, number=place, label=_F.LABEL_OPTIONAL)
        _set_type(inner, kind)
    one.type = _F.TYPE_MESSAGE
    one.type_name = f".{PACKAGE}.{made.name}.{name}"


def _set_type(one: Any, kind: str) -> None:
    if kind in _SCALARS:
        one.type = _SCALARS[kind]
        return
    one.type = _F.TYPE_MESSAGE
    one.type_name = f".{kind}" if kind in (STRUCT, VALUE) else f".{PACKAGE}.{kind}"
