"""Clients that behave badly, beside a thousand that behave well: what the good ones notice.

    python -m scripts.bench_rude

One node, a thousand clients that ask, together, a thousand questions a second at their own moments
(an open loop).  Their latency is taken beside each kind of rudeness, and each time just before
beside the same without it; *x* is how many times as high that makes the p99.

    beside        what others do                                              compared with
    slow          20 clients follow a busy conversation and read nothing      20 that read
    flooding      5 clients send questions as fast as the socket takes them   nothing
    slowloris     2,000 sockets send a byte of a head a second, without end   nothing
    reconnecting  a client connects, says hello and leaves, without pause     nothing
    guessing      1,000 wrong passwords at once, again and again              nothing
"""

import argparse
import contextlib
import json
import socket
import statistics
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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
TALK_PAUSE_S, TALK_BYTES = 0.02, 8_000

Rudeness = Callable[["Town"], Awaitable[None]]
Rounds = Sequence[list[float]]


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


async def reading(town: Town) -> None:
    """Follow a busy conversation, and read what is said."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_talk, town)
        for number in range(SLOW):
            stream = await town.login(f"slow{number}", town.busy)
            nursery.start_soon(_throw_away, stream, nursery.cancel_scope)


async def slow(town: Town) -> None:
    """Follow a busy conversation, read nothing, and come back when that has its end."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_talk, town)
        for number in range(SLOW):
            nursery.start_soon(_read_nothing, town, f"slow{number}")


async def _talk(town: Town) -> None:
    async with open_client(town.cluster.urls, town.cluster.mint("service", "opener")) as client:
        while True:
            said = MsgSend(cv=town.busy, key=f"{trio.current_time()}", body="x" * TALK_BYTES)
            await client.request(said)
            await trio.sleep(TALK_PAUSE_S)


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


async def bench(folder: Path, seconds: float, rounds: int, only: str) -> None:
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
                    f"{GOOD} good clients, {ASKS_PER_S:.0f} questions a second,"
                    f" {rounds} times {seconds:g} s each"
                )
                print(
                    f"  {'beside':<14}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'answers':>9}{'x':>7}"
                )
                for kind, without in RUDE.items():
                    if only not in ("", kind.__name__):
                        continue
                    pairs = [
                        [await _measure(one, town, crowd, seconds) for one in (without, kind)]
                        for _ in range(rounds)
                    ]
                    calm, rude = zip(*pairs, strict=True)
                    _print(without.__name__, calm, calm)
                    _print(kind.__name__, rude, calm)
                lost = crowd.figures["lost"]
                nursery.cancel_scope.cancel()
        print(f"  good clients that were cut off: {lost}")
        if town.statuses:
            print(f"  guesses by status: {dict(sorted(town.statuses.items()))}")


async def _measure(kind: Rudeness, town: Town, crowd: Crowd, seconds: float) -> list[float]:
    """Return how long the good ones waited, rising."""
    async with _beside(kind, town):
        await trio.sleep(SETTLE_S)
        crowd.taken_ms.clear()
        await trio.sleep(seconds)
        return sorted(crowd.taken_ms)


@contextlib.asynccontextmanager
async def _beside(kind: Rudeness, town: Town) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kind, town)
        yield
        nursery.cancel_scope.cancel()


def _print(name: str, taken: Rounds, calm: Rounds) -> None:
    """Print medians of the rounds, and the median of their ratios."""
    p50, p99 = (statistics.median(_at(one, share) for one in taken) for share in (0.5, 0.99))
    longest, answers = max(one[-1] for one in taken), sum(map(len, taken))
    ratios = [_at(one, 0.99) / _at(other, 0.99) for one, other in zip(taken, calm, strict=True)]
    cells = f"{p50:9.2f}{p99:9.2f}{longest:9.2f}{answers:9}{statistics.median(ratios):7.2f}"
    print(f"  {name:<14}{cells}", flush=True)


def _at(rising: list[float], share: float) -> float:
    return rising[int(len(rising) * share)]


RUDE: dict[Rudeness, Rudeness] = {
    slow: reading,
    flooding: nothing,
    slowloris: nothing,
    reconnecting: nothing,
    guessing: nothing,
}
"""And what each is compared with."""


def main() -> None:
    """Parse arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="one kind of rudeness")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-rude-") as folder:
        trio.run(bench, Path(folder), arguments.seconds, arguments.rounds, arguments.only)


if __name__ == "__main__":
    main()
