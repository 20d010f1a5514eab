"""The edge of a node with the small application; `WSPROTO=1` leaves every frame to wsproto.

python -m scripts.bench_edge.servers.unidesk_edge PORT
"""

import gc
import os
import sys
import time

import trio

from node.edge.application import Feed, ResponseFactory
from node.edge.channel import Channel
from node.edge.connection import Connection
from node.edge.frame import encode_binary, encode_text
from node.edge.http import Request, Response
from node.edge.memory import tune_gc
from node.edge.server import EdgeLimits, EdgeServer, open_listener

BODY = b'{"status":"ok","service":"edge bench","padding":"xxxxx"}'


class Small:
    """The small application."""

    def __init__(self) -> None:
        self._connections: dict[Connection, None] = {}

    def on_request(self, request: Request) -> Response | ResponseFactory | Feed:
        return Response(200, BODY, content_type="application/json")

    def on_upgrade(self, request: Request) -> str | Response | None:
        return None

    def on_open(self, connection: Connection, request: Request) -> None:
        self._connections[connection] = None

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        if payload == b"G" and not text:
            began = time.perf_counter()
            gc.collect()
            payload = b"%.3f" % ((time.perf_counter() - began) * 1e3)
        frame = encode_text(payload) if text else encode_binary(payload)
        if payload.startswith(b"B") and not text:
            for one in list(self._connections):
                one.send_frame(frame)
        else:
            connection.send_frame(frame)

    def on_close(self, channel: Channel, code: int) -> None:
        assert isinstance(channel, Connection)
        del self._connections[channel]


def main() -> None:
    limits = EdgeLimits(quick_bytes_max=0) if os.environ.get("WSPROTO") else EdgeLimits()
    listener = open_listener("127.0.0.1", int(sys.argv[1]))
    tune_gc()
    trio.run(EdgeServer(Small(), limits=limits).serve, [listener])


if __name__ == "__main__":
    main()
