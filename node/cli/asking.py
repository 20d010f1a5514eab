"""One question of an operator, answered by whatever node lives.  Talks to nodes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.connecting import Where

if TYPE_CHECKING:
    from node.protocol.catalogue import Request

REQUEST_S = 15.0

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def ask(where: Where, *requests: "Request") -> dict[str, Any]:
    """Return the answer to the last of `requests`, asked in order.  Raises `Problem`."""
    from node.cli.connecting import connect_as
    from node.cli.running import run
    from node.client import open_client

    cluster, proof = connect_as(where, "operator", "operator")
    reply: dict[str, Any] = {}

    async def body() -> None:
        nonlocal reply
        async with open_client(cluster.urls, proof, name="unidesk-operator") as client:
            for request in requests:
                reply = await client.request(request, timeout_s=REQUEST_S)

    run(body)
    return reply
