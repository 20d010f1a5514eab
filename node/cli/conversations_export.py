"""`unidesk conversations export`: whole conversations as lines of JSON.  Talks to nodes, files.

    line     {"conv": {...}, "events": [{"seq", "type", "by", "ts", "mid", "data"}, ...]}
    order    that in which they were opened
    memory   one page of conversations' heads and one conversation with its events

With `--out FILE` it can be gone on with after whatever ended it:

    FILE            lines
    FILE.cursor     {"cursor", "bytes", "conversations"}: how much of FILE is of whole pages;
                    written when a page is on disk, and removed at the end
"""

import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import REQUEST_S, ask_on
from node.cli.connecting import Where, connected
from node.cli.conversation_filter import filtered
from node.cli.conversations_whole import whole_of
from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from node.client import Client
    from node.protocol.catalogue import ConversationFilter

PAGE = 100
PROGRESS_S = 2.0


@connected
@filtered
def export(
    where: Where,
    wanted: "ConversationFilter",
    q: Annotated[str, typer.Option("--search", help="That a search for this finds.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to the terminal.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with --out FILE where it broke off.")
    ] = False,
) -> None:
    """Print whole conversations as lines of JSON, the oldest first: {conv, events}.

    They are fetched page by page, so the output begins at once and may be of any length.  With
    --out it says how far it is, and with --resume goes on after an interruption, given the same
    filters: no conversation is there twice.

    Example:  unidesk conversations export --state closed --since 24h --out yesterday.jsonl
    """
    from node.cli.output import count, tell

    if resume and out is None:
        raise Problem("--resume needs --out FILE, the one that broke off", USAGE)
    wanted.q = q
    sink = _open(out, resume=resume)

    async def body(client: "Client") -> None:
        await _export(client, wanted, sink)

    try:
        with sink.file if out is not None else _Kept():
            ask_on(where, body)
    except BaseException:
        if out is not None:
            tell(f"{count(sink.done, 'conversation')} are in {out}; go on with --resume")
        raise
    if out is None:
        if not sink.done:
            tell("no conversation is like that")
        return
    sink.cursor_file.unlink(missing_ok=True)
    tell(f"{count(sink.done, 'conversation')} in {out}")


@dataclass
class _Sink:
    """Where the lines go, and how many whole pages' conversations are there."""

    file: IO[str]
    path: Path | None = None
    cursor: str = ""
    done: int = 0

    @property
    def cursor_file(self) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name + ".cursor")

    def page_done(self, cursor: str, conversations: int) -> None:
        """A page was written: whoever goes on begins behind it."""
        self.file.flush()
        self.cursor, self.done = cursor, self.done + conversations
        if self.path is None:
            return
        os.fsync(self.file.fileno())
        size = self.path.stat().st_size
        known = {"cursor": cursor, "bytes": size, "conversations": self.done}
        fresh = self.cursor_file.with_name(self.cursor_file.name + ".new")
        fresh.write_text(json.dumps(known) + "\n")
        fresh.replace(self.cursor_file)


class _Kept:
    """Standard output is not closed."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def _open(path: Path | None, *, resume: bool) -> _Sink:
    """Return the sink, at the place where to go on.  Raises `Problem`."""
    if path is None:
        return _Sink(sys.stdout)
    try:
        if not resume:
            return _Sink(path.open("x", encoding="utf-8"), path)
        known = json.loads(path.with_name(path.name + ".cursor").read_text())
        file = path.open("r+", encoding="utf-8")
        file.truncate(known["bytes"])
        file.seek(0, os.SEEK_END)
        return _Sink(file, path, known["cursor"], known["conversations"])
    except FileExistsError:
        mend = "choose another name, or go on with it: --resume"
        raise Problem(f"{path} is there already: {mend}", USAGE) from None
    except OSError as error:
        where = error.filename or path
        raise Problem(f"{where}: {error.strerror}: nothing to go on with there", USAGE) from None
    except (ValueError, KeyError, TypeError):
        raise Problem(
            f"{path}.cursor is none of ours: begin anew with another --out", USAGE
        ) from None


async def _export(client: "Client", wanted: "ConversationFilter", sink: _Sink) -> None:
    from node.cli.output import count, tell
    from node.client import RequestFailed

    gone, said_s = 0, time.monotonic()
    async for items, cursor in _pages(client, wanted, sink.cursor):
        written = 0
        for item in items:
            try:
                whole = await whole_of(client, item["cv"])
            except RequestFailed as failure:
                if failure.code != "not_found":
                    raise
                gone += 1  # past its retention since the page was read
                continue
            print(json.dumps(whole, ensure_ascii=False), file=sink.file, flush=sink.path is None)
            written += 1
        sink.page_done(cursor, written)
        if sink.path is not None and time.monotonic() > said_s + PROGRESS_S:
            said_s = time.monotonic()
            last = items[-1]["cv"] if items else ""
            tell(f"{count(sink.done, 'conversation')} so far, the last one {last}")
    if gone:
        tell(f"{gone} were past their retention before they could be read")


async def _pages(
    client: "Client", wanted: "ConversationFilter", cursor: str
) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
    """Yield what is listed behind `cursor`, the oldest first, with the next cursor."""
    from node.protocol.catalogue import CvList

    more = True
    while more:
        request = CvList(filter=wanted, cursor=cursor, limit=PAGE, order="oldest")
        reply = await client.request(request, timeout_s=REQUEST_S)
        if not reply["complete"]:
            raise Problem("the node has not taken all conversations in yet: try again in a while")
        cursor, more = reply["cursor"], reply["more"]
        yield reply["items"], cursor
