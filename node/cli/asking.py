"""One question of an operator, answered by whatever node lives.  Talks to nodes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.connecting import Where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node.client import Client
    from node.protocol.catalogue import Request

REQUEST_S = 15.0

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def ask(where: Where, *requests: "Request", subject: str = "operator") -> dict[str, Any]:
    """Return the answer to the last of `requests`, asked in order.  Raises `Problem`."""
    reply: dict[str, Any] = {}

    async def body(client: "Client") -> None:
        nonlocal reply
        for request in requests:
            reply = await client.request(request, timeout_s=REQUEST_S)

    ask_on(where, body, subject=subject)
    return reply


def ask_on(
    where: Where,
    body: "Callable[[Client], Awaitable[None]]",
    *,
    subject: str = "operator",
    stays: bool = False,
) -> None:
    """Run `body` with a client of an operator's; one that `stays` ends when it is interrupted.

    Raises `Problem`.
    """
    from node.cli.connecting import connect_as
    from node.cli.reaching import open_patient
    from node.cli.running import run

    cluster, proof = connect_as(where, "operator", subject)

    async def connected() -> None:
        urls = await cluster.reached()
        async with open_patient(urls, proof, name="unidesk-operator") as client:
            await body(client)

    run(connected, stays=stays)
