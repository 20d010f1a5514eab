"""The edge beside other servers, in one run, on one core.

    python -m scripts.bench_edge prepare                  once: the peers, in .bench/
    python -m scripts.bench_edge echo broadcast --rounds 3
    python -m scripts.bench_edge                          everything

Server on one core, load generator (C, `load.c`) on the other.  In each round every server has its
turn, so that what else the machine does meets all alike; a table has the median of the rounds and,
in brackets, the lowest and highest.  *x* is the median of the rounds' own ratios: how many times
as much as the peer unidesk does; *x CPU* how many times less processor time it takes for one, which
is the steadier figure where others use the machine; *x less* the same for memory or time.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from scripts.bench_edge import measures, peers
from scripts.bench_edge.measures import Row
from scripts.bench_edge.peers import Server

KEPT_HTTP, TALKING = 50, 100
WIDTH = 21


@dataclass(frozen=True, slots=True)
class Measure:
    """A table."""

    title: str
    run: Callable[[Server, float], Row]
    servers: tuple[Server, ...]
    ratio: str
    """The figure that peers are compared by; more is better unless it is a cost."""
    cost: str


def _tables() -> dict[str, Measure]:
    def idle(count: int) -> Callable[[Server, float], Row]:
        return lambda server, _: measures.idle(server, connections=count)

    def told(count: int) -> Callable[[Server, float], Row]:
        return lambda server, s: measures.broadcast(server, connections=count, seconds=s)

    speaking = tuple(one for one in peers.ALL if one.websocket)
    quick = (peers.OURS, *(one for one in speaking[2:]))
    answering = tuple(one for one in quick if one.http)
    collecting = tuple(one for one in quick if one.collects)
    return {
        "idle-1k": Measure("1,000 idle connections", idle(1_000), quick, "connects/s", "KB each"),
        "idle-10k": Measure(
            "10,000 idle connections", idle(10_000), quick, "connects/s", "KB each"
        ),
        "collect": Measure(
            "a full garbage collection, 15,000 connections; longest of 5",
            lambda server, _: measures.collect(server, connections=15_000),
            collecting,
            "open",
            "ms",
        ),
        "echo": Measure(
            f"echo, 64 B, {TALKING} connections",
            lambda server, s: measures.echo(server, connections=TALKING, seconds=s),
            speaking,
            "/s",
            "CPU us each",
        ),
        "text": Measure(
            f"echo, 64 B of text, {TALKING} connections",
            lambda server, s: measures.echo_text(server, connections=TALKING, seconds=s),
            speaking,
            "/s",
            "CPU us each",
        ),
        "broadcast": Measure(
            "broadcast of 64 B to 10,000", told(10_000), quick, "/s", "CPU us each"
        ),
        "http": Measure(
            f"GET, {KEPT_HTTP} kept connections, a short head",
            lambda server, s: measures.http(server, connections=KEPT_HTTP, seconds=s),
            answering,
            "/s",
            "CPU us each",
        ),
        "browser": Measure(
            f"GET, {KEPT_HTTP} kept connections, a browser's head",
            lambda server, s: measures.browser(server, connections=KEPT_HTTP, seconds=s),
            answering,
            "/s",
            "CPU us each",
        ),
    }


def measure(table: Measure, rounds: int, seconds: float, only: list[str]) -> dict[str, list[Row]]:
    """Return what each server did in each round; a server that failed is left out from there."""
    servers = [one for one in table.servers if one.there and (not only or one.name in only)]
    found: dict[str, list[Row]] = {server.name: [] for server in servers}
    for turn in range(rounds):
        for server in servers:
            if len(found[server.name]) < turn:
                continue
            try:
                found[server.name].append(table.run(server, seconds))
            except (RuntimeError, OSError, ValueError, StopIteration) as error:
                print(f"  {server.name}: {error!r}", flush=True)
    return found


def show(table: Measure, found: dict[str, list[Row]]) -> None:
    """Print a table."""
    ours = found.get(peers.OURS.name, [])
    columns = next((list(rows[0]) for rows in found.values() if rows), [])
    print(f"\n{table.title}")
    head = "".join(f"{column:>{WIDTH}}" for column in columns)
    print(f"{'':26}{head}{'x':>7}{'x CPU' if 'CPU' in table.cost else 'x less':>8}")
    for name, rows in found.items():
        if not rows:
            continue
        cells = "".join(f"{_spread([row[column] for row in rows]):>{WIDTH}}" for column in columns)
        pairs = list(zip(ours, rows, strict=False))
        more = _median([mine[table.ratio] / max(1e-9, its[table.ratio]) for mine, its in pairs])
        less = _median([its[table.cost] / max(1e-9, mine[table.cost]) for mine, its in pairs])
        print(f"{name:26}{cells}{more:7.2f}{less:8.2f}", flush=True)


def _spread(values: list[float]) -> str:
    digits = 0 if max(values) >= 100 else 2
    low, middle, high = min(values), statistics.median(values), max(values)
    if low == high:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({_short(low)}-{_short(high)})"


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def main() -> None:
    """Parse the command line; measure and print table by table."""
    tables = _tables()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="*", help=f"prepare, or of: {', '.join(tables)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--servers", default="", help="names, between commas; all by default")
    options = parser.parse_args()
    if options.what == ["prepare"]:
        peers.prepare()
        return
    unknown = [one for one in options.what if one not in tables]
    if unknown:
        parser.error(f"no measure {unknown[0]!r}; there are {', '.join(tables)}")
    peers.compile_load()
    absent = [one.name for one in peers.ALL if not one.there]
    if absent:
        print(f"not there, see `prepare`: {', '.join(absent)}")
    only = [one.strip() for one in options.servers.split(";") if one]
    for name in options.what or tables:
        print(f"\nload average {os.getloadavg()[0]:.1f}", end="")
        show(tables[name], measure(tables[name], options.rounds, options.seconds, only))


if __name__ == "__main__":
    main()
