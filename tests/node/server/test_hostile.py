"""Garbage on every port of real nodes: refused in words, and the node lives on."""

import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio

from cluster.peer.frames import LENGTH, FrameReader, encode
from node.auth import mint
from node.client import Address
from node.client.http import get
from node.config_file import load
from node.local import LocalCluster
from node.protocol.codes import Close
from tests.node.local.lasting import lasting
from tests.node.server.raw import Raw

pytestmark = pytest.mark.process

BLOBS = 60


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with lasting(tmp_path_factory.mktemp("desk")) as cluster:
        yield cluster


@pytest.fixture
async def cluster(living: LocalCluster) -> AsyncIterator[LocalCluster]:
    """Three nodes, which are none the worse for what a test did to them."""
    pids = {name: living.pid(name) for name in living.names}
    yield living
    assert {name: living.pid(name) for name in living.names} == pids
    for name in living.names:
        assert (await get(living.address(name), "/readyz", timeout_s=30)).status == 200, name
        log = living.folder.log(name).read_text()
        assert "Traceback" not in log, f"{name}: {log[-2000:]}"


def peer_port(cluster: LocalCluster, name: str) -> tuple[str, int]:
    return load(cluster.folder.config(name)).peer.listen


async def talk(host: str, port: int, data: bytes, *, half_close: bool = True) -> bytes:
    """Send `data` and return all that is said to it."""
    said = b""
    stream = await trio.open_tcp_stream(host, port)
    async with stream:
        try:
            with trio.fail_after(60):
                await stream.send_all(data)
                if half_close:
                    await stream.send_eof()
                while more := await stream.receive_some():
                    said += more
        except trio.BrokenResourceError:
            pass
    return said


def hello(token: str, **fields: Any) -> dict[str, Any]:
    return {"op": "hello", "ver": "1", "token": token} | fields


async def test_random_bytes_on_every_port_harm_nobody(cluster: LocalCluster) -> None:
    rng = random.Random(7)
    ports = [(cluster.address(n).host, cluster.address(n).port) for n in cluster.names]
    ports += [peer_port(cluster, n) for n in cluster.names]
    for host, port in ports:
        for _ in range(BLOBS):
            said = await talk(host, port, rng.randbytes(rng.randrange(1, 3000)))
            assert not said or said[:9] == b"HTTP/1.1 " or b"refused" in said


async def test_the_client_port_refuses_what_is_no_websocket_of_ours(cluster: LocalCluster) -> None:
    address = cluster.address("n1")
    for head, status in (
        (b"GET /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 4"),
        (b"GET /v1/ws HTTP/1.1\r\nHost: x\r\n", b""),  # half a head
        (b"GET / HTTP/1.1\nHost: x\n\n", b"HTTP/1.1 400"),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"HTTP/1.1 "),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 4"),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 404"),
        (b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", b"HTTP/1.1 4"),
    ):
        said = await talk(address.host, address.port, head)
        assert said.startswith(status), (head[:40], said[:200])
    async with await Raw.connect(address, ("mqtt",)) as raw:
        assert raw.status == 400


async def test_frames_that_are_not_of_the_protocol_close_with_their_code(
    cluster: LocalCluster,
) -> None:
    address = cluster.address("n2")
    visitor = cluster.mint("visitor", "ann")
    for first, code in (
        (["not json at all"], Close.BAD_FRAME),
        ([b"\x81\xa2op\xa5hello"], Close.BAD_FRAME),
        ([hello(visitor, ver="9")], Close.VERSION_UNSUPPORTED),
        ([hello("nonsense")], Close.UNAUTHORIZED),
        ([hello(mint(b"k" * 32, "other", role="visitor", subject="x", ttl_s=60))], 4103),
        ([hello(cluster.mint("visitor", "ann", ttl_s=-60))], Close.TOKEN_EXPIRED),
        ([hello(visitor), [{"op": "pong"}] * 65], Close.BAD_FRAME),
        ([hello(visitor), "[" * 50_000], Close.BAD_FRAME),
        ([hello(visitor), '{"op":"msg.send","body":' + "[" * 30_000], Close.BAD_FRAME),
        ([hello(visitor, lang="\ud800")], Close.BAD_FRAME),
        ([hello(visitor), {"op": "cv.get", "id": "7", "cv": "x"}], Close.BAD_FRAME),
        ([hello(visitor), {"op": "cv.get", "id": 1.5, "cv": "x"}], Close.BAD_FRAME),
        ([hello(visitor), "x" * 70_000], 1009),
        ([hello(visitor, resume={"sid": "s", "epoch": "", "cvs": [["a", 1.5]]})], Close.BAD_FRAME),
        ([hello(visitor, resume={"sid": "s", "epoch": "", "cvs": [["a", 1.5]]})], Close.BAD_FRAME),
    ):
        async with await Raw.connect(address) as raw:
            await raw.say(*first)
            assert await raw.until_closed() == code, (str(first)[:80], raw.heard)
        if code != 1009:
            bye = raw.heard[-1]
            assert bye["op"] == "bye"
            assert bye["reason"]


async def test_half_frames_and_broken_frames_end_one_connection_only(
    cluster: LocalCluster,
) -> None:
    address = cluster.address("n3")
    async with await Raw.connect(address) as good:
        await good.say(hello(cluster.mint("visitor", "ann")))
        await good.until(op="welcome")
        for frame, code in (
            (b"\x81\xfe\xff\xff", None),  # a length, and then nothing
            (b"\x81\x05hello", 1002),  # not masked
            (b"\xf1\x80\0\0\0\0", 1002),  # reserved bits
            (b"\x83\x80\0\0\0\0", 1002),  # unknown opcode
            (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009),
            (b"\x81\x82\0\0\0\0\xff\xfe", 1007),  # not UTF-8
        ):
            async with await Raw.connect(address) as raw:
                await raw.send_bytes(frame)
                assert code is None or await raw.until_closed() == code, frame
        await good.say({"op": "cv.open", "id": 1, "key": "k1", "text": "still here"})
        assert (await good.until(op="ok", id=1))["r"]["cv"]


async def test_requests_that_make_no_sense_are_answered_and_the_connection_goes_on(
    cluster: LocalCluster,
) -> None:
    async with await Raw.connect(cluster.address("n1")) as raw:
        await raw.say(hello(cluster.mint("visitor", "eve")))
        await raw.until(op="welcome")
        refusals: tuple[tuple[dict[str, object], str], ...] = (
            ({"op": "fly"}, "unknown_op"),
            ({"op": "msg.send"}, "bad_request"),
            ({"op": "msg.send", "cv": 7, "key": "k", "body": "x"}, "bad_request"),
            ({"op": "msg.send", "cv": "nowhere", "key": "k", "body": "x"}, "not_found"),
            ({"op": "cv.open", "key": "k" * 65}, "bad_request"),
            ({"op": "cv.open", "key": "k1", "text": "x" * 17_000}, "too_large"),
            ({"op": "cv.open", "key": "k2", "tags": {"deep": {"er": 1}}}, "bad_request"),
            ({"op": "offer.accept", "oid": "o", "key": "k4"}, "forbidden"),
            ({"op": "rules.apply", "files": {}}, "forbidden"),
            ({"op": "status.set", "status": "online"}, "forbidden"),
            ({"op": "cv.history", "cv": "nowhere"}, "not_found"),
        )
        for number, (request, code) in enumerate(refusals, start=1):
            await raw.say(request | {"id": number})
            answer = await raw.until(id=number)
            assert (answer["op"], answer.get("code")) == ("err", code), request
            assert answer["msg"]


async def test_a_stranger_on_the_peer_port_is_told_why(cluster: LocalCluster) -> None:
    host, port = peer_port(cluster, "n1")
    greeting = {"magic": "unidesk-peer", "version": 1, "cluster": "local", "node": "n2"}
    greeting |= {"to": "n1", "boot": "b", "address": "h:1", "nonce": b"n" * 16}
    for change, words in (
        ({"cluster": "foreign"}, "cluster 'foreign'"),
        ({"version": 99}, "peer protocol 99"),
        ({"address": 7}, "without: address"),
        ({"node": "n1"}, "a second node 'n1'"),
        ({"to": "n3"}, "looking for node 'n3'"),
    ):
        said = FrameReader().feed(await talk(host, port, encode("hello", greeting | change)))
        assert said[0][0] == "refused"
        assert words in said[0][1]
    wrong = encode("hello", greeting) + encode("proof", {"proof": b"x" * 32})
    assert b"refused" in await talk(host, port, wrong)
    assert b"frame of" in await talk(host, port, LENGTH.pack(2**31) + b"x" * 100)


async def test_an_address_without_a_node_is_named(cluster: LocalCluster) -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(Exception, match=str(port)):
        await get(Address.parse(f"ws://127.0.0.1:{port}/v1/ws"), "/readyz", timeout_s=30)
