"""Conversations as people read them in a terminal.  Prints."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("conversation", "opened (UTC)", "state", "queue", "agent", "visitor", "subject, tags")


def listing(items: list[dict[str, Any]]) -> "Table":
    """Return a table of conversations in a list, with what was found in them."""
    from node.cli.output import fitting

    cells = [_cells(item) for item in items]
    return fitting(COLUMNS, cells, ("opened (UTC)", "agent", "visitor", "queue"))


_COLOURS = {"new": "yellow", "waiting": "yellow", "offered": "cyan", "assigned": "green"}


def _cells(item: dict[str, Any]) -> list[Any]:
    from rich.text import Text

    from node.cli.output import plain

    agents = item.get("agents") or []
    agent = item["owner"] or (f"({agents[-1]})" if agents else "")
    visitor = item.get("visitor") or {}
    tags = " ".join(f"{name}={value}" for name, value in (item.get("tags") or {}).items())
    about = Text(plain(" ".join(filter(None, (item["subject"], tags)))))
    hit = item.get("hit")
    if hit is not None:
        about = Text.assemble(
            plain(hit.get("before", "")),
            (plain(hit.get("found", "")), "bold yellow"),
            plain(hit.get("after", "")),
        )
    return [
        item["cv"],
        _clock(item["opened"]),
        Text(item["state"], style=_COLOURS.get(item["state"], "dim")),
        plain(item.get("queue") or ""),
        plain(agent),
        plain(visitor.get("name") or visitor.get("id") or ""),
        about,
    ]


def print_whole(whole: dict[str, Any]) -> None:
    """Print one conversation with its events."""
    from node.cli.output import console

    out = console()
    for line in _lines(whole):
        out.print(line)


def _lines(whole: dict[str, Any]) -> Iterator[Any]:
    from rich.text import Text

    from node.cli.output import plain

    conv = whole["conv"]
    about = ("state", "queue", "owner", "channel", "lang", "subject", "rule", "tags", "attrs")
    yield Text(conv["cv"], style="bold")
    for name in about:
        if conv.get(name):
            yield Text(f"  {name:9}{plain(_fields(conv[name]))}")
    if whole.get("why"):
        yield Text(f"  {'why':9}{plain(whole['why'])}")
    if conv["first"] > 1:
        yield Text(f"  events before {conv['first']} are no longer kept", style="yellow")
    for event in whole["events"]:
        by = event.get("by") or ["", "", ""]
        who = plain((by[2] if len(by) > 2 else "") or by[1] or by[0])
        data = event.get("data", {})
        said = data.get("body") if event["type"] in ("msg", "note", "whisper") else None
        text = said if isinstance(said, str) else _fields(data)
        style = "dim" if said is None else "magenta" if event["type"] != "msg" else ""
        head = f"{_clock(event['ts'])}  {event['seq']:>4} {event['type']:12}"
        yield Text(f"{head}{who}: {plain(text)}", style=style)


def _fields(value: Any) -> str:
    """Return what is known, as people write tags; text as it is."""
    if not isinstance(value, dict):
        return _value(value)
    known = {name: one for name, one in value.items() if one not in ("", {}, [], None)}
    return " ".join(f"{name}={_value(one)}" for name, one in known.items())


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
