"""`unidesk cluster transfer-leader`: another node leads.  Talks to nodes."""

from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.asking import Json
from node.cli.completing import complete_node
from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from node.cli.leader import Reply
    from node.client import Client


@connected
def transfer_leader(
    where: Where,
    node: Annotated[
        str,
        typer.Argument(
            metavar="[NODE]",
            help="Who shall lead; without it the voter that is furthest.",
            autocompletion=complete_node,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Let another voter lead, and wait until it does.

    Nothing that was acknowledged is lost, and what was asked meanwhile waits.  Refused, in words,
    for a node that does not vote, is drained, is not heard, or has not caught up.

    Example:  unidesk cluster transfer-leader n2
    """
    from node.cli.connecting import connect_as
    from node.cli.leader import REQUEST_S, ask_leader
    from node.cli.output import print_json
    from node.cli.problem import Problem
    from node.cli.running import run
    from node.protocol.catalogue import LeaderTransfer

    cluster, proof = connect_as(where, "operator", "operator")

    async def ask(client: "Client") -> "Reply":
        return await client.request(LeaderTransfer(node=node), timeout_s=REQUEST_S)

    async def body() -> None:
        reply = await ask_leader(await cluster.reached(), proof, ask, name="unidesk-transfer")
        if as_json:
            print_json(reply)
        else:
            typer.echo(
                f"{reply['leader']} leads now, {reply['before']} before:"
                f" term {reply['term']}, {reply['took_ms']} ms"
            )
        if node and reply["leader"] != node:
            raise Problem(f"{node} was asked to lead, and {reply['leader']} was elected: try again")

    run(body)
