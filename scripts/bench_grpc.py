"""One operation by gRPC beside the same by HTTP: latency, rate, and what it costs the node.

    python -m scripts.bench_grpc [--seconds 3] [--callers 1 32] [--streams 1000]

One node on loopback.  Callers are tasks of one asyncio loop, each with a connection of its own; a
caller asks again when it was answered.  `cv.get` reads, `msg.send` is durable before its answer.
Processor time is the node's alone, all its threads, by call.  Then so many streams of events are
opened by gRPC on ten connections: what one costs in memory, and how long until one message has
reached all.

The callers share the machine with the node: read the ratios, and the node's time.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import trio

from node.client import open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen
from node.protocol.proto_codec import message_of
from node.protocol.schema import PACKAGE, SERVICE
from node.replay.figures import percentile
from scripts.crowd.processes import pss_bytes

WARM_UP_S = 0.5
STREAM_CONNECTIONS = 10
TICKS = os.sysconf("SC_CLK_TCK")
MB = 1024 * 1024

Ask = Callable[[str, dict[str, Any]], Awaitable[None]]
METHODS = {"cv.get": "CvGet", "msg.send": "MsgSend", "cv.open": "CvOpen"}


def cpu_s(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class HttpCaller:
    """HTTP/1.1 with keep-alive, as little of it as will do."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, op: str, fields: dict[str, Any]) -> None:
        body = json.dumps(fields).encode()
        head = (
            f"POST /v1/op/{op} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        (length,) = [
            int(line.split(b":")[1])
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ]
        await self._reader.readexactly(length)


class GrpcCaller:
    """grpcio's own client."""

    def __init__(self, target: str, token: str) -> None:
        self._target = target
        self._metadata = [("authorization", f"Bearer {token}")]

    async def open(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel: Any = grpc.aio.insecure_channel(self._target, options=options)
        self._stubs = {
            op: channel.unary_unary(f"/{PACKAGE}.{SERVICE}/{name}") for op, name in METHODS.items()
        }

    async def ask(self, op: str, fields: dict[str, Any]) -> None:
        asked = message_of(f"{METHODS[op]}Request", fields).SerializeToString()
        await self._stubs[op](asked, metadata=self._metadata)


async def _measure(
    make: Callable[[], HttpCaller | GrpcCaller],
    op: str,
    callers: int,
    seconds: float,
    pid: int,
    cv: str,
) -> dict[str, float]:
    taken: list[float] = []
    keys = 0

    async def call(caller: HttpCaller | GrpcCaller) -> None:
        nonlocal keys
        await caller.open()
        begin = time.perf_counter() + WARM_UP_S
        while (started := time.perf_counter()) < begin + seconds:
            fields: dict[str, Any] = {"cv": cv}
            if op == "msg.send":
                keys += 1
                fields |= {"key": f"{time.time_ns()}-{keys}", "body": "x" * 100}
            await caller.ask(op, fields)
            if started >= begin:
                taken.append(time.perf_counter() - started)

    before = cpu_s(pid)
    await asyncio.gather(*(call(make()) for _ in range(callers)))
    spent = cpu_s(pid) - before
    calls = len(taken) * (seconds + WARM_UP_S) / seconds
    return {
        "rate": len(taken) / seconds,
        "p50": percentile(taken, 50) * 1e3,
        "p99": percentile(taken, 99) * 1e3,
        "cpu": spent / calls * 1e6,
    }


async def _streams(target: str, token: str, cv: str, count: int, pid: int, say: Ask) -> None:
    asked = message_of("EventsRequest", {"cv": [cv]}).SerializeToString()
    before = pss_bytes([pid])
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels: list[Any] = [
        grpc.aio.insecure_channel(target, options=options) for _ in range(STREAM_CONNECTIONS)
    ]
    began = time.perf_counter()
    calls = [
        channels[number % len(channels)].unary_stream(f"/{PACKAGE}.{SERVICE}/Events")(
            asked, metadata=[("authorization", f"Bearer {token}")]
        )
        for number in range(count)
    ]
    for call in calls:
        while b"opened" not in await call.read():
            pass
    opened = time.perf_counter()
    full = pss_bytes([pid])
    await say("msg.send", {"cv": cv, "key": "told", "body": "to all"})
    for call in calls:
        while b"to all" not in await call.read():
            pass
    told = time.perf_counter()
    print(f"{count} streams: all open after {opened - began:.2f} s,", end=" ")
    print(f"{(full - before) / count / 1024:.1f} KB each;", end=" ")
    print(f"one message at all of them after {(told - opened) * 1e3:.0f} ms")
    for channel in channels:
        await channel.close()


async def _bench(options: argparse.Namespace, target: str, port: int, token: str, pid: int) -> None:
    make: dict[str, Callable[[], HttpCaller | GrpcCaller]] = {
        "HTTP": lambda: HttpCaller(port, token),
        "gRPC": lambda: GrpcCaller(target, token),
    }
    print(f"{'':28}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'node us':>9}")
    for op in ("cv.get", "msg.send"):
        for callers in options.callers:
            for way, maker in make.items():
                cv = options.cvs.pop()
                row = await _measure(maker, op, callers, options.seconds, pid, cv)
                name = f"{op} {way}, {callers} callers"
                print(
                    f"{name:28}{row['rate']:12.0f}{row['p50']:9.2f}{row['p99']:9.2f}"
                    f"{row['cpu']:9.0f}"
                )
    if options.streams:
        caller = HttpCaller(port, token)
        await caller.open()
        listener, cv = options.listener, options.cvs.pop()
        await _streams(target, listener, cv, options.streams, pid, caller.ask)


async def _run(options: argparse.Namespace, folder: Path) -> None:
    async with LocalCluster(folder, nodes=1, grpc=True, sections=UNLIMITED) as cluster:
        pid = cluster.pid("n1")
        assert pid is not None
        token = cluster.mint("service", "bench")
        options.listener = cluster.mint("service", "listener")
        options.cvs = await _open(cluster, token)
        await trio.to_thread.run_sync(
            lambda: asyncio.run(
                _bench(options, cluster.grpc_target("n1"), cluster.address("n1").port, token, pid)
            )
        )


async def _open(cluster: LocalCluster, token: str) -> list[str]:
    """Return conversations to read and to write."""
    async with open_client(cluster.urls, token) as client:
        opened = [await client.request(CvOpen(key=f"bench-{number}")) for number in range(32)]
    return [str(one["cv"]) for one in opened]


def main() -> None:
    """Parse the command line, run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--streams", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-grpc-") as folder:
        trio.run(_run, options, Path(folder))


if __name__ == "__main__":
    main()
