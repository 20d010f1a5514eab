"""The small application on aiohttp with uvloop.  See `servers/__init__.py`."""

import gc
import sys
import time

import uvloop
from aiohttp import WSMsgType, web

BODY = b'{"status":"ok","service":"edge bench","padding":"xxxxx"}'
connections: set[web.WebSocketResponse] = set()


async def root(request: web.Request) -> web.StreamResponse:
    if request.headers.get("upgrade", "").lower() != "websocket":
        return web.Response(body=BODY, content_type="application/json")
    connection = web.WebSocketResponse(compress=False, heartbeat=30)
    await connection.prepare(request)
    connections.add(connection)
    try:
        async for message in connection:
            if message.type is WSMsgType.TEXT:
                await connection.send_str(message.data)
            elif message.data == b"G":
                began = time.perf_counter()
                gc.collect()
                await connection.send_bytes(b"%.3f" % ((time.perf_counter() - began) * 1e3))
            elif message.data.startswith(b"B"):
                for one in list(connections):
                    await one.send_bytes(message.data)
            else:
                await connection.send_bytes(message.data)
    finally:
        connections.discard(connection)
    return connection


uvloop.install()
app = web.Application()
app.router.add_get("/", root)
web.run_app(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    print=None,
    access_log=None,
    backlog=2048,
)
