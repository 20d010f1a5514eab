"""The small application as ASGI, for uvicorn and hypercorn.  See `servers/__init__.py`."""

import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

BODY = b'{"status":"ok","service":"edge bench","padding":"xxxxx"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
connections: dict[int, Send] = {}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})
    elif scope["type"] == "lifespan":
        while (event := await receive())["type"] != "lifespan.shutdown":
            await send({"type": event["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        connections[id(send)] = send
        try:
            while (event := await receive())["type"] == "websocket.receive":
                if event.get("bytes") is None:
                    await send({"type": "websocket.send", "text": event["text"]})
                else:
                    await hear(event["bytes"], send)
        finally:
            del connections[id(send)]


async def hear(data: bytes, send: Send) -> None:
    if data == b"G":
        began = time.perf_counter()
        gc.collect()
        data = b"%.3f" % ((time.perf_counter() - began) * 1e3)
    for one in list(connections.values()) if data.startswith(b"B") else [send]:
        await one({"type": "websocket.send", "bytes": data})
