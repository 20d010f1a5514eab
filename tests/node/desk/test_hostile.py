"""Operations with fields that are wrong: refused in words, alike by every way, and nothing ends."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import trio

from node.config import LimitsConfig
from node.desk.calls import OPERATIONS, PATH
from node.edge.http import Request, Response
from node.protocol import catalogue as ops
from node.protocol.catalogue import Bye, Err, Ok, Role
from tests.node.desk.office import Client, Office, office, settle, token
from tests.node.desk.test_access import MATRIX, REQUESTS

ROLES: tuple[Role, ...] = ("visitor", "agent", "supervisor", "operator", "service")
LONG = "x" * 40_000
STRONGEST: tuple[Role, ...] = ("operator", "supervisor", "agent", "service", "visitor")
UNLIMITED = LimitsConfig(visitor_requests_per_s=0, requests_per_s=0, service_requests_per_s=0)
STRINGS = ("", "\0", "no-ulid", "01ARZ3NDEKTSV4RRFFQ69G5FA!", "é" * 300, LONG)
INTEGERS = (-1, 0, 2**53 + 1, 2**63, 2**70)
OTHERS: tuple[Any, ...] = (None, True, 1.5, [], {}, [[]], {"a": {"b": [{}]}}, ["x"] * 2_000, [LONG])


def wrong(request: ops.Request) -> Iterator[dict[str, Any]]:
    """The request with one field of it, or of what is in it, after the other made wrong."""
    fields = _fields(request)
    for name, value in fields.items():
        for other in (*STRINGS, *INTEGERS, *OTHERS):
            if name != "token":
                yield {**fields, name: other}
        if isinstance(value, dict):
            for inner, is_ in value.items():
                same = INTEGERS if isinstance(is_, int) else STRINGS
                yield from ({**fields, name: {**value, inner: one}} for one in same)


def _fields(one: msgspec.Struct) -> dict[str, Any]:
    """All of them, also those that stand at their defaults."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(one)):
        value = getattr(one, field.name)
        found[field.encode_name] = _fields(value) if isinstance(value, msgspec.Struct) else value
    found.pop("id", None)
    return found


def role_for(op: str) -> Role:
    """Somebody who may ask it, with as much power as there is."""
    allowed = dict(zip(ROLES, MATRIX[op].split(), strict=True))
    return next(role for role in STRONGEST if allowed[role] == "yes")


async def by_websocket(client: Client, op: str, fields: dict[str, Any]) -> Err | None:
    client.forget()
    client.sent += 1
    client.say({**fields, "op": op, "id": client.sent})
    await settle()
    with trio.fail_after(10):
        while client.session.busy:
            await trio.sleep(0.005)
    assert not client.heard(Bye), (op, fields, client.heard(Bye))
    replies = [one for one in client.all() if isinstance(one, Err | Ok) and one.id == client.sent]
    if not replies:
        assert op in ("ack", "read", "typing", "pong"), op
        return None
    return replies[0] if isinstance(replies[0], Err) else None


async def by_http(desk: Office, role: Role, op: str, fields: dict[str, Any]) -> dict[str, Any]:
    bearer = (b"authorization", f"Bearer {token(role, 'p1')}".encode())
    body = json.dumps(fields).encode()
    answer = desk.desks["n1"].on_request(Request("POST", PATH + op, "", (bearer,), body, "x:1"))
    if callable(answer):
        answer = await answer()
    assert isinstance(answer, Response)
    found: dict[str, Any] = json.loads(answer.body)
    return found


@pytest.mark.parametrize("op", [op for op in REQUESTS if op not in ("auth", "cv.unsub")])
async def test_fields_that_are_wrong_are_refused_in_words_and_nothing_ends(op: str) -> None:
    role, request = role_for(op), REQUESTS[op]
    async with office("n1", limits=UNLIMITED) as desk:
        client = desk.client()
        await client.hello(role, "p1", name="P")
        for fields in wrong(request):
            proposed = len(desk.port().submitted)
            refused = await by_websocket(client, op, fields)
            if LONG in str(fields):
                large = [c for c in desk.port().submitted[proposed:] if LONG in str(c)]
                assert not large, "what is too large costs no place in the log"
            if refused is None:
                continue
            assert refused.code not in ("internal", "timeout"), (fields, refused)
            assert refused.msg
            assert len(refused.msg) < 1_000, "what was sent is not sent back"
            if refused.code in ("forbidden", "unauthorized"):
                assert refused.data.get("rule"), (fields, refused)
            if op in OPERATIONS:
                answer = await by_http(desk, role, op, fields)
                if refused.code != "conflict":
                    told = answer.get("code"), answer.get("data", {})
                    assert told == (refused.code, refused.data), (fields, answer)
                    if not refused.msg.startswith(("Expected", "Int")):  # words of the decoder
                        assert answer["msg"] == refused.msg
