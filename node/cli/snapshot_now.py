"""`unidesk snapshot save` of a node that runs: it is asked, and waited for.  Talks to one node.

    given                                which node
    --url URL                            that one
    --config node.toml                   the one whose file it is; another of its [nodes] by --node
    --data DIR, or ./unidesk-demo        --node

What was applied there when it was asked is in the snapshot.  It may be under way for long: the node
answers every few seconds what it waits for, and is asked again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.cli.connecting import Where, connect_as, load_config
from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from node.client.http_kept import KeptHttp

ASK_S = 30.0
AGAIN_S = 0.2
"""A node that answers at once that it must wait is not asked more often."""
OLD = "its release has no `snapshot save` of a node that runs: upgrade it, or stop it first"


def save_now(where: Where, *, node: str, to: Path | None, wait_s: float) -> dict[str, Any]:
    """Return what the node said of its snapshot, and of the file `to` if it is wanted.

    Raises `Problem`.
    """
    from contextlib import nullcontext

    from node.cli.backup import finish, writing
    from node.cli.running import run

    url, name = which(where, node)
    cluster, proof = connect_as(where, "operator", "operator")
    told: dict[str, Any] = {}
    with writing(to) if to is not None else nullcontext() as file:

        async def body() -> None:
            await cluster.waited()
            async with _opened(url, proof) as http:
                told.update(await _ask(http, name, wait_s))
                if file is not None:
                    await _take_away(http, file)

        run(body)
        if file is not None and to is not None:
            header, end = finish(file, to)
            told["to"] = {
                "file": str(to),
                "index": header.index,
                "bytes": end.bytes,
                "sha256": end.sha256,
            }
    return told


def which(where: Where, node: str) -> tuple[str, str]:
    """Return the URL of the node that is meant, and its id if that is known.  Raises `Problem`."""
    if where.urls:
        if node:
            raise Problem("--url says which node; leave --node out", USAGE)
        if len(where.urls) > 1:
            raise Problem("a snapshot is one node's: give one --url", USAGE)
        return where.urls[0], ""
    named, own = _nodes(where)
    wanted = node or own or (next(iter(named)) if len(named) == 1 else "")
    if wanted in named:
        return named[wanted], wanted
    problem = f"there is no node {node}" if node else "a snapshot is one node's"
    raise Problem(f"{problem}: say --node with one of {', '.join(named)}", USAGE)


def _nodes(where: Where) -> tuple[Mapping[str, str], str]:
    """Return URLs by id, and the id of the node whose configuration it is, if it is one's."""
    from node.cli.connecting import DEMO_FOLDER, find_cluster
    from node.local import Folder

    if where.config is not None:
        config = load_config(where.config)
        return {one.id: one.url for one in config.nodes.values()}, config.node.id
    find_cluster(where)  # its words, where there is none
    folder = Folder.find(where.data or DEMO_FOLDER)
    return {name: folder.address(name).url for name in folder.names}, ""


# -- the node


def _opened(url: str, proof: str) -> "AbstractAsyncContextManager[KeptHttp]":
    from node.client import Address
    from node.client.http_kept import open_http

    headers = {"Authorization": f"Bearer {proof}"}
    return open_http(Address.parse(url), headers, timeout_s=ASK_S)


async def _ask(http: "KeptHttp", name: str, wait_s: float) -> dict[str, Any]:
    """Return what the node says of a snapshot that is durable.  Raises `Problem`."""
    import sys

    import trio

    from node.cli.output import tell

    target, said, until_s = "/v1/snapshot", "", trio.current_time() + wait_s
    while True:
        status, answer = await _answer(http, target)
        if status == 200:
            if name and answer.get("node") != name:
                mend = "go to a node itself, past any proxy"
                raise Problem(f"{answer.get('node')} answered in the place of {name}; {mend}")
            return answer
        if status != 202:
            raise Problem(f"{name or 'the node'}: {answer.get('msg') or f'HTTP {status}'}")
        why = str(answer.get("why", ""))
        if trio.current_time() >= until_s:
            mend = "it may still come, and asking again does no harm"
            raise Problem(f"no snapshot after {wait_s:g} s: {why}; {mend}")
        if why != said and sys.stderr.isatty():
            tell(f"waits: {why}")
        said, target = why, f"/v1/snapshot?index={answer.get('index', 0)}"
        await trio.sleep(AGAIN_S)


async def _answer(http: "KeptHttp", target: str) -> tuple[int, dict[str, Any]]:
    import json

    answer = await http.ask("POST", target, timeout_s=ASK_S)
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return answer.status or 500, {}
    if answer.status == 404:
        found["msg"] = OLD
    return answer.status, found


async def _take_away(http: "KeptHttp", file: Any) -> None:
    """Write what the node has into `file`; no quorum is asked, as it is one node's."""
    from node.cli.backup import begin, copy

    name = await begin(http, stale=True)
    if isinstance(name, tuple):
        raise Problem(f"the snapshot is written; no copy of it: {name[0]}")
    await copy(http, f"/v1/backup/{name}", file)
