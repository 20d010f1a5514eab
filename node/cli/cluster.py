"""`unidesk cluster`: who leads, who lags, who is not there.  Talks to nodes."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import drain, members, recover, top, transfer
from node.cli.connecting import ConfigFile, Data
from node.cli.nodes import ask_all, names_of

if TYPE_CHECKING:
    from node.client.status import NodeStatus

app = typer.Typer(help="The cluster as its nodes see it.", no_args_is_help=True)
REFRESH_S = 1.0
COLUMNS = ("node", "standing", "role", "term", "applied", "behind", "conversations", "agents",
           "connections", "pid", "address", "")  # fmt: skip
WIDE = 130
ONLY_WIDE = ("agents", "connections", "pid", "address")
"""Shown from WIDE columns on; --json has them always."""


app.add_typer(members.app, name="members")
app.add_typer(recover.app, name="recover")
app.command()(top.top)
app.command()(transfer.transfer_leader)
app.command()(drain.drain)
app.command()(drain.undrain)


@app.callback()
def _group() -> None:
    pass


@app.command()
def status(
    url: Annotated[
        list[str] | None,
        typer.Option(
            "--url",
            metavar="URL",
            envvar="UNIDESK_URL",
            help="A node: ws://host:port/v1/ws. Repeatable.",
        ),
    ] = None,
    config: ConfigFile = None,
    data: Data = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every node: standing, role, term, how far its log is, and what it holds.

    Exit code 1 when no node answers, or none leads.

    Example:  unidesk cluster status --url ws://127.0.0.1:7101 --watch
    """
    from node.cli.connecting import Where, find_cluster
    from node.cli.running import run

    if watch and as_json:
        raise typer.BadParameter("--watch is for people; a program asks for --json again and again")
    urls = find_cluster(Where(urls=url, config=config, data=data)).urls

    async def body() -> int:
        if watch:
            return await _watch(urls)
        found = await ask_all(urls)
        _show(found, as_json=as_json)
        return 0 if any(one is not None and one.leads for one in found.values()) else 1

    run(body, stays=watch)


def _show(found: "dict[str, NodeStatus | None]", *, as_json: bool) -> None:
    import msgspec

    from node.cli.output import console, print_json

    if as_json:
        print_json(
            [
                {"url": url, "reachable": one is not None}
                | (msgspec.to_builtins(one) if one is not None else {})
                for url, one in found.items()
            ]
        )
        return
    out = console()
    out.print(_table(found, out.width))
    if not any(one is not None and one.leads for one in found.values()):
        console(stderr=True).print(_nobody_leads(found))


def _table(found: "dict[str, NodeStatus | None]", width: int) -> Any:
    from node.cli.output import table

    answered = [one for one in found.values() if one is not None]
    most = max((one.commit_index for one in answered), default=0)
    names = names_of(found)
    rows = [_row(url, one, most, names.get(url, "?")) for url, one in found.items()]
    shown = [n for n, name in enumerate(COLUMNS) if width >= WIDE or name not in ONLY_WIDE]
    made = table([COLUMNS[n] for n in shown], [[row[n] for n in shown] for row in rows])
    for column in made.columns[:-1]:
        column.no_wrap = True
    return made


def _row(url: str, one: "NodeStatus | None", most: int, name: str) -> tuple[str, ...]:
    if one is None:
        return (name, "no answer", *[""] * 8, url, "")
    counts = (one.counts.get(what, 0) for what in ("conversations", "agents", "connections"))
    return (
        one.node,
        one.standing,
        one.role,
        str(one.term),
        str(one.applied_index),
        str(max(0, most - one.applied_index)),
        *map(str, counts),
        str(one.pid or ""),
        url,
        one.why,
    )


def _nobody_leads(found: "dict[str, NodeStatus | None]") -> str:
    if all(one is None for one in found.values()):
        return "no node answers; is the cluster started?"
    return "nobody leads: less than a majority of the nodes is there, or an election is on"


async def _watch(urls: tuple[str, ...]) -> int:
    import trio

    from node.cli.output import console

    out = console()
    if not sys.stdout.isatty():
        while True:
            out.print(_table(await ask_all(urls), out.width))
            await trio.sleep(REFRESH_S)
    from rich.live import Live

    with Live(console=out, auto_refresh=False, screen=False) as live:
        while True:
            live.update(_table(await ask_all(urls), out.width), refresh=True)
            await trio.sleep(REFRESH_S)
