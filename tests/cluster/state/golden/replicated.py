"""What is in the log and in snapshots, field by field: as it is, and as releases published it.

    python -m tests.cluster.state.golden.replicated     when a level is published: only adds lines

    command cv.open: array                         how it is encoded
    command cv.open 3 channel: str = 'web'         its fields, with place, type and default
    value Agent 2 capacity: int                    the same of what a snapshot holds
    section agents: Agent                          of a snapshot

What `published.txt` holds was written by this module in the tree of the release itself.
"""

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from cluster.state import snapshot
from cluster.state.commands import Command

FILE = Path(__file__).parent / "published.txt"
"""What every release of an earlier level than this one's reads and writes."""


def lines() -> dict[str, str]:
    """Return what there is: name to description."""
    found: dict[str, str] = {}
    nested: dict[str, type[Any]] = {}
    for kind in get_args(Command):
        found |= _fields("command", str(kind.__struct_config__.tag), kind)
        nested |= _structs(get_type_hints(kind).values())
    found |= _fields("value", "(header)", snapshot._Header)
    for section, (kind, _) in snapshot._SECTIONS.items():
        found[f"section {section}"] = _named(kind)
        nested |= _structs([kind])
    for name, kind in nested.items():
        found |= _fields("value", name, kind)
    return found


def published() -> dict[str, str]:
    """Return what earlier levels have."""
    found = {}
    for line in FILE.read_text().splitlines():
        name, text = line.split(": ", 1)
        found[name] = text
    return found


def by_tag() -> dict[str, type[Any]]:
    """Return every command by its tag."""
    return {str(kind.__struct_config__.tag): kind for kind in get_args(Command)}


def _fields(what: str, name: str, kind: type[Any]) -> dict[str, str]:
    hints = get_type_hints(kind)
    found = {f"{what} {name}": "array" if kind.__struct_config__.array_like else "map"}
    for place, field in enumerate(msgspec.structs.fields(kind)):
        default = "" if field.required else f" = {_default(field)}"
        found[f"{what} {name} {place} {field.name}"] = f"{_named(hints[field.name])}{default}"
    return found


def _default(field: Any) -> str:
    if field.default is not msgspec.NODEFAULT:
        return re.sub(r" at 0x\w+", "", repr(field.default))
    return repr(field.default_factory())


def _structs(kinds: Any) -> dict[str, type[Any]]:
    """Return the structs in these types, and in their fields, by name."""
    found: dict[str, type[Any]] = {}
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting += [one for one in get_args(kind) if not isinstance(one, str)]
        if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
            continue
        name = kind.__name__
        if name not in found:
            found[name] = kind
            waiting += get_type_hints(kind).values()
    return {name: kind for name, kind in found.items() if kind not in get_args(Command)}


def _named(kind: Any) -> str:
    """Return a type in words that do not depend on where it is defined."""
    if isinstance(kind, TypeVar) or kind is Any:
        return "Any"
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "|".join(sorted(repr(one) for one in inner))
    if isinstance(kind, types.UnionType) or str(origin) == "typing.Union":
        return "|".join(sorted(_named(one) for one in inner))
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if i is ... else _named(i) for i in inner)}]"
    return str(getattr(kind, "__name__", kind))


def _new() -> Iterator[str]:
    known = published()
    for name, text in lines().items():
        if name not in known:
            yield f"{name}: {text}"


if __name__ == "__main__":
    with FILE.open("a") as file:
        file.writelines(f"{line}\n" for line in _new())
