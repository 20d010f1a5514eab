"""Committed commands per second and their latency, beside two yardsticks of the same run.

    python scripts/bench_commit.py [--proposers 1 16 256] [--seconds 5] [--at leader follower]

Three processes on loopback, every acknowledged command on a majority of disks.  A command
is a visitor's message of 100 bytes, applied by the real state machine; proposers are
closed loops in the measured process.  Beside it, in the same run:

    stock         PySyncObj as shipped, journal on, appendEntriesUseBatch=False: it never syncs
    stock, msync  the same with the journal flushed after every entry, as it would have to be
    disk          appends of 4 KiB, each followed by one fdatasync, in one thread

Read the ratios; the machine's own speed drifts.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

BODY = "x" * 100
NODES = 3
WARM_UP_S = 1.0
START_S = 30.0


class Loop:
    """Closed-loop proposers: each proposes again when its last command is answered."""

    def __init__(self, seconds: float, propose: Callable[[int, Callable[[], None]], None]) -> None:
        self._propose = propose
        self._measure_from = time.perf_counter() + WARM_UP_S
        self._until = self._measure_from + seconds
        self._seconds = seconds
        self.latencies_s: list[float] = []

    def start(self, proposers: int) -> None:
        for proposer in range(proposers):
            self._again(proposer)

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self._until

    def stop(self) -> None:
        """Propose nothing more; what is under way is not counted."""
        self._until = time.perf_counter()

    def _again(self, proposer: int) -> None:
        began = time.perf_counter()

        def answered() -> None:
            now = time.perf_counter()
            if self._measure_from <= began and now < self._until:
                self.latencies_s.append(now - began)
            if now < self._until:
                self._again(proposer)

        self._propose(proposer, answered)

    def result(self) -> dict[str, float]:
        ordered = sorted(self.latencies_s)
        count = len(ordered)
        return {
            "per_second": count / self._seconds,
            "p50_ms": 1e3 * ordered[count // 2] if count else 0.0,
            "p99_ms": 1e3 * ordered[int(count * 0.99)] if count else 0.0,
        }


# -- unidesk


def member_unidesk(args: argparse.Namespace) -> None:
    """One of three replicas; the one whose role is asked for measures and prints."""
    import structlog
    import trio

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    from cluster.port import Unavailable
    from cluster.replica import Replica
    from cluster.settings import ReplicaSettings
    from cluster.state.commands import By, OpenConversation, SendMessage
    from cluster.state.outcome import Refused
    from node.edge.memory import tune_gc

    addresses = {f"n{i}": ("127.0.0.1", port) for i, port in enumerate(args.ports)}
    me = f"n{args.member}"

    async def main() -> None:
        replica = Replica.open(
            ReplicaSettings(
                cluster="bench",
                node=me,
                key=b"bench-key-of-32-bytes-and-no-use",
                data=Path(args.folder) / me,
                listen=addresses[me],
                peers={node: address for node, address in addresses.items() if node != me},
            )
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(replica.run)
            while replica.status().standing != "serving":
                await trio.sleep(0.02)
            await trio.sleep(1.0)
            tune_gc()  # as a node does
            leader = replica.status().leader
            chosen = leader if args.at == "leader" else min(set(addresses) - {leader})
            if me == chosen:
                print(json.dumps(await measure(replica)), flush=True)
            await trio.sleep_forever()

    async def measure(replica: Replica) -> dict[str, float]:
        by = By("visitor", "bench")
        conversations = [f"cv{i:024d}" for i in range(args.proposers)]
        for cv in conversations:
            answer = await replica.propose(OpenConversation(cv, by, secrets.token_hex(8)))
            assert not isinstance(answer, Refused | Unavailable), answer
        numbers = iter(range(1 << 60))

        def propose(proposer: int, answered: Callable[[], None]) -> None:
            number = next(numbers)
            command = SendMessage(
                conversations[proposer], f"{number:026d}", by, str(number), "text", BODY
            )

            def on_answer(answer: Any) -> None:
                assert not isinstance(answer, Refused | Unavailable), answer
                answered()

            replica.submit(command, on_answer)

        loop = Loop(args.seconds, propose)
        syncs = replica.wal_statistics().syncs
        cpu = time.process_time()
        loop.start(args.proposers)
        while not loop.over:
            await trio.sleep(0.05)
        spent = args.seconds + WARM_UP_S
        return loop.result() | {
            "syncs_per_second": (replica.wal_statistics().syncs - syncs) / spent,
            "cpu": (time.process_time() - cpu) / spent,
        }

    trio.run(main)


# -- stock PySyncObj


def member_stock(args: argparse.Namespace) -> None:
    """The library as shipped: its own sockets, thread and journal file."""
    from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated
    from pysyncobj.journal import FileJournal

    if args.kind == "stock-msync":
        add = FileJournal.add

        def add_and_flush(journal: Any, *entry: Any) -> None:
            add(journal, *entry)
            journal.flush()

        FileJournal.add = add_and_flush

    class Messages(SyncObj):  # type: ignore[misc]  # the library ships no types
        def __init__(self, me: str, others: list[str], folder: str) -> None:
            super().__init__(
                me,
                others,
                SyncObjConf(
                    journalFile=folder, appendEntriesUseBatch=False, logCompactionMinTime=1e9
                ),
            )
            self.conversations: dict[str, int] = {}

        @replicated  # type: ignore[untyped-decorator]
        def send(self, cv: str, body: str) -> int:
            self.conversations[cv] = self.conversations.get(cv, 0) + 1
            return self.conversations[cv]

    names = [f"127.0.0.1:{port}" for port in args.ports]
    me = names.pop(args.member)
    messages = Messages(me, names, str(Path(args.folder) / f"stock{args.member}"))
    deadline = time.monotonic() + START_S
    while not messages.isReady() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    leader = messages._getLeader()
    chosen = str(leader) if args.at == "leader" else min({me, *names} - {str(leader)})
    if me == chosen:

        def propose(proposer: int, answered: Callable[[], None]) -> None:
            def on_result(_: Any, reason: int) -> None:
                assert reason == FAIL_REASON.SUCCESS, reason
                answered()

            messages.send(f"cv{proposer}", BODY, callback=on_result)

        loop = Loop(args.seconds, propose)
        loop.start(args.proposers)
        while not loop.over:
            time.sleep(0.05)
        print(json.dumps(loop.result()), flush=True)
    time.sleep(args.seconds + 60)


# -- the disk


def measure_disk(folder: str, seconds: float) -> dict[str, float]:
    """Appends of 4 KiB, one fdatasync each: what any log on this disk is bounded by."""
    block = os.urandom(4096)
    taken = []
    path = Path(folder) / "probe"
    with path.open("wb", buffering=0) as file:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    taken.sort()
    return {
        "per_second": len(taken) / seconds,
        "p50_ms": 1e3 * taken[len(taken) // 2],
        "p99_ms": 1e3 * taken[int(len(taken) * 0.99)],
    }


# -- the run


@contextmanager
def three(kind: str, args: argparse.Namespace, proposers: int, at: str) -> Iterator[list[Any]]:
    import socket

    sockets = [socket.socket() for _ in range(NODES)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.folder) as folder:
        command = [sys.executable, __file__, "--kind", kind, "--folder", folder, "--at", at]
        command += ["--proposers", str(proposers), "--seconds", str(args.seconds)]
        processes = [
            subprocess.Popen(
                [*command, "--member", str(member), "--ports", *ports],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for member in range(NODES)
        ]
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()


def run_once(kind: str, args: argparse.Namespace, proposers: int, at: str) -> dict[str, float]:
    """Return what the chosen one of three processes measured."""
    import select

    with three(kind, args, proposers, at) as processes:
        outputs = [process.stdout for process in processes]
        ready, _, _ = select.select(outputs, [], [], START_S + args.seconds + WARM_UP_S + 10)
        for output in ready:
            line = output.readline()
            if line:
                result: dict[str, float] = json.loads(line)
                return result
    raise SystemExit(f"{kind}: no result; run one member by hand to see why")


MEMBERS = {"unidesk": member_unidesk, "stock": member_stock, "stock-msync": member_stock}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--proposers", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--at", nargs="+", default=["leader", "follower"])
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--kind", choices=list(MEMBERS), help=argparse.SUPPRESS)
    parser.add_argument("--member", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ports", type=int, nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kind:
        args.proposers, args.at = args.proposers[0], args.at[0]
        return MEMBERS[args.kind](args)
    disk = measure_disk(args.folder, 2.0)
    rows = {"disk: fdatasync per 4 KiB": disk}
    for proposers in args.proposers:
        for at in args.at:
            rows[f"unidesk, {proposers} at the {at}"] = run_once("unidesk", args, proposers, at)
        for kind, name in (("stock", "no sync"), ("stock-msync", "msync")):
            rows[f"stock PySyncObj ({name}), {proposers} at the leader"] = run_once(
                kind, args, proposers, "leader"
            )
    if args.json:
        print(json.dumps(rows, indent=1))
        return None
    print(f"{'':48}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'x disk':>8}{'cpu':>6}")
    for what, row in rows.items():
        print(
            f"{what:48}{row['per_second']:12.0f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}"
            f"{row['per_second'] / disk['per_second']:8.1f}{row.get('cpu', 0.0):6.0%}"
        )
    return None


if __name__ == "__main__":
    main()
