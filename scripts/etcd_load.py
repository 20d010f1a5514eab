"""A light load on etcd: Put requests over plain gRPC, encoded by hand.  Talks to sockets.

A client library in Python takes longer for one request than etcd does, and would measure itself.
Here a request is two frames of HTTP/2 that differ in the stream's number and the key alone, and an
answer is the end of its stream; so one process asks for tens of thousands a second.

Source: RFC 9113 (HTTP/2), RFC 7541 (HPACK, literals and the static table only), gRPC over HTTP2.
"""

import socket
import struct
import time
from selectors import EVENT_READ, DefaultSelector

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
WINDOW_BYTES = 2**31 - 1 - 65_535


class Refused(Exception):
    """etcd ended a stream or the connection."""


def _literal(name: bytes, value: bytes) -> bytes:
    return name + bytes([len(value)]) + value


_HEADERS = b"".join(
    (
        b"\x83\x86",  # POST, http
        _literal(b"\x04", b"/etcdserverpb.KV/Put"),
        _literal(b"\x01", b"etcd"),
        _literal(b"\x0f\x10", b"application/grpc"),
        _literal(b"\x00\x02te", b"trailers"),
    )
)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _put(stream: int, key: bytes, value: bytes) -> bytes:
    body = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([len(value)]) + value
    message = b"\x00" + struct.pack(">I", len(body)) + body
    headers = _frame(HEADERS, END_HEADERS, stream, _HEADERS)
    return headers + _frame(DATA, END_STREAM, stream, message)


class _Connection:
    """Some proposers, one stream at a time each."""

    def __init__(self, port: int, value: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        window = _frame(WINDOW, 0, 0, struct.pack(">I", WINDOW_BYTES))
        self.socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, b"") + window)
        self._value = value
        self._stream = 1
        self._input = bytearray()
        self.began_s: dict[int, float] = {}

    def ask(self) -> bytes:
        """Return one request more, to be sent."""
        stream, self._stream = self._stream, self._stream + 2
        self.began_s[stream] = time.perf_counter()
        return _put(stream, b"key%d" % (stream % 20_000), self._value)

    def take(self) -> list[float]:
        """Read; return how long the requests took that were answered."""
        data = self.socket.recv(262_144)
        if not data:
            raise Refused("hung up")
        self._input += data
        took_s = []
        at, reply, now_s = 0, b"", time.perf_counter()
        while len(self._input) - at >= 9:
            size = int.from_bytes(self._input[at : at + 3], "big")
            if len(self._input) - at < 9 + size:
                break
            kind, flags = self._input[at + 3], self._input[at + 4]
            stream = int.from_bytes(self._input[at + 5 : at + 9], "big")
            payload = bytes(self._input[at + 9 : at + 9 + size])
            at += 9 + size
            if kind in (RESET, GOAWAY):
                raise Refused(f"frame {kind} {payload!r}")
            if kind == SETTINGS and not flags & ACK:
                reply += _frame(SETTINGS, ACK, 0, b"")
            elif kind == PING and not flags & ACK:
                reply += _frame(PING, ACK, 0, payload)
            elif kind == HEADERS and flags & END_STREAM:
                took_s.append(now_s - self.began_s.pop(stream))
        del self._input[:at]
        if reply:
            self.socket.sendall(reply)
        return took_s


def load(
    port: int, *, proposers: int, seconds: float, warm_up_s: float, value: bytes
) -> list[float]:
    """Keep `proposers` requests under way at `port`; return the latencies, in seconds.

    Those that were asked after the warm-up and answered in time.  Raises `Refused`, `OSError`.
    """
    count = min(proposers, 16)
    connections = [_Connection(port, value) for _ in range(count)]
    selector = DefaultSelector()
    measure_from_s = time.perf_counter() + warm_up_s
    until_s = measure_from_s + seconds
    for number, connection in enumerate(connections):
        share = proposers // count + (number < proposers % count)
        connection.socket.sendall(b"".join(connection.ask() for _ in range(share)))
        selector.register(connection.socket, EVENT_READ, connection)
    latencies_s: list[float] = []
    while (now_s := time.perf_counter()) < until_s:
        for key, _ in selector.select(0.1):
            connection = key.data
            took_s = connection.take()
            if took_s:
                connection.socket.sendall(b"".join(connection.ask() for _ in took_s))
            now_s = time.perf_counter()
            latencies_s += [one for one in took_s if now_s - one >= measure_from_s]
    for connection in connections:
        connection.socket.close()
    return latencies_s
