"""`unidesk cluster drain`, `undrain`: a node without clients.  Talks to nodes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json
from node.cli.completing import complete_node
from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node.client import Client
    from node.client.status import NodeStatus, Proof

REQUEST_S = 10.0
POLL_S = 0.25

Node = Annotated[
    str, typer.Argument(metavar="NODE", help="A node's id.", autocompletion=complete_node)
]


@connected
def drain(
    where: Where,
    node: Node,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Wait so long for it to be empty.", min=0)
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Send a node's clients to the others, and let it lead nothing and take nobody.

    It votes and keeps its copy as before, so the cluster is as safe as it was.  Waits until nobody
    is left; exit code 1 if somebody is after --timeout.  Lasts until `undrain`, or a restart.

    Example:  unidesk cluster drain n2 --timeout 30
    """
    from node.cli.connecting import find_cluster
    from node.cli.output import print_json

    proof = find_cluster(where).pass_for_pages(where.token)
    state: dict[str, Any] = {}

    async def body(client: "Client") -> None:
        from node.protocol.catalogue import NodeDrain

        state.update(await client.request(NodeDrain(node=node), timeout_s=REQUEST_S))
        state.update(await _wait_empty(client, node, timeout, proof))

    _ask(where, body)
    if as_json:
        print_json(state)
    elif state["empty"]:
        typer.echo(
            f"{node} is drained, after {state['took_s']:.1f} s: no clients, and {state['leader']}"
            f" leads; `unidesk cluster undrain {node}` or a restart ends that"
        )
    if not state["empty"]:
        raise typer.Exit(1)


@connected
def undrain(
    where: Where,
    node: Node,
    as_json: Json = False,
) -> None:
    """Let a drained node take clients again.

    Example:  unidesk cluster undrain n2
    """
    from node.cli.output import print_json

    reply: dict[str, Any] = {}

    async def body(client: "Client") -> None:
        from node.protocol.catalogue import NodeDrain

        reply.update(await client.request(NodeDrain(node=node, undrain=True), timeout_s=REQUEST_S))

    _ask(where, body)
    if as_json:
        print_json(reply)
    else:
        typer.echo(f"{node} takes clients again")


def _ask(where: Where, body: "Callable[[Client], Awaitable[None]]") -> None:
    """Run `body` with a client; what the cluster refuses is told in its words."""
    from node.cli.asking import ask_on
    from node.cli.problem import Problem
    from node.client.failures import RequestFailed

    async def told(client: "Client") -> None:
        try:
            await body(client)
        except RequestFailed as failure:
            if failure.code in ("conflict", "not_found"):
                raise Problem(failure.message) from None
            raise

    ask_on(where, told)


async def _wait_empty(
    client: "Client", node: str, timeout_s: float, proof: "Proof"
) -> dict[str, Any]:
    """Return how it ended: `empty`, `clients` that are left, `took_s`, and who leads."""
    import trio

    from node.cli.leader import read_members
    from node.cli.output import tell

    began_s, said = trio.current_time(), ""
    members = (await read_members(client))["members"]
    url = next((row["url"] for row in members if row["id"] == node), "")
    status: NodeStatus | None = None
    while True:
        took_s = trio.current_time() - began_s
        status = await _status(url, proof) or status
        left = "" if status is None else _left(status)
        if status is not None and not left:
            ended = {"empty": True, "clients": 0, "leader": status.leader}
            return ended | {"took_s": round(took_s, 3)}
        doing = f"{node}: {left or 'does not answer'}"
        if doing != said:
            said = doing
            tell(doing)
        if took_s >= timeout_s:
            tell(f"still so after {timeout_s:g} s; it takes nobody new: ask again to wait on")
            clients = status.counts.get("connections", 0) if status is not None else None
            leader = status.leader if status is not None else None
            return {
                "empty": False,
                "clients": clients,
                "leader": leader,
                "took_s": round(took_s, 3),
            }
        await trio.sleep(POLL_S)


async def _status(url: str, proof: "Proof") -> "NodeStatus | None":
    from node.client import Address, BadAddress
    from node.client.http import Unreachable
    from node.client.status import fetch_status

    try:
        return await fetch_status(Address.parse(url), token=proof)
    except (Unreachable, BadAddress):
        return None


def _left(status: "NodeStatus") -> str:
    """Return what it still has to let go of, in words; nothing when it is empty."""
    from node.cli.output import count

    connections = status.counts.get("connections", 0)
    parts = [
        "has not heard of it yet" if status.standing == "serving" else "",
        f"{count(connections, 'client')} left" if connections else "",
        "leads still" if status.leads or not status.leader else "",
    ]
    return ", ".join(part for part in parts if part)
