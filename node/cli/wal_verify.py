"""`unidesk wal verify`: whether a node's data is whole, and what a start would do.  Reads files."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from node.cli.asking import Json
from node.cli.wal_inspect import Folder, read_folder

if TYPE_CHECKING:
    from wal.inspect import Inspection

_STARTS = {
    "empty": "would begin with nothing: a new node, filled by the others",
    "clean": "would go on with all of it",
    "torn": "would cut the last, unfinished write off: nothing of it was ever promised",
    "corrupt": "would set the log aside and be filled by the others; until they vouch for it, it"
    " neither votes nor is counted",
    "foreign": "would refuse: the data is of another cluster, node or release",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checksums say."""

    ok: bool
    log: str
    start: str
    segments: int
    frames: int
    snapshots: int
    bytes: int
    problems: list[str]


def judge(found: "Inspection") -> Verdict:
    """Return the verdict on an inspected folder: a torn tail is no damage."""
    broken = [one for one in found.snapshots if not one.whole]
    start = _STARTS[found.verdict]
    if broken and found.verdict not in ("corrupt", "foreign"):
        whole = any(one.whole for one in found.snapshots)
        start += "; of the snapshots it would use " + (
            "the newest whole one" if whole else "none, and be filled by the others"
        )
    return Verdict(
        ok=found.verdict in ("empty", "clean", "torn") and not broken,
        log=found.verdict,
        start=start,
        segments=len(found.segments),
        frames=sum(one.frames for one in found.segments),
        snapshots=len(found.snapshots),
        bytes=sum(one.bytes for one in found.segments) + sum(one.bytes for one in found.snapshots),
        problems=[
            f"{one.file} at byte {one.offset}: {one.kind}: {one.what}" for one in found.problems
        ],
    )


def verify(folder: Folder, as_json: Json = False) -> None:
    """Read all of a node's log and snapshots, check every checksum, say what a start would do.

    Changes nothing, and works while the node runs: what is just being written is called torn.
    Exit code 1 when something is damaged or foreign.

    Example:  unidesk wal verify unidesk-demo/data/n1
    """
    from dataclasses import asdict

    from node.cli.output import count, print_json

    verdict = judge(read_folder(folder))
    if as_json:
        print_json(asdict(verdict))
    else:
        typer.echo(f"{folder}: {'whole' if verdict.ok else 'DAMAGED'}, log {verdict.log}")
        typer.echo(
            f"  {count(verdict.segments, 'segment')}, {count(verdict.frames, 'frame')},"
            f" {count(verdict.snapshots, 'snapshot')}, {verdict.bytes:,} bytes read"
        )
        for problem in verdict.problems:
            typer.echo(f"  {problem}")
        typer.echo(f"  a start {verdict.start}")
    if not verdict.ok:
        raise typer.Exit(1)
