"""`unidesk canned`: canned responses, one by one or as a file.  Reads files, talks to nodes.

# canned.toml
[canned.refund-time]
title   = "How long a refund takes"
queues  = ["refunds"]                                  # of all queues without it
text.en = "Your refund arrives in 3 to 5 days, {{visitor.name}}."
text.zh = "{{visitor.name}}，退款将在三到五天内到账。"
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json, ask
from node.cli.connecting import Where, connected
from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from node.cli.canned_file import Written

app = typer.Typer(help="Canned responses.", no_args_is_help=True)

PREVIEW_CHARACTERS = 60

Shortcut = Annotated[str, typer.Argument(metavar="SHORTCUT", help="What an agent types for it.")]
File = Annotated[Path, typer.Argument(metavar="FILE.toml", help="A file of [canned.SHORTCUT].")]


@app.callback()
def _group() -> None:
    pass


@app.command("list")
@connected
def list_all(
    where: Where,
    as_json: Json = False,
) -> None:
    """Show all canned responses.

    Example:  unidesk canned list
    """
    from node.cli.output import console, plain, print_json, table

    items = _all(where)
    if as_json:
        print_json(items)
        return
    rows = [
        (
            plain(one["shortcut"]),
            str(one["rev"]),
            plain(one["title"]),
            ", ".join(sorted(one["texts"])),
            plain(", ".join(one["queues"])) or "all",
        )
        for one in items
    ]
    console().print(table(("shortcut", "rev", "title", "languages", "queues"), rows))


@app.command()
@connected
def find(
    where: Where,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORD", help="As agents type.")
    ] = None,
    lang: Annotated[str, typer.Option(help="Whose text is wanted.")] = "en",
    queue: Annotated[str, typer.Option(help="Those for this queue.")] = "",
    as_json: Json = False,
) -> None:
    """Show what an agent who types these words is offered, the best first.

    Example:  unidesk canned find 退款 --lang zh
    """
    from node.cli.output import console, plain, print_json, table
    from node.protocol.catalogue import CannedFind

    request = CannedFind(q=" ".join(words or ()), lang=lang, queue=queue)
    items = ask(where, request)["items"]
    if as_json:
        print_json(items)
        return
    rows = [
        (plain(one["shortcut"]), plain(one["title"]), one["lang"], plain(_beginning(one["text"])))
        for one in items
    ]
    console().print(table(("shortcut", "title", "language", "text"), rows))


@app.command()
@connected
def put(
    where: Where,
    shortcut: Shortcut,
    title: Annotated[str, typer.Option(help="What it is for.")],
    text: Annotated[
        list[str], typer.Option("--text", metavar="LANG=TEXT", help="In a language. Repeatable.")
    ],
    queue: Annotated[
        list[str] | None, typer.Option("--queue", help="Only for this queue. Repeatable.")
    ] = None,
    rev_expected: Annotated[
        int | None, typer.Option(help="Refuse unless it is at this revision; 0: none yet.", min=0)
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a canned response, or write it anew.

    Example:  unidesk canned put hello --title Greeting --text 'en=Hello {{visitor.name}}'
    """
    from node.cli.output import print_json
    from node.client import new_key
    from node.protocol.catalogue import CannedPut

    request = CannedPut(
        key=new_key(),
        shortcut=shortcut,
        title=title,
        texts=_texts(text),
        queues=queue or [],
        rev_expected=rev_expected,
    )
    reply = ask(where, request)
    if as_json:
        print_json(reply)
    else:
        print(f"{shortcut} is at revision {reply['rev']}")


@app.command()
@connected
def remove(
    where: Where,
    shortcut: Shortcut,
    rev_expected: Annotated[
        int | None, typer.Option(help="Refuse unless it is at this revision.", min=0)
    ] = None,
    as_json: Json = False,
) -> None:
    """Take a canned response away.

    Example:  unidesk canned remove hello
    """
    from node.cli.output import print_json
    from node.client import new_key
    from node.protocol.catalogue import CannedRemove

    request = CannedRemove(key=new_key(), shortcut=shortcut, rev_expected=rev_expected)
    reply = ask(where, request)
    if as_json:
        print_json(reply)
    else:
        print(f"{shortcut} is gone")


@app.command("import")
@connected
def import_file(
    where: Where,
    file: File,
    prune: Annotated[bool, typer.Option(help="Remove what the file does not have.")] = False,
    as_json: Json = False,
) -> None:
    """Write all responses of a file; those that are as it says already stay untouched.

    Mistakes are named by file, line and mend before anything changes.  What somebody else changed
    meanwhile is refused: run it again.

    Example:  unidesk canned import canned.toml --prune
    """
    from node.cli.canned_file import read_file
    from node.cli.output import print_json

    written = read_file(file)
    requests, counts = _changes(written, _all(where), prune=prune)
    if requests:
        ask(where, *requests)
    if as_json:
        print_json(counts)
    else:
        print(", ".join(f"{count} {what}" for what, count in counts.items()))


@app.command("export")
@connected
def export_all(where: Where) -> None:
    """Print all responses as a file that `import` reads.

    Example:  unidesk canned export > canned.toml
    """
    from node.cli.canned_file import as_toml

    print(as_toml(_all(where)), end="")


def _all(where: Where) -> list[dict[str, Any]]:
    """Return all responses, page by page."""
    from node.protocol.catalogue import CannedList

    items: list[dict[str, Any]] = []
    more = True
    while more:
        after = items[-1]["shortcut"] if items else ""
        page = ask(where, CannedList(after=after))
        items += page["items"]
        more = page["more"]
    return items


def _changes(
    written: "list[Written]", there: list[dict[str, Any]], *, prune: bool
) -> tuple[list[Any], dict[str, int]]:
    """Return what makes `there` what is `written`, and how much that is."""
    from node.client import new_key
    from node.protocol.catalogue import CannedPut, CannedRemove

    known = {one["shortcut"]: one for one in there}
    requests: list[Any] = []
    counts = {"new": 0, "changed": 0, "unchanged": 0, "removed": 0}
    for one in written:
        old = known.pop(one.shortcut, None)
        if old is not None and (old["title"], old["texts"], old["queues"]) == one[1:]:
            counts["unchanged"] += 1
            continue
        counts["new" if old is None else "changed"] += 1
        rev = old["rev"] if old is not None else 0
        put_one = CannedPut(
            key=new_key(),
            shortcut=one.shortcut,
            title=one.title,
            texts=one.texts,
            queues=one.queues,
            rev_expected=rev,
        )
        requests.append(put_one)
    for shortcut, old in known.items() if prune else ():
        gone = CannedRemove(key=new_key(), shortcut=shortcut, rev_expected=old["rev"])
        requests.append(gone)
        counts["removed"] += 1
    return requests, counts


def _texts(given: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for one in given:
        lang, equals, text = one.partition("=")
        if not equals or not lang:
            raise Problem(f"--text {one[:40]!r}: write LANGUAGE=TEXT, as in 'en=Hello'", USAGE)
        texts[lang] = text.replace("\\n", "\n")
    return texts


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[: PREVIEW_CHARACTERS - 1] + "…"
