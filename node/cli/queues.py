"""`unidesk queues`: who waits and who works, queue by queue.  Talks to nodes."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json, ask, ask_on
from node.cli.completing import complete_queue
from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

REFRESH_S = 1.0
LONG_S, TOO_LONG_S = 60, 300
"""Waits that are shown in yellow, and in red."""
COLUMNS = (
    *("queue", "waiting", "longest", "offered", "assigned", "free", "full", "away"),
    *("in 20 s", "handling", "a new one waits"),
)


@connected
def queues(
    where: Where,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUEUE]...", help="These alone; all without.", autocompletion=complete_queue
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow them until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show who waits in each queue, for how long, and who is there to answer.

    Example:  unidesk queues --watch
    """
    from node.cli.output import console, print_json
    from node.protocol.catalogue import QueueList

    if watch:
        _watch(where, names or [], as_json=as_json)
        return
    reply = ask(where, QueueList())
    if names:
        check_known(names, reply["rows"])
        reply["rows"] = [row for row in reply["rows"] if row["queue"] in names]
    if as_json:
        print_json(reply)
    else:
        console().print(_table(reply["rows"], reply["now"]))


def check_known(names: list[str], rows: list[dict[str, Any]]) -> None:
    """Raise `Problem` for a name that is no queue of `rows`, which are of all there are."""
    from node.cli.output import plain
    from node.cli.problem import Problem

    known = [plain(row["queue"]) for row in rows]
    for name in names:
        if name not in known:
            raise Problem(f"no queue {name}; there are {', '.join(known) or 'none'}")


def _watch(where: Where, names: list[str], *, as_json: bool) -> None:
    """Follow the rows: a live table on a terminal, a line of JSON or a table for each news."""
    board = _Board(as_json=as_json)
    with board:
        ask_on(where, lambda client: board.follow(client, names), stays=True)


class _Board:
    """The rows as they are known, and where they are shown."""

    def __init__(self, *, as_json: bool) -> None:
        from node.cli.output import console

        self._as_json = as_json
        self._rows: dict[str, dict[str, Any]] = {}
        self._ahead_ms = 0
        self._out = console()
        self._live: Any = None
        if sys.stdout.isatty() and not as_json:
            from rich.live import Live

            self._live = Live(console=self._out, auto_refresh=False)

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    async def follow(self, client: Any, names: list[str]) -> None:
        """Ask at every node that takes us in, and show what it tells."""
        import msgspec
        import trio

        from node.protocol.catalogue import QueueRowsPush, QueueWatch, Welcome

        async def ask() -> None:
            reply = await client.request(QueueWatch(queues=names))
            self._rows = {}
            self._take(reply["rows"], reply["now"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_time)
            async for push in client.events():
                match push:
                    case Welcome():
                        nursery.start_soon(ask)
                    case QueueRowsPush():
                        self._take(msgspec.to_builtins(push.rows), push.now)

    def _take(self, rows: list[dict[str, Any]], now_ms: int) -> None:
        import json
        import time

        self._ahead_ms = now_ms - time.time_ns() // 1_000_000
        self._rows |= {row["queue"]: row for row in rows}
        if self._as_json:
            print(json.dumps({"rows": rows, "now": now_ms}, ensure_ascii=False), flush=True)
        elif self._live is None:
            self._out.print(self._shown())

    def _shown(self) -> "Table":
        import time

        rows = [self._rows[queue] for queue in sorted(self._rows)]
        return _table(rows, time.time_ns() // 1_000_000 + self._ahead_ms)

    async def _keep_time(self) -> None:
        """Let waits grow on the screen."""
        import trio

        while self._live is not None:
            self._live.update(self._shown(), refresh=True)
            await trio.sleep(REFRESH_S)


def _table(rows: list[dict[str, Any]], now_ms: int) -> "Table":
    from node.cli.output import fitting, plain

    cells = [[plain(row["queue"]), *_cells(row, now_ms)] for row in rows]
    return fitting(COLUMNS, cells, ("handling", "assigned", "offered", "full", "in 20 s"))


def _cells(row: dict[str, Any], now_ms: int) -> "list[str | Text]":
    from rich.text import Text

    longest_s = max(0, now_ms - row["oldest"]) // 1000 if row["oldest"] else 0
    colour = "red" if longest_s >= TOO_LONG_S else "yellow" if longest_s >= LONG_S else ""
    nobody = "red" if row["waiting"] and not row["available"] + row["full"] else ""
    in_time = f"{row['in_time']}% of {row['answered']}" if row["answered"] else "-"
    eta = spoken_s(row["eta_s"]) if row.get("eta_s") else "-"
    return [
        Text(str(row["waiting"]), style=colour),
        Text(spoken_s(longest_s) if row["waiting"] else "-", style=colour),
        str(row["offered"]),
        str(row["assigned"]),
        Text(str(row["available"]), style=nobody or ("green" if row["available"] else "")),
        str(row["full"]),
        str(row["away"]),
        in_time,
        spoken_s(row["handle_s"]) if row["handle_s"] else "-",
        eta + (" or so" if row.get("conf") == "low" and eta != "-" else ""),
    ]


def spoken_s(seconds: int) -> str:
    """Return a span as people read it: 45 s, 3 min, 1 h 20 min."""
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
