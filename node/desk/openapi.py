"""`GET /v1/openapi.json`: the operations by HTTP, described from the catalogue.  No I/O.

Source: OpenAPI 3.1.0; JSON Schema 2020-12, as msgspec writes it.
"""

import functools
import inspect
from typing import Any

import msgspec

from node import __version__
from node.desk.calls import OPERATIONS, PATH
from node.desk.event_stream import CONVERSATIONS_MAX
from node.desk.event_stream import PATH as EVENTS_PATH
from node.protocol.catalogue import RESULTS, Request
from node.protocol.codes import ERRORS, RETRY

_REF = "#/components/schemas/{name}"
_LEFT_OUT = ("op", "id")
"""Fields that the path, and HTTP, say instead."""
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    "description": "Stands for the field `key`; give one of the two.",
}


@functools.cache
def openapi() -> bytes:
    """Return the document as JSON."""
    kinds = [*OPERATIONS.values(), *dict.fromkeys(RESULTS[kind] for kind in OPERATIONS.values())]
    schemas = msgspec.json.schema_components(kinds, ref_template=_REF)[1]
    for kind in OPERATIONS.values():
        _as_body(schemas[kind.__name__])
    schemas["Error"] = _error_schema()
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "unidesk.v1 by HTTP",
            "version": __version__,
            "description": (
                "The operations of the WebSocket protocol that need no connection: the same rules,"
                " ids and guarantees. A durable operation is on a majority of disks before its"
                " answer is sent."
            ),
        },
        "paths": {
            EVENTS_PATH: {"get": _events()},
            **{PATH + op: {"post": _operation(op, kind)} for op, kind in OPERATIONS.items()},
        },
        "components": {
            "schemas": schemas,
            "responses": {
                "Error": {
                    "description": "It was refused, or its outcome is unknown (`timeout`).",
                    "content": _json({"$ref": _REF.format(name="Error")}),
                }
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
        "security": [{"bearer": []}],
    }
    return msgspec.json.encode(document)


def _events() -> dict[str, Any]:
    return {
        "operationId": "events",
        "summary": "What happens, as server-sent events",
        "description": (
            "A session that only listens: `event` is the name of a push of unidesk.v1, `data` the"
            " push as JSON, `id` what to send as Last-Event-ID, to any node, to go on from there."
        ),
        "parameters": [
            {
                "name": "cv",
                "in": "query",
                "schema": {
                    "type": "array",
                    "items": {"type": "string"},
                    "maxItems": CONVERSATIONS_MAX,
                },
                "description": "Conversations to follow beside the client's own.",
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "schema": {"type": "string"},
                "description": "The last `id` of the stream that broke.",
            },
        ],
        "responses": {
            "200": {
                "description": "Events, until somebody hangs up.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    }


def _operation(op: str, kind: type[Request]) -> dict[str, Any]:
    summary, _, rest = inspect.cleandoc(kind.__doc__ or "").partition("\n")
    roles = ", ".join(sorted(kind.roles))
    described: dict[str, Any] = {
        "operationId": op,
        "summary": summary.rstrip("."),
        "description": f"{rest.strip()}\n\nRoles: {roles}.".strip(),
        "requestBody": {
            "required": True,
            "content": _json({"$ref": _REF.format(name=kind.__name__)}),
        },
        "responses": {
            "200": {
                "description": "It is done.",
                "content": _json({"$ref": _REF.format(name=RESULTS[kind].__name__)}),
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if "key" in kind.__struct_fields__:
        described["parameters"] = [_KEY]
    return described


def _as_body(schema: dict[str, Any]) -> None:
    """Turn the schema of a frame into that of a body."""
    for field in _LEFT_OUT:
        schema["properties"].pop(field, None)
    left_out = (*_LEFT_OUT, "key")
    schema["required"] = [field for field in schema["required"] if field not in left_out]


def _error_schema() -> dict[str, Any]:
    statuses = ", ".join(f"{code} {error.http}" for code, error in ERRORS.items())
    return {
        "type": "object",
        "required": ["code", "msg", "retry"],
        "properties": {
            "code": {"enum": list(ERRORS), "description": f"Statuses: {statuses}."},
            "msg": {"type": "string", "description": "What is wrong, for people."},
            "retry": {
                "type": "boolean",
                "description": (
                    "Whether the same request with the same key may succeed: "
                    + ", ".join(sorted(RETRY))
                ),
            },
            "data": {"type": "object", "description": "What the code adds: `nodes`, `owner` …"},
        },
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
