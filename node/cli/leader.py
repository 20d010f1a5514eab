"""What only the leader can do, asked of it.  Talks to nodes."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from node.cli.problem import Problem

if TYPE_CHECKING:
    from node.client import Client

REQUEST_S = 10.0
TRIES = 5
"""To find the leader, which may change meanwhile."""
POLL_S = 0.3

Reply = dict[str, Any]


async def ask_leader(
    urls: tuple[str, ...],
    proof: str,
    ask: "Callable[[Client], Awaitable[Reply]]",
    *,
    name: str = "unidesk-members",
) -> Reply:
    """Return the answer of a node that may give it: of the leader, where that is needed.

    Raises `Problem`, with the node's words, when it is refused.
    """
    import trio

    from node.cli.reaching import open_patient
    from node.client.failures import RequestFailed

    to = urls
    for _ in range(TRIES):
        async with open_patient(to, proof, name=name) as client:
            try:
                return await ask(client)
            except RequestFailed as failure:
                if failure.code == "conflict":
                    raise Problem(failure.message) from None
                if failure.code != "not_leader":
                    raise
            known = await read_members(client)
        leaders = tuple(row["url"] for row in known["members"] if row["leads"] and row["url"])
        to = leaders or urls
        await trio.sleep(0 if leaders else POLL_S)
    raise Problem("no leader was found that could do it; see `unidesk cluster status`")


async def read_members(client: "Client") -> Reply:
    """Return who takes part, as a node knows."""
    from node.protocol.catalogue import MembersGet

    return await client.request(MembersGet(), timeout_s=REQUEST_S)
