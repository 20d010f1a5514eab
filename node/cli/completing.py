"""What the shell may complete by asking a cluster.  Reads files; asks nodes, briefly.

    nodes       from `GET /cluster`, else from the files that name the cluster
    queues      `queue.list`
    agents      `agent.list`

Whoever presses Tab wants no message and no wait: a cluster that is not there, or slow, completes
nothing.
"""

import contextlib
import io
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import typer

PATIENCE_S = 0.8

Ask = Callable[[tuple[str, ...], str], Awaitable[list[str]]]


def complete_node(context: typer.Context, incomplete: str) -> list[str]:
    """Return ids of nodes."""

    async def ask(urls: tuple[str, ...], proof: str) -> list[str]:
        from node.cli.nodes import ask_all, names_of

        return list(names_of(await ask_all(urls, proof, timeout_s=PATIENCE_S)).values())

    return _complete(context, incomplete, ask)


def complete_queue(context: typer.Context, incomplete: str) -> list[str]:
    """Return names of queues."""

    async def ask(urls: tuple[str, ...], proof: str) -> list[str]:
        from node.protocol.catalogue import QueueList

        return [row["queue"] for row in (await _request(urls, proof, QueueList()))["rows"]]

    return _complete(context, incomplete, ask)


def complete_agent(context: typer.Context, incomplete: str) -> list[str]:
    """Return ids of agents who are here."""

    async def ask(urls: tuple[str, ...], proof: str) -> list[str]:
        from node.protocol.catalogue import AgentList

        reply = await _request(urls, proof, AgentList(here=True))
        return [row["agent"] for row in reply["agents"]]

    return _complete(context, incomplete, ask)


async def _request(urls: tuple[str, ...], proof: str, request: Any) -> dict[str, Any]:
    from node.client import open_client

    async with open_client(urls, proof, name="unidesk-completion") as client:
        return await client.request(request, timeout_s=PATIENCE_S)


def _complete(context: typer.Context, incomplete: str, ask: Ask) -> list[str]:
    import trio

    from node.cli.connecting import Where, connect_as

    async def body() -> list[str]:
        with trio.move_on_after(PATIENCE_S):
            return await ask(urls, proof)
        return []

    given = context.params
    with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
        where = Where(
            urls=list(given.get("url") or ()) or os.environ.get("UNIDESK_URL", "").split(),
            token=given.get("token") or os.environ.get("UNIDESK_TOKEN", ""),
            config=_path(given.get("config") or os.environ.get("UNIDESK_CONFIG")),
            data=_path(given.get("data") or os.environ.get("UNIDESK_DATA")),
        )
        cluster, proof = connect_as(where, "operator", "operator", ttl_s=60)
        urls = cluster.urls
        return sorted(one for one in set(trio.run(body)) if one.startswith(incomplete))
    return []


def _path(text: Any) -> Path | None:
    return Path(text) if text else None
