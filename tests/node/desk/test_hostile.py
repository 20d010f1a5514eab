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
    with trio.fail_after(30):
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


ABOUT_ONE = sorted(op for op, one in REQUESTS.items() if getattr(one, "cv", ""))
"""Operations that name a conversation."""
NOT_THERE = ("", "nope", "01ARZ3NDEKTSV4RRFFQ69G5FAV", LONG)
SAYS_NO_MORE = {"cv.leave": "conflict", "cv.take": "conflict", "wrap.done": "not_found"}
"""Of agents, where there is nothing of theirs that could be refused."""


async def asked(client: Client, op: str, **fields: Any) -> Err | None:
    own = {name: one for name, one in _fields(REQUESTS[op]).items() if name not in fields}
    return await by_websocket(client, op, {**own, **fields})


@pytest.mark.parametrize("role", ["visitor", "agent", "supervisor", "service", "operator"])
async def test_what_is_not_there_is_not_found_whatever_is_asked_of_it(role: Role) -> None:
    async with office("n1", limits=UNLIMITED) as desk:
        client = desk.client()
        await client.hello(role, "p1")
        for op in ABOUT_ONE:
            allowed = MATRIX[op].split()[ROLES.index(role)] == "yes"
            for cv in NOT_THERE if allowed and op not in ("ack", "read", "typing") else ():
                refused = await asked(client, op, cv=cv)
                optional = not cv and op in ("canned.find", "rules.simulate")
                unfollowed = op == "cv.unsub"  # harmless when it does not
                assert (refused is None and (optional or unfollowed)) or (
                    refused is not None and refused.code in ("not_found", "bad_request")
                ), (op, cv, refused)


@pytest.mark.parametrize("state", ["waiting", "assigned", "closed"])
@pytest.mark.parametrize("role", ["visitor", "agent"])
async def test_what_is_anothers_is_refused_by_a_rule_in_every_state(role: Role, state: str) -> None:
    async with office("n1", limits=UNLIMITED) as desk:
        visitor, owner = await desk.visitor("v1"), await desk.agent("a1")
        cv = await desk.opened(visitor)
        desk.routed(cv)
        if state != "waiting":
            await desk.assigned(cv, owner)
        mid = (await visitor.ok(ops.MsgSend(cv=cv, key="m", body="x")))["mid"]
        if state == "closed":
            await owner.ok(ops.CvClose(cv=cv, key="c"))
        other = desk.client()
        await other.hello(role, "p1")
        before = desk.port().state.conversations[cv]
        for op in ABOUT_ONE:
            allowed = MATRIX[op].split()[ROLES.index(role)] == "yes"
            if not allowed or op in ("ack", "read", "typing", "cv.unsub"):
                continue
            fields = {"cv": cv, **({"mid": mid} if op in ("msg.edit", "msg.del") else {})}
            refused = await asked(other, op, **fields)
            assert refused is not None, op
            if refused.code == "closed" or refused.code == SAYS_NO_MORE.get(op):
                continue
            assert refused.code in ("forbidden", "not_owner"), (op, refused)
            assert refused.data["rule"], (op, refused)
        assert desk.port().state.conversations[cv] == before


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
