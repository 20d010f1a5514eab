"""A backup of a large desk while messages flow: how long it takes, and what it costs the others.

    python -m scripts.bench_backup [--conversations 100000] [--messages 5] [--senders 16]

Three node processes on loopback, restored from a backup that is made here: conversations that
wait, of a few messages of 100 bytes each.  Senders are visitors, spread over the nodes; each sends
its next message when the last was acknowledged.  Their latency is measured for some seconds before
a `unidesk backup`, while it is read, and for some seconds after; *ratio* is against before.

`--alone` starts no nodes, and says what processor time the steps take in one process: the copy is
what a node's loop does, all the rest is a thread's or the command's.
"""

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio

from cluster.backup.file import Header, Reader, encode
from cluster.backup.restore import load, restore
from cluster.ids import Ulids
from cluster.raft.members import Members
from cluster.state import snapshot
from cluster.state.commands import By
from cluster.state.events import Event, Tail
from cluster.state.model import Conversation
from cluster.state.route import Route, Step
from cluster.state.state import State
from node.client import Client, open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from node.replay.figures import percentile
from wal.disk import FileDisk

BYTES = 100
SECONDS = 8.0
OPENED_MS = 1_760_000_000_000
SETTLE_S = 3.0
READY_S = 240.0


def waiting(count: int, messages: int) -> Iterator[Conversation]:
    """Yield so many conversations that wait, of so many messages each."""
    ids = Ulids(lambda: OPENED_MS, lambda size: bytes(size))
    for number in range(count):
        events = [
            Event(
                seq,
                "msg",
                By("visitor", f"w{number}"),
                OPENED_MS + number,
                data={"type": "text", "body": f"{number} {seq} ".ljust(BYTES, "x")},
            )
            for seq in range(1, messages + 1)
        ]
        yield Conversation(
            cv=ids.new(),
            visitor=f"w{number}",
            visitor_name="",
            channel="web",
            lang="en",
            subject="",
            tags={"order": str(number)},
            attrs={},
            opened_ms=OPENED_MS + number,
            state="waiting",
            route=Route((Step("general"),)),
            seq=messages,
            tail=Tail.of(events),
        )


def prepare(cluster: LocalCluster, file: Path, count: int, messages: int) -> float:
    """Restore every node of `cluster`; return how long one took, in seconds."""
    state = State()
    state.now_ms, state.applied_index = OPENED_MS + count, 1_000
    state.conversations.update((one.cv, one) for one in waiting(count, messages))
    header = Header("made", "n1", 1_000, 1, state.now_ms, 0, "bench", 1)
    with file.open("wb") as out:
        for part in encode(header, snapshot.dump(state)):
            out.write(part)
    peers = {n: f"127.0.0.1:{p.peer}" for n, p in cluster.folder.layout.nodes.items()}
    took = 0.0
    for name in cluster.names:
        began = time.monotonic()
        disk = FileDisk(cluster.folder.data(name))
        with file.open("rb") as data:
            reader = Reader(str(file), data.read)
            restore(disk, cluster.folder.layout.id, name, Members.of(peers), lambda r=reader: r)  # type: ignore[misc]
        disk.close()
        took = time.monotonic() - began
    return took


def alone(count: int, messages: int) -> dict[str, float]:
    """Return the processor time of each step, in milliseconds, and the size in bytes."""
    state = State()
    state.now_ms, state.applied_index = OPENED_MS + count, 1_000
    state.conversations.update((one.cv, one) for one in waiting(count, messages))
    header = Header("made", "n1", 1_000, 1, state.now_ms, 0, "bench", 1)
    found: dict[str, float] = {}
    began = time.process_time()

    def step(name: str) -> None:
        nonlocal began
        found[name] = 1000 * (time.process_time() - began)
        began = time.process_time()

    copy = state.frozen_copy()
    step("copy")
    data = b"".join(encode(header, snapshot.dump(copy)))
    step("encode")
    for _ in Reader("made", io.BytesIO(data).read).blocks():
        pass
    step("check")
    load(Reader("made", io.BytesIO(data).read))
    step("load")
    return found | {"bytes": len(data)}


async def send(client: Client, number: int, latencies: list[float]) -> None:
    """Say one thing after the other, and note how long each took to be acknowledged."""
    cv = (await client.request(CvOpen(key=f"o{number}")))["cv"]
    count = 0
    while True:
        count += 1
        began = time.monotonic()
        await client.request(MsgSend(cv=cv, key=f"k{number}.{count}", body="x" * BYTES))
        latencies.append(time.monotonic() - began)


async def measure(cluster: LocalCluster, senders: int, out: Path) -> dict[str, Any]:
    latencies: list[float] = []
    told: dict[str, Any] = {}
    phases: dict[str, tuple[list[float], float]] = {}

    async def phase(name: str, body: Any) -> None:
        latencies.clear()
        began = time.monotonic()
        await body()
        phases[name] = (list(latencies), time.monotonic() - began)

    async def backup() -> None:
        command = [sys.executable, "-m", "node", "backup", str(out), "--json", "--data"]
        done = await trio.run_process([*command, str(cluster.folder.path)], capture_stdout=True)
        told.update(json.loads(done.stdout))

    async def pause() -> None:
        await trio.sleep(SECONDS)

    async with open_all(cluster) as clients, trio.open_nursery() as nursery:
        for number in range(senders):
            nursery.start_soon(send, clients[number % len(clients)], number, latencies)
        await trio.sleep(SETTLE_S)
        await phase("before", pause)
        await phase("backup", backup)
        await phase("after", pause)
        nursery.cancel_scope.cancel()
    return {"backup_s": told["seconds"]} | {name: row(*found) for name, found in phases.items()}


def open_all(cluster: LocalCluster) -> Any:
    """Return a context of one client per node."""
    from contextlib import AsyncExitStack, asynccontextmanager

    @asynccontextmanager
    async def opened() -> Any:
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(
                    open_client([cluster.url(name)], cluster.mint("service", f"load-{name}"))
                )
                for name in cluster.names
            ]

    return opened()


def row(latencies: list[float], took_s: float) -> dict[str, float]:
    """Return the figures of one phase."""
    return {
        "seconds": took_s,
        "per_second": len(latencies) / took_s,
        "p50_ms": 1000 * percentile(latencies, 50),
        "p99_ms": 1000 * percentile(latencies, 99),
        "max_ms": 1000 * max(latencies),
    }


async def run(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cluster = LocalCluster(root / "desk", cluster_id="bench", sections=UNLIMITED)
        restored_s = prepare(cluster, root / "made", options.conversations, options.messages)
        cluster.start()
        try:
            await cluster.wait_ready(timeout_s=READY_S)
            found = await measure(cluster, options.senders, root / "out")
        finally:
            with trio.CancelScope(shield=True):
                await cluster.stop()
        return {
            "restore_s": restored_s,
            "bytes": (root / "out").stat().st_size,
            **found,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=5)
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    if options.alone:
        for name, value in alone(options.conversations, options.messages).items():
            print(f"{name:<8}{value:12,.0f}{'' if name == 'bytes' else ' ms'}")
        return
    found = trio.run(run, options)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"restore of one node                {found['restore_s']:6.1f} s")
    print(f"backup, start of the command aside {found['backup_s']:6.1f} s")
    print(f"size of the backup                 {found['bytes'] / 1e6:6.1f} MB")
    print("           seconds  per second   p50 ms   p99 ms   max ms   p99 ratio")
    for name in ("before", "backup", "after"):
        one = found[name]
        ratio = one["p99_ms"] / found["before"]["p99_ms"]
        print(
            f"{name:<10} {one['seconds']:7.1f} {one['per_second']:11.0f} {one['p50_ms']:8.1f}"
            f" {one['p99_ms']:8.1f} {one['max_ms']:8.1f} {ratio:11.1f}"
        )


if __name__ == "__main__":
    main()
