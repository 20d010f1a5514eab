"""`unidesk heal`: what the cluster healed by itself, and how its nodes do.  Talks to nodes."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json, ask, ask_on
from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from rich.text import Text

    from node.client import Client
    from node.protocol.catalogue import HealLog

app = typer.Typer(help="What nodes heal by themselves, and why.", no_args_is_help=True)
PAGE = 500
FOLLOW_S = 1.0
_COLOURS = {"done": "green", "began": "cyan", "failed": "red", "held_back": "yellow"}
COLUMNS = ("when (UTC)", "node", "rule", "outcome", "seen", "done")
TABLE_WIDTH_MIN = 120
"""Columns of a terminal; with less, what was seen and done stands below each line's head."""


@app.callback()
def _group() -> None:
    pass


@app.command()
@connected
def log(
    where: Where,
    limit: Annotated[int, typer.Option("--limit", "-n", help="The newest lines.", min=1)] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    node: Annotated[str, typer.Option(help="What this node did, only.")] = "",
    rule: Annotated[int, typer.Option(help="What this rule did, by its number.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Show what nodes did by themselves: what was seen, what was done, by which rule.

    The newest line is last, as in a log.  Times are those of the node that acted.  With --json and
    --follow, one line of JSON each.

    Example:  unidesk heal log --rule 9 --follow
    """
    from node.cli.output import print_json
    from node.protocol.catalogue import HealLog

    if follow:

        async def body(client: "Client") -> None:
            await _follow(client, HealLog(node=node, rule=rule, limit=limit), as_json=as_json)

        ask_on(where, body, stays=True)
        return
    found: dict[str, Any] = {"lines": [], "next": "0", "past": "", "more": True}
    while found["more"] and len(found["lines"]) < limit:
        wanted = min(limit - len(found["lines"]), PAGE)
        page = ask(where, HealLog(before=found["past"], node=node, rule=rule, limit=wanted))
        newest = found["next"] if found["lines"] else page["next"]
        found = {**page, "lines": [*found["lines"], *page["lines"]], "next": newest}
    if as_json:
        print_json(found)
    else:
        _print(found["lines"][::-1])


async def _follow(client: "Client", request: "HealLog", *, as_json: bool) -> None:
    import msgspec
    import trio

    from node.cli.output import console

    page = await client.request(request)
    lines, out, began = page["lines"][::-1], console(), True
    while True:
        for line in lines:
            if as_json:
                typer.echo(msgspec.json.encode(line).decode())
        if lines and not as_json:
            _print(lines, header=began)
            began = False
        out.file.flush()
        if not page["more"] or not lines:
            await trio.sleep(FOLLOW_S)
        after = msgspec.structs.replace(request, after=page["next"], limit=PAGE)
        page = await client.request(after)
        lines = page["lines"]


@app.command()
@connected
def status(
    where: Where,
    as_json: Json = False,
) -> None:
    """Show the mode, the rules with what each did and when last, and how every node does.

    Counts are of the lines that are kept.  What is held back by a limit is named.

    Example:  unidesk heal status
    """
    from node.cli.output import console, fitting, print_json
    from node.protocol.catalogue import HealStatus

    found = ask(where, HealStatus())
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(f"mode {found['mode']} at node {found['node']}")
    rules = [
        (str(one["rule"]), one["name"], _counts(one["counts"]), _when(one["last_at"]), one["done"])
        for one in found["rules"]
    ]
    columns = ("rule", "name", "did", "last (UTC)", "what it does")
    out.print(fitting(columns, rules, ("last (UTC)", "what it does")))
    for line in found["held_back"]:
        out.print(f"held back: {line['node']}, {line['name']}: {line['done']}")
    less = ("disk", "version", "sync p99", "zone", "member", "clock")
    out.print(fitting(_NODE_COLUMNS, [_node(one) for one in found["nodes"]], less))


_NODE_COLUMNS = ("node", "zone", "standing", "member", "version", "heard", "disk", "sync p99",
                 "clock")  # fmt: skip


def _node(one: dict[str, Any]) -> tuple[str, ...]:
    if not one["known"]:
        return (one["id"], "", "never heard", one["member"], *[""] * 5)
    age = f"{one['age_s']:.1f} s ago"
    p99_ms = one["sync_p99_ms"]
    return (
        one["id"],
        one["zone"],
        one["standing"] if one["fresh"] else f"silent, was {one['standing']}",
        one["member"],
        f"{one['version']} (level {one['level']})",
        age,
        _disk(one["disk_free_bytes"], one["disk_total_bytes"]),
        f"{p99_ms:.1f} ms" if p99_ms >= 0 else "",
        f"{one['clock_ahead_ms']:+d} ms",
    )


def _disk(free: int, total: int) -> str:
    if free < 0 or total <= 0:
        return ""
    return f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free ({100 * free // total} %)"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "-"


def _when(at_ms: int) -> str:
    if not at_ms:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _print(lines: list[dict[str, Any]], *, header: bool = True) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from node.cli.output import console, plain, table

    def row(line: dict[str, Any]) -> "tuple[str | Text, ...]":
        outcome = Text(line["outcome"], style=_COLOURS.get(line["outcome"], ""))
        name = f"{line['rule']} {line['name']}"
        when = _when(line["done_at"] or line["at"])
        return (when, line["node"], name, outcome, plain(line["seen"]), plain(line["done"]))

    out, rows = console(), [row(line) for line in lines]
    if rows and out.width < TABLE_WIDTH_MIN:
        for *head, seen, done in rows:
            out.print(Text("  ").join(Text(one) if isinstance(one, str) else one for one in head))
            out.print(Padding(Text(f"{seen} -> {done}"), (0, 0, 0, 4)))
        return
    made = table(COLUMNS, rows)
    made.show_header = header
    for column in made.columns[:4]:
        column.no_wrap = True
    out.print(made)
