"""Acknowledged and fanned-out messages per second through real WebSockets.

    python -m scripts.bench_messages [--senders 1 16 256] [--seconds 5] [--rounds 3]

Three node processes on loopback.  Senders are visitors, spread over the nodes, each in a
conversation of its own; with each, at another node, a supervisor follows that conversation.  A
sender sends its next message of 100 bytes when the last was acknowledged: durable on a majority of
disks, applied, and seen by its node.  *ok* is how long that takes, *ev* how long until the follower
at the other node has it.  Followers hold every event against the one before.  Beside it, in the
same run: appends of 4 KiB to the same disk, each followed by one fdatasync.

Senders and followers are one process that shares the machine's cores with the nodes; *us* is the
processor time of a message at the three nodes together, *load us* at that process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import trio

from node.local import UNLIMITED, LocalCluster
from node.replay.figures import percentile
from scripts.bench_commit import measure_disk
from scripts.crowd.processes import cpu_s, node_addresses, with_children

BYTES = 100
WARM_UP_S = 1.0
TALK_S_MAX = 120.0
COLUMNS = ("per_second", "ok_p50_ms", "ok_p99_ms", "ev_p50_ms", "ev_p99_ms", "us", "load_us")

Row = dict[str, float]


async def measure(senders: int, seconds: float, folder: Path) -> Row:
    """Return the figures of one run in `folder`."""
    async with LocalCluster(folder, cluster_id="bench", sections=UNLIMITED) as cluster:
        await cluster.wait_leader()
        pids = [pid for name in cluster.names if (pid := cluster.pid(name)) is not None]
        plan = {
            "nodes": node_addresses(cluster),
            "pairs": [
                [cluster.mint("visitor", f"v{number}"), cluster.mint("supervisor", f"s{number}")]
                for number in range(senders)
            ],
            "bytes": BYTES,
            "warm_up_s": WARM_UP_S,
            "seconds": seconds,
        }
        with trio.fail_after(TALK_S_MAX):
            told, used_s = await _talk(plan, pids)
    return _row(told, seconds, used_s)


async def _talk(plan: dict[str, Any], pids: list[int]) -> tuple[dict[str, Any], float]:
    """Return what the talks tell, and the nodes' processor time while it was measured."""

    def used_s() -> float:
        return cpu_s(one for pid in pids for one in with_children(pid))

    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "scripts.crowd.talk"]
    process = await trio.lowlevel.open_process(command, stdin=pipe, stdout=pipe)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        async with process.stdin:
            await process.stdin.send_all(json.dumps(plan).encode())
        lines: list[bytes] = [b""]
        times: list[float] = []
        async for data in process.stdout:
            first, *more = bytes(data).split(b"\n")
            lines[-1] += first
            lines += more
            while len(times) < min(2, len(lines) - 1):  # "begin", "end"
                times.append(used_s())
        await process.wait()
    finally:
        process.kill()
    return json.loads(lines[2]), times[1] - times[0]


def _row(told: dict[str, Any], seconds: float, cpu_of_nodes_s: float) -> Row:
    acknowledged = told["acknowledged_ms"]
    if told["wrong"] or told["errors"]:
        raise SystemExit(f"events wrong: {told['wrong']}; errors: {told['errors']}")
    messages = len(acknowledged)
    return {
        "per_second": len(acknowledged) / seconds,
        "ok_p50_ms": percentile(acknowledged, 50),
        "ok_p99_ms": percentile(acknowledged, 99),
        "ev_p50_ms": percentile(told["seen_ms"], 50),
        "ev_p99_ms": percentile(told["seen_ms"], 99),
        "us": cpu_of_nodes_s / messages * 1e6,
        "load_us": told["cpu_s"] / messages * 1e6,
    }


def main() -> None:
    """Parse the command line, run, print the table: medians of the rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--senders", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    options = parser.parse_args()
    disk = measure_disk(options.folder, 2.0)
    print(f"disk: {disk['per_second']:.0f} fdatasync/s of 4 KiB, p99 {disk['p99_ms']:.2f} ms")
    print(f"{'':14}" + "".join(f"{column:>12}" for column in (*COLUMNS, "lowest/s", "highest/s")))
    for senders in options.senders:
        rows = []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
                rows.append(trio.run(measure, senders, options.seconds, Path(folder)))
        middle = [statistics.median(row[column] for row in rows) for column in COLUMNS]
        rates = [row["per_second"] for row in rows]
        cells = [f"{value:12.{0 if value >= 1000 else 2}f}" for value in middle]
        print(
            f"{senders:>5} senders {''.join(cells)}{min(rates):12.0f}{max(rates):12.0f}", flush=True
        )


if __name__ == "__main__":
    main()
