"""`unidesk cluster top`: the cluster, live.  Talks to nodes, the terminal.

every tick   one request to each node, those included that are down
once         a connection that is told of queues, where there is a token to open one
q            ends it, and so does Ctrl-C
"""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json
from node.cli.connecting import Where, connected
from node.cli.durations import seconds

if TYPE_CHECKING:
    from node.cli.connecting import Cluster
    from node.cli.top_figures import Picture
    from node.client import Client

ONCE_S = 1.0
"""Between the two looks of --once: rates need two."""
EVERY_S_MIN = 0.2


@connected
def top(
    where: Where,
    every: Annotated[str, typer.Option(metavar="TIME", help="How often to look.")] = "1s",
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    as_json: Json = False,
) -> None:
    """Show the cluster live: nodes, leader, lag, rates, disks, queues, what healed.

    q ends it.  With --json it prints a line a tick.  It needs an operator's token, or a key to make
    one.  With --once, exit code 1 when nobody leads.

    Example:  unidesk cluster top --every 2s
    """
    from node.cli.connecting import find_cluster
    from node.cli.problem import USAGE, Problem
    from node.cli.running import run

    every_s = seconds(every)
    if every_s < EVERY_S_MIN:
        raise Problem(f"--every {every}: at least {EVERY_S_MIN:g}s", USAGE)
    cluster = find_cluster(where)
    token = where.token
    proof = token or (cluster.mint("operator", "operator") if cluster.key is not None else "")

    async def body() -> int:
        await cluster.waited()
        async with _queues(cluster.urls, proof) as queues:
            pause_s = min(every_s, ONCE_S) if once else every_s
            pictures = _pictures(cluster, token, pause_s, queues)
            if once:
                await anext(pictures)
                shown = await anext(pictures)
                _print(shown, as_json=as_json)
                return 0 if shown.leader else 1
            await _follow(pictures, as_json=as_json)
        return 0

    run(body, stays=not once)


async def _pictures(
    cluster: "Cluster", token: str, every_s: float, queues: dict[str, dict[str, Any]]
) -> "AsyncIterator[Picture]":
    """Yield a picture a tick; a slow node delays nobody's tick by more than its deadline."""
    from dataclasses import replace

    import trio

    from node.cli.nodes import ask_all
    from node.cli.top_figures import Tick, picture

    before: Tick | None = None
    due_s = trio.current_time()
    while True:
        proof = cluster.pass_for_pages(token)
        found = await ask_all(cluster.urls, proof, timeout_s=min(1.0, max(0.3, every_s)))
        now = Tick(trio.current_time(), found)
        yield replace(picture(before, now), queues=list(queues.values()))
        before = now
        due_s = max(due_s + every_s, trio.current_time())
        await trio.sleep_until(due_s)


@asynccontextmanager
async def _queues(urls: tuple[str, ...], proof: str) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """Give the rows of all queues, kept up to date while there is a connection."""
    import trio

    from node.client import RequestFailed, Stopped, open_client

    rows: dict[str, dict[str, Any]] = {}
    if not proof:
        yield rows
        return

    async def follow() -> None:
        try:
            async with open_client(urls, proof, name="unidesk-top") as client:
                await _follow_queues(client, rows)
        except* (RequestFailed, Stopped):
            rows.clear()  # not for this token, or no cluster: what remains is shown without

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        yield rows
        nursery.cancel_scope.cancel()


async def _follow_queues(client: "Client", rows: dict[str, dict[str, Any]]) -> None:
    import msgspec
    import trio

    from node.protocol.catalogue import QueueRowsPush, QueueWatch, Welcome

    async def ask() -> None:
        reply = await client.request(QueueWatch())
        rows.clear()
        rows.update((row["queue"], row) for row in reply["rows"])

    async with trio.open_nursery() as nursery:
        async for push in client.events():
            match push:
                case Welcome():
                    nursery.start_soon(ask)
                case QueueRowsPush():
                    rows.update((row.queue, msgspec.to_builtins(row)) for row in push.rows)


async def _follow(pictures: "AsyncIterator[Picture]", *, as_json: bool) -> None:
    """Show pictures until q, or for ever."""
    import trio

    if as_json or not sys.stdout.isatty():
        async for shown in pictures:
            _print(shown, as_json=as_json, line=True)
        return
    from rich.live import Live

    from node.cli.output import console
    from node.cli.top_view import view

    async def show() -> None:
        with Live(console=console(), auto_refresh=False, screen=True) as live:
            async for shown in pictures:
                live.update(view(shown), refresh=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(show)
        with _keys():
            await _wait_for("q")
        nursery.cancel_scope.cancel()


@contextmanager
def _keys() -> Iterator[None]:
    """Have the terminal give keys as they are pressed, unseen; leave it as it was."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


async def _wait_for(key: str) -> None:
    """Return when `key` is pressed; never where there are no keys."""
    import os

    import trio

    if not sys.stdin.isatty():
        await trio.sleep_forever()
    while True:
        await trio.lowlevel.wait_readable(sys.stdin)
        pressed = os.read(sys.stdin.fileno(), 64)
        if not pressed or key in pressed.decode(errors="replace").lower():
            return


def _print(shown: "Picture", *, as_json: bool, line: bool = False) -> None:
    import json
    from dataclasses import asdict

    from node.cli.output import console, print_json
    from node.cli.top_view import view

    if as_json and line:
        print(json.dumps(asdict(shown), ensure_ascii=False), flush=True)
    elif as_json:
        print_json(asdict(shown))
    else:
        console().print(view(shown))
