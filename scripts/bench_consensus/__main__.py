"""Consensus in figures.

    python -m scripts.bench_consensus throughput [--proposers 1 16 256 2048] [--slow-ms 2]
    python -m scripts.bench_consensus failover [--trials 20]
    python -m scripts.bench_consensus restart [--log-mb 100]
    python -m scripts.bench_consensus catchup [--missed 100000]
    python -m scripts.bench_consensus snapshot [--conversations 100000]
    python -m scripts.bench_consensus all

Three processes on loopback, every acknowledged command on a majority of disks.  Read the
ratios; the machine's own speed drifts.
"""

import argparse
import json
import signal
import sys
from typing import Any

from scripts.bench_consensus import etcd, failover, recovery, stall, throughput

Rows = dict[str, dict[str, Any]]
SNAPSHOT_SOON = 50
"""Entries: so that what a node missed is behind a snapshot at the others."""


def run_throughput(options: argparse.Namespace) -> Rows:
    """Measure, and print as a table."""
    what = throughput.What(
        tuple(options.proposers),
        tuple(options.at),
        options.seconds,
        options.slow_ms,
        options.rounds,
        options.folder,
    )
    rows: Rows = throughput.measure(what)
    if options.json:
        return rows
    print(
        f"{'':38}{'per second':>11}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'x disk':>8}{'x etcd':>8}{'p99/disk':>9}{'cpu':>6}"
    )
    for name, row in rows.items():
        print(
            f"{name:38}{row['per_second']:11.0f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}"
            f"{row['x_disk']:8.2f}{_or_dash(row.get('x_etcd'))}{row['p99_x_disk']:9.1f}"
            f"{row.get('cpu', row.get('client_cpu', 0.0)):6.0%}"
        )
    return rows


def _or_dash(figure: float | None) -> str:
    return f"{'-':>8}" if figure is None else f"{figure:8.2f}"


def run_failover(options: argparse.Namespace) -> Rows:
    """Kill leaders, ours and etcd's."""
    rows: Rows = {"unidesk": failover.ours(options.trials, options.folder)}
    if etcd.can_measure():
        rows["etcd"] = failover.beside(options.trials, options.folder)
    return _print_figures(rows, options)


def run_restart(options: argparse.Namespace) -> Rows:
    """Start with a long log."""
    row = recovery.restart(int(options.log_mb * 1e6), options.folder)
    return _print_figures({"restart": row}, options)


def run_catch_up(options: argparse.Namespace) -> Rows:
    """Let a node catch up, by the log and by a snapshot."""
    rows: Rows = {
        "by the log": recovery.catch_up(options.missed, options.folder),
        "by a snapshot": recovery.catch_up(
            options.missed, options.folder, snapshot_every=SNAPSHOT_SOON
        ),
    }
    return _print_figures(rows, options)


def run_snapshot(options: argparse.Namespace) -> Rows:
    """Take a snapshot under load."""
    row = stall.snapshot(options.conversations, options.folder)
    return _print_figures({"snapshot": row}, options)


def _print_figures(rows: Rows, options: argparse.Namespace) -> Rows:
    """Print a line a figure, a column a row."""
    if options.json:
        return rows
    print(f"{'':28}" + "".join(f"{name:>16}" for name in rows))
    for figure in next(iter(rows.values())):
        cells = [row[figure] for row in rows.values()]
        shown = [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
        print(f"{figure:28}" + "".join(f"{cell:>16}" for cell in shown))
    return rows


SECTIONS = {
    "throughput": run_throughput,
    "failover": run_failover,
    "restart": run_restart,
    "catchup": run_catch_up,
    "snapshot": run_snapshot,
}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("section", choices=[*SECTIONS, "all"])
    parser.add_argument("--proposers", type=int, nargs="+", default=[1, 16, 256, 2048])
    parser.add_argument("--at", nargs="+", default=["leader", "follower"])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--slow-ms", type=float, default=0.0, help="added to every sync")
    parser.add_argument("--rounds", type=int, default=1, help="medians of so many runs")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--log-mb", type=float, default=100.0)
    parser.add_argument("--missed", type=int, default=100_000)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends too
    names = list(SECTIONS) if options.section == "all" else [options.section]
    if not options.json and etcd.installed():
        print(etcd.version())
    results = {name: SECTIONS[name](options) for name in names}
    if options.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
