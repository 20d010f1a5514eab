"""`unidesk audit`: who did what to whom, when and where.  Talks to nodes."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from node.cli.asking import Json, ask
from node.cli.connecting import Where, connected

PAGE = 500


@connected
def audit(
    where: Where,
    limit: Annotated[int, typer.Option("--limit", "-n", help="The newest lines.", min=1)] = 50,
    everything: Annotated[bool, typer.Option("--all", help="All that is kept.")] = False,
    after: Annotated[
        str, typer.Option(help="What came behind a `next` of an earlier answer (--json).")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show who did what: accounts, tokens, rules, members, looks into conversations.

    Example:  unidesk audit -n 20
    """
    from node.cli.output import print_json, tell

    found = _all(where, after or "0") if everything or after else _newest(where, limit)
    if found["gap"]:
        tell("some lines after that are no longer kept; see `unidesk audit --help`")
    if as_json:
        print_json(found)
    else:
        _print(found["lines"])


def _newest(where: Where, limit: int) -> dict[str, Any]:
    from node.protocol.catalogue import AuditList

    return ask(where, AuditList(limit=min(limit, PAGE)))


def _all(where: Where, after: str) -> dict[str, Any]:
    """Return all lines behind the cursor, page by page."""
    from node.protocol.catalogue import AuditList

    found: dict[str, Any] = {"lines": [], "next": after, "gap": False}
    more = True
    while more:
        page = ask(where, AuditList(after=found["next"], limit=PAGE))
        found["lines"] += page["lines"]
        found["next"], more = page["next"], page["more"]
        found["gap"] = found["gap"] or page["gap"]
    return found


COLUMNS = ("when (UTC)", "node", "who", "what", "detail")


def _print(lines: list[dict[str, Any]]) -> None:
    from node.cli.output import console, fitting, plain

    rows = []
    for line in lines:
        kind, who = line["by"][0], line["by"][1]
        detail = dict(line["detail"])
        where = str(detail.pop("node", ""))
        at = datetime.fromtimestamp(line["at"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        said = " ".join(f"{name}={value}" for name, value in detail.items())
        rows.append((at, where, plain(f"{kind} {who}"), line["what"], plain(said)))
    console().print(fitting(COLUMNS, rows, ("node", "who")))
