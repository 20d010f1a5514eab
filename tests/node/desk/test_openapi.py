"""The description of the operations by HTTP is valid, whole, and what the node serves."""

import json

from openapi_spec_validator import validate

from node.desk.calls import OPERATIONS, PATH
from node.desk.event_stream import PATH as EVENTS_PATH
from node.desk.openapi import openapi
from node.desk.token_endpoint import PATH as TOKEN_PATH
from node.desk.visitors import PATH as VISITOR_PATH
from node.edge.http import Request, Response
from node.protocol.catalogue import RESULTS
from tests.node.desk.office import office


def test_it_is_openapi_and_names_every_operation() -> None:
    document = json.loads(openapi())
    validate(document)
    assert document["paths"].keys() == {
        EVENTS_PATH,
        TOKEN_PATH,
        VISITOR_PATH,
        *(PATH + op for op in OPERATIONS),
    }
    for op, kind in OPERATIONS.items():
        described = document["paths"][PATH + op]["post"]
        assert described["summary"]
        body = document["components"]["schemas"][kind.__name__]
        assert not {"op", "id"} & body["properties"].keys()
        assert "key" not in body["required"]
        assert ("parameters" in described) == ("key" in body["properties"])
        assert RESULTS[kind].__name__ in json.dumps(described["responses"]["200"])


async def test_a_node_serves_it() -> None:
    async with office() as desk:
        request = Request("GET", "/v1/openapi.json", "", (), b"", "127.0.0.1:9")
        answer = desk.desks["n1"].on_request(request)
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (200, openapi())
        assert answer.content_type == "application/json"
