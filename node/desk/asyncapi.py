"""`GET /v1/asyncapi.yaml`: the WebSocket protocol and the stream of events, described.  No I/O.

    channel `desk`      /v1/ws: requests with their replies, pushes, close codes, both encodings
    channel `events`    /v1/events: the same pushes by HTTP

    what a client asks    operation that the node receives, with its reply
    what a node says      operation that the node sends

Source: AsyncAPI 3.0.0, with its WebSocket binding; payloads are JSON Schema, draft 7.
"""

import functools
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from node import __version__
from node.desk.event_stream import PATH as EVENTS_PATH
from node.protocol import catalogue
from node.protocol.catalogue import (
    RESULTS,
    AnyPush,
    AnyRequest,
    Bye,
    Err,
    Hello,
    Ok,
    Request,
    Welcome,
)
from node.protocol.codes import CLOSES, ERRORS
from node.protocol.described import prose, type_doc
from node.protocol.examples import example
from node.protocol.json_schema import Schema, components, ref

WS_PATH = "/v1/ws"
DESK, EVENTS = "desk", "events"


@functools.cache
def asyncapi() -> dict[str, Any]:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "unidesk.v1",
            "version": __version__,
            "description": prose(catalogue.__doc__ or ""),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {
            DESK: {
                "address": WS_PATH,
                "description": _DESK,
                "servers": [{"$ref": "#/servers/websocket"}],
                "messages": {name: _message_ref(name) for name in _messages()},
                "bindings": {"ws": {"method": "GET", "headers": _SUBPROTOCOLS}},
                "x-encodings": _ENCODINGS,
                "x-close-codes": _close_codes(),
            },
            EVENTS: {
                "address": EVENTS_PATH,
                "description": "Server-sent events: a session that only listens.",
                "servers": [{"$ref": "#/servers/http"}],
                "messages": {
                    name: _message_ref(name) for name in (*map(_said, get_args(AnyPush)), "err")
                },
            },
        },
        "operations": dict(_operations()),
        "components": {
            "schemas": _schemas(),
            "messages": _messages(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def as_yaml() -> bytes:
    """Return the document as YAML."""
    return msgspec.yaml.encode(asyncapi())


_DESK = (
    "The first frame is `hello`, with a token; there is none in the URL. A request with an `id` has"
    " one reply, in any order; pushes have no `id`. A frame is one map, or an array of at most"
    f" {catalogue.FRAME_MAPS_MAX} maps, and has at most {catalogue.FRAME_BYTES_MAX} bytes."
)
_ENCODINGS: list[dict[str, Any]] = [
    {
        "subprotocol": catalogue.SUBPROTOCOL_JSON,
        "contentType": "application/json",
        "frames": "text",
        "default": True,
    },
    {
        "subprotocol": catalogue.SUBPROTOCOL_MSGPACK,
        "contentType": "application/msgpack",
        "frames": "binary",
    },
]
_SUBPROTOCOLS: Schema = {
    "type": "object",
    "properties": {
        "Sec-WebSocket-Protocol": {
            "type": "string",
            "enum": [one["subprotocol"] for one in _ENCODINGS],
            "default": catalogue.SUBPROTOCOL_JSON,
        }
    },
}


def _servers() -> dict[str, Any]:
    anywhere = {"default": "127.0.0.1:7101", "description": "Any node of the cluster."}
    return {
        "websocket": {
            "host": "{node}",
            "protocol": "ws",
            "description": "`wss` with [client.tls]. Whoever comes proves who they are in `hello`.",
            "variables": {"node": anywhere},
        },
        "http": {
            "host": "{node}",
            "protocol": "http",
            "description": "`https` with [client.tls].",
            "variables": {"node": anywhere},
            "security": [{"$ref": "#/components/securitySchemes/bearer"}],
        },
    }


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for request in get_args(AnyRequest):
        asked: dict[str, Any] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{DESK}"},
            "messages": [_in_channel(DESK, _tag(request))],
            "summary": type_doc(request).partition("\n")[0],
            "x-roles": sorted(request.roles),
        }
        replies = _replies(request)
        if replies:
            asked["reply"] = {
                "channel": {"$ref": f"#/channels/{DESK}"},
                "messages": [_in_channel(DESK, name) for name in replies],
            }
        yield f"ask.{_tag(request)}", asked
    for channel in (DESK, EVENTS):
        for push in get_args(AnyPush):
            yield (
                f"{channel}.{_tag(push)}",
                {
                    "action": "send",
                    "channel": {"$ref": f"#/channels/{channel}"},
                    "messages": [_in_channel(channel, _said(push))],
                    "summary": type_doc(push).partition("\n")[0],
                },
            )


def _replies(request: type[Request]) -> list[str]:
    if request is Hello:
        return [_said(Welcome), _said(Bye)]
    return [f"ok.{_tag(request)}", "err"] if request in RESULTS else []


@functools.cache
def _messages() -> dict[str, Any]:
    found = {
        _tag(request): _message(_tag(request), request, ref(request))
        for request in get_args(AnyRequest)
    }
    for request, result in RESULTS.items():
        name = f"ok.{_tag(request)}"
        shown = Ok(id=7, r=msgspec.to_builtins(example(result)))
        found[name] = _described(name, f"Reply to `{_tag(request)}`.", _ok(result), shown)
    refused = example(Err, code="closed", retry=False, msg="the conversation is closed", data={})
    found["err"] = _described("err", type_doc(Err) or "A refusal.", ref(Err), refused)
    for push in get_args(AnyPush):
        found[_said(push)] = _message(_said(push), push, ref(push))
    return found


def _message(name: str, struct: type[msgspec.Struct], payload: Schema) -> dict[str, Any]:
    return _described(name, type_doc(struct), payload, example(struct))


def _described(name: str, doc: str, payload: Schema, shown: msgspec.Struct) -> dict[str, Any]:
    summary, _, rest = doc.partition("\n")
    described = {"name": name, "summary": summary, "description": rest.strip()}
    return {
        **{key: text for key, text in described.items() if text},
        "payload": payload,
        "examples": [{"payload": msgspec.to_builtins(shown)}],
    }


def _ok(result: type[msgspec.Struct]) -> Schema:
    return {
        "type": "object",
        "required": ["op", "id"],
        "properties": {
            "op": {"const": "ok"},
            "id": {"type": "integer"},
            "r": ref(result),
        },
    }


@functools.cache
def _schemas() -> dict[str, Schema]:
    kinds = (*get_args(AnyRequest), *RESULTS.values(), Err, *get_args(AnyPush))
    schemas = components(kinds, draft7=True)
    meanings = "\n".join(
        f"- `{code}`: {error.meaning} {error.advice}" for code, error in ERRORS.items()
    )
    schemas["Err"]["properties"]["code"] |= {"enum": list(ERRORS), "description": meanings}
    return schemas


def _close_codes() -> list[dict[str, Any]]:
    return [
        {
            "code": int(close),
            "name": close.name.lower(),
            "resume": close.resume,
            "meaning": closing.meaning,
            "advice": closing.advice,
        }
        for close, closing in CLOSES.items()
    ]


def _message_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{name}"}


def _in_channel(channel: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{name}"}


def _said(push: type[msgspec.Struct]) -> str:
    """Return a push's name among messages: some have that of a request."""
    return f"push.{_tag(push)}"


def _tag(struct: type[msgspec.Struct]) -> str:
    return str(struct.__struct_config__.tag)
