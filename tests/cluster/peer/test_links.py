"""Links over real sockets on loopback."""

import os
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from cluster.peer import incoming, link, outgoing
from cluster.peer.address import Address, parse_address
from cluster.peer.frames import LENGTH, FrameReader, PeerRefused, encode
from cluster.peer.handshake import HELLO_BYTES_MAX
from tests.cluster.peer.linked import Node, pair, until


async def test_frames_arrive_in_order_with_the_name_of_who_sent_them(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one, two = await pair(addresses, nursery)
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


async def test_no_frame_is_written_to_a_descriptor_that_is_closed_already(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be another socket's by then, or a file's."""
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
    await nursery.start(one.links.run)
    async with trio.open_nursery() as life:
        await life.start(two.links.run)
        await until(lambda: one.links.connected("n2"))
        closed: list[int] = []
        close = trio.SocketStream.aclose

        async def aclose(stream: trio.SocketStream) -> None:
            closed.append(stream.socket.fileno())
            await close(stream)
            one.links.send("n2", encode("raft", {}))

        astray: list[int] = []

        def write(fd: int, frame: bytes) -> int:
            if fd in closed:
                astray.append(fd)
            return len(frame)

        monkeypatch.setattr(trio.SocketStream, "aclose", aclose)
        monkeypatch.setattr(link, "os", SimpleNamespace(write=write))
        life.cancel_scope.cancel()
    await until(lambda: not one.links.connected("n2"))
    assert closed
    assert not astray


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
            with trio.fail_after(30):
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


class Deaf:
    """Lets a peer in as a node does, then reads nothing."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.streams: list[trio.SocketStream] = []

    async def accept(self, stream: trio.SocketStream) -> None:
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
        await self._node.links._incoming._examine(
            stream, FrameReader(frame_bytes_max=HELLO_BYTES_MAX)
        )
        self.streams.append(stream)
        await trio.sleep_forever()

    async def run(self, address: Address, *, task_status: trio.TaskStatus[Any]) -> None:
        listeners = await trio.open_tcp_listeners(address[1], host=address[0])
        await trio.serve_listeners(self.accept, listeners, task_status=task_status)


async def test_a_peer_that_takes_nothing_is_hung_up_on_and_what_waits_is_bounded(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "SEND_S", 0.3)
    monkeypatch.setattr(link, "QUEUE_BYTES_MAX", 4_000_000)
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    deaf = Deaf(Node("n2", addresses["n2"], {"n1": addresses["n1"]}))
    await nursery.start(deaf.run, addresses["n2"])
    await nursery.start(one.links.run)
    await until(lambda: one.links.connected("n2"))
    frame = encode("raft", {"data": bytes(500_000)})
    for _ in range(40):
        one.links.send("n2", frame)
    now = one.links.statistics()["n2"]
    assert now.queued_bytes <= 4_000_000
    assert now.dropped_total > 0
    await until(lambda: one.links.statistics()["n2"].connects_total > 1)
    assert "TooSlow" in one.links._links["n2"].refused


async def test_a_peer_that_dies_while_much_waits_ends_the_link(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    deaf = Deaf(Node("n2", addresses["n2"], {"n1": addresses["n1"]}))
    await nursery.start(deaf.run, addresses["n2"])
    await nursery.start(one.links.run)
    await until(lambda: one.links.connected("n2"))
    for _ in range(40):
        one.links.send("n2", encode("raft", {"data": bytes(500_000)}))
    before = one.links.statistics()["n2"].connects_total
    await deaf.streams[0].aclose()
    await until(lambda: one.links.statistics()["n2"].connects_total > before)


async def test_more_connections_than_a_cluster_has_are_closed_at_once(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "ACCEPTED_MAX", 2)
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    await nursery.start(one.links.run)
    held = [await trio.open_tcp_stream(*addresses["n1"]) for _ in range(2)]
    await trio.sleep(0.05)
    surplus = await trio.open_tcp_stream(*addresses["n1"])
    with trio.fail_after(30):
        assert await surplus.receive_some() == b""
    for stream in (*held, surplus):
        await stream.aclose()


async def test_who_connects_and_says_nothing_is_hung_up_on(
    addresses: dict[str, Address], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "HANDSHAKE_S", 0.1)
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]})
    await nursery.start(one.links.run)
    silent = await trio.open_tcp_stream(*addresses["n1"])
    with trio.fail_after(30):
        assert await silent.receive_some() == b""
    await silent.aclose()


@pytest.mark.parametrize("text", ["", "n1", "n1:", ":7201", "n1:0", "n1:65536", "n1:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(PeerRefused, match="no host:port"):
        parse_address(text)


async def test_a_peer_that_speaks_no_sense_is_counted_dialled_more_rarely_and_disturbs_nobody(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    dialled = 0

    async def babble(stream: trio.SocketStream) -> None:
        nonlocal dialled
        dialled += 1
        with suppress(OSError, trio.BrokenResourceError):
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await stream.receive_some(1)

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, babble, [listener])
    bad: Address = listener.socket.getsockname()
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"], "n3": bad})
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]})
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: one.links.connected("n2"))
    await until(lambda: dialled >= 6)
    troubles = one.links.troubles()
    assert troubles.keys() == {"n3"}
    assert troubles["n3"].total >= 5
    assert troubles["n3"].pause_ms >= 200
    assert one.links.statistics()["n2"].connects_total == 1
    nursery.cancel_scope.cancel()


async def test_who_calls_and_speaks_no_sense_is_counted_by_address(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one = Node("n1", addresses["n1"], {})
    await nursery.start(one.links.run)
    async with await trio.open_tcp_stream(*addresses["n1"]) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        await until(one.links.troubles)
    assert one.links.troubles()["127.0.0.1"].total == 1
    nursery.cancel_scope.cancel()


async def test_a_link_that_is_reset_breaks_on_both_sides_and_comes_back(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    one, two = await pair(addresses, nursery)
    await until(lambda: one.links.connected("n2") and two.links.connected("n1"))
    one.links.reset("n9")  # whom it does not know
    before = one.links.statistics()["n2"].connects_total
    one.links.reset("n2")
    await until(lambda: one.links.statistics()["n2"].connects_total > before)
    await until(lambda: one.links.connected("n2"))
    one.links.send("n2", encode("raft", {"number": 1}))
    await until(lambda: two.frames)


async def test_a_wire_sees_every_frame_before_it_leaves_and_before_it_is_heard(
    addresses: dict[str, Address], nursery: trio.Nursery
) -> None:
    class Wire:
        def __init__(self) -> None:
            self.kept: list[str] = []
            self.swallowed: list[Any] = []
            self.links: Any = None

        def attach(self, links: Any) -> None:
            self.links = links

        def takes(self, peer: str, frame: bytes) -> bool:
            self.kept.append(peer)
            return len(self.kept) == 1

        def swallows(self, peer: str, kind: str, body: Any) -> bool:
            self.swallowed.append(body)
            return len(self.swallowed) == 1

    here, there = Wire(), Wire()
    one = Node("n1", addresses["n1"], {"n2": addresses["n2"]}, wire=here)
    two = Node("n2", addresses["n2"], {"n1": addresses["n1"]}, wire=there)
    assert here.links is one.links
    await nursery.start(one.links.run)
    await nursery.start(two.links.run)
    await until(lambda: one.links.connected("n2"))
    for number in (1, 2, 3):  # the first is kept here, the second is swallowed there
        one.links.send("n2", encode("raft", {"number": number}))
    await until(lambda: two.frames)
    assert here.kept == ["n2"] * 3
    assert [body["number"] for body in there.swallowed] == [2, 3]
    assert [body["number"] for _, _, body in two.frames] == [3]
