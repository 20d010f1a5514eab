"""`unidesk cluster members`: who takes part, and changing that.  Talks to nodes.

Every command follows a change to its end: the leader adds and removes voters one at a time, and
a new node votes only when it has caught up.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.asking import Json
from node.cli.connecting import Where, connected
from node.cli.leader import POLL_S, REQUEST_S, Reply, ask_leader, read_members

if TYPE_CHECKING:
    from rich.table import Table

    from node.client import Client
    from node.protocol.catalogue import MembersChange

app = typer.Typer(no_args_is_help=False, invoke_without_command=True)


Node = Annotated[str, typer.Argument(metavar="NODE", help="A node's id.")]
At = Annotated[
    str,
    typer.Option("--address", help="host:port for the other nodes; a node that calls tells it."),
]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="Follow the change for so long.", min=0)
]


@app.callback()
@connected
def show(
    where: Where,
    context: typer.Context,
    as_json: Json = False,
) -> None:
    """Show the members, what each may do, and who waits to be added.

    Example:  unidesk cluster members
    """
    if context.invoked_subcommand is None:
        _run(where, read_members, as_json=as_json)


@app.command()
@connected
def add(
    where: Where,
    node: Node,
    address: At = "",
    learner: Annotated[
        bool, typer.Option("--learner", help="It serves clients and does not vote.")
    ] = False,
    standby: Annotated[
        bool,
        typer.Option("--standby", help="It serves clients, and replaces a voter that dies."),
    ] = False,
    wait: Wait = 60.0,
    as_json: Json = False,
) -> None:
    """Let a started node join; it votes when it has caught up.

    Example:  unidesk cluster members add n4
    """
    from node.protocol.catalogue import MembersChange

    if learner and standby:
        raise typer.BadParameter("a standby is a learner that may be called upon: say one of them")
    request = MembersChange(
        change="add_standby" if standby else "add_learner" if learner else "add",
        node=node,
        address=address,
    )
    _change(where, request, wait, as_json=as_json)


@app.command()
@connected
def promote(
    where: Where,
    node: Node,
    wait: Wait = 60.0,
    as_json: Json = False,
) -> None:
    """Let a learner vote, when it has caught up.

    Example:  unidesk cluster members promote n4
    """
    from node.protocol.catalogue import MembersChange

    _change(
        where,
        MembersChange(change="promote", node=node),
        wait,
        as_json=as_json,
    )


@app.command()
@connected
def remove(
    where: Where,
    node: Node,
    wait: Wait = 60.0,
    as_json: Json = False,
) -> None:
    """Let a node leave for good; if it leads, it hands over first.

    Example:  unidesk cluster members remove n2
    """
    from node.protocol.catalogue import MembersChange

    _change(
        where,
        MembersChange(change="remove", node=node),
        wait,
        as_json=as_json,
    )


@app.command()
@connected
def keep(
    where: Where,
    node: Node,
    wait: Wait = 0.0,
    as_json: Json = False,
) -> None:
    """Take back that a node is to leave.

    Example:  unidesk cluster members keep n2
    """
    from node.protocol.catalogue import MembersChange

    _change(
        where,
        MembersChange(change="keep", node=node),
        wait,
        as_json=as_json,
    )


@app.command()
@connected
def replace(
    where: Where,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Who leaves, dead or alive.")],
    new: Annotated[
        str,
        typer.Argument(
            metavar="NEW", help="Who takes its place: a standby, a learner, or new; started."
        ),
    ],
    address: At = "",
    wait: Wait = 60.0,
    as_json: Json = False,
) -> None:
    """Put a node in the place of another: it joins first, then the old one leaves.

    Example:  unidesk cluster members replace n2 n4
    """
    from node.protocol.catalogue import MembersChange

    request = MembersChange(change="replace", node=old, new=new, address=address)
    _change(where, request, wait, as_json=as_json)


# -- inside


def _change(where: Where, request: "MembersChange", wait: float, *, as_json: bool) -> None:
    async def ask(client: "Client") -> Reply:
        return await client.request(request, timeout_s=REQUEST_S)

    _run(where, ask, wait=wait, as_json=as_json)


def _run(
    where: Where,
    ask: "Callable[[Client], Awaitable[Reply]]",
    *,
    wait: float = 0.0,
    as_json: bool,
) -> None:
    from node.cli.connecting import connect_as
    from node.cli.output import console, print_json
    from node.cli.running import run

    cluster, proof = connect_as(where, "operator", "operator")

    async def body() -> int:
        urls = await cluster.reached()
        reply = await ask_leader(urls, proof, ask)
        if wait and _unsettled(reply):
            reply = await _follow(urls, proof, reply, wait)
        if as_json:
            print_json(reply)
        else:
            console().print(_table(reply))
        return 1 if wait and _unsettled(reply) else 0

    run(body)


async def _follow(urls: tuple[str, ...], proof: str, reply: Reply, wait: float) -> Reply:
    """Return the members when nobody is joining or leaving any more, or time is up."""
    import trio

    from node.cli.output import console

    err = console(stderr=True)
    said = ""
    with trio.move_on_after(wait):
        while pending := _unsettled(reply):
            if pending != said:
                said = pending
                err.print(pending)
            await trio.sleep(POLL_S)
            reply = await ask_leader(urls, proof, read_members)
        return reply
    err.print(f"still under way after {wait:g} s; look again: unidesk cluster members")
    return reply


def _unsettled(reply: Reply) -> str:
    """Return what is under way, in words."""
    moving = [row for row in reply["members"] if row["role"] in ("joining", "leaving")]
    return ", ".join(f"{row['id']} is {row['role']}" for row in moving)


def _table(reply: Reply) -> "Table":
    from node.cli.output import fitting

    rows = [
        (row["id"], row["role"] + (", leads" if row["leads"] else ""), row["address"], row["url"])
        for row in reply["members"]
    ]
    waiting = [(row["id"], "waits to be added", row["address"], "") for row in reply["waiting"]]
    return fitting(("node", "role", "address", "clients"), [*rows, *waiting], ())
