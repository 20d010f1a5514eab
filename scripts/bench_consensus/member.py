"""One of the measured processes: the production replica, asked over stdin, answering on stdout.

    {"do": "status"}                                          where it stands
    {"do": "load", "proposers", "seconds", "kind"}            closed loops, and their figures
    {"do": "fill", "count", "kind", "body_bytes"}             so many commands, as fast as they go
    {"do": "write"}                                           one command, until it is acknowledged
    {"do": "open", "count"}                                   so many conversations
    {"do": "probe", "seconds"}                                a write every 10 ms, and their times
    {"do": "stall", "proposers", "seconds", "until_snapshot"} the loop's longest pause under load

One JSON object a line, one at a time.  Times are seconds of the system's monotonic clock,
which all processes share.
"""

import argparse
import json
import os
import random
import resource
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
import trio

from cluster.opening import open_data
from cluster.port import Answer, Unavailable
from cluster.raft.engine import Engine
from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from node.edge.memory import tune_gc
from scripts.bench_commit import WARM_UP_S, Loop
from scripts.bench_consensus import commands
from scripts.bench_consensus.slow import SlowDisk
from wal.disk import FileDisk
from wal.log import Log
from wal.recovery import Recovered
from wal.snapshot import SnapshotStore

NEVER = 1 << 60
FILL_AT_ONCE = 2_000
FILL_CONVERSATIONS = 64
PROBE_S = 0.01
TICK_S = 0.001
LINE_BYTES = 64 * 1024
STALL_TAIL_S = 1.0
STALL_LIMIT_S = 120.0


def open_replica(options: argparse.Namespace) -> Replica:
    """Return the replica; as `Replica.open` does it, with snapshots as often as asked."""
    settings = ReplicaSettings(
        cluster="bench",
        node=options.node,
        key=b"bench-key-of-32-bytes-and-no-use",
        data=Path(options.folder),
        listen=("127.0.0.1", options.addresses[options.node]),
        peers={n: ("127.0.0.1", p) for n, p in options.addresses.items() if n != options.node},
    )
    slow_s = options.slow_ms / 1e3
    disk = SlowDisk(settings.data, extra_s=slow_s) if slow_s else FileDisk(settings.data)

    def make_engine(wal: Log, recovered: Recovered, snapshots: SnapshotStore) -> Engine:
        return Engine(
            settings.node,
            settings.configured,
            log=wal,
            recovered=recovered,
            snapshots=snapshots,
            clock=time.monotonic,
            rng=random.Random(secrets.randbits(64)),
            timing=settings.timing,
            snapshot_every_entries=options.snapshot_every or NEVER,
            snapshot_every_bytes=NEVER,
        )

    voters = settings.configured.voters
    return Replica(
        settings, disk, open_data(disk, settings.cluster, settings.node, voters, make_engine)
    )


class Member:
    """What can be asked of one replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what `asked["do"]` names with the rest as its arguments."""
        what = asked.pop("do")
        todo: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "status": self.status,
            "load": self.load,
            "fill": self.fill,
            "write": self.write,
            "open": self.open,
            "probe": self.probe,
            "stall": self.stall,
        }
        return await todo[what](**asked)

    async def status(self) -> dict[str, Any]:
        status = self._replica.status()
        return {
            "standing": status.standing,
            "leader": status.leader,
            "applied": status.applied_index,
            "last": status.last_index,
            "first": status.first_index,
            "snapshot": status.snapshot_index,
            "conversations": len(self._replica.state.conversations),
            "wal_bytes": self._replica.wal_statistics().bytes,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }

    async def load(self, proposers: int, seconds: float, kind: commands.Kind) -> dict[str, Any]:
        loop = await self._loop(proposers, seconds, kind)
        before = self._replica.wal_statistics()
        index, cpu = self._replica.status().last_index, time.process_time()
        loop.start(proposers)
        while not loop.over:
            await trio.sleep(0.02)
        after = self._replica.wal_statistics()
        spent = seconds + WARM_UP_S
        return loop.result() | {
            "cpu": (time.process_time() - cpu) / spent,
            "entries_per_second": (self._replica.status().last_index - index) / spent,
            "syncs_per_second": (after.syncs - before.syncs) / spent,
            "sync_ms": 1e3
            * (after.sync_seconds_total - before.sync_seconds_total)
            / max(1, after.syncs - before.syncs),
        }

    async def _loop(self, proposers: int, seconds: float, kind: commands.Kind) -> Loop:
        places = await self._conversations(proposers) if kind == "message" else [""] * proposers
        maker = commands.Maker(kind)

        def propose(proposer: int, answered: Any) -> None:
            def on_answer(answer: Answer) -> None:
                assert not isinstance(answer, Unavailable), answer
                answered()

            self._replica.submit(maker.make(places[proposer]), on_answer)

        return Loop(seconds, propose)

    async def _conversations(self, count: int) -> list[str]:
        run = secrets.token_hex(4)
        places = [f"{run}{place:018d}" for place in range(count)]
        for cv in places:
            answer = await self._replica.propose(commands.opening(cv))
            assert not isinstance(answer, Unavailable), answer
        return places

    async def fill(
        self, count: int, kind: commands.Kind = "message", body_bytes: int = commands.BODY_BYTES
    ) -> dict[str, Any]:
        places = await self._conversations(FILL_CONVERSATIONS)
        maker = commands.Maker(kind, body_bytes=body_bytes)
        return await self._all(maker.make(places[n % len(places)]) for n in range(count))

    async def write(self) -> dict[str, Any]:
        """Return how often it was asked before the answer was a good one."""
        tries = 1
        command = commands.opening(secrets.token_hex(8))
        while isinstance(await self._replica.propose(command), Unavailable):
            tries += 1
            await trio.sleep(PROBE_S)
        return {"tries": tries}

    async def open(self, count: int) -> dict[str, Any]:
        run = secrets.token_hex(4)
        return await self._all(commands.opening_with_text(n, run) for n in range(count))

    async def _all(self, todo: Any) -> dict[str, Any]:
        """Propose all of `todo`, FILL_AT_ONCE at a time."""
        began = time.monotonic()
        room = trio.Semaphore(FILL_AT_ONCE)
        failed: list[Unavailable] = []

        def on_answer(answer: Answer) -> None:
            if isinstance(answer, Unavailable):
                failed.append(answer)
            room.release()

        for command in todo:
            await room.acquire()
            self._replica.submit(command, on_answer)
        for _ in range(FILL_AT_ONCE):
            await room.acquire()
        assert not failed, failed[0]
        return {"seconds": time.monotonic() - began}

    async def probe(self, seconds: float) -> dict[str, Any]:
        """Return [began, ended] of every write that was acknowledged."""
        (cv,) = await self._conversations(1)
        maker = commands.Maker("message")
        acknowledged: list[tuple[float, float]] = []

        def write() -> None:
            began = time.monotonic()

            def on_answer(answer: Answer) -> None:
                if not isinstance(answer, Unavailable):
                    acknowledged.append((began, time.monotonic()))

            self._replica.submit(maker.make(cv), on_answer)

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            write()
            await trio.sleep(PROBE_S)
        return {"acknowledged": acknowledged}

    async def stall(self, proposers: int, seconds: float, until_snapshot: bool) -> dict[str, Any]:
        """Return how late, at worst, a task that wants to run every millisecond ran."""
        loop = await self._loop(proposers, STALL_LIMIT_S if until_snapshot else seconds, "message")
        snapshot = self._replica.status().snapshot_index
        loop.start(proposers)
        late: list[float] = []
        until = time.monotonic() + (STALL_LIMIT_S if until_snapshot else seconds)
        saved = False
        while (now := time.monotonic()) < until:
            await trio.sleep(TICK_S)
            late.append(time.monotonic() - now - TICK_S)
            if until_snapshot and not saved:
                saved = self._replica.status().snapshot_index != snapshot
                until = now + STALL_TAIL_S if saved else until
        loop.stop()
        late.sort()
        return {
            "worst_ms": 1e3 * late[-1],
            "p99_ms": 1e3 * late[int(len(late) * 0.99)],
            "ticks": len(late),
            "saved": saved,
        }


async def _serve(options: argparse.Namespace) -> None:
    replica = open_replica(options)
    member = Member(replica)
    asked = trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))
    buffer = b""
    async with trio.open_nursery() as nursery:
        await nursery.start(replica.run)
        tune_gc()  # as a node does
        while data := await asked.receive_some(LINE_BYTES):
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                print(json.dumps(await member.answer(json.loads(line))), flush=True)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Serve one node until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--addresses", type=json.loads, required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--slow-ms", type=float, default=0.0)
    parser.add_argument("--snapshot-every", type=int, default=0)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    trio.run(_serve, parser.parse_args())


if __name__ == "__main__":
    main()
