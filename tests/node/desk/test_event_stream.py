"""Events by HTTP: a session that listens, told the same as a WebSocket, and resumed anywhere."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from cluster.port import Unavailable
from node.desk.event_stream import PATH, Listening, read_place
from node.desk.plain import NotAllowed
from node.protocol import catalogue as ops
from node.protocol.catalogue import OfferPush, Role
from tests.node.desk.office import office, token
from tests.node.desk.test_calls import Caller
from tests.node.desk.test_over_sockets import listening
from tests.node.rpc.caller import callers, speaking


@dataclass
class Told:
    """One server-sent event."""

    name: str
    data: dict[str, Any]
    id: str


class Listener:
    """A client of `GET /v1/events` on a real socket; parses as WHATWG HTML 9.2.6 says."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._text = b""
        self.place = ""
        self.status = 0
        self.body = b""

    async def ask(self, bearer: str, query: str = "", place: str = "", method: str = "GET") -> None:
        lines = [
            f"{method} {PATH}{query} HTTP/1.1",
            "Host: desk",
            f"Authorization: Bearer {bearer}",
        ]
        if place:
            lines.append(f"Last-Event-ID: {place}")
        await self._stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += await self._stream.receive_some(4096)
        head, _, self._text = head.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])

    async def hear(self, count: int) -> list[Told]:
        with trio.fail_after(30):
            return [await self._next() for _ in range(count)]

    async def until(self, name: str) -> list[Told]:
        told = await self.hear(1)
        while told[-1].name != name:
            told += await self.hear(1)
        return told

    async def end(self) -> None:
        """The answer is over."""
        with trio.fail_after(30):
            while more := await self._stream.receive_some(4096):
                self._text += more

    async def _next(self) -> Told:
        while True:
            while b"\n\n" not in self._text:
                more = await self._stream.receive_some(4096)
                assert more, "the stream ended"
                self._text += more
            block, _, self._text = self._text.partition(b"\n\n")
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n"))
            self.place = fields.get("id", self.place)
            if "data" in fields:
                return Told(fields["event"], json.loads(fields["data"]), self.place)


@asynccontextmanager
async def listener(
    port: int, role: Role, subject: str, query: str = "", place: str = "", **more: Any
) -> AsyncIterator[Listener]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        one = Listener(stream)
        await one.ask(token(role, subject, **more), query, place)
        yield one


async def test_who_listens_is_told_what_is_done_by_websocket_and_by_http() -> None:
    async with (
        office() as desk,
        listening(desk.desks["n1"]) as port,
        listener(port, "service", "crm") as ear,
    ):
        assert ear.status == 200
        (welcome,) = await ear.hear(1)
        assert (welcome.name, welcome.data["you"]["id"]) == ("welcome", "crm")
        cv = (await Caller(port).call("cv.open", {"key": "k", "text": "hi"})).body["cv"]
        boss = await desk.staff("supervisor")
        await boss.ok(ops.MsgSend(cv=cv, key="b", body="hello"))
        told = [one for one in await ear.hear(4) if one.name == "ev"]
        assert [one.data["seq"] for one in told] == [1, 2, 3]
        assert told[-1].data["data"]["body"] == "hello"
        assert told[-1].id == f"{welcome.data['sid']}.{cv}:3"


async def test_a_stream_goes_on_at_another_node_where_it_broke() -> None:
    async with (
        office() as desk,
        listening(desk.desks["n1"]) as first,
        listening(desk.desks["n2"]) as second,
    ):
        visitor = await desk.visitor("v1")
        cv = await desk.opened(visitor)
        async with listener(first, "visitor", "v1") as ear:
            told = await ear.until("caught")
            assert [one.data["seq"] for one in told if one.name == "ev"] == [1, 2]
            place = ear.place
        await visitor.ok(ops.MsgSend(cv=cv, key="m1", body="unheard"))
        async with listener(second, "visitor", "v1", place=place) as ear:
            welcome, said, caught = await ear.hear(3)
            assert welcome.data["resumed"]
            assert welcome.data["node"] == "n2"
            assert (said.data["seq"], said.data["data"]["body"]) == (3, "unheard")
            assert (caught.name, caught.data["seq"]) == ("caught", 3)
            await visitor.ok(ops.MsgSend(cv=cv, key="m2", body="heard"))
            assert (await ear.hear(1))[0].data["seq"] == 4


async def test_conversations_are_asked_for_by_the_query_and_refused_by_number() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        query = f"?cv={cv}&cv=01J00000000000000000000000&cv={cv}"
        async with listener(port, "supervisor", "s1", query) as ear:
            told = await ear.until("err")
            assert [one.data["seq"] for one in told if one.name == "ev"] == [1, 2]
            assert (told[-1].data["id"], told[-1].data["code"]) == (2, "not_found")
            assert [one.data["id"] for one in told if one.name == "ok"] == [1]
            place = ear.place
        async with listener(port, "supervisor", "s1", query, place) as ear:
            told = await ear.until("err")
            assert not [one for one in told if one.name in ("ev", "ok")]


async def test_what_is_a_clients_own_is_told_once_though_it_is_asked_for() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        visitor = await desk.visitor("v1")
        cv = await desk.opened(visitor)
        async with listener(port, "visitor", "v1", f"?cv={cv}") as ear:
            told = await ear.until("ok")
            assert told[-1].data == {"op": "ok", "id": 1, "r": {"seq": 2}}
            await visitor.ok(ops.MsgSend(cv=cv, key="m1", body="next"))
            told += await ear.hear(1)
        assert [one.data["seq"] for one in told if one.name == "ev"] == [1, 2, 3]


async def test_every_place_from_the_first_on_speaks_of_all_that_the_client_has() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        visitor = await desk.visitor("v1")
        cvs = [await desk.opened(visitor) for _ in range(3)]
        async with listener(port, "visitor", "v1") as ear:
            for _ in cvs:
                await ear.until("caught")
            before = ear.place.partition(".")[2]
        await visitor.ok(ops.MsgSend(cv=cvs[1], key="m1", body="unheard"))
        async with listener(port, "visitor", "v1", place=f"S.{before}") as ear:
            (welcome,) = await ear.hear(1)
            assert sorted(welcome.id.split(".")[1:]) == sorted(before.split("."))


async def test_a_client_that_is_sent_away_before_its_welcome_keeps_its_place() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        visitor = await desk.visitor("v1")
        cv = await desk.opened(visitor)
        desk.port().unavailable = Unavailable("timeout", "no quorum confirmed a read in time")
        async with listener(port, "visitor", "v1", place=f"S.{cv}:1") as ear:
            ear.place = "what it was"
            (*_, bye) = await ear.until("bye")
            assert (bye.data["code"], bye.id) == (4009, "what it was")


async def test_what_is_closed_and_told_makes_room_and_too_much_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Listening, "follows_max", 3)
    async with (
        office() as desk,
        listening(desk.desks["n1"]) as port,
        listener(port, "service", "crm") as ear,
    ):
        caller = Caller(port)

        async def opened(key: str) -> str:
            cv: str = (await caller.call("cv.open", {"key": key})).body["cv"]
            return cv

        old = await opened("o0")
        await caller.call("cv.close", {"cv": old, "key": "c"})
        newer = [await opened(f"o{number}") for number in range(1, 4)]
        while newer[-1] not in ear.place:
            await ear.hear(1)
        assert [part.split(":")[0] for part in ear.place.split(".")[1:]] == newer
        await opened("o4")
        (*_, bye) = await ear.until("bye")
        assert (bye.data["code"], "over 3 open" in bye.data["reason"]) == (4104, True)


async def test_an_agent_who_listens_is_there_and_hears_of_offers() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        visitor = await desk.visitor()
        cv = await desk.opened(visitor)
        ann = Caller(port, "agent", "a1")
        async with listener(port, "agent", "a1", name="Ann") as ear:
            (welcome,) = await ear.until("welcome")
            sid, place = welcome.data["sid"], ear.place
            assert desk.port().state.sessions[sid].agent == "a1"
            assert (await ann.call("status.set", {"status": "online"})).status == 200
            desk.routed(cv)
            oid = desk.offered(cv)
            (*_, offer) = await ear.until(str(OfferPush.__struct_config__.tag))
            assert offer.data["oid"] == oid
            accepted = await ann.call("offer.accept", {"oid": oid, "key": "o"})
            assert accepted.status == 200
            assert (await ear.until("caught"))[-1].data["cv"] == cv
        with trio.fail_after(30):
            while not desk.port().state.sessions[sid].lost_ms:
                await trio.sleep(0.01)
        async with listener(port, "agent", "a1", place=place) as ear:
            (welcome,) = await ear.until("welcome")
            assert welcome.data["sid"] == sid


async def test_a_stream_says_goodbye_when_the_node_does() -> None:
    async with (
        office() as desk,
        listening(desk.desks["n1"]) as port,
        listener(port, "visitor", "v1") as ear,
        trio.open_nursery() as nursery,
    ):
        await ear.until("welcome")
        nursery.start_soon(desk.desks["n1"].drain, 1.0)
        (*_, bye) = await ear.until("bye")
        assert bye.data["code"] == 4001
        assert bye.data["resume"]
        await ear.end()


@pytest.mark.parametrize(
    ("query", "place", "words"),
    [
        ("?cv", "", "query: "),
        ("?token=x", "", "only cv=ID"),
        ("?" + "&".join(f"cv={number}" for number in range(65)), "", "at most 64"),
        ("", "nonsense." * 3, "Last-Event-ID"),
        ("", "s.cv:-1", "Last-Event-ID"),
        ("", "s.cv:" + "9" * 16, "Last-Event-ID"),
        ("", "s" * 27, "Last-Event-ID"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_before_the_stream(
    query: str, place: str, words: str
) -> None:
    async with (
        office() as desk,
        listening(desk.desks["n1"]) as port,
        listener(port, "visitor", "v1", query, place) as ear,
    ):
        assert ear.status == 400
        while b"}" not in ear._text:
            ear._text += await ear._stream.receive_some(4096)
        assert words in json.loads(ear._text)["msg"]


async def test_only_who_proves_who_they_are_may_listen_and_only_by_get() -> None:
    async with office() as desk, listening(desk.desks["n1"]) as port:
        for bearer, method, status in (
            ("nonsense", "GET", 401),
            (token("visitor", "v", ttl_s=-60), "GET", 401),
            (token("visitor", "v"), "POST", 405),
            (token("visitor", "v"), "HEAD", 405),
        ):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                ear = Listener(stream)
                await ear.ask(bearer, method=method)
                assert ear.status == status
        desk.port().stand("fenced")
        async with listener(port, "visitor", "v1") as ear:
            assert ear.status == 503


def test_a_place_is_read_as_it_is_written() -> None:
    assert read_place(None) is read_place(b"") is None
    found = read_place(b"01J0SID.01J0CV:7.01J0CW:0")
    assert found == ops.Resume(sid="01J0SID", cvs=[("01J0CV", 7), ("01J0CW", 0)])
    with pytest.raises(NotAllowed):
        read_place(b"s.\xb2:1")


async def test_who_listens_hears_places_viewers_statuses_and_alerts_too() -> None:
    """By events of HTTP and by gRPC, as by a WebSocket."""
    async with (
        office("n1") as desk,
        listening(desk.desks["n1"]) as port,
        speaking(desk.desks["n1"]) as rpc,
        listener(port, "visitor", "v1") as visitor_ear,
        listener(port, "supervisor", "sue") as boss_ear,
    ):
        of_visitor, of_boss = callers(rpc, token("visitor", "v1"), token("supervisor", "bo"))
        visitor_rpc, boss_rpc = of_visitor.listen(), of_boss.listen()
        for ear in (visitor_rpc, boss_rpc):
            await ear.until("welcome")
        cv = await desk.opened(await desk.visitor("v1"))
        desk.routed(cv)
        agent = await desk.agent("a1")
        told = await visitor_ear.until("queue")
        assert (told[-1].data["cv"], told[-1].data["pos"], told[-1].data["of"]) == (cv, 1, 1)
        name, said = (await visitor_rpc.until("queue"))[-1]
        assert (name, said["cv"], said["pos"]) == ("queue", cv, 1)
        assert (await boss_ear.until("presence"))[-1].data["who"] == "a1"
        assert (await boss_rpc.until("presence"))[-1][1]["who"] == "a1"
        await desk.assigned(cv, agent)
        async with listener(port, "agent", "a1") as agent_ear:
            viewers = (await agent_ear.until("viewers"))[-1].data
            assert [one["id"] for one in viewers["list"]] == ["a1"]
