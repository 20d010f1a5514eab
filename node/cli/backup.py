"""`unidesk backup`: the whole state of a running cluster into one file, or a pipe.  Talks to nodes,
writes a file.

    OUT.tmp   what has come so far; nobody else's, and no link to elsewhere
    fsync · read back, every checksum · rename to OUT · fsync of the folder

So OUT is a whole backup or not there, whenever this process, or the machine, dies.  A pipe gets
what comes, as it comes (`node.cli.piped`).
"""

import errno
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json
from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from cluster.backup.file import End, Header
    from node.client.http_kept import KeptHttp

ASK_S = 30.0
PROGRESS_BYTES = 64 * 1024 * 1024
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@connected
def backup(
    where: Where,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; - is a pipe.")],
    stale: Annotated[
        bool,
        typer.Option(
            "--stale", help="Take what a node has although no quorum confirms that it is all."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a consistent backup of the whole cluster, while it runs.

    It holds everything that was acknowledged before the command began.  OUT gets mode 0600: hashes
    of passwords are in it.  With - it goes to standard output, and what is said to standard error.

    Example:  unidesk backup desk.backup --config node.toml

    Example:  unidesk backup - --config node.toml | gpg -e -r ops > desk.backup.gpg
    """
    import time

    from node.cli.output import console, print_json
    from node.cli.piped import is_pipe, run_piped
    from node.cli.running import run

    began = time.monotonic()
    if is_pipe(out):
        header, end = run_piped(where, stale=stale)
    else:
        with writing(out) as file:
            run(lambda: take(where, partial(copy, file=file), stale=stale))
            header, end = finish(file, out)
    seconds = round(time.monotonic() - began, 3)
    shown = shown_header(header) | {
        "file": str(out),
        "bytes": end.bytes,
        "sha256": end.sha256,
        "seconds": seconds,
    }
    if as_json:
        print_json(shown, stderr=is_pipe(out))
    else:
        note = "; STALE: it may lack what was acknowledged" if header.stale else ""
        console(stderr=is_pipe(out)).print(
            f"{out}: {end.bytes:,} bytes of cluster {header.cluster}, up to index {header.index}"
            f" as of {shown['cluster_time']}{note}\nsha256 {end.sha256}"
        )


def shown_header(header: "Header") -> dict[str, Any]:
    """Return what a backup is of, as JSON has it."""
    from datetime import UTC, datetime

    def moment(ms: int) -> str:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")

    return {
        "cluster": header.cluster,
        "node": header.node,
        "index": header.index,
        "term": header.term,
        "cluster_time": moment(header.cluster_ms),
        "created": moment(header.created_ms),
        "release": header.release,
        "level": header.level,
        "stale": header.stale,
        "origin": header.origin,
    }


# -- the file


@contextmanager
def writing(out: Path) -> Iterator[IO[bytes]]:
    """Open OUT.tmp for this process alone; remove it unless it became OUT.  Raises `Problem`."""
    import fcntl

    from node.cli.piped import is_pipe
    from node.cli.problem import USAGE, Problem

    if is_pipe(out):
        raise Problem("-: only `unidesk backup -` writes to a pipe: name a file", USAGE)
    if out.exists():
        raise Problem(f"{out} exists, and is not overwritten: name another file", USAGE)
    if not out.parent.is_dir():
        raise Problem(f"{out.parent}: no such folder: make it, or name another file", USAGE)
    tmp = out.with_name(out.name + ".tmp")
    descriptor = _opened(tmp)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"{tmp}: another backup is being written there") from None
        if not _is_at(tmp, descriptor):
            raise Problem(f"{tmp}: another backup was being written there: try again")
        os.fchmod(descriptor, 0o600)
        file.truncate()
        try:
            yield file
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            raise Problem(f"{tmp}: {error.strerror}; nothing is kept") from None
        finally:
            if _is_at(tmp, descriptor):
                tmp.unlink(missing_ok=True)


def _opened(tmp: Path) -> int:
    """Return a plain file of this user: somebody else's may be read by them.  Raises `Problem`."""
    from node.cli.problem import Problem

    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(tmp, flags, 0o600)
    except OSError as error:
        raise Problem(f"{tmp}: {error.strerror}") from None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
        return descriptor
    os.close(descriptor)
    raise Problem(f"{tmp}: no plain file, or somebody else's: name another file")


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether what was opened still has this name; another backup may have renamed it."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def finish(file: IO[bytes], out: Path) -> "tuple[Header, End]":
    """Return what is in the file; it is on the disk, was read back, and is called OUT.

    Raises `Problem`.
    """
    from cluster.backup.file import BackupRefused, Reader
    from node.cli.problem import Problem

    try:
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        reader = Reader(f"{out}.tmp", file.read)
        for _ in reader.blocks():
            pass
    except BackupRefused as refused:
        raise Problem(f"what came is not whole: {refused}") from None
    assert reader.end is not None
    _publish(out)
    return reader.header, reader.end


def _publish(out: Path) -> None:
    from node.cli.problem import Problem

    if os.path.lexists(out):
        raise Problem(f"{out} exists by now, and is not overwritten: name another file")
    os.rename(out.with_name(out.name + ".tmp"), out)  # noqa: PTH104 - beside os.fsync
    folder = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# -- the node


async def take(
    where: Where, receive: "Callable[[KeptHttp, str], Awaitable[None]]", *, stale: bool
) -> None:
    """Let `receive` have what the first node sends that can.  Raises `Problem`, `Unreachable`."""
    from node.cli.connecting import connect_as
    from node.cli.problem import Problem
    from node.client import Address
    from node.client.http import Unreachable
    from node.client.http_kept import open_http

    cluster, proof = connect_as(where, "operator", "operator")
    headers = {"Authorization": f"Bearer {proof}"}
    await cluster.waited()
    failures: list[str] = []
    silent = 0
    for url in cluster.urls:
        address = Address.parse(url)
        try:
            async with open_http(address, headers, timeout_s=ASK_S) as http:
                name = await begin(http, stale=stale)
                if isinstance(name, str):
                    await receive(http, f"/v1/backup/{name}")
                    return
                failures.append(f"{address.authority}: {name[0]}")
        except Unreachable as error:
            failures.append(str(error))
            silent += 1
    hint = "" if stale else "; without a quorum, --stale takes what one node has"
    if silent == len(failures):
        hint = "; are the nodes started? of one that is stopped: `unidesk snapshot save DIR OUT`"
    raise Problem("no node could: " + "; ".join(failures) + hint)


async def begin(http: "KeptHttp", *, stale: bool) -> str | tuple[str]:
    """Return the new backup's name, or in a tuple why this node has none."""
    import json

    answer = await http.ask("POST", f"/v1/backup{'?stale=true' * stale}", timeout_s=ASK_S)
    if answer.status == 200:
        return str(json.loads(answer.body)["backup"])
    return (_said(answer.status, answer.body),)


def _said(status: int, body: bytes) -> str:
    import json

    try:
        return str(json.loads(body)["msg"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"


async def copy(http: "KeptHttp", target: str, file: IO[bytes]) -> None:
    """Write the backup at `target`, and nothing that another node began.

    Raises `Problem`, `Unreachable`.
    """
    file.seek(0)
    file.truncate()
    async with aclosing(pieces(http, target)) as coming:
        async for piece in coming:
            file.write(piece)


async def pieces(http: "KeptHttp", target: str) -> AsyncGenerator[bytes, None]:
    """Yield the backup at `target`, piece by piece.  Raises `Problem`, `Unreachable`."""
    import sys

    from node.cli.output import tell
    from node.cli.problem import Problem

    number = size = told = 0
    while True:
        answer = await http.ask("GET", f"{target}?piece={number}", timeout_s=ASK_S)
        if answer.status == 204:
            return
        if answer.status != 200:
            raise Problem(
                f"piece {number} of the backup: {_said(answer.status, answer.body)};"
                " begin again, and go to a node itself, past any proxy"
            )
        yield answer.body
        size, number = size + len(answer.body), number + 1
        if size - told >= PROGRESS_BYTES and sys.stderr.isatty():
            told = size
            tell(f"{size:,} bytes")
