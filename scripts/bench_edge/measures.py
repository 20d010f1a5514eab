"""What is measured of one server in one round.

measure      load                                       figures
idle         connections that say nothing               KB each, connects/s, CPU each
collect      as many, and a full garbage collection     ms
echo         100 connections, 64 B there and back       /s, CPU each, p50, p99
text         the same as text, which has to be UTF-8    /s, CPU each, p50, p99
broadcast    one message to all, the next when          deliveries/s, CPU each
             all have it
http         50 keep-alive connections, GET             /s, CPU each, p50, p99
browser      the same with the head that a browser      /s, CPU each, p50, p99
             sends, 10 lines
"""

import socket
import time
from pathlib import Path
from typing import Any

from scripts.bench_edge.peers import HERE, Server
from scripts.bench_edge.running import Load, Running
from scripts.crowd.clients import UPGRADE, frames, masked

SETTLE_S = 1.0
COLLECTIONS = 5
_BROWSER_HEAD = HERE / "browser_head.txt"

Row = dict[str, float]


def idle(server: Server, *, connections: int) -> Row:
    """Measure what connections cost that say nothing."""
    with Running(server) as running:
        before, cpu = running.pss_bytes(), running.cpu_s()
        with Load("idle", running.port, c=connections, n=4) as lines:
            ready = next(lines)
            cpu = running.cpu_s() - cpu
            time.sleep(SETTLE_S)
            held = running.pss_bytes() - before
    there = max(1, ready["open"])
    return {
        "KB each": held / there / 1024,
        "connects/s": ready["per_s"],
        "CPU us each": cpu / there * 1e6,
        "failed": ready["failed"],
    }


def collect(server: Server, *, connections: int) -> Row:
    """Measure full garbage collections with connections there."""
    with Running(server) as running, Load("idle", running.port, c=connections, n=4) as lines:
        ready = next(lines)
        taken = [_collection_ms(running.port) for _ in range(COLLECTIONS)]
    return {"ms": max(taken), "open": ready["open"]}


def echo(server: Server, *, connections: int, seconds: float) -> Row:
    """Measure messages that come back."""
    return _throughput(server, "echo", c=connections, s=64, d=seconds)


def echo_text(server: Server, *, connections: int, seconds: float) -> Row:
    """Measure text messages that come back: they are checked to be UTF-8."""
    return _throughput(server, "echo", c=connections, s=64, d=seconds, t=True)


def broadcast(server: Server, *, connections: int, seconds: float) -> Row:
    """Measure one message to everybody."""
    return _throughput(server, "broadcast", c=connections, s=64, d=seconds, n=4)


def http(server: Server, *, connections: int, seconds: float) -> Row:
    """Measure requests on connections that are kept."""
    return _throughput(server, "http", c=connections, d=seconds)


def browser(server: Server, *, connections: int, seconds: float) -> Row:
    """Measure requests that look like a browser's."""
    return _throughput(server, "http", c=connections, d=seconds, H=Path(_BROWSER_HEAD))


def _throughput(server: Server, mode: str, **options: Any) -> Row:
    with Running(server) as running, Load(mode, running.port, **options) as lines:
        ready, _ = next(lines), next(lines)
        if ready["failed"]:
            raise RuntimeError(f"{ready['failed']} connections failed")
        cpu = running.cpu_s()
        end = next(lines)
        cpu = running.cpu_s() - cpu
    return {
        "/s": end["per_s"],
        "CPU us each": cpu / max(1, end["answers"]) * 1e6,
        "p50 us": end["p50_us"],
        "p99 us": end["p99_us"],
        "load %": end["client_cpu"] * 100,
    }


def _collection_ms(port: int) -> float:
    """Ask the server for a collection; see `servers/__init__.py`."""
    with socket.create_connection(("127.0.0.1", port), 30) as handle:
        plain = UPGRADE.replace("/v1/ws", "/").replace(
            "Sec-WebSocket-Protocol: unidesk.v1+json\r\n", ""
        )
        handle.sendall(plain.encode())
        buffer = b""
        while b"\r\n\r\n" not in buffer:
            buffer += _received(handle)
        handle.sendall(masked(2, b"G"))
        buffer = buffer.partition(b"\r\n\r\n")[2]
        while not (found := frames(buffer)[0]):
            buffer += _received(handle)
    return float(found[0][1])


def _received(handle: socket.socket) -> bytes:
    data = handle.recv(65_536)
    if not data:
        raise ConnectionError("the server hung up")
    return data
