"""The small application on trio-websocket.  See `servers/__init__.py`."""

import gc
import sys
import time

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

connections: dict[WebSocketConnection, None] = {}


async def handle(request: WebSocketRequest) -> None:
    connection = await request.accept()
    connections[connection] = None
    try:
        while True:
            message = await connection.get_message()
            if message == b"G":
                began = time.perf_counter()
                gc.collect()
                message = b"%.3f" % ((time.perf_counter() - began) * 1e3)
            to_all = isinstance(message, bytes) and message.startswith(b"B")
            for one in list(connections) if to_all else [connection]:
                await one.send_message(message)
    except ConnectionClosed:
        pass
    finally:
        connections.pop(connection, None)


trio.run(serve_websocket, handle, "127.0.0.1", int(sys.argv[1]), None)
