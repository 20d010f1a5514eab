"""`unidesk serve`: one node, until it is told to stop.  Talks to the whole world."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def serve(
    config: Annotated[
        Path, typer.Option("--config", envvar="UNIDESK_CONFIG", help="The node's node.toml.")
    ],
) -> None:
    """Run one node of the cluster; SIGTERM or Ctrl-C stops it cleanly.

    Exit code 78: it must not be started again as it is: a second process of its id lives, or the
    cluster went on without it (`unidesk cluster recover`).

    Example:  unidesk serve --config /etc/unidesk/node.toml
    """
    from node.cli.connecting import load_config
    from node.cli.running import run

    loaded = load_config(config)
    from cluster.heal.ending import MustEnd, StartAgain
    from node import server
    from wal.errors import StorageError

    async def body() -> None:
        await server.serve(loaded)

    expected = (server.StartFailed, server.NodeLost, MustEnd, StorageError, OSError)
    try:
        run(body, expected=expected, stays=True)
    except* StartAgain:
        _start_again(config)


def _start_again(config: Path) -> None:
    """Go on as a new program in this very process: whoever supervises it sees no end."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", "node", "serve", "--config", str(config)]
    os.execv(sys.executable, command)  # noqa: S606 - our own command
