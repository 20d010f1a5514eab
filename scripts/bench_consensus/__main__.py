"""Consensus in figures.

    python -m scripts.bench_consensus throughput [--proposers 1 16 256 2048] [--slow-ms 2]
    python -m scripts.bench_consensus all

Three processes on loopback, every acknowledged command on a majority of disks.  Read the
ratios; the machine's own speed drifts.
"""

import argparse
import json
from typing import Any

from scripts.bench_consensus import etcd, throughput

Rows = dict[str, dict[str, Any]]


def run_throughput(options: argparse.Namespace) -> Rows:
    """Measure, and print as a table."""
    what = throughput.What(
        tuple(options.proposers), options.seconds, options.slow_ms, options.folder
    )
    rows = throughput.measure(what)
    if not options.json:
        if etcd.installed():
            print(etcd.version())
        print(
            f"{'':38}{'per second':>11}{'p50 ms':>9}{'p99 ms':>9}"
            f"{'x disk':>8}{'x etcd':>8}{'p99/disk':>9}{'cpu':>6}"
        )
        for name, row in rows.items():
            cpu = row.get("cpu", row.get("client_cpu", 0.0))
            print(
                f"{name:38}{row['per_second']:11.0f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}"
                f"{row['x_disk']:8.2f}{row.get('x_etcd', 0.0):8.2f}{row['p99_x_disk']:9.1f}"
                f"{cpu:6.0%}"
            )
    return rows


SECTIONS = {"throughput": run_throughput}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("section", choices=[*SECTIONS, "all"])
    parser.add_argument("--proposers", type=int, nargs="+", default=[1, 16, 256, 2048])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--slow-ms", type=float, default=0.0, help="added to every sync")
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = list(SECTIONS) if options.section == "all" else [options.section]
    results = {name: SECTIONS[name](options) for name in names}
    if options.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
