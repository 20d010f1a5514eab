"""Committed commands per second and their latency, beside etcd and the disk.

    x disk     commands per fdatasync that one thread could do on this disk, in the same run
    x etcd     commands against etcd's at as many proposers at the same place
    p99/disk   the 99th percentile against the disk's own
    cpu        of the measured node; for etcd of the client, which must not be what is measured

What is compared is measured side by side, the disk before each, `rounds` times; a row shows the
medians, so that a machine that others use does not favour one side.

Ours propose in the measured process, through the port that a node's edge uses; etcd's come
over loopback gRPC, from one more process.  So etcd pays for one more hop and we do not;
`scripts.bench_messages` has what clients of ours see.
"""

from dataclasses import dataclass
from statistics import median

from scripts.bench_commit import measure_disk
from scripts.bench_consensus import etcd
from scripts.bench_consensus.nodes import three_nodes

PROBE_S = 1.0
DISK = "disk: fdatasync per 4 KiB"
KINDS = ("message", "cheap")

Row = dict[str, float]


@dataclass(frozen=True)
class What:
    """What to measure."""

    proposers: tuple[int, ...]
    at: tuple[str, ...]
    seconds: float
    slow_ms: float
    rounds: int
    folder: str


def measure(what: What) -> dict[str, Row]:
    """Return the table's rows."""
    seen: dict[str, list[Row]] = {DISK: []}
    for _ in range(what.rounds):
        for proposers in what.proposers:
            for at in what.at:
                for name, row in _side_by_side(what, proposers, at).items():
                    seen.setdefault(name, []).append(row)
    return {
        name: {figure: median(row[figure] for row in rows) for figure in rows[0]}
        for name, rows in seen.items()
    }


def _side_by_side(what: What, proposers: int, at: str) -> dict[str, Row]:
    disk = _disk(what)
    rows = {}
    beside = _etcd(what, proposers, at) if etcd.can_measure(what.slow_ms) else None
    if beside is not None:
        rows[f"etcd put, {proposers} at the {at}"] = beside
    for kind in KINDS:
        row = rows[f"unidesk {kind}, {proposers} at the {at}"] = _ours(what, proposers, at, kind)
        if beside is not None:
            row["x_etcd"] = row["per_second"] / beside["per_second"]
            row["p99_x_etcd"] = row["p99_ms"] / beside["p99_ms"]
    rows[DISK] = disk
    for row in rows.values():
        row["x_disk"] = row["per_second"] / disk["per_second"]
        row["p99_x_disk"] = row["p99_ms"] / disk["p99_ms"]
    return rows


def _ours(what: What, proposers: int, at: str, kind: str) -> Row:
    with three_nodes(what.folder, slow_ms=what.slow_ms) as nodes:
        leader = nodes.wait_serving()
        name = leader if at == "leader" else nodes.follower(leader)
        return nodes.ask(name, "load", proposers=proposers, seconds=what.seconds, kind=kind)


def _etcd(what: What, proposers: int, at: str) -> Row:
    with etcd.three_etcds(what.folder, extra_ms=what.slow_ms) as servers:
        leader = servers.wait_leader()
        followers = sorted(servers.processes.keys() - {leader})
        name = leader if at == "leader" else followers[0]
        return servers.load(name, proposers, what.seconds)


def _disk(what: What) -> Row:
    """Return the disk's own rate; a slower one's is this one's with the wait added."""
    disk = measure_disk(what.folder, PROBE_S)
    mean_ms = 1e3 / disk["per_second"] + what.slow_ms
    later = {name: disk[name] + what.slow_ms for name in ("p50_ms", "p99_ms")}
    return later | {"per_second": 1e3 / mean_ms}
