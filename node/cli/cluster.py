"""`unidesk cluster`: who leads, who lags, who is not there.  Talks to nodes."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import drain, members, recover, top, transfer
from node.cli.connecting import Cluster, Where, connected
from node.cli.nodes import answered, ask_all

if TYPE_CHECKING:
    from node.client.status import NodeStatus

app = typer.Typer(help="The cluster as its nodes see it.", no_args_is_help=True)
REFRESH_S = 1.0


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
@connected
def status(
    where: Where,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every node: zone, standing, role, how far its log is, level, disk, clock, what it holds.

    Below the table: who does not serve and why, the fencing epoch, the level of commands in use,
    whether healing acts, and what chaos broke.

    Nodes show this to operators: with --config or --data a token is made.  Exit code 1 when no node
    answers, all refuse, or none leads.

    Example:  unidesk cluster status --config /etc/unidesk/node.toml --watch
    """
    from node.cli.connecting import find_cluster
    from node.cli.output import console
    from node.cli.running import run

    if watch and as_json:
        raise typer.BadParameter("--watch is for people; a program asks for --json again and again")
    cluster = find_cluster(where)

    async def body() -> int:
        if watch:
            return await _watch(cluster, where.token)
        await cluster.waited()
        found = await ask_all(cluster.urls, cluster.pass_for_pages(where.token))
        _show(found, as_json=as_json)
        if not answered(found):
            await cluster.reached()  # its words: each address, and why
        if not as_json and not any(one.leads for one in answered(found)):
            console(stderr=True).print(_nobody_leads(found))
        return 0 if any(one is not None and one.leads for one in found.values()) else 1

    run(body, stays=watch)


def _show(found: "dict[str, NodeStatus | None]", *, as_json: bool) -> None:
    import msgspec

    from node.cli.output import console, print_json
    from node.cli.status_view import view

    if as_json:
        print_json(
            [
                {"url": url, "reachable": one is not None}
                | (msgspec.to_builtins(one) if one is not None else {})
                for url, one in found.items()
            ]
        )
        return
    console().print(view(found))


def _nobody_leads(found: "dict[str, NodeStatus | None]") -> str:
    if all(one is None for one in found.values()):
        return "no node answers; is the cluster started?"
    return "nobody leads: less than a majority of the nodes is there, or an election is on"


async def _watch(cluster: Cluster, token: str) -> int:
    import trio

    from node.cli.output import console
    from node.cli.status_view import view

    async def look() -> "dict[str, NodeStatus | None]":
        return await ask_all(cluster.urls, cluster.pass_for_pages(token))

    out = console()
    if not sys.stdout.isatty():
        while True:
            out.print(view(await look()))
            await trio.sleep(REFRESH_S)
    from rich.live import Live

    with Live(console=out, auto_refresh=False, screen=False) as live:
        while True:
            live.update(view(await look()), refresh=True)
            await trio.sleep(REFRESH_S)
