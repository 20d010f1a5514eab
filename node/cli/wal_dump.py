"""`unidesk wal dump`: the records of a node's log as lines of JSON.  Reads files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.wal_inspect import Folder

if TYPE_CHECKING:
    from wal.walk import Written


def dump(
    folder: Folder,
    from_: Annotated[
        int, typer.Option("--from", metavar="INDEX", help="Entries from here.", min=0)
    ] = 0,
    to: Annotated[
        int | None, typer.Option("--to", metavar="INDEX", help="And up to here.", min=0)
    ] = None,
    entries_only: Annotated[
        bool, typer.Option("--entries", help="Entries alone, no votes and commits.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Lines of JSON; that is what there is anyway.")
    ] = False,
) -> None:
    """Print the records of a node's log as lines of JSON, entries decoded down to commands.

    In the order in which they were written, also what was overwritten later: a `truncate` says
    from where.  Secrets are redacted; what people wrote is not.  Changes nothing, and works while
    the node runs.  With --from or --to entries alone.  Exit code 1 when it ends at damage.

    Example:  unidesk wal dump unidesk-demo/data/n1 --from 100 --to 120 | jq .commands[].op
    """
    import json

    from node.cli.data_folder import check_node_folder
    from node.cli.output import tell
    from node.cli.problem import USAGE, Problem
    from wal.errors import StorageError

    check_node_folder(folder)
    if to is not None and to < from_:
        raise Problem(f"--to {to} is before --from {from_}", USAGE)
    ranged = from_ > 0 or to is not None
    end, written = "", 0
    try:
        for line in _lines(folder):
            end = line.get("end", "")
            if end or not _wanted(line, from_, to, entries_only=entries_only or ranged):
                continue
            print(json.dumps(line, ensure_ascii=False))
            written += 1
    except StorageError as error:
        raise Problem(str(error)) from None
    if end:
        tell(f"{end}; `unidesk wal verify {folder}` says what that means")
        raise typer.Exit(1)
    if not written:
        tell(f"no record is there; `unidesk wal inspect {folder}` says what is")


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    from wal.walk import End, walk

    for found in walk(folder):
        if isinstance(found, End):
            yield {"end": f"{found.segment} at byte {found.offset}: {found.why}"}
        else:
            yield _line(found)


def _line(found: "Written") -> dict[str, Any]:
    from dataclasses import asdict

    from cluster.reading import read_entry
    from wal.record import Entry

    record = found.record
    where = {"segment": found.segment, "offset": found.offset, "frame": found.sequence}
    if isinstance(record, Entry):
        head = {"record": "entry", "index": record.index, "term": record.term}
        return where | head | read_entry(record.payload)
    return where | {"record": type(record).__name__.lower()} | asdict(record)


def _wanted(line: dict[str, Any], from_: int, to: int | None, *, entries_only: bool) -> bool:
    if line["record"] != "entry":
        return not entries_only
    index: int = line["index"]
    return from_ <= index and (to is None or index <= to)
