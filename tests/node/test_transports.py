"""One catalogue, three ways in, three real nodes: the same ids, order, errors and guarantees."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from node.desk.calls import PATH
from node.local import LocalCluster
from node.protocol import catalogue as ops
from node.protocol.catalogue import Err, Ev, Ok, Role
from node.protocol.codes import ERRORS
from tests.node.desk.test_event_stream import Listener
from tests.node.desk.test_over_sockets import Socket, dialled
from tests.node.golden import full
from tests.node.rpc.caller import Caller, Refusal, channel_to

pytestmark = pytest.mark.process


@dataclass(frozen=True)
class Answer:
    """What came back, however it came."""

    result: Any = None
    code: str = ""
    msg: str = ""
    retry: bool = False
    data: Any = None
    status: str = ""
    """Of HTTP or gRPC, which is another for each."""

    @property
    def told(self) -> tuple[Any, ...]:
        """What must be the same by every way."""
        return self.result, self.code, self.msg, self.retry, self.data or {}


Way = Callable[[Role, str, dict[str, Any]], Awaitable[Answer]]


class Ways:
    """HTTP at n1, a WebSocket at n2, gRPC at n3; everybody speaks by all of them."""

    def __init__(self, cluster: LocalCluster, stack: AsyncExitStack) -> None:
        self.cluster = cluster
        self._stack = stack
        self._sockets: dict[Role, Socket] = {}
        self._numbers = 0
        self.channels = {name: channel_to(cluster.grpc_target(name)) for name in cluster.names}
        self.all: dict[str, Way] = {"http": self.http, "ws": self.websocket, "grpc": self.grpc}

    def token(self, role: Role) -> str:
        return self.cluster.mint(role, f"{role}-1", name=role.title())

    async def http(self, role: Role, op: str, fields: dict[str, Any]) -> Answer:
        address = self.cluster.address("n1")

        def ask() -> Answer:
            connection = HTTPConnection(address.host, address.port, timeout=30)
            headers = {"Authorization": f"Bearer {self.token(role)}"}
            connection.request("POST", PATH + op, json.dumps(fields).encode(), headers)
            response = connection.getresponse()
            body = json.loads(response.read())
            connection.close()
            if response.status == 200:
                return Answer(body)
            return Answer(None, **{"data": None, **body}, status=str(response.status))

        return await trio.to_thread.run_sync(ask)

    async def websocket(self, role: Role, op: str, fields: dict[str, Any]) -> Answer:
        if role not in self._sockets:
            address = self.cluster.address("n2")
            socket = await self._stack.enter_async_context(dialled(address.port))
            self._sockets[role] = socket
            await socket.say(ops.Hello(ver="1", token=self.token(role)))
        socket = self._sockets[role]
        self._numbers += 1
        asked: Any = {"op": op, "id": self._numbers, **fields}
        await socket.say(asked)
        while True:
            (said,) = await socket.hear(1)
            match said:
                case Ok(id=self._numbers, r=result):
                    return Answer(result)
                case Err(id=self._numbers, code=code, msg=msg, retry=retry, data=data):
                    return Answer(None, code, msg, retry, data)

    async def grpc(self, role: Role, op: str, fields: dict[str, Any], node: str = "n3") -> Answer:
        caller = self.caller(role, node)
        try:
            result = await caller.call(op, **fields)
        except Refusal as refusal:
            err = refusal.err
            return Answer(None, err["code"], err["msg"], err["retry"], err["data"], refusal.status)
        # Protobuf says zero for what JSON leaves out.
        kind = ops.RESULTS[ops.BY_NAME[op]]
        return Answer(msgspec.to_builtins(msgspec.convert(_as_in_json(result), kind)))

    def caller(self, role: Role, node: str) -> Caller:
        return Caller(self.channels[node], self.token(role))


@asynccontextmanager
async def three_nodes(folder: Path) -> AsyncIterator[Ways]:
    unlimited = {"limits": {"service_requests_per_s": 0}}
    async with (
        LocalCluster(folder, grpc=True, sections=unlimited) as cluster,
        AsyncExitStack() as stack,
    ):
        await cluster.wait_leader()
        yield Ways(cluster, stack)


ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
MISTAKES: list[tuple[Role, str, dict[str, Any], str]] = [
    ("service", "cv.open", {"text": "hi"}, "bad_request"),
    ("service", "cv.open", {"key": ""}, "bad_request"),
    ("service", "cv.open", {"key": "k" * 65}, "bad_request"),
    ("service", "cv.open", {"key": "big", "text": "x" * 20_000}, "too_large"),
    ("service", "cv.open", {"key": "deep", "tags": {"a": {"b": 1}}}, "bad_request"),
    ("service", "cv.open", {"key": "used", "text": "something else"}, "key_reused"),
    ("service", "cv.open", {"key": "many", "tags": {str(n): n for n in range(80)}}, "too_large"),
    ("agent", "cv.open", {"key": "k"}, "forbidden"),
    ("service", "cv.get", {}, "bad_request"),
    ("service", "cv.get", {"cv": "nope"}, "not_found"),
    ("service", "cv.get", {"cv": ULID}, "not_found"),
    ("visitor", "cv.get", {"cv": "OPEN"}, "forbidden"),
    ("agent", "cv.get", {"cv": "OPEN"}, "forbidden"),
    ("service", "cv.history", {"cv": "OPEN", "after": -1}, "bad_request"),
    ("service", "cv.history", {"cv": "OPEN", "limit": -1}, "bad_request"),
    ("service", "msg.send", {"cv": "OPEN", "key": "k", "body": [1], "type": "text"}, "bad_request"),
    ("service", "msg.send", {"cv": "OPEN", "key": "k", "body": "x", "type": "song"}, "bad_request"),
    ("service", "msg.send", {"cv": "CLOSED", "key": "late", "body": "x"}, "closed"),
    ("visitor", "msg.send", {"cv": "OPEN", "key": "k", "body": "x"}, "forbidden"),
    ("agent", "msg.send", {"cv": "OPEN", "key": "k", "body": "x"}, "not_owner"),
    ("agent", "status.set", {"status": "flying"}, "bad_request"),
    ("agent", "offer.accept", {"oid": ULID, "key": "k"}, "offer_gone"),
    ("agent", "offer.accept", {"oid": "nope", "key": "k"}, "offer_gone"),
    ("agent", "offer.decline", {"oid": ULID}, "offer_gone"),
    ("service", "cv.transfer", {"cv": "OPEN", "key": "k", "to": {}}, "bad_request"),
    (
        "service",
        "cv.transfer",
        {"cv": "OPEN", "key": "k", "to": {"agent": "a", "queue": "q"}},
        "bad_request",
    ),
    ("service", "cv.close", {"cv": "CLOSED", "key": "again"}, "closed"),
    ("operator", "rules.apply", {"files": {}}, "bad_request"),
    ("operator", "rules.apply", {"files": {"main.toml": "when = [\n" * 400}}, "bad_request"),
    (
        "operator",
        "rules.apply",
        {"files": {"main.toml": '[fallback]\nroute = "x"\n'}, "rev_expected": 99},
        "conflict",
    ),
    ("operator", "members.change", {"change": "explode", "node": "n1"}, "bad_request"),
    ("visitor", "members.get", {}, "forbidden"),
]


async def test_the_same_mistake_is_refused_with_the_same_code_words_and_data(
    tmp_path: Path,
) -> None:
    async with three_nodes(tmp_path) as ways:
        opened = await ways.http("service", "cv.open", {"key": "used", "text": "hi"})
        ended = await ways.http("service", "cv.open", {"key": "ended"})
        closed = {"cv": ended.result["cv"], "key": "end"}
        assert (await ways.grpc("service", "cv.close", closed)).result is not None
        ids = {"OPEN": opened.result["cv"], "CLOSED": ended.result["cv"]}
        for role, op, fields, code in MISTAKES:
            asked = {name: ids.get(str(value), value) for name, value in fields.items()}
            told = {name: await way(role, op, asked) for name, way in ways.all.items()}
            http, rpc = told["http"], told["grpc"]
            assert http.told == told["ws"].told == rpc.told, (op, fields, told)
            assert http.code == code, (op, fields, http)
            error = ERRORS[code]  # type: ignore[index]
            assert (http.status, rpc.status) == (str(error.http), error.grpc)


async def test_a_retry_by_another_way_at_another_node_is_the_same_request(tmp_path: Path) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("cv.open", {"key": "o", "text": "hi", "tags": {"arpu": 6200, "vip": True, "x": [1, "2"]}}),
        ("msg.send", {"key": "m", "body": "a text"}),
        ("msg.send", {"key": "c", "body": {"card": [1, 2.5, None]}, "type": "card"}),
        ("cv.transfer", {"key": "t", "to": {"queue": "general"}}),
        ("cv.close", {"key": "e", "reason": "done"}),
    ]
    async with three_nodes(tmp_path) as ways:
        names = list(ways.all)
        for turn in range(3):
            cv = ""
            order = [*names[turn:], *names[:turn]]
            for op, fields in asked:
                fields = {**fields, "key": f"{turn}-{fields['key']}"} | ({"cv": cv} if cv else {})
                first, *again = [await ways.all[name]("service", op, fields) for name in order]
                assert first.result is not None, (op, order, first)
                assert "dup" not in first.result
                for answer in again:
                    assert answer.result == first.result | {"dup": True}, (op, order)
                cv = cv or first.result["cv"]
        told = {}
        for name, way in ways.all.items():
            told[name] = (await way("service", "cv.history", {"cv": cv})).result
        assert told["http"] == told["ws"] == told["grpc"]
        kinds = [event["type"] for event in told["http"]["events"]]
        assert kinds.count("msg") == 3
        assert kinds.count("closed") == 1


async def test_every_way_hears_the_same_and_a_stream_survives_its_node(tmp_path: Path) -> None:
    async with three_nodes(tmp_path) as ways:
        opened = await ways.grpc("service", "cv.open", {"key": "o", "text": "by grpc"})
        cv = opened.result["cv"]
        n1, n2 = (ways.cluster.address(name) for name in ("n1", "n2"))
        async with (
            await trio.open_tcp_stream(n1.host, n1.port) as plain,
            dialled(n2.port) as socket,
        ):
            sse = Listener(plain)
            await sse.ask(ways.token("supervisor"), f"?cv={cv}")
            await socket.say(ops.Hello(ver="1", token=ways.token("supervisor")))
            await socket.say(ops.CvSub(id=1, cv=cv))
            ear = ways.caller("supervisor", "n3").listen(cv)
            said = [{"cv": cv, "key": f"k{number}", "body": f"{number}"} for number in range(6)]
            for number, way in enumerate([*ways.all.values()] * 2):
                assert (await way("service", "msg.send", said[number])).result is not None
            by_sse = await _heard(sse.hear, lambda one: (one.name, one.data))
            by_socket = await _heard(socket.hear, lambda one: (full.tag(type(one)), one))
            by_grpc = await _heard(ear.hear, lambda one: one)
            assert by_sse == by_socket == by_grpc
            assert [event.seq for event in by_grpc] == list(range(1, len(by_grpc) + 1))
        place = ear.place
        await ways.cluster.kill("n3")
        assert (await ear.end()).status == "UNAVAILABLE"
        await ways.cluster.wait_leader(but="n3")
        unheard = {"cv": cv, "key": "u", "body": "unheard"}
        while (answer := await ways.websocket("service", "msg.send", unheard)).retry:
            await trio.sleep(0.1)
        assert answer.result is not None
        again = ways.caller("supervisor", "n1").listen(cv, place=place)
        told = await again.until("caught")
        assert told[0][1]["resumed"]
        first = by_grpc[-1].seq + 1
        missed = [said for name, said in told if name == "ev"]
        assert [said["seq"] for said in missed] == list(range(first, first + len(missed)))
        assert [said["data"]["body"] for said in missed if said["type"] == "msg"] == ["unheard"]


@pytest.mark.slow
async def test_calls_that_run_out_of_time_have_one_effect_each(tmp_path: Path) -> None:
    count = 120
    async with three_nodes(tmp_path) as ways:
        cv = (await ways.grpc("service", "cv.open", {"key": "o"})).result["cv"]
        ended: list[str] = []

        async def send(number: int, node: str, timeout_s: float) -> None:
            caller = ways.caller("service", node)
            fields = {"cv": cv, "key": f"k{number}", "body": str(number)}
            try:
                await caller.call("msg.send", timeout_s, **fields)
            except Refusal as refusal:
                ended.append(refusal.status)

        for timeout_s in (0.001, 0.004, 0.016):
            async with trio.open_nursery() as nursery:
                for number in range(count):
                    node = ways.cluster.names[number % 3]
                    nursery.start_soon(send, number, node, timeout_s)
        assert set(ended) <= {"DEADLINE_EXCEEDED"}
        assert ended, "none ran out of time"
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(send, number, ways.cluster.names[(number + 1) % 3], 10)
        assert len(ended) <= 3 * count
        kept = (await ways.grpc("service", "cv.history", {"cv": cv})).result["events"]
        bodies = [event["data"]["body"] for event in kept if event["type"] == "msg"]
        assert sorted(bodies, key=int) == [str(number) for number in range(count)]


def _ev(said: dict[str, Any]) -> Ev:
    """An event, whichever way it was told."""
    return msgspec.convert({"op": "ev", **_as_in_json(said)}, Ev)


def _as_in_json(said: Any) -> Any:
    """Fields of a message as JSON has them: who did it as a list, and events with their name."""
    if isinstance(said, list):
        return [_as_in_json(one) for one in said]
    if not isinstance(said, dict):
        return said
    if said.keys() == {"kind", "id", "name"}:
        return [said["kind"], said["id"], said["name"]]
    found = {name: _as_in_json(one) if name != "data" else one for name, one in said.items()}
    return {"op": "ev", **found} if "ts" in said and "type" in said else found


async def _heard(
    hear: Callable[[int], Awaitable[list[Any]]], read: Callable[[Any], tuple[str, Any]]
) -> list[Ev]:
    """The events up to the one that says 5."""
    found: list[Ev] = []
    while not found or found[-1].data.get("body") != "5":
        (one,) = await hear(1)
        name, said = read(one)
        if name == "ev":
            found.append(said if isinstance(said, Ev) else _ev(said))
    return found
