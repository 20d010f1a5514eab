"""The description of the operations by HTTP is valid, whole, and what the node serves."""

import json

import msgspec
from openapi_spec_validator import validate

from node.desk.calls import OPERATIONS, PATH
from node.desk.event_stream import PATH as EVENTS_PATH
from node.desk.openapi import PAGES, openapi
from node.desk.token_endpoint import PATH as TOKEN_PATH
from node.desk.visitors import PATH as VISITOR_PATH
from node.edge.http import Request, Response
from node.protocol.catalogue import RESULTS
from node.protocol.codes import ERRORS
from tests.node.desk.office import office, token


def test_it_is_openapi_and_names_every_operation() -> None:
    document = json.loads(openapi())
    validate(document)
    assert document["paths"].keys() == {
        EVENTS_PATH,
        TOKEN_PATH,
        VISITOR_PATH,
        *PAGES,
        *(PATH + op for op in OPERATIONS),
    }
    for op, kind in OPERATIONS.items():
        described = document["paths"][PATH + op]["post"]
        assert described["summary"]
        body = document["components"]["schemas"][kind.__name__]
        example = described["requestBody"]["content"]["application/json"]["example"]
        assert msgspec.convert({"id": 0, **example}, kind).id == 0
        assert not {"op", "id"} & body["properties"].keys()
        assert "key" not in body["required"]
        assert ("parameters" in described) == ("key" in body["properties"])
        assert RESULTS[kind].__name__ in json.dumps(described["responses"]["200"])


async def test_a_node_serves_every_page_that_is_described() -> None:
    async with office() as desk:
        for path, (_, _, media, _) in PAGES.items():
            headers = ((b"authorization", f"Bearer {token('operator', 'o1')}".encode()),)
            request = Request("GET", path, "", headers, b"", "127.0.0.1:9")
            answer = desk.desks["n1"].on_request(request)
            assert isinstance(answer, Response)
            assert answer.status == 200, path
            assert answer.content_type.partition(";")[0] == media
            if path == "/v1/openapi.json":
                assert answer.body == openapi()


def test_every_code_is_explained_and_every_status_is_described() -> None:
    document = json.loads(openapi())
    code = document["components"]["schemas"]["Error"]["properties"]["code"]
    assert code["enum"] == list(ERRORS)
    for path in document["paths"].values():
        for method in path.values():
            if method.get("security") != []:
                assert {str(error.http) for error in ERRORS.values()} < method["responses"].keys()
