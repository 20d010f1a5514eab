"""Backups through pipes: `-` for a file.  Talks to the standard streams, and to nodes.

    unidesk backup -       pieces as they come ──▶ standard output      and checked on their way
    unidesk restore -      standard input ──▶ kept in memory            read once for each node
                                                                        of this machine
A pipe has no name to appear under when all is well.  What a backup that broke off has written is no
backup: its end is missing, and whoever reads it is told.  So the writer's exit code is to be looked
at, and the reader never takes a part for the whole.  Nothing is written to a disk here.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from cluster.backup.file import End, Header, Read
    from node.cli.connecting import Where
    from node.client.http_kept import KeptHttp

PIPE = Path("-")


def is_pipe(path: Path) -> bool:
    """Whether a standard stream is meant."""
    return path == PIPE


# -- in


class Backup:
    """What can be read from its beginning as often as it is needed."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        """For people."""
        self._file = file
        self._kept = bytearray()

    def read(self) -> "Read":
        """Return a reader that is at the beginning."""
        at = 0

        def read(size: int) -> bytes:
            nonlocal at
            missing = at + size - len(self._kept)
            if missing > 0:
                self._kept += self._file.read(missing)
            data = bytes(self._kept[at : at + size])
            at += len(data)
            return data

        return read


@contextmanager
def reading(path: Path) -> Iterator[Backup]:
    """Open a backup, or standard input.  Raises `Problem`."""
    from node.cli.output import tell

    if is_pipe(path):
        yield Backup("standard input", _stream(sys.stdin, "unidesk backup - … |"))
        return
    if not path.exists():
        raise Problem(f"{path}: nothing is there; name a backup", USAGE)
    if path.is_dir():
        raise Problem(f"{path}: a folder; name a backup", USAGE)
    if path.is_fifo() and Path("/dev") not in path.parents:
        tell(f"{path} is a pipe: waiting for whoever writes into it (Ctrl-C to stop)")
    try:
        file = path.open("rb")
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
    with file:
        yield (_Seekable if file.seekable() else Backup)(str(path), file)


class _Seekable(Backup):
    """A file: nothing of it is kept."""

    def read(self) -> "Read":
        self._file.seek(0)
        return self._file.read


# -- out


def run_piped(where: "Where", *, stale: bool) -> "tuple[Header, End]":
    """Write a backup to standard output, and return what it is.  Raises `Problem`."""
    from functools import partial

    from cluster.backup.file import BackupRefused
    from node.cli.backup import take
    from node.cli.running import run

    out = _stream(sys.stdout, "| gpg --encrypt …  or  > FILE")
    found: list[tuple[Header, End]] = []
    try:
        run(lambda: take(where, partial(_receive, out=out, found=found), stale=stale))
    except BackupRefused as refused:
        raise Problem(f"what came is not whole, nor is what was written: {refused}") from None
    return found[0]


async def _receive(
    http: "KeptHttp", target: str, *, out: IO[bytes], found: "list[tuple[Header, End]]"
) -> None:
    """Pass on what one node sends.  Raises `Unreachable` only while nothing was passed on yet."""
    import trio

    from node.cli.backup import pieces
    from node.client.http import Unreachable

    begun = False
    async with aclosing(pieces(http, target)) as coming:

        async def following() -> bytes:
            nonlocal begun
            try:
                piece = await anext(coming, b"")
            except Unreachable as error:
                if not begun:
                    raise  # another node may do it
                raise Problem(f"{error}; what was written is no backup: begin again") from None
            begun = True
            return piece

        # In a thread, which may wait for whoever reads, while Ctrl-C is heard.
        found.append(
            await trio.to_thread.run_sync(
                lambda: pass_on(lambda: trio.from_thread.run(following), out),
                abandon_on_cancel=True,
            )
        )


def pass_on(following: Callable[[], bytes], out: IO[bytes]) -> "tuple[Header, End]":
    """Write each piece that comes to `out`, and return what they are together.

    Raises `BackupRefused`, with the place where they stop to be one; blocks.
    """
    from cluster.backup.file import Reader

    kept = bytearray()

    def read(size: int) -> bytes:
        while len(kept) < size and (piece := following()):
            out.write(piece)
            kept.extend(piece)
        data = bytes(kept[:size])
        del kept[:size]
        return data

    reader = Reader("the backup", read)
    for _ in reader.blocks():
        pass
    out.flush()
    assert reader.end is not None
    return reader.header, reader.end


def _stream(stream: IO[str] | None, mend: str) -> IO[bytes]:
    """Return the bytes below a standard stream.  Raises `Problem` for a terminal, or none."""
    name = "standard output" if stream is sys.stdout else "standard input"
    if stream is None:
        raise Problem(f"{name} is closed: {mend}", USAGE)
    if stream.isatty():
        raise Problem(f"{name} is a terminal, and a backup is no text: {mend}", USAGE)
    binary: IO[bytes] = stream.buffer  # type: ignore[attr-defined]  # a text stream's
    return binary
