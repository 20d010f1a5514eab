"""`GET /v1/openapi.json`: what is served by HTTP, described from the catalogue.  No I/O.

    /v1/op/…                       operations that need no connection, with an example each
    /v1/events                     the stream of events
    /livez /startupz /readyz       probes, which ask for no token
    /cluster /metrics              for operators
    /v1/openapi.json …             descriptions, for everybody

Source: OpenAPI 3.1.0; JSON Schema 2020-12.
"""

import functools
from typing import Any, get_args

import msgspec

from cluster.state.commands import AccountKind
from node import __version__
from node.desk.calls import OPERATIONS, PATH
from node.desk.event_stream import CONVERSATIONS_MAX
from node.desk.event_stream import PATH as EVENTS_PATH
from node.desk.pages import GUARDED
from node.desk.token_endpoint import PATH as TOKEN_PATH
from node.desk.visitors import PATH as VISITOR_PATH
from node.protocol.catalogue import RESULTS, Events, Request
from node.protocol.codes import ERRORS
from node.protocol.described import field_doc, type_doc
from node.protocol.examples import example
from node.protocol.json_schema import Schema, components, ref
from node.protocol.refusals import MEANING

_LEFT_OUT = ("op", "id", "trace")
"""Fields that the path, and HTTP, say instead."""
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    "description": "Stands for the field `key`; give one of the two.",
}
PAGES: dict[str, tuple[str, str, str, tuple[int, ...]]] = {
    "/livez": ("livez", "Whether a restart would mend nothing", "text/plain", (503,)),
    "/readyz": ("readyz", "Whether clients should come here, and why not", "text/plain", (503,)),
    "/startupz": ("startupz", "Whether it has begun: then the others count", "text/plain", (503,)),
    "/cluster": ("cluster", "The cluster as this node sees it", "application/json", ()),
    "/metrics": ("metrics", "Figures, as OpenMetrics if asked for", "text/plain", ()),
    "/v1/openapi.json": ("openapi", "This description", "application/json", ()),
    "/v1/asyncapi.yaml": ("asyncapi", "The WebSocket protocol, described", "application/yaml", ()),
    "/v1/unidesk.proto": ("proto", "Operations and events by gRPC", "text/plain", ()),
}
"""Path: operation id, summary, media type, other statuses."""


@functools.cache
def openapi() -> bytes:
    """Return the document as JSON."""
    kinds = [*OPERATIONS.values(), *(RESULTS[kind] for kind in OPERATIONS.values())]
    schemas = components(kinds)
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
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            **{
                PATH + op: {"post": _operation(op, kind, schemas[kind.__name__])}
                for op, kind in OPERATIONS.items()
            },
            EVENTS_PATH: {"get": _events()},
            TOKEN_PATH: {"post": _token()},
            VISITOR_PATH: {"post": _visitor()},
            **{path: {"get": _page(path)} for path in PAGES},
        },
        "components": {
            "schemas": schemas,
            "responses": {"Error": _error_response()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"bearer": []}],
    }
    return msgspec.json.encode(document)


def _events() -> dict[str, Any]:
    asked = {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "maxItems": CONVERSATIONS_MAX,
    }
    return {
        "operationId": "events",
        "summary": "What happens, as server-sent events",
        "description": (
            f"{type_doc(Events)}\n\n`event` is the name of a push of unidesk.v1, `data` the push as"
            " JSON, `id` what to send as Last-Event-ID, to any node, to go on from there."
        ),
        "parameters": [
            {
                "name": "cv",
                "in": "query",
                "schema": asked,
                "description": field_doc(Events, "cv"),
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "schema": {"type": "string"},
                "description": field_doc(Events, "place"),
            },
        ],
        "responses": {
            "200": {
                "description": "Events, until somebody hangs up.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **_refusals(),
        },
    }


def _token() -> dict[str, Any]:
    grants = {
        "grant_type": {"enum": ["password", "client_credentials"]},
        **{
            field: {"type": "string"}
            for field in ("username", "password", "client_id", "client_secret")
        },
    }
    schema = {"type": "object", "required": ["grant_type"], "properties": grants}
    answer = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": {"type": "string"},
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer", "description": "Seconds."},
            "user": {"type": "string"},
            "role": {"enum": list(get_args(AccountKind))},
        },
    }
    shown = {"access_token": "eyJ…", "token_type": "Bearer", "expires_in": 3600}
    shown |= {"user": "pos", "role": "service"}
    return {
        "operationId": "token",
        "summary": "A secret for a token",
        "description": (
            "The token endpoint of OAuth 2 (RFC 6749): `password` for people (4.3),"
            " `client_credentials` for services (4.4). Secrets come in the body or as Basic, over"
            " TLS or from the node's own machine. Errors have its fields beside the usual ones."
        ),
        "security": [{"basic": []}, {}],
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": {"schema": schema}},
        },
        "responses": {
            "200": {"description": "The token.", "content": _json(answer, shown)},
            **_refusals(),
        },
    }


def _visitor() -> dict[str, Any]:
    answer = {
        "type": "object",
        "required": ["token", "id", "exp"],
        "properties": {
            "token": {"type": "string"},
            "id": {"type": "string", "description": "The visitor's; a renewed token keeps it."},
            "exp": {"type": "integer", "description": "The token's end, milliseconds UTC."},
        },
    }
    shown = {"token": "eyJ…", "id": "anon-01M3S8Z3E8Q0V4M2T7B9C1D5F6", "exp": 1_795_834_800_000}
    return {
        "operationId": "visitor",
        "summary": "A token for an anonymous visitor",
        "description": (
            "For pages whose Origin is configured. With a token that was given out here and is"
            " still good, the same visitor gets one that lasts longer."
        ),
        "security": [{}, {"bearer": []}],
        "parameters": [
            {"name": "Origin", "in": "header", "required": True, "schema": {"type": "string"}}
        ],
        "responses": {
            "200": {"description": "Here it is.", "content": _json(answer, shown)},
            **_refusals(),
        },
    }


def _page(path: str) -> dict[str, Any]:
    name, summary, media, others = PAGES[path]
    shown: dict[str, Any] = {"content": {media: {}}}
    guarded = path in GUARDED
    found: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": summary, **shown},
            **{str(status): {"description": "Not now, and why", **shown} for status in others},
            **(_refusals() if guarded else _refusals(400)),
        },
    }
    if guarded:
        found["description"] = (
            "For operators; without a token at the address that node.toml names in `[observe]`."
        )
    else:
        found["security"] = []
    probes = dict.fromkeys(("/livez", "/startupz", "/readyz"), "verbose")
    query = {**probes, "/cluster": "digest"}.get(path)
    if query is not None:
        schema: Schema = {"type": "string", "example": "1"}
        found["parameters"] = [{"name": query, "in": "query", "schema": schema}]
    return found


def _operation(op: str, kind: type[Request], body: Schema) -> dict[str, Any]:
    summary, _, rest = type_doc(kind).partition("\n")
    roles = ", ".join(sorted(kind.roles))
    result = RESULTS[kind]
    described: dict[str, Any] = {
        "operationId": op,
        "summary": summary.rstrip("."),
        "description": f"{rest.strip()}\n\nRoles: {roles}.".strip(),
        "requestBody": {
            "required": bool(body["required"]),
            "content": _json(ref(kind), _without(example(kind), _LEFT_OUT)),
        },
        "responses": {
            "200": {
                "description": "It is done.",
                "content": _json(ref(result), _without(example(result))),
            },
            **_refusals(),
        },
    }
    if "key" in kind.__struct_fields__:
        described["parameters"] = [_KEY]
    return described


def _refusals(*statuses: int) -> dict[str, Any]:
    """Return responses for `statuses`, or for all that a code has."""
    found = statuses or sorted({error.http for error in ERRORS.values()} | {405, 408, 429})
    return {str(status): {"$ref": "#/components/responses/Error"} for status in found}


def _as_body(schema: Schema) -> None:
    """Turn the schema of a frame into that of a body."""
    for field in _LEFT_OUT:
        schema["properties"].pop(field, None)
    left_out = (*_LEFT_OUT, "key")
    schema["required"] = [field for field in schema["required"] if field not in left_out]


def _error_response() -> dict[str, Any]:
    shown = {"code": "closed", "msg": "the conversation is closed", "retry": False}
    return {
        "description": "It was refused, or its outcome is unknown (`timeout`).",
        "headers": {
            "Retry-After": {
                "description": "Seconds to wait before a retry.",
                "schema": {"type": "integer"},
            }
        },
        "content": _json({"$ref": "#/components/schemas/Error"}, shown),
    }


def _error_schema() -> Schema:
    meanings = "\n".join(
        f"- `{code}` ({error.http}): {error.meaning} {error.advice}"
        for code, error in ERRORS.items()
    )
    retry = ", ".join(code for code, error in ERRORS.items() if error.retry)
    return {
        "type": "object",
        "required": ["code", "msg"],
        "properties": {
            "code": {"enum": list(ERRORS), "description": meanings},
            "msg": {"type": "string", "description": "What is wrong, for people."},
            "retry": {
                "type": "boolean",
                "description": f"Whether the same request with the same key may succeed: {retry}.",
            },
            "data": {
                "type": "object",
                "description": "What the code adds: `nodes`, `owner` …",
                "properties": {
                    "rule": {
                        "enum": list(MEANING),
                        "description": "Of a refusal of access: which rule it was.",
                    }
                },
            },
        },
    }


def _json(schema: Schema, shown: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": shown}}


def _without(struct: msgspec.Struct, fields: tuple[str, ...] = ()) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(struct)
    return {name: value for name, value in shown.items() if name not in fields}
