"""A server that is held is silent in both directions, as without a network, and then goes on."""

import trio

from node.edge.frame import encode_text
from tests.node.edge.client import Recorder, serving, wait_until

SILENCE_S = 0.3


async def test_what_is_said_meanwhile_arrives_when_it_is_over() -> None:
    application = Recorder()
    async with serving(application) as edge:
        client = await edge.websocket()
        (connection,) = application.connections
        edge.server.hold(True)
        edge.server.hold(True)
        await client.text("from the client")
        connection.send_frame(encode_text(b"from the server"))
        with trio.move_on_after(SILENCE_S) as silence:
            await client.receive_message()
        assert silence.cancelled_caught
        assert application.messages == []
        edge.server.hold(False)
        assert await client.receive_message() == "from the server"
        assert await client.receive_message() == "from the client"


async def test_nobody_is_let_in_meanwhile() -> None:
    application = Recorder()
    async with serving(application) as edge:
        edge.server.hold(True)
        with trio.move_on_after(SILENCE_S) as silence:
            await edge.websocket()
        assert silence.cancelled_caught
        assert application.connections == []
        edge.server.hold(False)
        client = await edge.websocket()
        await client.text("here")
        await wait_until(lambda: (b"here", True) in application.messages)
