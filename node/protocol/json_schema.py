"""The catalogue's types as JSON Schema.  No I/O.

    from msgspec     types, defaults, what is required
    from the source  what is said of types and fields (`node.protocol.described`)
    from the wire    integers of requests are 0 to 2^63 - 1, or `signed`; keys have 1 to 64 bytes

Source: JSON Schema 2020-12; draft 7 for AsyncAPI, which has `items` for `prefixItems`.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from cluster.state.limits import KEY_BYTES_MAX
from node.protocol.catalogue import Request
from node.protocol.described import field_doc

REF = "#/components/schemas/{name}"
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

Schema = dict[str, Any]


def ref(struct: type) -> Schema:
    """Return a reference to a component."""
    return {"$ref": REF.format(name=struct.__name__)}


def components(
    structs: Iterable[type[msgspec.Struct]], *, draft7: bool = False
) -> dict[str, Schema]:
    """Return the schemas of `structs`, and of what they hold, by name."""
    kinds = list(dict.fromkeys(structs))
    schemas = msgspec.json.schema_components(kinds, ref_template=REF)[1]
    for kind in _all(kinds):
        schema = schemas.get(kind.__name__, {})
        _describe(schema, kind)
        if issubclass(kind, Request):
            _bound(schema, kind.signed)
    return {name: _draft7(schema) if draft7 else schema for name, schema in schemas.items()}


def _all(kinds: Iterable[type[msgspec.Struct]]) -> Iterable[type[msgspec.Struct]]:
    """Yield `kinds` and the structs within them."""
    seen: set[type] = set()
    waiting = [msgspec.inspect.type_info(kind) for kind in kinds]
    while waiting:
        info: Any = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            waiting += [field.type for field in info.fields]
        else:
            waiting += [getattr(info, name) for name in _INNER if hasattr(info, name)]
            waiting += getattr(info, "types", ())


_INNER = ("item_type", "key_type", "value_type")


def _describe(schema: Schema, kind: type[msgspec.Struct]) -> None:
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    for field in msgspec.structs.fields(kind):
        doc = field_doc(kind, field.name)
        shown = schema.get("properties", {}).get(field.encode_name)
        if doc and shown is not None:
            shown["description"] = doc


def _bound(schema: Schema, signed: frozenset[str]) -> None:
    for name, shown in schema["properties"].items():
        least = INTEGER_MIN if name in signed else 0
        for one in (shown, *shown.get("anyOf", ())):
            if one.get("type") == "integer":
                one |= {"minimum": least, "maximum": INTEGER_MAX}
        if name == "key":
            shown |= {"minLength": 1, "maxLength": KEY_BYTES_MAX}


def _draft7(schema: Any) -> Any:
    """Return `schema` in the words of draft 7."""
    if isinstance(schema, list):
        return [_draft7(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _draft7(value) for key, value in schema.items()}
    if "prefixItems" in found:
        found["items"] = found.pop("prefixItems")
        found["additionalItems"] = False
    return found
