"""The small application on `websockets`, asyncio's own loop.  See `servers/__init__.py`."""

import asyncio
import gc
import sys
import time

from websockets.asyncio.server import ServerConnection, broadcast, serve

connections: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    connections.add(connection)
    try:
        async for message in connection:
            if message == b"G":
                began = time.perf_counter()
                gc.collect()
                await connection.send(b"%.3f" % ((time.perf_counter() - began) * 1e3))
            elif isinstance(message, bytes) and message.startswith(b"B"):
                broadcast(connections, message)
            else:
                await connection.send(message)
    finally:
        connections.discard(connection)


async def main() -> None:
    async with serve(
        handle, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=2048
    ) as server:
        await server.serve_forever()


asyncio.run(main())
