"""The demo from start to stop: nodes, cast, board.  Talks to processes, nodes, the terminal.

nursery ┬ watch     each node's status, twice a second; restarts who was killed, after 3 s
        ├ cast      visitors and agents, on different nodes; the board shows what they see
        └ draw      the board
"""

import itertools
import shutil
import sys
import time
from pathlib import Path

import trio

from node.client import RequestFailed, Stopped, open_client
from node.demo.board import Board
from node.demo.cast import TIMING, ScriptedAgent, Visitor
from node.demo.script import CAST, RULES, SCENES
from node.handover.asking import SUPERVISED
from node.local import LocalCluster
from node.local.folder import Sections
from node.protocol.catalogue import RulesApply

FIRST_PORT = 7101
VISITORS = 2
CAPACITY = 2
RESTART_S = 3.0
WATCH_S = 0.5
DRAW_S = 0.25
SECTIONS: Sections = {
    "timing": {"offer": "20s"},
    "log": {"format": "console", "level": "info"},
    # A page that somebody tries out is served from this machine.
    "visitors": {"origins": ["http://localhost:*", "http://127.0.0.1:*"]},
}


async def run_demo(folder: Path, *, seconds: float | None, live: bool) -> None:
    """Run the demo until cancelled, or for `seconds`.  Raises `LocalFailure`."""
    tell = None if live else _print_line
    board = Board(tell)
    again = (folder / "cluster.json").exists()
    cluster = LocalCluster(
        folder, cluster_id="demo", first_port=FIRST_PORT, observe=True, sections=SECTIONS
    )
    for node in cluster.names:
        cluster.process(node).environ[SUPERVISED] = "unidesk demo"
    _print_line(f"starting three nodes in {folder} ({'data kept from before' if again else 'new'})")
    started = False
    try:
        async with cluster:
            started = True
            board.hints = hints(cluster, folder)
            if not live:
                _print_line("\n".join(board.hints))
            board.show_nodes(await cluster.status())
            with trio.move_on_after(seconds if seconds is not None else float("inf")):
                await _live(cluster, board, live=live)
            _print_line("stopping …")
    finally:
        if started:
            _print_line(f"stopped; the data stays in {folder}")


def hints(cluster: LocalCluster, folder: Path) -> list[str]:
    """Return what a newcomer may try next."""
    me = _invoked_as()
    data = "" if str(folder) == "unidesk-demo" else f" --data {folder}"
    probe = f"http://{cluster.observe_address(cluster.names[0]).authority}/readyz?verbose"
    return [
        "Try, in other terminals:",
        f"  {me} say{data}              be a visitor",
        f"  {me} agent{data}            be the agent who answers",
        f"  {me} cluster status{data}   who leads, who lags",
        f"  curl '{probe}'",
        "  kill -9 PID            of the leader; the conversations go on at another node",
        "Ctrl-C stops all of it; the next start goes on where this one ends.",
    ]


def _invoked_as() -> str:
    """Return how the reader started this command, so that the hints can be copied."""
    command = Path(sys.argv[0])
    if command.name == "__main__.py":
        return "python -m node"
    if shutil.which(command.name) == str(command.absolute()):
        return command.name
    try:
        return str(command.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(command)


async def _live(cluster: LocalCluster, board: Board, *, live: bool) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, cluster, board)
        nursery.start_soon(_apply_rules, cluster, board)
        for place, (agent, name) in enumerate(CAST):
            urls = _from(cluster.urls, place)
            token = cluster.mint("agent", agent, name=name, capacity=CAPACITY)
            scripted = ScriptedAgent(agent, urls, token, board, nursery)
            nursery.start_soon(scripted.run)
        for number in range(VISITORS):
            nursery.start_soon(_run_visitor, cluster, board, number)
        if live:
            nursery.start_soon(_draw, board)


async def _run_visitor(cluster: LocalCluster, board: Board, number: int) -> None:
    """Play every n-th scene, each as a visitor of its own at the next node, without end."""
    run = int(time.time())
    await trio.sleep(1.0 + number * 2.5)
    for place in itertools.count(number, VISITORS):
        scene = SCENES[place % len(SCENES)]
        subject = f"demo-{run}-{place}"
        token = cluster.mint("visitor", subject, name=scene.visitor)
        visitor = Visitor(_from(cluster.urls, place + 1), token, board)
        await visitor.run(scene)


async def _watch(cluster: LocalCluster, board: Board) -> None:
    """Show the nodes; start again, after a while, whoever was killed."""
    down_since: dict[str, float] = {}
    while True:
        now = trio.current_time()
        for name in cluster.names:
            process = cluster.process(name)
            if process.running:
                down_since.pop(name, None)
            elif name not in down_since:
                down_since[name] = now
                board.say(f"{name} died; it starts again in {RESTART_S:g} s")
            elif now - down_since[name] >= RESTART_S:
                down_since.pop(name)
                cluster.restart(name)
                board.say(f"{name} starts again (pid {cluster.pid(name)})")
        board.show_nodes(await cluster.status())
        await trio.sleep(WATCH_S)


async def _apply_rules(cluster: LocalCluster, board: Board) -> None:
    """Give a new cluster the demo's rules; leave an older one those it has."""
    status = next((one for one in (await cluster.status()).values() if one is not None), None)
    if status is not None and status.rules_rev > 0:
        return
    try:
        token = cluster.mint("operator", "demo")
        async with open_client(cluster.urls, token, name="demo", timing=TIMING) as client:
            reply = await client.request(RulesApply(files=RULES))
            board.say(f"routing rules are in force (revision {reply.get('rev', '?')})")
    except (RequestFailed, Stopped) as error:
        board.say(f"routing rules were not applied: {error}")


async def _draw(board: Board) -> None:
    from rich.live import Live

    from node.cli.output import console

    with Live(console=console(), auto_refresh=False, screen=False) as view:
        while True:
            view.update(board.render(), refresh=True)
            await trio.sleep(DRAW_S)


def _from(urls: tuple[str, ...], place: int) -> list[str]:
    """Return `urls` beginning with another one."""
    start = place % len(urls)
    return [*urls[start:], *urls[:start]]


def _print_line(text: str) -> None:
    print(text, flush=True)
