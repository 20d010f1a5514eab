"""Clients that behave badly, beside a thousand that behave well: what the good ones notice.

    python -m scripts.bench_rude

One node, a thousand clients that ask, together, a thousand questions a second at their own moments
(an open loop).  Their latency is taken alone, then beside each kind of rudeness, then alone again:

    slow         20 clients follow a busy conversation and read nothing
    flooding     5 clients send questions as fast as the socket takes them
    slowloris    2,000 sockets send a byte of a request's head each second, and never end it
    reconnecting a client connects, says hello and leaves, as fast as it can
    guessing     1,000 wrong passwords at once, again and again, of as many accounts and addresses
"""

import argparse
import contextlib
import json
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import trio

from node.client import open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from scripts.crowd.clients import UPGRADE, masked
from scripts.crowd.processes import Crowd, node_addresses

GOOD = 1_000
ASKS_PER_S = 1_000.0
SETTLE_S = 1.0
SLOW, FLOODING, SLOWLORIS, GUESSES = 20, 5, 2_000, 1_000

Rudeness = Callable[["Town"], Awaitable[None]]


class Town:
    """The node, and what rude clients need to know of it."""

    def __init__(self, cluster: LocalCluster, busy: str) -> None:
        self.cluster = cluster
        self.busy = busy
        self.statuses: Counter[str] = Counter()
        """What guesses were answered."""
        self.host, self.port = node_addresses(cluster)[0]

    async def login(self, subject: str, cv: str, *, receive_buffer: int = 0) -> trio.SocketStream:
        """Return a connection that has said hello and follows `cv`; nothing is read of it."""
        plain = trio.socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await plain.connect((self.host, self.port))
        stream = trio.SocketStream(plain)
        hello = {"op": "hello", "ver": "1", "token": self.cluster.mint("supervisor", subject)}
        sub = {"op": "cv.sub", "id": 1, "cv": cv}
        said = b"".join(masked(1, json.dumps(one).encode()) for one in (hello, sub))
        await stream.send_all(UPGRADE.encode() + said)
        return stream


async def nothing(town: Town) -> None:
    """Leave the good ones alone."""
    await trio.sleep_forever()


async def slow(town: Town) -> None:
    """Follow a busy conversation, read nothing, and come back when that has its end."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_talk, town)
        for number in range(SLOW):
            nursery.start_soon(_read_nothing, town, f"slow{number}")


async def _talk(town: Town) -> None:
    async with open_client(town.cluster.urls, town.cluster.mint("service", "opener")) as client:
        number = 0
        while True:
            number += 1
            said = MsgSend(cv=town.busy, key=f"{trio.current_time()}", body="x" * 8_000)
            await client.request(said)


async def _read_nothing(town: Town, subject: str) -> None:
    while True:
        async with await town.login(subject, town.busy, receive_buffer=4096):
            await trio.sleep(3)


async def flooding(town: Town) -> None:
    """Ask and ask, with all that the socket takes at once; the answers are thrown away."""
    async with trio.open_nursery() as nursery:
        for number in range(FLOODING):
            nursery.start_soon(_flood, town, f"flood{number}")


async def _flood(town: Town, subject: str) -> None:
    asked = masked(1, json.dumps({"op": "cv.get", "id": 3, "cv": town.busy}).encode()) * 100
    while True:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with await town.login(subject, town.busy) as stream, trio.open_nursery() as both:
                both.start_soon(_throw_away, stream, both.cancel_scope)
                while True:
                    await stream.send_all(asked)
        await trio.sleep(0.1)


async def _throw_away(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    while await stream.receive_some(65_536):
        pass
    scope.cancel()


async def slowloris(town: Town) -> None:
    """Begin thousands of requests and end none."""
    async with trio.open_nursery() as nursery:
        for number in range(SLOWLORIS):
            nursery.start_soon(_drip, town, number)


async def _drip(town: Town, number: int) -> None:
    await trio.sleep(number / SLOWLORIS)
    while True:
        with contextlib.suppress(OSError, trio.BrokenResourceError):
            async with await trio.open_tcp_stream(town.host, town.port) as stream:
                await stream.send_all(b"GET /v1/ws HTTP/1.1\r\nHost: desk\r\nX-Slow: ")
                while True:
                    await stream.send_all(b"x")
                    await trio.sleep(1)
        await trio.sleep(1)


async def reconnecting(town: Town) -> None:
    """Come and go."""
    while True:
        with contextlib.suppress(OSError, trio.BrokenResourceError):
            async with await town.login("restless", town.busy) as stream:
                await stream.receive_some(65_536)


async def guessing(town: Town) -> None:
    """Try a thousand passwords at once; a proxy, it seems, has them from as many addresses."""
    while True:
        async with trio.open_nursery() as nursery:
            for number in range(GUESSES):
                nursery.start_soon(_guess, town, number)


async def _guess(town: Town, number: int) -> None:
    form = f"grant_type=password&username=user{number}&password=guess".encode()
    head = (
        "POST /v1/token HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nX-Forwarded-Proto: https\r\n"
        f"X-Forwarded-For: 10.0.{number // 250}.{number % 250}\r\n"
        f"Content-Length: {len(form)}\r\n\r\n"
    )
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        async with await trio.open_tcp_stream(town.host, town.port) as stream:
            await stream.send_all(head.encode() + form)
            answer = await stream.receive_some(65_536)
            town.statuses[answer[9:12].decode()] += 1
            while await stream.receive_some(65_536):
                pass


async def bench(folder: Path, seconds: float, only: str) -> None:
    """Measure, and print a table."""
    sections = {"limits": {"service_requests_per_s": 0}}
    async with LocalCluster(folder, nodes=1, cluster_id="bench", sections=sections) as cluster:
        async with open_client(cluster.urls, cluster.mint("service", "opener")) as client:
            busy, quiet = [
                str((await client.request(CvOpen(key=key, text="hello")))["cv"])
                for key in ("busy", "quiet")
            ]
        town = Town(cluster, busy)
        plan = [(cluster.mint("supervisor", f"good{number}"), quiet) for number in range(GOOD)]
        with Crowd(node_addresses(cluster), plan, asks_per_s=ASKS_PER_S) as crowd:
            async with trio.open_nursery() as nursery:
                await nursery.start(crowd.follow)
                await crowd.wait_live(GOOD, timeout_s=60)
                print(
                    f"{GOOD} good clients, {ASKS_PER_S:.0f} questions a second, {seconds:g} s each"
                )
                print(f"  {'beside':<14} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'answers':>8}")
                kinds = (slow, flooding, slowloris, reconnecting, guessing)
                rude = [one for one in kinds if only in ("", one.__name__)]
                for kind in [each for one in rude for each in (nothing, one)]:
                    async with _beside(kind, town):
                        await trio.sleep(SETTLE_S)
                        crowd.taken_ms.clear()
                        await trio.sleep(seconds)
                        _print(kind.__name__, sorted(crowd.taken_ms))
                lost = crowd.figures["lost"]
                nursery.cancel_scope.cancel()
        print(f"  good clients that were cut off: {lost}")
        if town.statuses:
            print(f"  guesses by status: {dict(sorted(town.statuses.items()))}")


@contextlib.asynccontextmanager
async def _beside(kind: Rudeness, town: Town) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kind, town)
        yield
        nursery.cancel_scope.cancel()


def _print(name: str, taken: list[float]) -> None:
    p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    print(f"  {name:<14} {p50:>8.2f} {p99:>8.2f} {taken[-1]:>8.2f} {len(taken):>8}", flush=True)


def main() -> None:
    """Parse arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", default="", help="one kind of rudeness")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-rude-") as folder:
        trio.run(bench, Path(folder), arguments.seconds, arguments.only)


if __name__ == "__main__":
    main()
