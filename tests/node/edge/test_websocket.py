"""WebSockets over real sockets: messages, control frames, and every way to end."""

import os
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    TextMessage,
)

from node.edge.frame import encode_text
from node.edge.server import Channel, Connection, EdgeLimits, Request, Response
from tests.node.edge.client import Client, Recorder, read_to_end, serving, wait_until
from tests.node.edge.test_frame import masked


async def test_the_application_chooses_among_the_subprotocols_offered() -> None:
    application = Recorder()
    application.choose = lambda request: (
        "unidesk.v1" if "unidesk.v1" in request.subprotocols else None
    )
    async with serving(application) as edge:
        accepted = await Client(await edge.connect()).open("unidesk.v2", "unidesk.v1")
        assert isinstance(accepted, AcceptConnection)
        assert accepted.subprotocol == "unidesk.v1"
        assert not accepted.extensions
        accepted = await Client(await edge.connect()).open("other")
        assert isinstance(accepted, AcceptConnection)
        assert accepted.subprotocol is None
        assert [c.subprotocol for c in application.connections] == ["unidesk.v1", None]
        assert application.connections[0].peer.startswith("127.0.0.1:")


async def test_the_application_may_refuse_an_upgrade_and_the_client_may_try_again() -> None:
    application = Recorder()
    application.choose = lambda request: Response(401, b"who?") if request.path == "/ws" else None
    async with serving(application) as edge:
        client = Client(await edge.connect())
        refused = await client.open()
        assert isinstance(refused, RejectConnection)
        assert refused.status_code == 401
        body = await client.receive()
        assert isinstance(body, RejectData)
        assert bytes(body.data) == b"who?"
        again = Client(client.stream)
        assert isinstance(await again.open(path="/other"), AcceptConnection)
        assert edge.server.statistics().refused_total == {"401": 1}


async def test_text_and_binary_are_echoed_at_every_size_of_length() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        for size in (0, 1, 125, 126, 4_000, 65_535, 65_536):
            await client.text("x" * size)
            assert await client.receive_message() == "x" * size
            data = os.urandom(size)
            await client.send(BytesMessage(data))
            assert await client.receive_message() == data
        assert application.connections[0].open


async def test_fragments_with_control_frames_between_them_make_one_message() -> None:
    async with serving(Recorder()) as edge:
        client = await edge.websocket()
        await client.send(TextMessage("hel", message_finished=False), Ping(b"are you there"))
        pong = await client.receive()
        assert isinstance(pong, Pong)
        assert bytes(pong.payload) == b"are you there"
        await client.send(TextMessage("lo", message_finished=False), TextMessage("!"))
        assert await client.receive_message() == "hello!"


async def test_frames_behind_the_handshake_in_the_same_packet_are_heard() -> None:
    application = Recorder()
    async with serving(application) as edge:
        stream = await edge.connect()
        await stream.send_all(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            + masked(0x81, b"early")
        )
        answer = b""
        while not answer.endswith(encode_text(b"early")):
            answer += await stream.receive_some()
        assert answer.startswith(b"HTTP/1.1 101 ")


async def test_what_one_read_makes_us_send_leaves_in_one_write() -> None:
    async with serving(Recorder()) as edge:
        client = await edge.websocket()
        frames = b"".join(masked(0x81, b"%d" % i) for i in range(20))
        await client.stream.send_all(frames)
        expected = b"".join(encode_text(b"%d" % i) for i in range(20))
        assert await client.stream.receive_some(65_536) == expected


async def test_the_peer_s_close_is_echoed_and_reported() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        await client.send(CloseConnection(4321, "done"))
        echo = await client.receive()
        assert isinstance(echo, CloseConnection)
        assert (echo.code, echo.reason) == (4321, "done")
        assert await read_to_end(client.stream) == b""
        silent = await edge.websocket()
        await silent.stream.send_all(masked(0x88, b""))
        assert await read_to_end(silent.stream) == b"\x88\x00"
        await wait_until(lambda: len(application.closed) == 2)
        assert application.codes == [4321, 1005]
        assert not application.connections[0].open


async def test_our_close_goes_out_after_what_waits_and_is_reported_when_answered() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        connection = application.connections[0]
        connection.send_frame(encode_text(b"last"))
        connection.close(4001, "drain")
        connection.close(4000, "a second close changes nothing")
        connection.send_frame(encode_text(b"too late"))
        assert not connection.open
        assert await client.receive_message() == "last"
        assert application.closed == []
        assert await client.receive_close() == 4001
        await wait_until(lambda: bool(application.closed))
        assert application.codes == [4001]
        assert await read_to_end(client.stream) == b""


async def test_messages_after_our_close_are_not_delivered() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        application.connections[0].close(1000)
        await client.text("nobody hears this")
        assert await client.receive_close() == 1000
        await wait_until(lambda: bool(application.closed))
        assert application.messages == []


async def test_a_peer_that_never_answers_our_close_is_dropped(mock_clock: MockClock) -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(close_wait_s=5)) as edge:
        client = await edge.websocket()
        application.connections[0].close(4001)
        mock_clock.jump(4.5)
        await trio.testing.wait_all_tasks_blocked()
        assert application.closed == []
        mock_clock.jump(1)
        await wait_until(lambda: bool(application.closed), passes=10_000)
        assert application.codes == [4001]
        assert await read_to_end(client.stream) != b""
        assert edge.server.statistics().connections == 0


async def test_a_dropped_socket_is_reported_as_1006() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        await client.stream.aclose()
        await wait_until(lambda: bool(application.closed))
        client = await edge.websocket()
        await client.text("unread")
        await wait_until(lambda: bool(application.messages))
        await client.stream.aclose()  # with our echo unread: a reset
        await wait_until(lambda: len(application.closed) == 2)
        assert application.codes == [1006, 1006]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(0x82, bytes(1_001)), 1009),
        (masked(0x02, bytes(600)) + masked(0x80, bytes(600)), 1009),
        (masked(0x81, b"\xff\xfe"), 1007),
        (masked(0x01, b"\xc3") + masked(0x80, b"\x28"), 1007),
        (b"\x81\x02hi", 1002),
        (masked(0x83, b""), 1002),
        (masked(0xC1, b"compressed"), 1002),
        (masked(0x09, b""), 1002),
        (masked(0x80, b"of nothing"), 1002),
        (masked(0x88, b"\x03\xed"), 1002),
        (masked(0x88, b"x"), 1002),
    ],
)
async def test_a_violation_is_answered_with_its_close_code(data: bytes, code: int) -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(frame_bytes_max=1_000)) as edge:
        client = await edge.websocket()
        await client.stream.send_all(data)
        assert await client.receive_close() == code
        assert await read_to_end(client.stream) == b""
        await wait_until(lambda: bool(application.closed))
        assert application.codes == [code]
        assert edge.server.statistics().refused_total == {f"ws_{code}": 1}
        await (await edge.websocket()).text("the server lives on")


async def test_a_violator_that_goes_on_sending_still_gets_to_read_why() -> None:
    async with serving(Recorder()) as edge:
        client = await edge.websocket()
        await client.stream.send_all(masked(0x81, b"\xff") + bytes(300_000))
        assert await client.receive_close() == 1007


async def test_a_silent_peer_is_pinged_and_then_dropped(mock_clock: MockClock) -> None:
    application = Recorder()
    async with serving(application, EdgeLimits(ping_s=30, pong_s=10)) as edge:
        live, dead = await edge.websocket(), await edge.websocket()
        for _ in range(3):
            mock_clock.jump(30.5)
            assert isinstance(await live.receive(), Ping)
            await live.send(Pong())
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(10.5)
            await trio.testing.wait_all_tasks_blocked()
        assert application.codes == [4002]
        assert application.closed[0][0] is application.connections[1]
        assert isinstance(await dead.receive(), Ping)
        assert await dead.receive_close() == 4002
        await live.text("still here")
        assert await live.receive_message() == "still here"


async def test_a_peer_that_talks_is_not_pinged(mock_clock: MockClock) -> None:
    async with serving(Recorder(), EdgeLimits(ping_s=30)) as edge:
        client = await edge.websocket()
        for _ in range(4):
            mock_clock.jump(20)
            await client.text("x")
            assert await client.receive() == TextMessage("x")


class Fragile(Recorder):
    def on_open(self, connection: Connection, request: Request) -> None:
        super().on_open(connection, request)
        if len(self.connections) == 3:
            raise RuntimeError("open")

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        if payload == b"raise":
            raise RuntimeError("message")
        super().on_message(connection, payload, text)

    def on_close(self, channel: Channel, code: int) -> None:
        super().on_close(channel, code)
        raise RuntimeError("close")

    def on_upgrade(self, request: Request) -> str | Response | None:
        if request.query == "raise":
            raise RuntimeError("upgrade")
        return None


async def test_an_exception_of_the_application_closes_one_connection(
    capsys: pytest.CaptureFixture[str],
) -> None:
    application = Fragile()
    async with serving(application) as edge:
        bystander, victim = await edge.websocket(), await edge.websocket()
        await victim.stream.send_all(masked(0x81, b"raise") + masked(0x81, b"unheard"))
        assert await victim.receive_close() == 1011
        never_open = await edge.websocket()
        assert await never_open.receive_close() == 1011
        refused = await Client(await edge.connect()).open(path="/ws?raise")
        assert isinstance(refused, RejectConnection)
        assert refused.status_code == 500
        await wait_until(lambda: len(application.closed) == 2)
        assert application.codes == [1011, 1011]
        assert application.messages == []
        assert edge.server.statistics().application_errors_total == 5
        await bystander.text("alive")
        assert await bystander.receive_message() == "alive"
    logged = capsys.readouterr().out
    assert logged.count("edge callback failed") == 6
    assert application.connections[1].peer in logged


class Hub(Recorder):
    """Sends to all from inside a message, and forgets connections in `on_close`."""

    def __init__(self) -> None:
        super().__init__()
        self.members: set[Channel] = set()

    def on_open(self, connection: Connection, request: Request) -> None:
        self.members.add(connection)

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        for member in self.members:
            member.send_frame(encode_text(payload))

    def on_close(self, channel: Channel, code: int) -> None:
        super().on_close(channel, code)
        self.members.remove(channel)


async def test_a_fan_out_survives_members_that_vanish_in_the_midst_of_it() -> None:
    application = Hub()
    async with serving(application) as edge:
        clients = [await edge.websocket() for _ in range(10)]
        for client in clients[1:6]:
            await client.text("leave something unread")
            await trio.aclose_forcefully(client.stream)
        await clients[0].text("who is there?")
        for client in (clients[0], *clients[6:]):
            while await client.receive_message() != "who is there?":
                pass
        await wait_until(lambda: len(application.members) == 5)
        assert application.codes == [1006] * 5


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_when_the_server_stops_peers_hear_1001_and_the_application_hears_of_all() -> None:
    application = Recorder()
    descriptors = open_descriptors()
    async with trio.open_nursery() as nursery, serving(application) as edge:
        clients = [await edge.websocket() for _ in range(3)]
        codes: list[int] = []

        async def listen(client: Client) -> None:
            codes.append(await client.receive_close())

        for client in clients:
            nursery.start_soon(listen, client)
        edge._streams.clear()
    assert codes == application.codes == [1001] * 3
    for client in clients:
        await client.stream.aclose()
    assert open_descriptors() == descriptors
