"""Acknowledged messages per second through real WebSockets, beside the disk's own sync rate.

    python -m scripts.bench_messages [--senders 1 16 256] [--seconds 5]

Three node processes on loopback; senders are visitors in one more process, spread over the
nodes, each in a conversation of its own.  A sender sends its next message of 100 bytes when
the last was acknowledged: durable on a majority of disks, applied, and seen by its node.
Beside it, in the same run: appends of 4 KiB to the same disk, each followed by one fdatasync.

The senders share the machine's cores with the nodes; read the ratios.
"""

import argparse
import tempfile
from pathlib import Path

import trio

from node.client import Client, new_key, open_client
from node.local import UNLIMITED, LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from node.replay.figures import percentile
from scripts.bench_commit import measure_disk

BODY = "x" * 100
WARM_UP_S = 1.0
OPENING_S = 30.0


class Bench:
    """Closed-loop senders and what they measured."""

    def __init__(self, cluster: LocalCluster, senders: int, seconds: float) -> None:
        self._cluster = cluster
        self._senders = senders
        self._seconds = seconds
        self._opened = 0
        self._all_opened = trio.Event()
        self.latencies_s: list[float] = []

    async def run(self) -> dict[str, float]:
        """Return messages per second, and the latency's percentiles in milliseconds."""
        async with trio.open_nursery() as nursery:
            for place in range(self._senders):
                nursery.start_soon(self._be_sender, place)
            with trio.fail_after(OPENING_S):
                await self._all_opened.wait()
            await trio.sleep(WARM_UP_S + self._seconds)
            nursery.cancel_scope.cancel()
        return {
            "per_second": len(self.latencies_s) / self._seconds,
            "p50_ms": 1e3 * percentile(self.latencies_s, 50),
            "p99_ms": 1e3 * percentile(self.latencies_s, 99),
        }

    async def _be_sender(self, place: int) -> None:
        urls = self._cluster.urls
        urls = (*urls[place % len(urls) :], *urls[: place % len(urls)])
        token = self._cluster.mint("visitor", f"sender-{place}")
        async with open_client(urls, token, on_push=lambda _: None) as client:
            opened = await client.request(CvOpen(key=new_key()))
            self._opened += 1
            if self._opened == self._senders:
                self._all_opened.set()
            await self._all_opened.wait()
            await self._send(client, str(opened["cv"]))

    async def _send(self, client: Client, cv: str) -> None:
        measure_from = trio.current_time() + WARM_UP_S
        until = measure_from + self._seconds
        while (began := trio.current_time()) < until:
            await client.request(MsgSend(cv=cv, key=new_key(), body=BODY))
            ended = trio.current_time()
            if began >= measure_from and ended < until:
                self.latencies_s.append(ended - began)


async def measure(senders: int, seconds: float, folder: Path) -> dict[str, float]:
    """Return the figures of one run in `folder`."""
    async with LocalCluster(folder, cluster_id="bench", sections=UNLIMITED) as cluster:
        await cluster.wait_leader()
        return await Bench(cluster, senders, seconds).run()


def main() -> None:
    """Parse the command line, run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--senders", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    options = parser.parse_args()
    disk = measure_disk(options.folder, 2.0)
    rows = {"disk: fdatasync per 4 KiB": disk}
    for senders in options.senders:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
            rows[f"{senders} senders"] = trio.run(measure, senders, options.seconds, Path(folder))
    print(f"{'':36}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'x disk':>8}")
    for what, row in rows.items():
        print(
            f"{what:36}{row['per_second']:12.0f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}"
            f"{row['per_second'] / disk['per_second']:8.2f}"
        )


if __name__ == "__main__":
    main()
