"""`unidesk agents`: who is here, what they do and can.  Talks to nodes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json, ask
from node.cli.completing import complete_queue
from node.cli.connecting import Where, connected
from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

PAGE = 100
COLOURS = {"online": "green", "away": "yellow", "busy": "yellow", "transfer_only": "yellow"}
COLUMNS = ("agent", "name", "status", "for", "load", "offers", "skills", "languages", "devices at")


@connected
def agents(
    where: Where,
    queue: Annotated[
        str, typer.Option(help="Those who serve it.", autocompletion=complete_queue)
    ] = "",
    status: Annotated[str, typer.Option(help="online, away, busy, transfer_only or offline.")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="Also those who are not here.")] = False,
    as_json: Json = False,
) -> None:
    """Show the agents who are here: status, load, skills, devices.

    Example:  unidesk agents --queue billing
    """
    from typing import get_args

    from cluster.state.model import AgentStatus
    from node.cli.output import console, print_json
    from node.cli.queues import check_known
    from node.protocol.catalogue import QueueList

    if status and status not in get_args(AgentStatus):
        raise Problem(f"--status {status}: one of {', '.join(get_args(AgentStatus))}", USAGE)
    if queue:
        check_known([queue], ask(where, QueueList())["rows"])
    rows, now_ms = _all(where, queue, status, here=not everybody and status != "offline")
    if as_json:
        print_json({"agents": rows, "now": now_ms})
    else:
        console().print(_table(rows, now_ms))


def _all(where: Where, queue: str, status: Any, *, here: bool) -> tuple[list[dict[str, Any]], int]:
    """Return all rows, page by page, and the moment of the last."""
    from node.protocol.catalogue import AgentList

    rows: list[dict[str, Any]] = []
    while True:
        after = rows[-1]["agent"] if rows else ""
        request = AgentList(queue=queue, status=status, here=here, after=after, limit=PAGE)
        reply = ask(where, request)
        rows += reply["agents"]
        if not reply["more"]:
            return rows, reply["now"]


def _table(rows: list[dict[str, Any]], now_ms: int) -> "Table":
    from node.cli.output import fitting

    cells = [_cells(row, now_ms) for row in rows]
    return fitting(COLUMNS, cells, ("devices at", "languages", "offers", "name"))


def _cells(row: dict[str, Any], now_ms: int) -> "list[str | Text]":
    from rich.text import Text

    from node.cli.output import plain
    from node.cli.queues import spoken_s

    said = row["status"] + (f": {plain(row['reason'])}" if row["reason"] else "")
    status = said if row["here"] or row["status"] == "offline" else f"{said} (connection lost)"
    full = row["load"] >= row["capacity"]
    return [
        plain(row["agent"]),
        plain(row["name"]),
        Text(status, style=COLOURS.get(row["status"], "dim")),
        spoken_s(max(0, now_ms - row["since"]) // 1000) if row["since"] else "-",
        Text(f"{row['load']}/{row['capacity']}", style="yellow" if full else ""),
        str(row["offers"]),
        plain(" ".join(f"{name}={level}" for name, level in row["skills"].items())) or "-",
        plain(" ".join(row["langs"])) or "-",
        plain(", ".join(device["node"] + _lost(device) for device in row["devices"])) or "-",
    ]


def _lost(device: dict[str, Any]) -> str:
    return " (lost)" if device["lost"] else ""
