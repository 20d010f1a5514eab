"""Closed loops of gRPC Puts against one etcd, as light as Python can be.  Talks to a socket.

    python -m scripts.bench_consensus.etcd_client --port 2379 --proposers 256 --seconds 5

A general gRPC client in Python costs more than etcd itself and would be what is measured.  All
requests here have the same headers, so a request is one concatenation, and of an answer only
the frame heads are read:

    request  = HEADERS (POST /etcdserverpb.KV/Put) · DATA (PutRequest), end of stream
    answer   = HEADERS · DATA (PutResponse) · HEADERS (trailers), end of stream
    refusal  = HEADERS with the end of stream and no DATA before: an error, and it raises

With STREAMS_MAX streams a connection the server's window of 64 KiB never fills, so flow
control is left to the server; ours is opened wide at the start.
Every proposer writes 100 bytes to a key of its own.  `--times` prints [began, ended] instead
of figures, with a new write every 10 ms.

Source: RFC 9113 (frames), RFC 7541 (headers, literals only), gRPC over HTTP/2.
"""

import argparse
import json
import selectors
import socket
import struct
import time
from collections.abc import Callable

from scripts.bench_commit import WARM_UP_S, Loop

STREAMS_MAX = 128
VALUE = b"x" * 100
PROBE_S = 0.01
READ_BYTES = 256 * 1024
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
FRAME_HEAD = 9


class Refused(Exception):
    """The server answered with an error, or hung up."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(index: int, value: bytes) -> bytes:
    """Return a header whose name is in HPACK's static table; nothing is remembered."""
    assert len(value) < 127
    name = bytes([index]) if index < 15 else bytes([15, index - 15])
    return name + bytes([len(value)]) + value


_TE = b"te"
REQUEST_HEADERS = (
    bytes([0x83, 0x86])  # :method POST, :scheme http
    + _literal(4, b"/etcdserverpb.KV/Put")
    + _literal(1, b"127.0.0.1")
    + _literal(31, b"application/grpc")
    + bytes([0, len(_TE)])
    + _TE
    + bytes([8])
    + b"trailers"
)


def put_request(key: bytes) -> bytes:
    """Return a PutRequest of VALUE as a gRPC message."""
    body = bytes([0x0A, len(key)]) + key + bytes([0x12, len(VALUE)]) + VALUE
    return struct.pack(">BI", 0, len(body)) + body


class Connection:
    """One HTTP/2 connection; `put` and `on_readable` never wait."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wide = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 1 - 65_535))
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + wide)
        self._stream = 1
        self._waiting: dict[int, Callable[[], None]] = {}
        self._with_data: set[int] = set()
        self._buffer = b""
        self._out: list[bytes] = []

    def put(self, request: bytes, answered: Callable[[], None]) -> None:
        """Queue a request; `flush` sends it."""
        stream = self._stream
        self._stream += 2
        self._waiting[stream] = answered
        self._out.append(frame(HEADERS, END_HEADERS, stream, REQUEST_HEADERS))
        self._out.append(frame(DATA, END_STREAM, stream, request))

    def flush(self) -> None:
        """Send what is queued."""
        if self._out:
            self.socket.sendall(b"".join(self._out))
            self._out.clear()

    def on_readable(self) -> None:
        """Take what came, and tell who waited for it.  Raises `Refused`."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise Refused("hung up")
        buffer = self._buffer + data
        at = 0
        while len(buffer) - at >= FRAME_HEAD:
            size = int.from_bytes(buffer[at : at + 3], "big")
            end = at + FRAME_HEAD + size
            if len(buffer) < end:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            stream = int.from_bytes(buffer[at + 5 : at + FRAME_HEAD], "big") & 0x7FFFFFFF
            self._on_frame(kind, flags, stream, buffer[at + FRAME_HEAD : end])
            at = end
        self._buffer = buffer[at:]

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self._with_data.add(stream)
        elif kind == HEADERS:
            if flags & END_STREAM:
                if stream not in self._with_data:
                    raise Refused("an error for an answer")
                self._with_data.discard(stream)
                self._waiting.pop(stream)()
        elif kind == SETTINGS and not flags & ACK:
            self._out.append(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._out.append(frame(PING, ACK, 0, payload))
        elif kind in (RST_STREAM, GOAWAY):
            raise Refused(f"frame of type {kind}")


class Client:
    """Connections enough for so many proposers, and one loop over them."""

    def __init__(self, port: int, proposers: int) -> None:
        count = -(-proposers // STREAMS_MAX)
        self._connections = [Connection(port) for _ in range(count)]
        self._requests = [put_request(b"k%015d" % n) for n in range(proposers)]
        self._selector = selectors.DefaultSelector()
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def put(self, proposer: int, answered: Callable[[], None]) -> None:
        """Queue the write of `proposer`."""
        connection = self._connections[proposer % len(self._connections)]
        connection.put(self._requests[proposer], answered)

    def turn(self, wait_s: float) -> None:
        """Send what is queued, wait for answers, hand them out."""
        for connection in self._connections:
            connection.flush()
        for key, _ in self._selector.select(wait_s):
            key.data.on_readable()


def load(port: int, proposers: int, seconds: float) -> dict[str, float]:
    """Return the figures of closed loops."""
    client = Client(port, proposers)
    loop = Loop(seconds, client.put)
    cpu = time.process_time()
    loop.start(proposers)
    while not loop.over:
        client.turn(0.02)
    spent = time.process_time() - cpu
    return loop.result() | {"client_cpu": spent / (seconds + WARM_UP_S)}


def probe(port: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Return [began, ended] of a write every PROBE_S, where it was acknowledged."""
    acknowledged: list[tuple[float, float]] = []
    client = Client(port, 1)

    def write() -> None:
        began = time.monotonic()
        client.put(0, lambda: acknowledged.append((began, time.monotonic())))

    until = time.monotonic() + seconds
    due = time.monotonic()
    while (now := time.monotonic()) < until:
        if now >= due:
            write()
            due = now + PROBE_S
        try:
            client.turn(max(0.0, due - time.monotonic()))
        except Refused:  # no leader, an election: this one failed, the next one may not
            client = Client(port, 1)
    return {"acknowledged": acknowledged}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--proposers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--times", action="store_true")
    options = parser.parse_args()
    if options.times:
        print(json.dumps(probe(options.port, options.seconds)))
    else:
        print(json.dumps(load(options.port, options.proposers, options.seconds)))


if __name__ == "__main__":
    main()
