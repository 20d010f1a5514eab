"""Committed commands per second and their latency, beside etcd and the disk.

    x disk     commands per fdatasync that one thread could do on this disk, in the same run
    x etcd     commands against etcd's at as many proposers at the same place
    p99/disk   the 99th percentile against the disk's own

Ours propose in the measured process, through the port that a node's edge uses; etcd's come
over loopback gRPC, from one more process.  So etcd pays for one more hop and we do not;
`scripts.bench_messages` has what clients of ours see.
"""

from dataclasses import dataclass
from typing import Any

from scripts.bench_commit import measure_disk
from scripts.bench_consensus import etcd
from scripts.bench_consensus.nodes import three_nodes

PROBE_S = 2.0

Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class What:
    """What to measure."""

    proposers: tuple[int, ...]
    seconds: float
    slow_ms: float
    folder: str


def measure(what: What) -> Rows:
    """Return the table's rows."""
    rows: Rows = {"disk: fdatasync per 4 KiB": _disk(what)}
    beside = _etcd(what, rows)
    for proposers in what.proposers:
        for at in ("leader", "follower"):
            for kind in ("message", "cheap"):
                with three_nodes(what.folder, slow_ms=what.slow_ms) as nodes:
                    leader = nodes.wait_serving()
                    name = leader if at == "leader" else nodes.follower(leader)
                    row = nodes.ask(
                        name, "load", proposers=proposers, seconds=what.seconds, kind=kind
                    )
                rows[f"unidesk {kind}, {proposers} at the {at}"] = row
                other = rows.get(f"etcd put, {proposers} at the {at}") if beside else None
                if other:
                    row["x_etcd"] = row["per_second"] / other["per_second"]
    disk = rows["disk: fdatasync per 4 KiB"]
    for row in rows.values():
        row["x_disk"] = row["per_second"] / disk["per_second"]
        row["p99_x_disk"] = row["p99_ms"] / disk["p99_ms"]
    return rows


def _disk(what: What) -> dict[str, float]:
    disk = measure_disk(what.folder, PROBE_S)
    if what.slow_ms:
        mean_ms = 1e3 / disk["per_second"] + what.slow_ms
        slower = {name: disk[name] + what.slow_ms for name in ("p50_ms", "p99_ms")}
        return slower | {"per_second": 1e3 / mean_ms}
    return disk


def _etcd(what: What, rows: Rows) -> bool:
    """Add etcd's rows; return whether there are any."""
    if not etcd.installed():
        print(etcd.HOW_TO_INSTALL)
        return False
    for proposers in what.proposers:
        for at in ("leader", "follower"):
            with etcd.three_etcds(what.folder, extra_ms=what.slow_ms) as servers:
                leader = servers.wait_leader()
                followers = sorted(servers.processes.keys() - {leader})
                name = leader if at == "leader" else followers[0]
                row = servers.load(name, proposers, what.seconds)
            rows[f"etcd put, {proposers} at the {at}"] = row
    return True
