"""Operations by HTTP: what is done there is done for WebSockets too, and the other way round."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest
import trio

from cluster.port import Unavailable
from node.desk.calls import OPERATIONS, PATH
from node.protocol import catalogue as ops
from node.protocol.catalogue import Role
from node.protocol.codes import ERRORS
from tests.node.desk.office import check_result, office, token
from tests.node.desk.test_over_sockets import listening


@dataclass
class Heard:
    status: int
    headers: dict[str, str]
    body: Any


class Caller:
    """A system that speaks HTTP: the standard library's client, in a thread."""

    def __init__(self, port: int, role: Role = "service", subject: str = "crm") -> None:
        self.port = port
        self.token = token(role, subject)

    async def call(
        self,
        op: str,
        body: Any = None,
        *,
        method: str = "POST",
        **headers: str,
    ) -> Heard:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        told = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}

        def ask() -> Heard:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request(method, PATH + op, data, told)
                answer = connection.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                heard = Heard(answer.status, found, json.loads(answer.read()))
                if heard.status == 200:
                    check_result(OPERATIONS[op], heard.body)
                return heard
            finally:
                connection.close()

        return await trio.to_thread.run_sync(ask)


async def test_a_conversation_goes_on_over_http_and_websocket_alike() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        crm, boss = Caller(port), await desk.staff("supervisor")
        opened = await crm.call("cv.open", {"text": "my parcel"}, Idempotency_Key="order-7")
        assert opened.status == 200
        cv = opened.body["cv"]
        await boss.ok(ops.CvSub(cv=cv))
        sent = await crm.call("msg.send", {"cv": cv, "key": "m-1", "body": "is late"})
        assert (sent.status, sent.body["seq"]) == (200, 3)
        assert boss.seqs(cv) == [1, 2, 3]
        await boss.ok(ops.MsgSend(cv=cv, key="b-1", body="it is on its way"))
        told = await crm.call("cv.history", {"cv": cv, "after": 3})
        assert [event["data"]["body"] for event in told.body["events"]] == ["it is on its way"]
        assert (await crm.call("cv.get", {"cv": cv})).body["conv"]["seq"] == 4


async def test_the_same_key_has_one_effect_whichever_way_it_comes() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        crm, service = Caller(port), await desk.staff("service")
        crm.token = token("service", "service-1", name="Service")
        first = await crm.call("cv.open", {"text": "hi"}, Idempotency_Key='"k-1"')
        again = await crm.call("cv.open", {"text": "hi", "key": "k-1"})
        assert again.body == first.body | {"dup": True}
        assert (await service.ok(ops.CvOpen(key="k-1", text="hi")))["cv"] == first.body["cv"]
        other = await crm.call("cv.open", {"text": "bye"}, Idempotency_Key="k-1")
        assert (other.status, other.body["code"]) == (422, "key_reused")
        both = await crm.call("cv.open", {"text": "hi", "key": "k-2"}, Idempotency_Key="k-3")
        assert (both.status, both.body["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("op", "body", "headers", "status", "words"),
    [
        ("cv.open", {"text": "hi"}, {}, 400, "missing required field `key`"),
        ("cv.open", b"{", {}, 400, "body: "),
        ("cv.open", b"[1]", {}, 400, "body: "),
        ("cv.open", b"[" * 60_000, {}, 400, "body: "),
        ("cv.open", b'{"key": "\xff"}', {}, 400, "body: "),
        ("cv.open", {"key": "k"}, {"Content_Type": "text/plain"}, 400, "application/json"),
        ("cv.open", {"key": "k", "text": "x" * 70_000}, {}, 413, "at most 65536"),
        ("cv.open", {"key": "k", "text": "x" * 20_000}, {}, 413, "text: 20000 bytes"),
        ("cv.get", {"cv": "nope"}, {}, 404, "no conversation"),
        ("cv.get", {"cv": "01J00000000000000000000000"}, {}, 404, "no conversation"),
        ("cv.history", {"cv": "01J00000000000000000000000", "after": -1}, {}, 400, "after"),
        ("rules.apply", {"files": {}}, {}, 403, "not for the role service"),
        ("cv.sub", {"cv": "x"}, {}, 404, "unknown op"),
        ("hello", {"ver": "1", "token": "x"}, {}, 404, "unknown op"),
        ("nonsense", {}, {}, 404, "unknown op 'nonsense'"),
        ("cv.get", {"cv": "x"}, {"Authorization": ""}, 401, "Authorization: Bearer"),
        ("cv.get", {"cv": "x"}, {"Authorization": "Basic YTpi"}, 401, "Authorization: Bearer"),
        ("cv.get", {"cv": "x"}, {"Authorization": "Bearer x"}, 401, "not a token"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_status_and_words(
    op: str, body: Any, headers: dict[str, str], status: int, words: str
) -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        heard = await Caller(port).call(op, body, **headers)
        assert heard.status == status
        assert words in heard.body["msg"]
        error = ERRORS[heard.body["code"]]
        assert (error.http, error.retry) == (status, heard.body["retry"])
        if status == 401:
            assert heard.headers["www-authenticate"].startswith("Bearer ")


async def test_an_expired_token_says_so_and_another_method_is_told_which() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        crm = Caller(port)
        heard = await crm.call("cv.get", {"cv": "x"}, method="GET")
        assert (heard.status, heard.headers["allow"]) == (405, "POST")
        crm.token = token("service", "crm", ttl_s=-60)
        heard = await crm.call("cv.get", {"cv": "x"})
        assert (heard.status, heard.body["code"]) == (401, "unauthorized")
        assert "the token is expired" in heard.headers["www-authenticate"]


async def test_a_node_without_quorum_says_where_else_to_go() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        desk.port().stand("fenced", "no leader")
        heard = await Caller(port).call("cv.open", {"key": "k"})
        assert (heard.status, heard.body["code"]) == (503, "minority")
        assert heard.headers["retry-after"] == "1"
        assert [node["id"] for node in heard.body["data"]["nodes"]] == ["n2"]


async def test_an_outcome_that_nobody_saw_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:

        async def propose(command: object) -> Unavailable:
            return Unavailable("timeout", "it may still happen")

        monkeypatch.setattr(desk.port(), "propose", propose)
        heard = await Caller(port).call("cv.open", {"key": "k"})
        assert (heard.status, heard.body["code"], heard.body["retry"]) == (504, "timeout", True)


async def test_operators_use_it_too_and_calls_are_counted() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        operator = Caller(port, "operator", "op")
        assert (await operator.call("rules.get")).body == {"rev": 0, "files": {}}
        assert "members" in (await operator.call("members.get")).body
        figures = desk.desks["n1"].statistics()
        assert figures.requests_total["rules.get"] == 1
        assert figures.errors_total == {}


def test_what_is_served_is_what_needs_no_connection() -> None:
    assert {"hello", "auth", "pong", "cv.sub", "cv.unsub", "ack", "read", "typing"}.isdisjoint(
        OPERATIONS
    )
    assert {"cv.open", "msg.send", "cv.history", "rules.apply"} <= OPERATIONS.keys()
