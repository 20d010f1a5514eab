"""`unidesk wal`: what is in a node's data folder.  Reads files, changes none."""

import typer

from node.cli import wal_dump, wal_inspect, wal_verify

app = typer.Typer(help="The log on disk; safe on a running node.", no_args_is_help=True)
app.command()(wal_inspect.inspect)
app.command()(wal_verify.verify)
app.command()(wal_dump.dump)


@app.callback()
def _group() -> None:
    pass
