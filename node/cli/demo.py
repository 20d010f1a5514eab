"""`unidesk demo`: a cluster that lives before your eyes.  Talks to processes, nodes."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.connecting import DEMO_FOLDER


def demo(
    data: Annotated[
        Path,
        typer.Option("--data", envvar="UNIDESK_DATA", help="Folder of the cluster; it is kept."),
    ] = DEMO_FOLDER,
    seconds: Annotated[
        float | None, typer.Option(help="Stop by itself after so many seconds.", min=1)
    ] = None,
) -> None:
    """Run three nodes on loopback, with scripted visitors and agents on different nodes.

    Ctrl-C stops everything; a later start goes on with the same data.

    Example:  unidesk demo --data /tmp/desk --seconds 60
    """
    import sys

    from node.cli.running import run
    from node.demo.show import run_demo

    async def body() -> None:
        await run_demo(data, seconds=seconds, live=sys.stdout.isatty())

    run(body, stays=True)
