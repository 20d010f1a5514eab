"""An example of every message: what descriptions show, what is frozen as golden.  No I/O.

    a field       what it is usually like: by its name, else by its type
    every field   is set, and to something else than its default: each has its place on the wire

A new operation has its example by itself.
"""

import inspect
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

_BY_NAME: dict[str, Any] = {
    "cv": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "oid": "01ARZ3NDEKTSV4RRFFQ69G5FAW",
    "mid": "01ARZ3NDEKTSV4RRFFQ69G5FAX",
    "sid": "01ARZ3NDEKTSV4RRFFQ69G5FAY",
    "reply_to": "01ARZ3NDEKTSV4RRFFQ69G5FAZ",
    "key": "order-7",
    "token": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    "ver": "1",
    "lang": "en",
    "text": "Where is my parcel?",
    "body": "Where is my parcel?",
    "subject": "Parcel 7",
    "name": "Vera",
    "channel": "app",
    "queue": "general",
    "to": {"queue": "billing"},
    "hint": {"queue": "billing"},
    "tags": {"arpu": 6200, "vip": True},
    "attrs": {"intent": "refund"},
    "files": {"main.toml": '[fallback]\nroute = "general"\n'},
    "limits": {"frame": 65536},
    "retry": {"min_ms": 0, "max_ms": 250},
    "code": 4001,
    "url": "ws://10.0.0.2:7101/v1/ws",
    "address": "10.0.0.2:7201",
    "epoch": "demo",
    "place": "01ARZ3NDEKTSV4RRFFQ69G5FAY.01ARZ3NDEKTSV4RRFFQ69G5FAV:7",
    "ts": 1_760_000_000_000,
    "now": 1_760_000_000_000,
    "exp": 1_760_000_000_000,
    "at": 1_760_000_000_000,
    "opened": 1_760_000_000_000,
    "closed": 1_760_000_000_000,
    "seq": 7,
}


def example(struct: type[S], **given: Any) -> S:
    """Return a `struct` with every field set, those that are `given` as they are."""
    hints = get_type_hints(struct)
    fields = {
        one.name: _value(one.name, hints[one.name], one.default)
        for one in msgspec.structs.fields(struct)
    }
    return struct(**fields | given)


def _value(name: str, hint: Any, default: Any = None) -> Any:
    """Return something that is not the default, which would be left out."""
    if name in _BY_NAME and _fits(_BY_NAME[name], hint):
        return _BY_NAME[name]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(name, next(part for part in inner if part is not type(None)))
    if origin is Literal:
        return next(word for word in inner if word != default or len(inner) == 1)
    if origin is list:
        return [_value(name, inner[0])]
    if origin is tuple:
        return tuple(_value("cv" if part is str else "seq", part) for part in inner)
    if origin is dict:
        return {name: _value("", inner[1])}
    if inspect.isclass(hint) and issubclass(hint, msgspec.Struct):
        return example(hint)
    return {str: name or "text", int: 3, bool: True, float: 1.5}.get(hint, name or "text")


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True
