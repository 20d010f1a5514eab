"""`unidesk upgrade`: a node goes on in a process of this release.  Talks to the node, locally.

`check` and `status` ask the whole cluster: `node.cli.upgrade_check`.
"""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import upgrade_check
from node.cli.codes import LOST

if TYPE_CHECKING:
    from node.config import Config
    from node.handover.asking import Asked, Told

TELL_S = 90.0
"""Longer than any step of a node."""


app = typer.Typer(no_args_is_help=False, invoke_without_command=True)
app.command()(upgrade_check.check)
app.command()(upgrade_check.status)


@app.callback()
def upgrade(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", envvar="UNIDESK_CONFIG", help="The node's node.toml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON a step.")] = False,
) -> None:
    """Let the running node go on in a new process, of the release that this command belongs to.

    No connection of a client is closed.  Exit code 1: the node refuses, or the new process failed,
    and the node serves on as before; 3: the node has ended and must be started.

    Example:  unidesk upgrade --config /etc/unidesk/node.toml
    """
    from node.cli.connecting import load_config
    from node.cli.problem import FAILED, USAGE, Problem

    if context.invoked_subcommand is not None:
        return
    if config is None:
        raise Problem("which node? give its --config node.toml", USAGE)
    loaded = load_config(config)
    last = None
    for told in _ask(loaded, _asked(config)):
        last = told
        _show(told, as_json=as_json)
    if last is None or not last.is_last:
        raise Problem(f"{loaded.node.id} has ended before it said how it went: see its log", LOST)
    if last.refused:
        raise Problem("" if as_json else last.text, LOST if last.lost else FAILED)


def _asked(config: Path) -> "Asked":
    """Return the question that names this very program."""
    import node
    from node.handover.asking import Asked

    root = Path(node.__file__).parent.parent
    return Asked(python=sys.executable, root=str(root), config=str(config.resolve()))


def _ask(config: "Config", asked: "Asked") -> "Iterator[Told]":
    """Yield what the node tells.  Raises `Problem`."""
    from node.cli.problem import FAILED, Problem
    from node.handover.asking import line, read_told
    from node.handover.control import NAME, connect

    where = config.node.data / NAME
    try:
        handle = connect(config.node.data)
    except FileNotFoundError:
        raise Problem(f"{config.node.id} does not run here: there is no {where}") from None
    except OSError as error:
        raise Problem(f"{config.node.id} does not answer at {where}: {error.strerror}") from None
    with handle:
        handle.settimeout(TELL_S)
        try:
            handle.sendall(line(asked))
            handle.shutdown(socket.SHUT_WR)
            with handle.makefile("rb") as lines:
                for one in lines:
                    yield read_told(one)
        except (OSError, ValueError) as error:
            raise Problem(f"{config.node.id} said nothing to the end: {error}", FAILED) from None


def _show(told: "Told", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
    elif not told.refused:
        typer.echo(told.text)
