"""Desks with clients that have no sockets: what they send and hear are frames all the same."""

import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
import trio

from cluster.state import commands
from cluster.state.commands import SYSTEM, ApplyRules
from cluster.state.route import Queue, Route, Step
from node.auth import mint
from node.config import ClientConfig, ClusterConfig, Config, MemberConfig, NodeConfig, PeerConfig
from node.desk.application import Desk
from node.desk.session import Session
from node.edge.connection import Connection
from node.edge.http import Request
from node.protocol import catalogue as ops
from node.protocol.catalogue import Err, Ev, Ok, Push, Reply, Role, Welcome
from node.protocol.codec import BY_SUBPROTOCOL, Codec
from tests.node.desk.port import Cluster, DeskPort

KEY = b"sixteen bytes ok"
CLUSTER = "demo"
JSON, MSGPACK = "unidesk.v1+json", "unidesk.v1+msgpack"
P = TypeVar("P", bound=Push | Reply)


def config_of(node_id: str, node_ids: tuple[str, ...], **more: Any) -> Config:
    """The configuration of one node of a test cluster."""
    members = {
        one: MemberConfig(one, ("127.0.0.1", 7200 + number), f"ws://{one}/v1/ws")
        for number, one in enumerate(node_ids, start=1)
    }
    return Config(
        cluster=ClusterConfig(CLUSTER, KEY),
        node=NodeConfig(node_id, Path("/nowhere")),
        client=ClientConfig(("127.0.0.1", 7100), members[node_id].url),
        peer=PeerConfig(members[node_id].peer),
        nodes=members,
        **more,
    )


def token(role: Role, subject: str, *, ttl_s: int = 3600, **more: Any) -> str:
    return mint(KEY, CLUSTER, role=role, subject=subject, ttl_s=ttl_s, **more)


def check_result(operation: type[ops.Request], result: dict[str, Any]) -> None:
    """A reply holds what the catalogue says, and nothing else."""
    kind = ops.RESULTS[operation]
    msgspec.convert(result, kind)
    _check_known(result, kind)


def _check_known(value: Any, kind: Any) -> None:
    """No map has a key that its type does not know; `omit_defaults` hides none."""
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        assert value.keys() <= fields.keys(), value.keys() - fields.keys()
        for key, inner in value.items():
            _check_known(inner, fields[key])
    elif isinstance(value, list) and get_origin(kind) is list:
        for inner in value:
            _check_known(inner, get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            if isinstance(one, type) and issubclass(one, msgspec.Struct):
                _check_known(value, one)


class Wire:
    """The client's end of a connection: hears what the desk sends, as bytes."""

    def __init__(self, subprotocol: str) -> None:
        self.subprotocol = subprotocol
        self.codec: Codec = BY_SUBPROTOCOL[subprotocol]
        self.data: object | None = None
        self.peer = "127.0.0.1:9"
        self.outbox_bytes = 0
        self.frames: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.rests = 0

    @property
    def open(self) -> bool:
        return self.closed is None

    def send_frame(self, data: bytes, *, ephemeral: bool = False) -> None:
        if self.closed is None:
            self.frames.append(data)

    def close(self, code: int, reason: str = "") -> None:
        if self.closed is None:
            self.closed = (code, reason)

    def defer(self, deferred: bool) -> None:
        """Nobody else is served here."""

    def rest(self, seconds: float) -> None:
        self.rests += 1

    def messages(self) -> Iterator[Reply | Push]:
        for frame in self.frames:
            yield from self.codec.server_messages(_payload(frame))


class Client:
    """Somebody at a desk."""

    def __init__(self, desk: Desk, subprotocol: str = JSON, *, origin: str = "") -> None:
        self.desk = desk
        self.wire = Wire(subprotocol)
        self.connection = cast("Connection", self.wire)
        self.sent = 0
        self.left = False
        headers = ((b"origin", origin.encode()),) if origin else ()
        desk.on_open(self.connection, Request("GET", "/v1/ws", "", headers, b"", self.wire.peer))

    # -- saying

    def say(self, *requests: Any) -> None:
        """Send requests as one frame: a map, or an array of several."""
        value = requests[0] if len(requests) == 1 else list(requests)
        self.say_bytes(self.wire.codec.encode(value))

    def say_bytes(self, payload: bytes) -> None:
        self.desk.on_message(self.connection, payload, self.wire.codec.text)

    def ask(self, request: ops.Request) -> int:
        """Send a request with a number of its own; return that."""
        self.sent += 1
        request.id = self.sent
        self.say(request)
        return self.sent

    def leave(self, code: int = 1006) -> None:
        """Close, or break, the connection."""
        if not self.left:
            self.left = True
            self.wire.close(code)
            self.desk.on_close(self.connection, code)

    def hang_up(self) -> None:
        """Do what the edge does after the desk closed: report the end."""
        assert self.wire.closed is not None
        self.leave(self.wire.closed[0])

    # -- hearing

    def heard(self, kind: type[P]) -> list[P]:
        """Everything of one kind, in order."""
        return [message for message in self.wire.messages() if isinstance(message, kind)]

    def all(self) -> list[Reply | Push]:
        return list(self.wire.messages())

    def forget(self) -> None:
        """Clear what was heard so far."""
        self.wire.frames.clear()

    def events(self, cv: str) -> list[Ev]:
        return [event for event in self.heard(Ev) if event.cv == cv]

    def seqs(self, cv: str) -> list[int]:
        return [event.seq for event in self.events(cv)]

    def answer(self, number: int) -> Ok | Err:
        """The one answer to request `number`."""
        found = [reply for reply in self.heard(Reply) if reply.id == number]
        assert len(found) == 1, (number, self.all())
        reply = found[0]
        assert isinstance(reply, Ok | Err)
        return reply

    async def answered(self, request: ops.Request) -> Ok | Err:
        number = self.ask(request)
        await settle()
        return self.answer(number)

    async def ok(self, request: ops.Request) -> dict[str, Any]:
        """Ask; the answer must be yes."""
        reply = await self.answered(request)
        assert isinstance(reply, Ok), reply
        check_result(type(request), reply.r)
        return reply.r

    async def err(self, request: ops.Request) -> Err:
        """Ask; the answer must be no."""
        reply = await self.answered(request)
        assert isinstance(reply, Err), reply
        return reply

    async def hello(
        self, role: Role, subject: str, *, resume: ops.Resume | None = None, **more: Any
    ) -> Welcome:
        self.say(ops.Hello(ver="1", token=token(role, subject, **more), resume=resume))
        await settle()
        (welcome,) = self.heard(Welcome)
        return welcome

    @property
    def session(self) -> Session:
        assert isinstance(self.wire.data, Session)
        return self.wire.data


class Office:
    """A cluster with a desk on every node."""

    def __init__(self, cluster: Cluster, desks: dict[str, Desk]) -> None:
        self.cluster = cluster
        self.desks = desks
        self.keys = 0

    def port(self, node: str = "n1") -> DeskPort:
        return self.cluster.ports[node]

    def client(self, node: str = "n1", subprotocol: str = JSON, *, origin: str = "") -> Client:
        return Client(self.desks[node], subprotocol, origin=origin)

    async def visitor(self, subject: str = "v1", node: str = "n1", **more: Any) -> Client:
        client = self.client(node, more.pop("subprotocol", JSON))
        await client.hello("visitor", subject, name="Vera", **more)
        return client

    async def agent(self, subject: str = "a1", node: str = "n1", **more: Any) -> Client:
        client = self.client(node, more.pop("subprotocol", JSON))
        await client.hello("agent", subject, name="Ann", capacity=5, **more)
        if client.wire.open:
            await client.ok(ops.StatusSet(status="online"))
        return client

    async def staff(self, role: Role, node: str = "n1") -> Client:
        client = self.client(node)
        await client.hello(role, f"{role}-1", name=role.title())
        return client

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    async def opened(self, visitor: Client, text: str = "hi") -> str:
        """Let a visitor open a conversation; return its id."""
        result = await visitor.ok(ops.CvOpen(key=self.key(), text=text, tags={"arpu": 1}))
        return str(result["cv"])

    def routed(self, cv: str, queue: str = "general") -> None:
        """Do the router's part."""
        if self.port().state.rules is None:
            self.cluster.do(
                ApplyRules(
                    SYSTEM, {"main.toml": ""}, {"general": Queue(20_000), "vip": Queue(20_000)}
                )
            )
        rev = self.port().state.rules
        assert rev is not None
        route = Route((Step(queue, 10),), "everything", rev.rev)
        self.cluster.do(commands.RouteConversation(cv, route))

    def offered(self, cv: str, agent: str = "a1") -> str:
        """Do the dispatcher's part; return the offer."""
        oid = f"01ARZ3NDEKTSV4RRFFQ69G{len(self.cluster.entries):04d}"
        self.cluster.do(commands.MakeOffer(oid, cv, agent, 20_000))
        return oid

    async def assigned(self, cv: str, agent: Client, agent_id: str = "a1") -> int:
        """Route, offer and accept; return the fence."""
        if self.port().state.conversations[cv].state == "new":
            self.routed(cv)
        oid = self.offered(cv, agent_id)
        result = await agent.ok(ops.OfferAccept(oid=oid, key=self.key()))
        return int(result["fence"])


@asynccontextmanager
async def office(*node_ids: str, **more: Any) -> AsyncIterator[Office]:
    """Run a desk on every node; `more` is of their configuration."""
    cluster = Cluster(node_ids or ("n1", "n2"))
    started = trio.current_time()
    wall = time.time()

    def clock_ms() -> int:
        return int((wall + trio.current_time() - started) * 1000)

    async with trio.open_nursery() as nursery:
        desks = {}
        for number, (node_id, port) in enumerate(cluster.ports.items()):
            desks[node_id] = Desk(
                port,
                config_of(node_id, cluster.node_ids, **more),
                clock_ms=clock_ms,
                random_bytes=random.Random(number).randbytes,
                rng=random.Random(number),
            )
            await nursery.start(desks[node_id].run)
        yield Office(cluster, desks)
        nursery.cancel_scope.cancel()


async def settle() -> None:
    """Let every task that can run do so."""
    await trio.testing.wait_all_tasks_blocked()


def _payload(frame: bytes) -> bytes:
    """What is in one unmasked WebSocket frame."""
    length = frame[1]
    if length < 126:
        return frame[2:]
    return frame[4:] if length == 126 else frame[10:]
