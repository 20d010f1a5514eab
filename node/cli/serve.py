"""`unidesk serve`: one node, until it is told to stop.  Talks to the whole world."""

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
    from cluster.heal.ending import MustEnd
    from node import server
    from wal.errors import StorageError

    async def body() -> None:
        await server.serve(loaded)

    expected = (server.StartFailed, server.NodeLost, MustEnd, StorageError, OSError)
    run(body, expected=expected, stays=True)
