"""`unidesk snapshot`: the state in files: checked, saved, restored.  Reads and writes files; asks a
node that runs.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json
from node.cli.connecting import Where, connected
from node.cli.restore import restore

if TYPE_CHECKING:
    from cluster.backup.checking import Checked

WAIT_S = 120.0

app = typer.Typer(help="The state in files: check it, save it, restore it.", no_args_is_help=True)


@app.command()
def verify(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR", help="A backup (- for a pipe), or a stopped node's data folder."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Check every checksum, load the state, check its invariants; say what is in it.

    Exit code 1 when anything is wrong; the file and the place are named.

    Example:  unidesk snapshot verify desk.backup
    """
    from node.cli.output import console, print_json

    checked = _checked(path)
    shown = _shown(checked)
    if as_json:
        print_json({"path": str(path), "whole": True, **shown})
        return
    out = console()
    out.print(
        f"{path}: whole; cluster {checked.cluster}, node {checked.node},"
        f" index {checked.index}, level {checked.state.level}"
    )
    out.print("  " + ", ".join(f"{number:,} {name}" for name, number in shown["counts"].items()))
    if shown["stale"]:
        out.print("  stale: no quorum confirmed that all that was acknowledged is in it")


@app.command()
@connected
def save(
    where: Where,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A stopped node's data folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="The backup to write of it.")
    ] = None,
    node: Annotated[
        str, typer.Option("--node", metavar="NODE", help="Of a running cluster: which node.")
    ] = "",
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Take what that node has away, as a backup."),
    ] = None,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="For a running node to have it."),
    ] = WAIT_S,
    as_json: Json = False,
) -> None:
    """Let a running node write a snapshot of what it has, now; or save what a stopped one has.

    A running node keeps it in its folder and cuts its log behind it, as it does by itself every so
    often; it may be any node, also one without a quorum.  With --to, FILE gets what it has.  Of a
    whole cluster, take `unidesk backup`.

    With DIR and OUT: write a backup of what a stopped node holds, its snapshot and the log that it
    knows committed.  For when no quorum is left to ask.

    Example:  unidesk snapshot save --config node.toml

    Example:  unidesk snapshot save /var/lib/unidesk desk.backup
    """
    from node.cli.problem import USAGE, Problem

    if folder is None:
        _save_now(where, node, to, wait, as_json=as_json)
    elif out is None:
        mend = "DIR OUT of a stopped node; of a running one: --to FILE"
        raise Problem(f"{folder}: and which file?  Name {mend}", USAGE)
    elif not folder.is_dir():
        raise Problem(f"{folder}: no folder; DIR is a stopped node's data folder", USAGE)
    elif node or to is not None:
        raise Problem("--node and --to are for a running node; leave out DIR and OUT", USAGE)
    else:
        _save_stopped(folder, out, as_json=as_json)


def _save_now(where: Where, node: str, to: Path | None, wait_s: float, *, as_json: bool) -> None:
    from node.cli.output import console, print_json
    from node.cli.snapshot_now import save_now

    began = time.monotonic()
    told = save_now(where, node=node, to=to, wait_s=wait_s)
    told["seconds"] = round(time.monotonic() - began, 3)
    if as_json:
        print_json(told)
        return
    took = f"in {told['write_ms']} ms" if told["written"] else "there already: nothing came since"
    out = console()
    out.print(f"{told['node']}: {told['bytes']:,} bytes up to index {told['index']}, {took}")
    out.print(f"  {told['file']}", soft_wrap=True)
    if told["standing"] != "serving" or told["why"]:
        out.print(f"  the node is {told['standing']}: {told['why']}", soft_wrap=True)
    if to is not None:
        copy = told["to"]
        out.print(f"{to}: {copy['bytes']:,} bytes up to index {copy['index']}; only this node's")


def _save_stopped(folder: Path, out: Path, *, as_json: bool) -> None:
    from cluster.backup.checking import header_of
    from cluster.backup.file import encode
    from cluster.state import snapshot
    from node import __version__
    from node.cli.backup import finish, writing
    from node.cli.output import console, print_json

    checked = _checked(folder)
    header = header_of(checked, created_ms=time.time_ns() // 1_000_000, release=__version__)
    with writing(out) as file:
        for part in encode(header, snapshot.dump(checked.state)):
            file.write(part)
        header, end = finish(file, out)
    if as_json:
        print_json({"file": str(out), "bytes": end.bytes, "sha256": end.sha256, **_shown(checked)})
    else:
        console().print(
            f"{out}: {end.bytes:,} bytes, up to index {checked.index}; stale: only this node's"
        )


app.command(
    name="restore",
    help=(restore.__doc__ or "").replace("  unidesk restore ", "  unidesk snapshot restore "),
)(restore)


def _shown(checked: "Checked") -> dict[str, Any]:
    from cluster.backup.checking import counts_of

    counts = counts_of(checked.state)
    return {
        "cluster": checked.cluster,
        "node": checked.node,
        "index": checked.index,
        "term": checked.term,
        "level": checked.state.level,
        "stale": checked.header.stale if checked.header is not None else False,
        "sha256": checked.sha256,
        "counts": {"messages": counts.messages, **counts.sections},
    }


def _checked(path: Path) -> "Checked":
    """Return what is at `path`.  Raises `Problem`."""
    from cluster.backup.checking import check_backup, check_folder
    from cluster.backup.file import BackupRefused
    from cluster.backup.restore import FILE as RESTORING
    from node.cli.data_folder import check_node_folder
    from node.cli.piped import is_pipe, reading
    from node.cli.problem import USAGE, Problem
    from wal.disk import FileDisk
    from wal.errors import LogLocked, StorageError
    from wal.snapfile import snapshot_index

    if not is_pipe(path) and not path.exists():
        raise Problem(f"{path}: nothing is there; name a backup, or a data folder", USAGE)
    try:
        if is_pipe(path) or not path.is_dir():
            with reading(path) as backup:
                return check_backup(backup.name, backup.read())
        if not (path / RESTORING).exists():  # whose words are better
            check_node_folder(path)
        disk = FileDisk(path)
        try:
            return check_folder(disk)
        finally:
            disk.close()
    except LogLocked:
        mend = "`unidesk snapshot save --config node.toml` asks it; `unidesk backup` the cluster"
        raise Problem(f"{path}: a node runs on it; {mend}") from None
    except (BackupRefused, StorageError) as error:
        is_part = snapshot_index(path.name) is not None
        mend = "; it is one of a node's own: name the folder that it is in" if is_part else ""
        raise Problem(f"{error}{mend}") from None
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
