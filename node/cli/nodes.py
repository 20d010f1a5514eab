"""What the nodes of a cluster say of themselves, all asked at once.  Talks to nodes."""

import contextlib
from typing import TYPE_CHECKING

from node.cli.problem import Problem

if TYPE_CHECKING:
    from node.client.status import NodeStatus, Proof

MEND = "give --token, --config or --data"
_MENDS = {
    "token.revoked": "; every token of `pages`, which reads what nodes say, was revoked just now:"
    " one that is made in ten seconds is good; ask again then, or give an operator's --token"
}
"""By rule, for tokens made here: the words of the node are for whoever logs in."""
Statuses = dict[str, "NodeStatus | None"]
"""By URL; None for who does not answer."""


async def ask_all(
    urls: tuple[str, ...], token: "Proof", *, timeout_s: float = 1.0, digest: bool = False
) -> Statuses:
    """Return what each node says, those included that only another node knows: each asked once.

    Raises `Problem` when all that answer refuse, as `token` is not an operator's; without one, when
    any does: whoever asked where machines look would take the rest for dead.
    """
    import trio

    from node.client import Address, BadAddress
    from node.client.http import Unreachable
    from node.client.roaming import NODES_MAX
    from node.client.status import Refused, fetch_status

    found: Statuses = {}
    refused: list[Refused] = []

    async def ask(url: str) -> None:
        found[url] = None
        try:
            found[url] = await fetch_status(
                Address.parse(url), token=token, timeout_s=timeout_s, digest=digest
            )
        except Refused as error:
            refused.append(error)
        except Unreachable:
            pass

    wanted = {Address.parse(url).authority: url for url in urls}
    asked: set[str] = set()
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for authority in [one for one in wanted if one not in asked]:
                asked.add(authority)
                nursery.start_soon(ask, wanted[authority])
        for one in [one for one in found.values() if one is not None]:
            for other in one.nodes[:NODES_MAX]:
                url = str(other.get("url", ""))
                with contextlib.suppress(BadAddress):
                    wanted.setdefault(Address.parse(url).authority, url)
    if refused and not token:
        raise Problem(f"{refused[0]}; {MEND}")
    if refused and not answered(found):
        made_here = isinstance(token, tuple)
        raise Problem(f"{refused[0]}{_MENDS.get(refused[0].rule, '') if made_here else ''}")
    return dict(sorted(found.items(), key=lambda item: (item[1].node if item[1] else "~", item[0])))


def answered(found: Statuses) -> "list[NodeStatus]":
    """Return what those said who answered."""
    return [one for one in found.values() if one is not None]


def names_of(found: Statuses) -> dict[str, str]:
    """Return node ids by URL, of those too that do not answer, as others know them."""
    known = {
        str(row.get("url")): str(row.get("id")) for one in answered(found) for row in one.nodes
    }
    return known | {url: one.node for url, one in found.items() if one is not None}
