"""Real nodes that go on in other processes while people talk."""

import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme
from wsproto.events import TextMessage

from node.auth import mint
from node.client import Address
from node.client.http import get
from node.config_file import load
from node.handover.control import NAME, connect
from node.local import UNLIMITED, LocalCluster
from node.local.process import NodeProcess
from node.replay.run import Plan, Replay
from tests.node.edge.test_frame import masked
from tests.node.handover.talking import talking
from tests.node.replay.test_run import DIALOGUE
from tests.node.server.raw import Raw
from tests.node.server.test_start import write_config

UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: desk\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
pytestmark = pytest.mark.process


@pytest.mark.slow
async def test_nodes_are_upgraded_in_turn_and_no_socket_is_closed(tmp_path: Path) -> None:
    plan = Plan([DIALOGUE], 24, concurrency=6, upgrade_every_s=0.1, pace_s=0.4)
    await replay(plan, tmp_path, upgrades_min=1)


@pytest.mark.slow
@pytest.mark.soak
async def test_upgrade_after_upgrade_for_minutes(tmp_path: Path) -> None:
    plan = Plan([DIALOGUE], 150, concurrency=6, upgrade_every_s=0.5, pace_s=0.5)
    await replay(plan, tmp_path, upgrades_min=3)  # the leader among them


async def replay(plan: Plan, folder: Path, *, upgrades_min: int) -> None:
    report = await Replay(plan, tell=lambda _: None, progress=lambda _: None).run(folder)

    assert report.good, report.to_json()
    assert report.messages_acknowledged == plan.conversations * len(DIALOGUE.turns)
    assert report.upgrades >= upgrades_min
    assert report.reconnects == 0
    assert report.handovers == 0  # nobody lost a conversation


@pytest.mark.slow
async def test_a_node_alone_is_upgraded_twice_in_a_row(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1) as cluster, talking(cluster, "n1"):
        before = await cluster.status_of("n1")
        pids = {cluster.pid("n1")}
        for _ in range(2):
            told = await cluster.upgrade("n1")
            assert told["done"], told
            pids.add(cluster.pid("n1"))
        assert len(pids) == 3
        after = await cluster.status_of("n1")
        assert before is not None
        assert after is not None
        assert after.pid == cluster.pid("n1")


@pytest.mark.slow
async def test_what_cannot_change_in_an_upgrade_is_refused_by_name(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1) as cluster, talking(cluster, "n1"):
        pid, config = cluster.pid("n1"), cluster.folder.config("n1")
        whole = config.read_text()
        host, port = cluster.address("n1").host, cluster.address("n1").port
        config.write_text(whole.replace(f'"{host}:{port}"', f'"{host}:1"', 1))
        assert config.read_text() != whole
        told = await cluster.upgrade("n1")
        assert told["refused"]
        assert "[client] listen" in told["text"]
        config.write_text("[node")
        told_lines = await cluster.process("n1").upgrade()
        assert told_lines.returncode == 2
        config.write_text(whole)
        assert cluster.pid("n1") == pid


async def test_garbage_at_the_door_is_answered_and_harms_nothing(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1) as cluster, talking(cluster, "n1"):
        data = load(cluster.folder.config("n1")).node.data
        assert (data / NAME).stat().st_mode & 0o777 == 0o600
        for garbage in (
            b"\n",
            b"\xff\xfe\n",
            b'{"ask": "upgrade"}\n',
            b"[" * 9_000 + b"\n",
            b"x" * 20_000,
        ):
            with connect(data) as handle:
                handle.settimeout(30)
                handle.sendall(garbage)
                handle.shutdown(socket.SHUT_WR)
                answer = await trio.to_thread.run_sync(handle.recv, 4096)
            assert json.loads(answer)["refused"], answer
        asked = {"ask": "upgrade", "python": "/nowhere/python", "root": "/", "config": "/none"}
        with connect(data) as handle:
            handle.settimeout(30)
            handle.sendall(json.dumps(asked).encode() + b"\n")
            answer = await trio.to_thread.run_sync(handle.recv, 4096)
        assert "cannot be started" in json.loads(answer)["text"]


async def read_until(stream: trio.SocketStream, words: bytes) -> bytes:
    data = b""
    with trio.fail_after(60):
        while words not in data:
            more = await stream.receive_some()
            assert more, f"hung up after {data!r}"
            data += more
    return data


async def test_whatever_a_socket_is_in_the_middle_of_goes_on(tmp_path: Path) -> None:
    """Half a frame, half a head, an event stream, an agent with an offer; a body is waited for.

    A machine that looks is answered all the time, in the end by the new process.
    """
    async with LocalCluster(tmp_path, nodes=1, observe=True) as cluster, looking(cluster):
        address = cluster.address("n1")
        half = await Raw.connect(address)
        token = cluster.mint("visitor", "ada")
        await half.say({"op": "hello", "ver": "1", "token": token})
        await half.until(op="welcome")
        frame = half.protocol.send(TextMessage(json.dumps({"op": "cv.open", "id": 7, "key": "k"})))
        await half.send_bytes(frame[:9])

        agent = await Raw.connect(address)
        token = cluster.mint("agent", "bea", capacity=2)
        await agent.say({"op": "hello", "ver": "1", "token": token})
        await agent.until(op="welcome")
        await agent.say({"op": "status.set", "id": 1, "status": "online"})
        await agent.until(op="ok", id=1)

        feed = await trio.open_tcp_stream(address.host, address.port)
        listen = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        await feed.send_all(listen.encode())
        await read_until(feed, b"event: welcome")

        asking = await trio.open_tcp_stream(address.host, address.port)
        ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        await asking.send_all(ask + ask[:12])
        await read_until(asking, b"\r\n\r\n")

        told = await cluster.upgrade("n1")
        assert told["done"], told
        await half.send_bytes(frame[9:])
        opened = await half.until(op="ok", id=7)
        await half.until(op="ev", cv=opened["r"]["cv"], seq=1)
        offer = await agent.until(op="offer")
        await read_until(feed, b"event: offer")
        await agent.say({"op": "offer.accept", "id": 2, "oid": offer["oid"], "key": "a"})
        await agent.until(op="ok", id=2)
        await read_until(feed, b"event: ev")
        await asking.send_all(ask[12:])
        await read_until(asking, b"\r\n\r\n")
        assert not [one for one in agent.heard if one["op"] == "bye"]
        log = cluster.folder.log("n1").read_text()
        assert "session opened again" not in log
        for one in (half.stream, agent.stream, feed, asking):
            await one.aclose()


@asynccontextmanager
async def looking(cluster: LocalCluster) -> AsyncIterator[None]:
    """Probe again and again, each time by another connection; none is refused."""
    there = cluster.observe_address("n1")
    pids: list[int] = []

    async def look() -> None:
        while True:
            page = await get(there, "/cluster", timeout_s=30)
            assert page.status == 200
            pids.append(json.loads(page.body)["pid"])
            await trio.sleep(0.01)

    before = cluster.pid("n1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        yield
        while pids[-1] != cluster.pid("n1"):
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert pids[0] == before != pids[-1]


@pytest.mark.slow
async def test_the_next_process_may_open_an_address_for_machines(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1) as cluster, talking(cluster, "n1"):
        config = cluster.folder.config("n1")
        whole = config.read_text()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            text = whole + '[observe]\nlisten = "{}:{}"\n'.format(*taken.getsockname())
            config.write_text(text)
            told = await cluster.upgrade("n1")
            assert told["refused"]
            assert "the port is taken" in told["text"]
            there = Address.parse("http://{}:{}".format(*taken.getsockname()))
        assert (await cluster.upgrade("n1"))["done"]
        assert (await get(there, "/readyz", timeout_s=30)).text == "ok\n"
        config.write_text(whole)
        told = await cluster.upgrade("n1")
        assert "[observe] listen" in told["text"]


@pytest.mark.slow
async def test_within_tls_clients_are_told_to_come_back_and_do(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    path = write_config(tmp_path)
    text = path.read_text().replace("ws://", "wss://")
    path.write_text(text + '[client.tls]\ncert = "both.pem"\nkey = "both.pem"\n')
    config = load(path)
    port = config.client.listen[1]
    token = mint(config.cluster.key, config.cluster.id, role="visitor", subject="ada", ttl_s=600)
    hello = masked(0x81, json.dumps({"op": "hello", "ver": "1", "token": token}).encode())
    context = ssl.create_default_context()
    authority.configure_trust(context)
    node = NodeProcess("n1", path, tmp_path / "log")
    node.start()
    try:

        async def come_in() -> trio.SSLStream[trio.SocketStream]:
            """Connect until there is a welcome; a node that starts says goodbye."""
            while True:
                with contextlib.suppress(OSError, trio.BrokenResourceError):
                    stream = await trio.open_ssl_over_tcp_stream(
                        "127.0.0.1", port, ssl_context=context
                    )
                    await stream.send_all(UPGRADE + hello)
                    heard = b""
                    while more := await stream.receive_some():
                        heard += more
                        if b'"welcome"' in heard:
                            return stream
                        if b'"bye"' in heard:
                            break
                    await trio.aclose_forcefully(stream)
                await trio.sleep(0.1)

        with trio.fail_after(60):
            stream = await come_in()
        heard = bytearray()

        async def hear() -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                while more := await stream.receive_some():
                    heard.extend(more)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            assert (await node.upgrade()).returncode == 0
        assert b'"code":4001' in heard
        with trio.fail_after(60):
            again = await come_in()
        await trio.aclose_forcefully(stream)
        await trio.aclose_forcefully(again)
    finally:
        with trio.CancelScope(shield=True):
            await node.stop(timeout_s=6)


@pytest.mark.slow
async def test_a_node_with_workers_says_what_to_do_instead(tmp_path: Path) -> None:
    sections = {"node": {"workers": 1}}
    async with LocalCluster(tmp_path, nodes=1, sections=sections) as cluster:
        told = await cluster.upgrade("n1")
        assert told["refused"]
        assert "one after the other" in told["text"]


@pytest.mark.slow
async def test_nobody_is_turned_away_and_no_call_fails_meanwhile(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, nodes=1, sections=UNLIMITED) as cluster:
        address, done = cluster.address("n1"), trio.Event()
        token = cluster.mint("service", "shop")
        answered: list[str] = []

        async def call(number: str) -> None:
            """Open a conversation by a request on a connection of its own."""
            body = b'{"text": "hi"}'
            head = (
                f"POST /v1/op/cv.open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                f"Idempotency-Key: k{number}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            async with await trio.open_tcp_stream(address.host, address.port) as stream:
                await stream.send_all(head.encode() + body)
                answer = await read_until(stream, b'"cv":')
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            answered.append(number)

        async def call_on_and_on(who: int) -> None:
            number = 0
            while not done.is_set():
                number += 1
                await call(f"{who}-{number}")
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            for who in range(3):
                nursery.start_soon(call_on_and_on, who)
            await trio.sleep(0.5)
            told = await cluster.upgrade("n1")
            await trio.sleep(0.5)
            done.set()
        assert told["done"], told
        status = await cluster.status_of("n1")
        assert status is not None
        assert status.counts["conversations"] == len(answered) == len(set(answered))
