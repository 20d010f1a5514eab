"""`unidesk missed`, `unidesk ratings`: how visitors were served.  Talks to nodes."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from node.cli.asking import Json, ask
from node.cli.connecting import Where, connected

PAGE = 200


class MissedList(StrEnum):
    missed = "missed"
    offline = "offline"
    callback = "callback"


class RatingRows(StrEnum):
    queue = "queue"
    owner = "owner"
    day = "day"


@connected
def missed(
    where: Where,
    which: Annotated[
        MissedList, typer.Argument(metavar="LIST", help="missed, offline or callback.")
    ] = MissedList.missed,
    queue: Annotated[str, typer.Option(help="Of this queue only.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most.", min=1, max=PAGE)] = 50,
    as_json: Json = False,
) -> None:
    """Show conversations that nobody has answered.

    missed: closed so, newest first.  offline: waiting, begun while nobody was there.  callback:
    the visitor asked to be called.

    Example:  unidesk missed callback --queue refunds
    """
    from node.cli.output import console, fitting, plain, print_json, tell
    from node.protocol.catalogue import CvMissed

    request = CvMissed(list=which.value, queue=queue, limit=limit)
    found = ask(where, request)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["cv"],
            _at(one["opened"]),
            plain(one["queue"]),
            plain(one["visitor"]["name"] or one["visitor"]["id"]),
            one.get("why", ""),
            plain(_wish(one.get("callback"))),
            plain(one["preview"][:60]),
        )
        for one in found["items"]
    ]
    columns = ("conversation", "opened (UTC)", "queue", "visitor", "why", "callback", "wrote")
    less = ("opened (UTC)", "visitor") if which.value != "callback" else ("opened (UTC)", "why")
    console().print(fitting(columns, rows, less))
    if found["more"]:
        tell(f"there are more; {found['total']} are on the list of all queues")


@connected
def ratings(
    where: Where,
    days: Annotated[int, typer.Option(help="Counted back from today.", min=1, max=90)] = 7,
    rows: Annotated[RatingRows, typer.Option("--by", help="queue, owner or day.")] = (
        RatingRows.queue
    ),
    queue: Annotated[str, typer.Option(help="Of this queue only.")] = "",
    as_json: Json = False,
) -> None:
    """Show how visitors rated their conversations, from 1 to 5.

    Example:  unidesk ratings --days 30 --by owner
    """
    from node.cli.output import console, plain, print_json, table
    from node.protocol.catalogue import CvRatings

    request = CvRatings(days=days, rows=rows.value, queue=queue)
    found = ask(where, request)
    if as_json:
        print_json(found)
        return
    shown = [_cells(plain(one["of"]) or "-", one) for one in found["rows"]]
    shown.append(_cells("all", found))
    console().print(table((rows.value, "ratings", "average", "1", "2", "3", "4", "5"), shown))


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    average = f"{row['average']:.2f}" if row["count"] else "-"
    return (name, str(row["count"]), average, *map(str, row["scores"]))


def _at(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _wish(callback: dict[str, str] | None) -> str:
    if not callback:
        return ""
    times = [callback[name] for name in ("earliest", "latest") if callback.get(name)]
    return " ".join([callback["contact"], "-".join(times)]).strip()
