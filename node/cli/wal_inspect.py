"""`unidesk wal inspect`: what is in a node's data folder.  Reads files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wal.inspect import Inspection

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A node's data folder.")]


def inspect(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is in a node's log: segments, snapshots, damage, what a start would find.

    Changes nothing, and works while the node runs.  Exit code 1 when something is damaged.

    Example:  unidesk wal inspect unidesk-demo/data/n1
    """
    from node.cli.output import print_json

    found = read_folder(folder)
    if as_json:
        print_json(found.to_builtins())
    else:
        _show(found)
    if found.verdict in ("corrupt", "foreign"):
        raise typer.Exit(1)


def read_folder(folder: Path) -> "Inspection":
    """Return what is in a node's folder.  Raises `Problem`."""
    from node.cli.data_folder import check_node_folder
    from node.cli.problem import Problem
    from wal.errors import StorageError
    from wal.inspect import inspect as inspect_folder

    check_node_folder(folder)
    try:
        return inspect_folder(folder)
    except (StorageError, OSError) as error:
        raise Problem(str(error)) from None


def _show(found: "Inspection") -> None:
    from node.cli.output import console, table

    out = console()
    out.print(f"{found.path}: {found.verdict}")
    if found.identity is not None:
        whose = found.identity
        out.print(
            f"  node {whose.node_id} of cluster {whose.cluster_id}, incarnation {whose.incarnation}"
        )
    if found.log is not None:
        log = found.log
        out.print(
            f"  {log.entries} entries, {log.first_index} to {log.last_index}"
            f" (term {log.last_term}), committed {log.commit_index};"
            f" term {log.term}, vote {log.vote or 'none'}"
        )
    segments = [
        (
            one.name,
            f"{one.bytes:,}",
            str(one.frames),
            f"{one.first_index}-{one.last_index}",
            ", ".join(f"{kind} {number}" for kind, number in one.records.items()),
            "" if one.needed else "left over",
        )
        for one in found.segments
    ]
    out.print(table(("segment", "bytes", "frames", "entries", "records", ""), segments))
    snapshots = [
        (one.name, f"{one.bytes:,}", "whole" if one.whole else "not whole", str(one.meta or ""))
        for one in found.snapshots
    ]
    if snapshots:
        out.print(table(("snapshot", "bytes", "", "covers"), snapshots))
    for problem in found.problems:
        out.print(f"  {problem.kind}: {problem.file} at byte {problem.offset}: {problem.what}")
    if found.other_files:
        out.print(f"  not ours: {', '.join(found.other_files)}")
