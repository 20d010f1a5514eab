"""The catalogue as protobuf messages and methods.  No I/O.

    catalogue                        protobuf
    operation cv.open                method CvOpen, message CvOpenRequest; its result's message
    `Events`                         method Events, which answers with a stream of `Push`
    pushes, `ok`, `err`              `Push.push`, a oneof; beside it `place`, to go on from there
    text, integer, boolean           string, int64, bool; words of a choice stay words
    list, map of scalars, struct     repeated, map<string, ...>, a message
    a free map; anything             google.protobuf.Struct; Value
    a field of one word              left out: it says nothing

In requests a field that is needed, has another default than zero, or may be null is `optional`,
so that "not given" is told from zero, and refused or filled in as in JSON.  What comes back is
always given, so only what may be null is `optional`.

Source: Protocol Buffers, "Language Guide (proto 3)", "Field Presence".
"""

import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from node.protocol.catalogue import ALL, RESULTS, AnyPush, AnyRequest, Err, Events, Ok, Role
from node.protocol.catalogue import Request as Operation
from node.protocol.described import field_doc, type_doc

PACKAGE = "unidesk.v1"
NAME = "unidesk/v1/unidesk.proto"
"""How other files import it."""
STRUCT_FILE = "google/protobuf/struct.proto"
SERVICE = "Desk"
PUSH = "Push"
ONEOF = "push"
STRUCT, VALUE = "google.protobuf.Struct", "google.protobuf.Value"

Label = Literal["", "optional", "repeated", "map"]
_SCALARS = {str: "string", int: "int64", bool: "bool", float: "double"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field, without its number."""

    name: str
    type: str
    """A scalar, one of protobuf's own messages, or the name of a `Message`."""
    label: Label = ""
    doc: str = ""
    oneof: bool = False
    """Whether it is one of `Push.push`."""


@dataclass(frozen=True, slots=True)
class Message:
    """A struct of the catalogue."""

    name: str
    doc: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """An operation."""

    name: str
    op: str
    """Empty for the stream."""
    request: str
    reply: str
    doc: str
    streams: bool = False

    @property
    def path(self) -> str:
        """What HTTP/2 calls it."""
        return f"/{PACKAGE}.{SERVICE}/{self.name}"


@cache
def methods() -> tuple[Method, ...]:
    """Return what can be called: every operation that needs no connection, and the stream."""
    calls = (
        Method(
            kind.__name__,
            _tag(kind),
            f"{kind.__name__}Request",
            RESULTS[kind].__name__,
            f"{type_doc(kind)}\n\n`{_tag(kind)}`, for {_who(kind)}.",
        )
        for kind in operations()
    )
    stream = Method(
        Events.__name__, "", f"{Events.__name__}Request", PUSH, type_doc(Events), streams=True
    )
    return (*calls, stream)


@cache
def messages() -> tuple[Message, ...]:
    """Return all messages: requests, results, pushes, and what they hold."""
    found: dict[str, Message] = {}
    asked: tuple[type[msgspec.Struct], ...] = (*operations(), Events)
    for kind in asked:
        _add(found, kind, f"{kind.__name__}Request", asked=True)
    for operation in operations():
        _add(found, RESULTS[operation], RESULTS[operation].__name__)
    found[PUSH] = _push()
    for told in _told():
        _add(found, told, told.__name__)
    return tuple(found.values())


def operations() -> tuple[type[Operation], ...]:
    """Return the operations that need no connection."""
    return tuple(kind for kind in get_args(AnyRequest) if not kind.needs_connection)


def push_field(push: type[msgspec.Struct]) -> str:
    """Return the name of a push, or a reply, within `Push`."""
    return _tag(push).replace(".", "_")


def _told() -> tuple[type[msgspec.Struct], ...]:
    """Return what a client that listens is told: pushes, and answers to what it asked for."""
    return (*get_args(AnyPush), Ok, Err)


def _push() -> Message:
    fields = tuple(Field(push_field(one), one.__name__, oneof=True) for one in _told())
    doc = (
        f"Where the client is with this, for `{Events.__name__}Request.place`; empty: where it was."
    )
    place = Field("place", "string", doc=doc)
    doc = "What the server says to a client that listens."
    return Message(PUSH, doc, (place, *fields))


def _add(
    found: dict[str, Message], struct: type[msgspec.Struct], name: str, *, asked: bool = False
) -> None:
    """Put the message of `struct` into `found`, then those that it holds."""
    if name in found:
        return
    hints = get_type_hints(struct)
    fields = [one for one in msgspec.structs.fields(struct) if not _is_told(struct, one, hints)]
    made = [_field(struct, one, hints[one.name], asked=asked) for one in fields]
    found[name] = Message(name, "" if asked else type_doc(struct), tuple(made))
    for field in fields:
        for inner in _structs(hints[field.name]):
            _add(found, inner, inner.__name__)


def _is_told(struct: type[msgspec.Struct], field: Any, hints: dict[str, Any]) -> bool:
    """Whether the call itself says it: its number and trace, a tag that is always the same."""
    hint = hints[field.name]
    single = get_origin(hint) is Literal and len(get_args(hint)) == 1
    return single or (issubclass(struct, Operation) and field.name in ("id", "trace"))


def _field(struct: type[msgspec.Struct], field: Any, hint: Any, *, asked: bool) -> Field:
    inner = _not_none(hint)
    kind, label = _type(inner)
    default = field.default
    zero = not field.required and default in ("", 0, False, msgspec.NODEFAULT)
    scalar = kind in _SCALARS.values()
    if not label and scalar and (inner is not hint or (asked and not zero)):
        label = "optional"
    doc = [field_doc(struct, field.name)]
    if get_origin(inner) is Literal:
        doc.append("One of: " + ", ".join(str(word) for word in get_args(inner)) + ".")
    if asked and field.required:
        doc.append("Needed.")
    elif asked and not zero and default is not None and scalar:
        doc.append(f"Not given: {msgspec.json.encode(default).decode()}.")
    return Field(field.encode_name, kind, label, " ".join(part for part in doc if part))


def _type(hint: Any) -> tuple[str, Label]:
    """Return the protobuf type of a field that is not null."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _SCALARS[type(inner[0])], ""
    if origin is list:
        kind, label = _type(inner[0])
        assert not label, f"protobuf has no list of lists or maps: {hint}"
        return kind, "repeated"
    if origin is dict:
        if inner[1] is Any:
            return STRUCT, ""
        return _type(inner[1])[0], "map"
    if hint is Any:
        return VALUE, ""
    if inspect.isclass(hint) and issubclass(hint, msgspec.Struct):
        return hint.__name__, ""
    return _SCALARS[hint], ""


def _not_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        (only,) = (part for part in get_args(hint) if part is not type(None))
        return only
    return hint


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs that a type mentions."""
    if inspect.isclass(hint) and issubclass(hint, msgspec.Struct):
        yield hint
    elif get_origin(hint) is not Literal:
        for inner in get_args(hint):
            yield from _structs(inner)


def _who(kind: type[Operation]) -> str:
    if kind.roles == ALL:
        return "everybody"
    return ", ".join(role for role in get_args(Role) if role in kind.roles)


def _tag(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)
