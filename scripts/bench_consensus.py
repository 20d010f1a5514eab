"""How fast the cluster agrees, fails over, restarts and catches up, beside etcd.

    python -m scripts.bench_consensus                     everything, about ten minutes
    python -m scripts.bench_consensus throughput --proposers 16 256

    throughput  committed 100-byte commands a second and their latency, proposed at the leader and
                at a follower, beside etcd's (three members, its default durability, light clients
                that do not slow it down) and the disk's own fdatasync
    failover    SIGKILL of the leader to the next acknowledged write through another node
    restart     one node on a log of 100 MB: from its start to serving
    catchup     a node that missed 100,000 commands, while the others serve
    snapshot    the longest turn of the loop while 100,000 conversations are written down

Read the ratios; a shared machine's own speed drifts.  etcd is left out where it is not installed
(`apt install etcd-server`).
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio
import trio.lowlevel

from cluster.replica import Replica
from cluster.settings import ReplicaSettings
from cluster.state.commands import By, Command, OpenConversation, SendMessage
from node.client import Timing, new_key, open_client
from node.local import LocalCluster
from node.protocol.catalogue import CvOpen, MsgSend
from scripts.bench_commit import BODY, WARM_UP_S, measure_disk, run_once
from scripts.etcd_load import Refused, load

ETCD_START_S = 15.0
VISITOR = By("visitor", "bench")
Row = dict[str, float]


# -- throughput


def throughput(args: argparse.Namespace) -> None:
    disk = measure_disk(args.folder, 2.0)
    rows = {"disk: fdatasync per 4 KiB": disk}
    for proposers in args.proposers:
        for at in ("leader", "follower"):
            rows[f"unidesk, {proposers} at the {at}"] = run_once("unidesk", args, proposers, at)
            row = _etcd(args, proposers, at)
            if row is not None:
                rows[f"etcd, {proposers} at the {at}"] = row
    print(f"{'':40}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'x disk':>8}{'p99 / disk p99':>16}")
    for what, row in rows.items():
        print(
            f"{what:40}{row['per_second']:12.0f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}"
            f"{row['per_second'] / disk['per_second']:8.1f}{row['p99_ms'] / disk['p99_ms']:16.1f}"
        )


def _etcd(args: argparse.Namespace, proposers: int, at: str) -> Row | None:
    if shutil.which("etcd") is None or shutil.which("etcdctl") is None:
        print("etcd is not installed: apt install etcd-server etcd-client", file=sys.stderr)
        return None
    with (
        tempfile.TemporaryDirectory(prefix="etcd-", dir=args.folder) as folder,
        _three_etcds(Path(folder)) as ports,
    ):
        leads = _etcd_leader(ports)
        first = leads if at == "leader" else next(port for port in ports if port != leads)
        figures = {"seconds": args.seconds, "warm_up_s": WARM_UP_S}
        try:
            took_s = sorted(load(first, proposers=proposers, value=BODY.encode(), **figures))
        except (Refused, OSError) as error:
            print(f"etcd: {error}", file=sys.stderr)
            return None
    return {
        "per_second": len(took_s) / args.seconds,
        "p50_ms": 1e3 * took_s[len(took_s) // 2],
        "p99_ms": 1e3 * took_s[int(len(took_s) * 0.99)],
    }


@contextmanager
def _three_etcds(folder: Path) -> Iterator[list[int]]:
    ports = _free_ports(6)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    cluster = ",".join(f"m{i}={urls[3 + i]}" for i in range(3))
    processes = []
    try:
        for i in range(3):
            command = ["etcd", "--name", f"m{i}", "--data-dir", str(folder / f"m{i}")]
            command += ["--listen-client-urls", urls[i], "--advertise-client-urls", urls[i]]
            command += ["--listen-peer-urls", urls[3 + i]]
            command += ["--initial-advertise-peer-urls", urls[3 + i]]
            command += ["--initial-cluster", cluster, "--log-level", "error"]
            quiet = subprocess.DEVNULL
            processes.append(subprocess.Popen(command, stdout=quiet, stderr=quiet))
        yield ports[:3]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _etcd_leader(ports: list[int]) -> int:
    """Return the client port of the leader, when there is one."""
    endpoints = ",".join(f"127.0.0.1:{port}" for port in ports)
    command = ["etcdctl", "--endpoints", endpoints, "endpoint", "status", "-w", "json"]
    deadline_s = time.monotonic() + ETCD_START_S
    while time.monotonic() < deadline_s:
        env = os.environ | {"ETCDCTL_API": "3"}
        told = subprocess.run(command, capture_output=True, check=False, env=env)
        found = json.loads(told.stdout) if told.returncode == 0 and told.stdout else []
        for one in found:
            status = one["Status"]
            if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                return int(one["Endpoint"].rpartition(":")[2])
        time.sleep(0.2)
    raise SystemExit("etcd elected no leader")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


# -- failover


async def failover(args: argparse.Namespace) -> None:
    """Kill the leader; a client of another node writes on, one message after the other."""
    took_s: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.folder) as folder:
        async with LocalCluster(Path(folder), cluster_id="bench") as cluster:
            for _ in range(args.trials):
                leader = await cluster.wait_leader()
                url = next(cluster.url(name) for name in cluster.names if name != leader)
                took_s.append(await _kill_and_write(cluster, leader, url))
                cluster.restart(leader)
                await cluster.wait_ready()
                await trio.sleep(0.5)
    took_s.sort()
    print(
        f"failover, {len(took_s)} trials: median {1e3 * statistics.median(took_s):.0f} ms,", end=""
    )
    print(f" max {1e3 * took_s[-1]:.0f} ms; all: {' '.join(f'{1e3 * s:.0f}' for s in took_s)}")


async def _kill_and_write(cluster: LocalCluster, leader: str, url: str) -> float:
    timing = Timing(request_s=20.0, retry_s_min=0.01, retry_s_max=0.02, resend_s_max=0.02)
    token = cluster.mint("visitor", f"bench-{new_key()}")
    async with open_client([url], token, name="bench", timing=timing, on_push=_ignore) as client:
        cv = str((await client.request(CvOpen(key=new_key())))["cv"])
        for _ in range(50):
            await client.request(MsgSend(cv=cv, key=new_key(), body=BODY))
        began_s = trio.current_time()
        await cluster.kill(leader)
        await client.request(MsgSend(cv=cv, key=new_key(), body=BODY))
        return trio.current_time() - began_s


def _ignore(_: object) -> None:
    return


# -- one process: restart, catching up, snapshots


def _settings(folder: Path, name: str, ports: dict[str, int], **more: Any) -> ReplicaSettings:
    return ReplicaSettings(
        cluster="bench",
        node=name,
        key=b"k" * 32,
        data=folder / name,
        listen=("127.0.0.1", ports[name]),
        peers={n: ("127.0.0.1", port) for n, port in ports.items() if n != name},
        **more,
    )


async def _serving(replica: Replica) -> None:
    while replica.status().standing != "serving":
        await trio.sleep(0.005)


async def _propose_many(replica: Replica, make: Callable[[int], Command], count: int) -> None:
    """Propose `count` commands, some hundreds at a time, and wait for the last."""
    limiter = trio.CapacityLimiter(512)

    async def one(number: int) -> None:
        async with limiter:
            await replica.propose(make(number))

    async with trio.open_nursery() as nursery:
        for number in range(count):
            if number % 4096 == 4095:
                while limiter.statistics().tasks_waiting > 2048:
                    await trio.sleep(0.01)
            nursery.start_soon(one, number)


def _message(number: int, *, body: str = BODY) -> Command:
    cv = f"cv{number % 100:024d}"
    return SendMessage(cv, f"{number:026d}", VISITOR, f"k{number}", "text", body)


async def _open_hundred(replica: Replica) -> None:
    for number in range(100):
        await replica.propose(OpenConversation(f"cv{number:024d}", VISITOR, f"open{number}"))


async def restart(args: argparse.Namespace) -> None:
    """Write a log of 100 MB on one node, whose snapshots are far apart; start it again."""
    body = "x" * 8_000
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.folder) as folder:
        ports = dict(zip(["n1"], _free_ports(1), strict=True))
        settings = _settings(Path(folder), "n1", ports, snapshot_every_entries=10**9)
        replica = Replica.open(settings)
        async with trio.open_nursery() as nursery:
            await nursery.start(replica.run)
            await _serving(replica)
            await _open_hundred(replica)
            number = 0
            while replica.wal_statistics().bytes < 100_000_000:

                def make(i: int, base: int = number) -> Command:
                    return _message(base + i, body=body)

                await _propose_many(replica, make, 500)
                number += 500
                if replica.status().snapshot_index > 1:
                    break
            size = replica.wal_statistics().bytes
            nursery.cancel_scope.cancel()
        replica.close()
        began_s = time.perf_counter()
        replica = Replica.open(settings)
        opened_s = time.perf_counter() - began_s
        async with trio.open_nursery() as nursery:
            await nursery.start(replica.run)
            await _serving(replica)
            took_s = time.perf_counter() - began_s
            nursery.cancel_scope.cancel()
        replica.close()
    print(
        f"restart, log of {size / 1e6:.0f} MB: opened in {opened_s:.2f} s,"
        f" serving after {took_s:.2f} s"
    )


async def catchup(args: argparse.Namespace) -> None:
    """Stop one of three, commit 100,000 commands at the others, start it again."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.folder) as folder:
        ports = dict(zip(["n1", "n2", "n3"], _free_ports(3), strict=True))
        replicas: dict[str, Replica] = {}
        async with trio.open_nursery() as nursery:
            for name in ports:
                replicas[name] = Replica.open(_settings(Path(folder), name, ports))
            third = await _start(nursery, replicas.pop("n3"))
            for replica in replicas.values():
                await _start(nursery, replica)
            for replica in replicas.values():
                await _serving(replica)
            third.cancel()
            await trio.sleep(0.5)
            leads = next(one for one in replicas.values() if one.is_leader)
            await _open_hundred(leads)
            await _propose_many(leads, _message, args.commands)
            began_s = trio.current_time()
            late = Replica.open(_settings(Path(folder), "n3", ports))
            await _start(nursery, late)
            served = 0
            while late.status().applied_index < leads.status().commit_index:
                await leads.propose(_message(args.commands + served))
                served += 1
            took_s = trio.current_time() - began_s
            nursery.cancel_scope.cancel()
    print(
        f"catching up {args.commands} commands: {took_s:.2f} s, while the others served"
        f" {served} commands, one after the other"
    )


async def _start(nursery: trio.Nursery, replica: Replica) -> trio.CancelScope:
    scope = trio.CancelScope()

    async def live(*, task_status: trio.TaskStatus[None]) -> None:
        with scope:
            await replica.run(task_status=task_status)
        replica.close()

    await nursery.start(live)
    return scope


async def snapshot(args: argparse.Namespace) -> None:
    """Fill one node with conversations; watch the loop while a snapshot is taken."""
    longest_s = 0.0
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.folder) as folder:
        ports = dict(zip(["n1"], _free_ports(1), strict=True))
        settings = _settings(Path(folder), "n1", ports, snapshot_every_entries=10**9)
        replica = Replica.open(settings)
        async with trio.open_nursery() as nursery:
            await nursery.start(replica.run)
            await _serving(replica)

            def make(number: int) -> Command:
                cv = f"cv{number:024d}"
                return OpenConversation(
                    cv, By("visitor", f"v{number}"), f"k{number}", text=BODY, mid=f"{number:026d}"
                )

            await _propose_many(replica, make, args.conversations)
            nursery.cancel_scope.cancel()
        replica.close()
        replica = Replica.open(_settings(Path(folder), "n1", ports, snapshot_every_entries=2))
        async with trio.open_nursery() as nursery:
            await nursery.start(replica.run)
            await _serving(replica)
            await replica.propose(OpenConversation("last", VISITOR, "last"))
            began_s = last_s = time.perf_counter()
            index = replica.status().snapshot_index
            while replica.status().snapshot_index == index:
                await trio.lowlevel.checkpoint()
                now_s = time.perf_counter()
                longest_s, last_s = max(longest_s, now_s - last_s), now_s
            took_s = time.perf_counter() - began_s
            nursery.cancel_scope.cancel()
        replica.close()
    print(
        f"snapshot of {args.conversations} conversations: {took_s:.2f} s, longest pause of the"
        f" loop {1e3 * longest_s:.0f} ms"
    )


SECTIONS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "throughput": throughput,
    "failover": failover,
    "restart": restart,
    "catchup": catchup,
    "snapshot": snapshot,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_consensus",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("section", nargs="?", choices=[*SECTIONS, "all"], default="all")
    parser.add_argument("--proposers", type=int, nargs="+", default=[1, 16, 256, 2_048])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--trials", type=int, default=20, help="of failover")
    parser.add_argument("--commands", type=int, default=100_000, help="to catch up with")
    parser.add_argument("--conversations", type=int, default=100_000, help="in the snapshot")
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    args = parser.parse_args()
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    wanted = list(SECTIONS) if args.section == "all" else [args.section]
    for name in wanted:
        if name == "throughput":
            throughput(args)
        else:
            trio.run(SECTIONS[name], args)


if __name__ == "__main__":
    main()
