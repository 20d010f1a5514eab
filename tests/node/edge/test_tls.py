"""TLS on the edge: the same server behind it, renewals, strangers, and how it ends."""

import contextlib
import os
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from wsproto.events import AcceptConnection, CloseConnection, TextMessage

from node.edge.application import Listener
from node.edge.frame import encode_binary, encode_text
from node.edge.server import (
    Certificate,
    CertificateRefused,
    EdgeLimits,
    EdgeServer,
    Feed,
    open_listener,
)
from tests.node.edge.client import GET, Client, Recorder, wait_until

AUTHORITY = trustme.CA()


def certificate(folder: Path, authority: trustme.CA = AUTHORITY) -> Certificate:
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    return Certificate(folder / "cert.pem", folder / "key.pem")


class Secured:
    """A server with TLS, and ways to reach it."""

    def __init__(self, server: EdgeServer, port: int) -> None:
        self.server = server
        self.port = port
        self.streams: list[trio.SSLStream[trio.SocketStream]] = []

    async def connect(
        self, authority: trustme.CA = AUTHORITY, **more: int
    ) -> trio.SSLStream[trio.SocketStream]:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        if "receive_buffer" in more:
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, more["receive_buffer"])
        secured = trio.SSLStream(stream, context, server_hostname="127.0.0.1")
        self.streams.append(secured)
        await secured.do_handshake()
        return secured

    async def websocket(self, **more: int) -> Client:
        client = Client(await self.connect(**more))  # type: ignore[arg-type]
        assert isinstance(await client.open(), AcceptConnection)
        return client


@contextlib.asynccontextmanager
async def secured(
    application: Recorder, shown: Certificate, limits: EdgeLimits | None = None
) -> AsyncIterator[Secured]:
    server = EdgeServer(application, limits=limits, certificate=shown)
    listener = open_listener("127.0.0.1", 0)
    edge = Secured(server, listener.getsockname()[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        with trio.fail_after(30):
            yield edge
            for stream in edge.streams:
                await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()


async def test_requests_and_messages_pass_as_they_do_without(tmp_path: Path) -> None:
    application = Recorder()
    async with secured(application, certificate(tmp_path)) as edge:
        stream = await edge.connect()
        assert stream.selected_alpn_protocol() is None  # we offered none
        await stream.send_all(GET + GET)
        heard = b""
        while heard.count(b"200 OK") < 2:
            heard += await stream.receive_some(4096)
        client = await edge.websocket()
        for size in (1, 1_000, 16_384, 60_000):
            await client.send(TextMessage("x" * size))
            assert await client.receive_message() == "x" * size
        await client.send(*(TextMessage(str(number)) for number in range(100)))
        assert [await client.receive_message() for _ in range(100)] == [
            str(number) for number in range(100)
        ]
        await client.send(CloseConnection(1000))
        await client.receive_close()
        await wait_until(lambda: application.codes == [1000])


async def test_what_a_slow_reader_is_sent_arrives_whole_and_in_order(tmp_path: Path) -> None:
    application = Recorder()
    limits = EdgeLimits(outbox_bytes_max=64 * 1024 * 1024)
    async with secured(application, certificate(tmp_path), limits) as edge:
        client = await edge.websocket(receive_buffer=64 * 1024)
        (connection,) = application.connections
        frames = [b"%06d" % number + os.urandom(number % 3_000) for number in range(1_000)]
        for number, frame in enumerate(frames):
            connection.send_frame(encode_binary(frame))
            if number % 50 == 0:
                await trio.lowlevel.checkpoint()
        assert connection.outbox_bytes > 200_000
        for frame in frames:
            assert await client.receive_message() == frame


async def test_a_consumer_that_is_too_slow_is_ended_and_others_are_not(tmp_path: Path) -> None:
    application = Recorder()
    limits = EdgeLimits(outbox_bytes_max=100_000)
    async with secured(application, certificate(tmp_path), limits) as edge:
        await edge.websocket(receive_buffer=4096)
        quick = await edge.websocket()
        to_slow, to_quick = application.connections
        frame = encode_text(b"x" * 4_000)
        while to_slow.open:
            to_slow.send_frame(frame)
            to_quick.send_frame(frame)
            assert await quick.receive_message() == "x" * 4_000
        await wait_until(lambda: application.closed == [(to_slow, 4003)])
        await quick.text("still here")
        assert await quick.receive_message() == "still here"


async def test_the_end_of_an_answer_without_length_is_no_cut(tmp_path: Path) -> None:
    def open_(stream: Listener) -> None:
        stream.send_frame(b"data: 1\n\n")
        stream.close(4000)

    application = Recorder()
    application.respond = lambda _: Feed(open_)
    async with secured(application, certificate(tmp_path)) as edge:
        stream = await edge.connect()
        await stream.send_all(GET)
        heard = b""
        while more := await stream.receive_some(4096):  # raises when there was no close_notify
            heard += more
        assert heard.endswith(b"data: 1\n\n")


async def test_strangers_are_told_or_dropped_and_nobody_else_minds(tmp_path: Path) -> None:
    application = Recorder()
    limits = EdgeLimits(handshake_s=0.5)
    async with secured(application, certificate(tmp_path), limits) as edge:
        client = await edge.websocket()
        plain = await trio.open_tcp_stream("127.0.0.1", edge.port)
        await plain.send_all(GET)
        assert b"this port speaks TLS" in await plain.receive_some(4096)
        for garbage in (b"\x16\x03\x01\x00\x05hello", b"\x00" * 100, b"", b"\x16\x03\x01"):
            stranger = await trio.open_tcp_stream("127.0.0.1", edge.port)
            await stranger.send_all(garbage)
            with contextlib.suppress(trio.BrokenResourceError):
                while await stranger.receive_some(4096):
                    pass
            await stranger.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await edge.connect(trustme.CA())
        await wait_until(lambda: edge.server.statistics().handshaking == 0)
        refused = edge.server.statistics().refused_total
        assert refused["tls"] == 3
        assert refused["tls_late"] == 3
        await client.text("still here")
        assert await client.receive_message() == "still here"
        await plain.aclose()


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_who_resets_before_being_accepted_harms_nobody(tmp_path: Path, said: bytes) -> None:
    application = Recorder()
    async with secured(application, certificate(tmp_path)) as edge:
        client = await edge.websocket()
        for _ in range(3):  # the loop does not run meanwhile: they wait, reset, to be accepted
            with socket.create_connection(("127.0.0.1", edge.port)) as plain:
                plain.sendall(said)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await wait_until(lambda: edge.server.statistics().refused_total.get("tls") == 3)
        assert edge.server.statistics().handshaking == 0
        await client.text("still here")
        assert await client.receive_message() == "still here"


async def test_broken_hellos_leave_a_server_that_answers(tmp_path: Path) -> None:
    dice = random.Random(11)
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    async with secured(Recorder(), certificate(tmp_path)) as edge:
        for _ in range(100):
            broken = bytearray(hello)
            for _ in range(dice.randrange(1, 9)):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
            stream = await trio.open_tcp_stream("127.0.0.1", edge.port)
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(broken[: dice.choice((len(hello), len(hello) // 2))])
                await stream.send_eof()
                await stream.receive_some(4096)
            await trio.aclose_forcefully(stream)
        await wait_until(lambda: edge.server.statistics().handshaking == 0)
        assert edge.server.statistics().application_errors_total == 0
        await edge.websocket()


async def test_garbage_within_tls_ends_one_connection(tmp_path: Path) -> None:
    application = Recorder()
    async with secured(application, certificate(tmp_path)) as edge:
        await edge.websocket()
        victim, other = edge.streams[0], await edge.websocket()
        record = b"\x17\x03\x03\x00\x20" + bytes(32)  # of nobody's key
        await victim.transport_stream.send_all(record)
        await wait_until(lambda: application.codes == [1006])
        await other.text("still here")
        assert await other.receive_message() == "still here"


async def test_a_renewed_certificate_is_shown_to_whoever_comes_later(tmp_path: Path) -> None:
    shown = certificate(tmp_path)
    other = trustme.CA()
    async with secured(Recorder(), shown) as edge:
        client = await edge.websocket()
        (tmp_path / "cert.pem").write_text("nonsense")
        shown.renew()
        await edge.connect()
        (tmp_path / "key.pem").unlink()
        shown.renew()
        certificate(tmp_path, other)
        shown.renew()
        await edge.connect(other)
        await client.text("still here")
        assert await client.receive_message() == "still here"


async def test_there_is_room_for_so_many_handshakes(tmp_path: Path) -> None:
    limits = EdgeLimits(handshaking_max=2)
    async with secured(Recorder(), certificate(tmp_path), limits) as edge:
        silent = [await trio.open_tcp_stream("127.0.0.1", edge.port) for _ in range(3)]
        await wait_until(lambda: edge.server.statistics().refused_total.get("503") == 1)
        for stream in silent:
            await stream.aclose()
        await wait_until(lambda: edge.server.statistics().handshaking == 0)
        await edge.websocket()


def test_a_certificate_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CertificateRefused, match=r"cert\.pem: No such file"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    certificate(tmp_path)
    (tmp_path / "key.pem").write_text("nonsense")
    with pytest.raises(CertificateRefused, match="no certificate with its key"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    certificate(tmp_path)
    key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    encrypted = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "key.pem").write_bytes(encrypted)
    with pytest.raises(CertificateRefused, match="the key has a passphrase"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
