"""`unidesk cluster top` as people see it: tables that fit the terminal.  No I/O.

What has no room is left out, the least important first; --json has everything.
"""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from node.cli.queues import spoken_s
from node.cli.top_figures import NodeRow, Picture

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

NODES = (
    "node",
    "standing",
    "role",
    "zone",
    "lag",
    "clients",
    "msg/s",
    "sync",
    "free",
    "term",
    "version",
)
LESS = ("version", "term", "free", "zone", "msg/s")
QUEUES = ("queue", "waiting", "oldest", "free", "busy", "away")
QUEUES_SHOWN = 8
ALERTS_SHOWN = 6
_STANDING = {"serving": "green", "draining": "cyan", "catching_up": "yellow", "starting": "yellow"}


def view(shown: Picture) -> "Group":
    """Return what to print."""
    from rich.console import Group
    from rich.text import Text

    from node.cli.output import fitting, plain

    parts: list[RenderableType] = [_head(shown)]
    parts.append(fitting(NODES, [_cells(row) for row in shown.nodes], LESS))
    if shown.queues:
        rows = sorted(shown.queues, key=lambda row: (-row["waiting"], row["queue"]))
        parts.append(
            fitting(QUEUES, [_queue(row) for row in rows[:QUEUES_SHOWN]], ("away", "busy"))
        )
        if len(rows) > QUEUES_SHOWN:
            parts.append(Text(f"and {len(rows) - QUEUES_SHOWN} queues more", style="dim"))
    parts += [Text(f"! {plain(alert)}", style="yellow") for alert in shown.alerts[:ALERTS_SHOWN]]
    if len(shown.alerts) > ALERTS_SHOWN:
        parts.append(Text(f"! and {len(shown.alerts) - ALERTS_SHOWN} more", style="yellow"))
    for line in shown.heals:
        at = datetime.fromtimestamp(line["at"] / 1000, UTC).strftime("%H:%M:%S")
        said = plain(f"{at} {line['node']} healed: {line['seen']} -> {line['done']}")
        parts.append(Text(f"{said} ({line['outcome']})", style="dim"))
    return Group(*parts)


def _head(shown: Picture) -> "Text":
    from rich.text import Text

    from node.cli.output import count

    counts = shown.counts
    leader = shown.leader or "nobody"
    waiting = counts.get("new", 0) + counts.get("waiting", 0)
    return Text.assemble(
        (shown.cluster or "?", "bold"),
        f"  {datetime.now(UTC):%H:%M:%S} UTC  ",
        (f"{leader} leads", "" if shown.leader else "bold red"),
        f", term {shown.term}\n",
        f"{_number(shown.commits_per_s)} commits/s, {_number(shown.messages_per_s)} messages/s;"
        f" {waiting} waiting, {counts.get('assigned', 0)} assigned,"
        f" {count(counts.get('agents', 0), 'agent')}",
    )


def _cells(row: NodeRow) -> list[Any]:
    from rich.text import Text

    colour = _STANDING.get(row.standing, "bold red")
    return [
        row.node,
        Text(row.standing, style=colour),
        Text(row.role or "-", style="bold" if row.role == "leader" else ""),
        row.zone or "-",
        "-" if row.lag is None else str(row.lag),
        "-" if row.clients is None else str(row.clients),
        _number(row.messages_per_s),
        "-" if row.sync_ms is None else f"{row.sync_ms:.1f} ms",
        "-" if row.free_bytes is None else _bytes(row.free_bytes),
        str(row.term or "-"),
        row.version or "-",
    ]


def _queue(row: dict[str, Any]) -> list[Any]:
    from rich.text import Text

    from node.cli.output import plain

    oldest_s = max(0, time.time_ns() // 1_000_000 - row["oldest"]) // 1000 if row["oldest"] else 0
    nobody = row["waiting"] and not row["available"] + row["full"]
    return [
        plain(row["queue"]),
        Text(str(row["waiting"]), style="red" if nobody else ""),
        spoken_s(oldest_s) if row["waiting"] else "-",
        str(row["available"]),
        str(row["full"]),
        str(row["away"]),
    ]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _bytes(value: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError
