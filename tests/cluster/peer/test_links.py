"""Links over real sockets on loopback."""

import os
from typing import Any

import pytest
import trio

from cluster.peer.frames import LENGTH, FrameReader, encode
from cluster.peer.handshake import Self
from cluster.peer.links import Address, Links


class Node:
    def __init__(self, name: str, listen: Address, peers: dict[str, Address], **kw: Any) -> None:
        self.frames: list[tuple[str, str, Any]] = []
        self.lost: list[str] = []
        self.links = Links(
            Self(kw.get("cluster", "acme"), name, f"boot-{name}", kw.get("key", b"k" * 32)),
            listen,
            peers,
            on_frame=lambda *frame: self.frames.append(frame),
            on_lost=self.lost.append,
        )


async def free_address() -> Address:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    host, port = listener.socket.getsockname()
    await listener.aclose()
    return host, port


async def until(condition: Any) -> None:
    with trio.fail_after(10):
        while not condition():
            await trio.sleep(0.01)


@pytest.fixture
async def addresses() -> dict[str, Address]:
    return {"n1": await free_address(), "n2": await free_address()}


async def test_frames_arrive_in_order_with_the_name_of_who_sent_them(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: one.links.connected("n2"))
    for number in range(100):
        one.links.send("n2", encode("raft", {"number": number}))
    await until(lambda: len(two.frames) == 100)
    assert two.frames == [("n1", "raft", {"number": number}) for number in range(100)]
    assert one.links.statistics()["n2"].dropped_total == 0


async def test_a_peer_that_goes_away_is_reported_lost_and_dialled_again(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    await nursery.start(one.links.run)
    await until(lambda: one.lost)
    one.links.send("n2", encode("raft", {}))
    assert one.links.statistics()["n2"].dropped_total == 1
    for _ in range(2):
        two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
        async with trio.open_nursery() as life:
            await life.start(two.links.run)
            await until(lambda: one.links.connected("n2"))
            one.lost.clear()
            life.cancel_scope.cancel()
        await until(lambda: one.lost)
        assert not one.links.connected("n2")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"cluster": "other"}, "cluster"), ({"key": b"x" * 32}, "keys differ")],
)
async def test_a_stranger_is_refused_and_told_why(
    addresses: dict[str, Address], nursery: trio.Nursery, change: dict[str, Any], words: str
) -> None:
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]}, **change)
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: words in one.links.statistics()["n2"].refused)
    assert not one.frames
    assert not two.frames


async def test_garbage_on_the_port_is_refused_and_the_node_lives_on(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    await nursery.start(one.links.run)
    for blob in (
        os.urandom(3000),
        b"GET / HTTP/1.1\r\n\r\n",
        LENGTH.pack(2**31) + b"x",
        encode("hello", {"magic": "unidesk-peer", "version": 99}),
        encode("proof", {}),
        encode("hello", {"deep": [[[[]]]]}) + encode("hello", 1),
    ):
        stream = await trio.open_tcp_stream(*addresses["n1"])
        async with stream:
            await stream.send_all(blob)
            reader = FrameReader()
            with trio.fail_after(5):
                said = []
                try:
                    while data := await stream.receive_some():
                        said += reader.feed(data)
                except trio.BrokenResourceError:
                    pass  # a reset, for bytes that were left unread
            assert all(kind == "refused" for kind, _ in said)
    assert not one.frames
    stream = await trio.open_tcp_stream(*addresses["n1"])
    await stream.aclose()
