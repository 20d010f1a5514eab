"""The small application as one would write it on trio and wsproto: a task per connection.

See `servers/__init__.py`.
"""

import gc
import sys
import time

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
    TextMessage,
)

connections: dict[WSConnection, trio.SocketStream] = {}


async def handle(stream: trio.SocketStream) -> None:
    protocol = WSConnection(ConnectionType.SERVER)
    try:
        while data := await stream.receive_some(16_384):
            protocol.receive_data(data)
            for event in protocol.events():
                if isinstance(event, Request):
                    connections[protocol] = stream
                    await stream.send_all(protocol.send(AcceptConnection()))
                elif isinstance(event, TextMessage):
                    await stream.send_all(protocol.send(TextMessage(data=event.data)))
                elif isinstance(event, BytesMessage):
                    await hear(protocol, stream, bytes(event.data))
                elif isinstance(event, Ping):
                    await stream.send_all(protocol.send(event.response()))
                elif isinstance(event, CloseConnection):
                    await stream.send_all(protocol.send(event.response()))
                    return
    except trio.BrokenResourceError:
        pass
    finally:
        connections.pop(protocol, None)
        await stream.aclose()


async def hear(protocol: WSConnection, stream: trio.SocketStream, data: bytes) -> None:
    if data == b"G":
        began = time.perf_counter()
        gc.collect()
        data = b"%.3f" % ((time.perf_counter() - began) * 1e3)
    everybody = list(connections.items()) if data.startswith(b"B") else [(protocol, stream)]
    for one, its in everybody:
        await its.send_all(one.send(BytesMessage(data=data)))


async def main() -> None:
    await trio.serve_tcp(handle, int(sys.argv[1]), host="127.0.0.1", backlog=2048)


trio.run(main)
