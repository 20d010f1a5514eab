"""The description of the WebSocket protocol is whole, and golden frames are what it says."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml

from node.desk.asyncapi import WS_PATH as DESCRIBED_PATH
from node.desk.asyncapi import as_yaml, asyncapi
from node.desk.ways_in import WS_PATH
from node.edge.http import Request, Response
from node.protocol.catalogue import RESULTS, AnyPush, AnyRequest
from node.protocol.codes import ERRORS, Close
from tests.node.desk.office import office
from tests.node.golden import full

OFFICIAL = os.environ.get("ASYNCAPI_SCHEMA", "")
DOCUMENT: dict[str, Any] = yaml.safe_load(as_yaml())


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)


def _at(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


@pytest.mark.skipif(not OFFICIAL, reason="ASYNCAPI_SCHEMA: 3.0.0.json of npm's @asyncapi/specs")
def test_it_is_asyncapi_as_the_official_schema_has_it() -> None:
    jsonschema.Draft7Validator(json.loads(Path(OFFICIAL).read_text())).validate(DOCUMENT)


def test_as_yaml_it_is_the_same_document() -> None:
    assert json.loads(json.dumps(asyncapi())) == DOCUMENT
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DESCRIBED_PATH == WS_PATH


def test_every_reference_leads_somewhere() -> None:
    references = set(_refs(DOCUMENT))
    assert len(references) > 100
    for reference in references:
        assert _at(reference), reference


def test_every_request_push_and_code_is_described() -> None:
    operations, desk = DOCUMENT["operations"], DOCUMENT["channels"]["desk"]
    for request in get_args(AnyRequest):
        asked = operations[f"ask.{full.tag(request)}"]
        assert ("reply" in asked) == (request in RESULTS or full.tag(request) == "hello")
        for message in (*asked["messages"], *asked.get("reply", {}).get("messages", ())):
            assert message["$ref"].startswith("#/channels/desk/messages/")
    for push in get_args(AnyPush):
        for channel in ("desk", "events"):
            assert operations[f"{channel}.{full.tag(push)}"]["action"] == "send"
    assert [one["code"] for one in desk["x-close-codes"]] == [int(close) for close in Close]
    assert {one["subprotocol"] for one in desk["x-encodings"]} == {
        "unidesk.v1+json",
        "unidesk.v1+msgpack",
    }
    err = DOCUMENT["components"]["schemas"]["Err"]["properties"]["code"]
    assert err["enum"] == list(ERRORS)


def _message_of(name: str) -> str:
    """The name of a golden line's message in the document."""
    kind, _, rest = name.partition(":")
    if kind == "ok":
        return f"ok.{rest}"
    if kind == "err":
        return "err"
    return f"push.{rest.partition(':')[0]}" if kind == "push" else name


@pytest.mark.parametrize("key", [key for key in full.frozen() if key.startswith("json ")])
def test_every_golden_frame_is_what_its_schema_says(key: str) -> None:
    name = key.removeprefix("json ").partition("#")[0]  # of whatever age
    payload = DOCUMENT["components"]["messages"][_message_of(name)]["payload"]
    schema = {**payload, "components": DOCUMENT["components"]}
    frame = json.loads(full.frozen()[key])
    jsonschema.Draft7Validator(schema).validate(frame)
    broken = {**frame, "op": "something else"}
    assert not jsonschema.Draft7Validator(schema).is_valid(broken)


def test_examples_are_what_their_schemas_say() -> None:
    for message in DOCUMENT["components"]["messages"].values():
        schema = {**message["payload"], "components": DOCUMENT["components"]}
        for example in message["examples"]:
            jsonschema.Draft7Validator(schema).validate(example["payload"])


async def test_a_node_serves_it() -> None:
    async with office() as desk:
        request = Request("GET", "/v1/asyncapi.yaml", "", (), b"", "127.0.0.1:9")
        answer = desk.desks["n1"].on_request(request)
        assert isinstance(answer, Response)
        assert yaml.safe_load(answer.body) == DOCUMENT
