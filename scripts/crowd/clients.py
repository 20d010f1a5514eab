"""Some thousands of WebSocket clients in one process, each following one conversation.

    python -m scripts.crowd.clients < plan.json      talks to nodes, tells on standard output

    connect ──▶ upgrade, hello, cv.sub at once ──▶ live: events in order, pings answered
       ▲                                            │ closed, or broken
       └── another node, after a moment of chance ──┘ with what it has: `hello.resume`

Plan: {"nodes": [["127.0.0.1", 7101], ...], "source": "127.0.0.2", "clients": [[token, cv], ...],
"at_once": 100, "spread": true, "asks_per_s": 0}.  While standard input is open it goes on; every
half second it prints one line of figures.  Every event is held against the client's cursor: what
is skipped or comes twice is counted, never mended.  With `asks_per_s` the clients, in turn, ask
for their conversation at that rate, whatever comes back; the line then has the latencies of the
last half second, in milliseconds, from when a question was due.

One blocking-free loop over epoll, because a task per client would measure the tasks.
"""

import json
import os
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

UPGRADE = (
    "GET /v1/ws HTTP/1.1\r\nHost: desk\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: unidesk.v1+json\r\n\r\n"
)
REPORT_S = 0.5
ASK = 2
"""The number of a question; `cv.sub` has 1."""
PAUSE_S = 0.25
"""Before a client that lost its connection comes back, at most."""
_IP_BIND_ADDRESS_NO_PORT = 24


def masked(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame; its key is zero, so that the payload stays as it is."""
    length = len(payload)
    if length < 126:
        return bytes([0x80 | opcode, 0x80 | length]) + bytes(4) + payload
    return bytes([0x80 | opcode, 0xFE]) + length.to_bytes(2, "big") + bytes(4) + payload


def frames(buffer: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the server's whole frames, as opcode and payload, and the bytes after them."""
    found, position = [], 0
    while len(buffer) - position >= 2:
        length, start = buffer[position + 1], position + 2
        if length >= 126:
            width = 2 if length == 126 else 8
            length = int.from_bytes(buffer[start : start + width], "big")
            start += width
        if len(buffer) < start + length:
            break
        found.append((buffer[position] & 0x0F, buffer[start : start + length]))
        position = start + length
    return found, buffer[position:]


@dataclass(slots=True)
class Client:
    """One of them."""

    token: str
    cv: str
    seq: int = 0
    sid: str = ""
    handle: socket.socket | None = None
    buffer: bytes = b""
    upgraded: bool = False
    live: bool = False
    node: int = 0
    lost_at: float = 0.0
    due: float = 0.0
    """When its question that has no answer yet was due."""


class Crowd:
    """All of this process."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._nodes = [(host, port) for host, port in plan["nodes"]]
        self._source = plan["source"]
        self._at_once = plan["at_once"]
        self._clients = [Client(token, cv) for token, cv in plan["clients"]]
        self._by_fd: dict[int, Client] = {}
        self._due: list[tuple[float, Client]] = [(0.0, one) for one in self._clients]
        self._due.reverse()
        self._connecting = 0
        self._poller = select.epoll()
        self._asks_per_s = plan["asks_per_s"]
        self._asked = 0
        self._asking_since = 0.0
        self._taken_ms: list[float] = []
        self._counts: Counter[str] = Counter()
        self._away_s: list[float] = []
        for place, client in enumerate(self._clients):
            client.node = place % len(self._nodes) if plan["spread"] else 0

    def run(self) -> None:
        """Go on until standard input ends."""
        self._poller.register(0, select.EPOLLIN)
        report_at = 0.0
        while True:
            now = time.monotonic()
            self._connect_due(now)
            self._ask(now)
            for fd, events in self._poller.poll(0.001 if self._asks_per_s else 0.02, 512):
                if fd == 0:
                    return
                client = self._by_fd.get(fd)
                if client is not None:
                    self._ready(client, events)
            if now >= report_at:
                report_at = now + REPORT_S
                self._report()

    def _report(self) -> None:
        live = sum(client.live for client in self._clients)
        figures: dict[str, float] = {"live": live, "of": len(self._clients), **self._counts}
        figures["away_max_s"] = round(max(self._away_s, default=0.0), 2)
        taken, self._taken_ms = self._taken_ms, []
        print(json.dumps({**figures, "taken_ms": taken}), flush=True)

    def _ask(self, now: float) -> None:
        """Send what is due: question `n` at its own moment, by client `n`, in turn."""
        if not self._asks_per_s or any(not client.live for client in self._clients):
            return
        self._asking_since = self._asking_since or now
        while self._asked < (now - self._asking_since) * self._asks_per_s:
            client = self._clients[self._asked % len(self._clients)]
            due = self._asking_since + self._asked / self._asks_per_s
            self._asked += 1
            if client.handle is None:
                continue
            client.due = due
            asked = {"op": "cv.get", "id": ASK, "cv": client.cv}
            try:
                client.handle.send(masked(1, json.dumps(asked).encode()))
            except OSError:
                self._counts["unsent"] += 1

    # -- one client

    def _connect_due(self, now: float) -> None:
        while self._due and self._connecting < self._at_once and self._due[-1][0] <= now:
            self._connect(self._due.pop()[1])

    def _connect(self, client: Client) -> None:
        handle = socket.socket()
        handle.setblocking(False)
        handle.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        handle.bind((self._source, 0))
        client.handle, client.buffer, client.upgraded = handle, b"", False
        self._connecting += 1
        self._by_fd[handle.fileno()] = client
        handle.connect_ex(self._nodes[client.node])
        self._poller.register(handle.fileno(), select.EPOLLOUT)

    def _ready(self, client: Client, events: int) -> None:
        handle = client.handle
        assert handle is not None
        try:
            if events & select.EPOLLOUT and not events & (select.EPOLLERR | select.EPOLLHUP):
                handle.send(self._greeting(client))
                self._poller.modify(handle.fileno(), select.EPOLLIN)
                return
            data = handle.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(client)
            return
        self._read(client, data)

    def _greeting(self, client: Client) -> bytes:
        hello: dict[str, Any] = {"op": "hello", "ver": "1", "token": client.token}
        if client.seq:
            hello["resume"] = {"sid": client.sid, "cvs": [[client.cv, client.seq]]}
        said = masked(1, json.dumps(hello).encode())
        if not client.seq:
            said += masked(1, json.dumps({"op": "cv.sub", "id": 1, "cv": client.cv}).encode())
        return UPGRADE.encode() + said

    def _read(self, client: Client, data: bytes) -> None:
        client.buffer += data
        if not client.upgraded:
            head, end, rest = client.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:20]:
                self._counts[f"http_{head[9:12].decode()}"] += 1
                self._lose(client)
                return
            client.upgraded, client.buffer = True, rest
        found, client.buffer = frames(client.buffer)
        for opcode, payload in found:
            if client.handle is None:
                return
            self._hear(client, opcode, payload)

    def _hear(self, client: Client, opcode: int, payload: bytes) -> None:
        assert client.handle is not None
        if opcode == 9:
            self._counts["pings"] += 1
            client.handle.send(masked(10, payload))
        elif opcode == 8:
            self._counts[f"close_{int.from_bytes(payload[:2], 'big')}"] += 1
            self._lose(client)
        elif opcode == 1:
            for message in _maps(payload):
                self._take(client, message)

    def _take(self, client: Client, message: dict[str, Any]) -> None:
        match message["op"]:
            case "ev" if message["cv"] == client.cv:
                self._counts["events"] += 1
                if message["seq"] != client.seq + 1:
                    self._counts["skipped" if message["seq"] > client.seq else "doubled"] += 1
                client.seq = message["seq"]
            case "caught" if not client.live:
                client.live = True
                self._connecting -= 1
                if client.lost_at:
                    self._away_s.append(time.monotonic() - client.lost_at)
                    client.lost_at = 0.0
            case "welcome":
                client.sid = message["sid"]
            case "ok" if message["id"] == ASK:
                self._taken_ms.append(round((time.monotonic() - client.due) * 1000, 3))
            case "gap":
                self._counts["gaps"] += 1
            case "err":
                self._counts[f"err_{message['code']}"] += 1

    def _lose(self, client: Client) -> None:
        handle, client.handle = client.handle, None
        assert handle is not None
        del self._by_fd[handle.fileno()]
        handle.close()
        if not client.live:
            self._connecting -= 1
        self._counts["lost"] += 1
        client.live = False
        now = time.monotonic()
        client.lost_at = client.lost_at or now
        client.node = (client.node + 1) % len(self._nodes)
        self._due.append((now + random.random() * PAUSE_S, client))
        self._due.sort(key=lambda due: -due[0])


def _maps(payload: bytes) -> Iterator[dict[str, Any]]:
    found = json.loads(payload)
    yield from found if isinstance(found, list) else [found]


def main() -> None:
    """Read the plan, one line of standard input, and do it."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1 << 20)
    Crowd(json.loads(line)).run()


if __name__ == "__main__":
    main()
