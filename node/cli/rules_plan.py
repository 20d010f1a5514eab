"""`unidesk rules diff`, `plan` and `history`: what a change changes, before and after.

Reads files, talks to nodes and to the terminal.
"""

import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import REQUEST_S, Json, ask, ask_on
from node.cli.connecting import Where, connected
from node.cli.durations import seconds
from node.cli.problem import FAILED, Problem
from node.cli.rule_files import Folder, compile_files, read_files

if TYPE_CHECKING:
    from rich.text import Text

    from node.client import Client

_CHANGED = (("added", "+", "green"), ("removed", "-", "red"), ("changed", "~", "yellow"),
            ("moved", "↕", "cyan"))  # fmt: skip
EXAMPLES_SHOWN = 3


@connected
def diff(
    where: Where,
    folder: Folder,
    as_json: Json = False,
) -> None:
    """Show what the files of DIR change of the rules in force: by rule and queue, then by line.

    Example:  unidesk rules diff routing
    """
    from cluster.routing.changes import changes
    from node.cli.output import console, print_json
    from node.protocol.catalogue import RulesGet

    files = read_files(folder)
    compile_files(files)
    reply = ask(where, RulesGet())
    found = changes(reply["files"], files)
    lines = list(_unified(reply["files"], files, reply["rev"]))
    if as_json:
        print_json({"rev": reply["rev"], **found._asdict(), "diff": lines})
        return
    _print_changes(found._asdict())
    for line in lines:
        console().print(_coloured(line))
    if not lines:
        print(f"the same as revision {reply['rev']}, byte for byte")


@connected
def plan(
    where: Where,
    folder: Folder,
    since: Annotated[
        str, typer.Option(help="Only what was decided in so much time: 30m, 24h, 7d.")
    ] = "",
    last: Annotated[int, typer.Option(help="Only the newest so many decisions.", min=0)] = 0,
    fail_if_moved: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="End with 1 if more would move.", min=0, max=100),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what the rules of DIR would have done with what really came; nothing is applied.

    Every decision that the cluster keeps is taken anew, by the rules in force and by those of DIR.

    Example:  unidesk rules plan routing --since 24h --fail-if-moved 5
    """
    from node.cli.output import print_json

    files = read_files(folder)
    compile_files(files)
    since_ms = int((time.time() - seconds(since)) * 1000) if since else 0
    total = _Total()

    async def body(client: "Client") -> None:
        await _ask_all(client, files, since_ms, last, total)

    ask_on(where, body)
    found = total.found()
    if as_json:
        print_json(found)
    else:
        _print_plan(found)
    if fail_if_moved is not None and found["percent"] > fail_if_moved:
        raise Problem(f"{found['percent']} % would move, more than {fail_if_moved:g} %", FAILED)


@connected
def history(
    where: Where,
    as_json: Json = False,
) -> None:
    """List the revisions that are kept, newest first: when, by whom, and what they changed.

    Example:  unidesk rules history
    """
    from node.cli.output import console, plain, print_json, table
    from node.protocol.catalogue import RulesHistory

    reply = ask(where, RulesHistory())
    if as_json:
        print_json(reply)
        return
    if not reply["revisions"]:
        print("no rules were applied yet: the built-in ones send everything to general")
        return
    rows = []
    for one in reply["revisions"]:
        at = datetime.fromtimestamp(one["at"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        in_force = " *" if one["rev"] == reply["rev"] else ""
        rows.append(
            (
                f"{one['rev']}{in_force}",
                at,
                plain(one["by"][1]),
                one["digest"][:12],
                _said(one["changes"]) + (f"; as {one['again']}" if one["again"] else ""),
            )
        )
    console().print(table(("rev", "when (UTC)", "who", "digest", "changes"), rows))


class _Total:
    """The answers of a plan, added up."""

    def __init__(self) -> None:
        self.part: dict[str, Any] = {}
        self.looked = self.moved = self.changed = 0
        self._moves: dict[tuple[str, ...], dict[str, Any]] = {}
        self._errs: dict[str, Counter[str]] = {"errs_now": Counter(), "errs_then": Counter()}

    def add(self, part: dict[str, Any]) -> None:
        self.part = part
        self.looked += part["looked"]
        self.moved += part["moved"]
        self.changed += part["changed"]
        for move in part["moves"]:
            key = tuple(move[name] for name in ("queue", "to", "rule", "was"))
            known = self._moves.setdefault(key, {**move, "count": 0, "examples": []})
            known["count"] += move["count"]
            known["examples"] = (known["examples"] + move["examples"])[:EXAMPLES_SHOWN]
        for name, counts in self._errs.items():
            counts.update(part[name])

    def found(self) -> dict[str, Any]:
        """Return the whole plan."""
        percent = round(100 * self.moved / self.looked, 2) if self.looked else 0.0
        kept = ("rev", "digest", "warnings", "changes")
        moves = sorted(self._moves.values(), key=lambda move: -move["count"])
        return {
            **{name: self.part[name] for name in kept},
            "looked": self.looked,
            "moved": self.moved,
            "changed": self.changed,
            "percent": percent,
            "moves": moves,
            **{name: dict(counts) for name, counts in self._errs.items()},
        }


async def _ask_all(
    client: "Client", files: dict[str, str], since_ms: int, last: int, total: _Total
) -> None:
    """Ask for every part of a plan, and show how far it is on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from node.cli.output import console
    from node.protocol.catalogue import RulesPlan

    columns = (TextColumn("deciding again"), BarColumn(), MofNCompleteColumn())
    err = console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=None)
        request = RulesPlan(files=files, since=since_ms, last=last)
        while True:
            part = await client.request(request, timeout_s=REQUEST_S)
            total.add(part)
            progress.update(task, completed=total.looked, total=part["of"])
            if not part["more"]:
                return
            request = RulesPlan(
                files=files, since=since_ms, last=last, after=part["next"], until=part["until"]
            )


def _print_plan(found: dict[str, Any]) -> None:
    from node.cli.output import console, plain, table

    _print_changes(found["changes"])
    for warning in found["warnings"]:
        print(f"warning: {plain(warning)}")
    print(
        f"against revision {found['rev']}: {found['moved']} of {found['looked']} decisions"
        f" would move ({found['percent']} %)"
    )
    if found["changed"]:
        print(
            f"{found['changed']} more would wait in the same queue another way: steps, priority,"
            " skills, service level or overflow"
        )
    rows = [
        (
            move["queue"],
            move["to"],
            move["rule"] or "(none)",
            move["was"] or "(none)",
            str(move["count"]),
            " ".join(move["examples"]),
        )
        for move in found["moves"]
    ]
    if rows:
        columns = ("from", "to", "by rule", "was by", "count", "for example")
        console().print(table(columns, rows))
    now, then = found["errs_now"], found["errs_then"]
    for rule in sorted(now.keys() | then.keys()):
        print(f"rule {rule} cannot be told: now {now.get(rule, 0)}, then {then.get(rule, 0)}")


def _print_changes(changes: dict[str, Any]) -> None:
    from rich.text import Text

    from node.cli.output import console

    for kind, sign, colour in _CHANGED:
        for name in changes[kind]:
            console().print(Text(f"{sign} [{name}] {kind}", colour))
    if changes.get("more"):
        print(f"and {changes['more']} more")


def _said(changes: dict[str, Any] | None) -> str:
    if changes is None:
        return "(the one before is not kept)"
    words = [f"{sign}{name}" for kind, sign, _ in _CHANGED for name in changes[kind]]
    more = max(0, len(words) - 6) + changes["more"]
    return " ".join(words[:6]) + (f" and {more} more" if more else "") or "comments alone"


def _unified(old: dict[str, str], new: dict[str, str], rev: int) -> "list[str]":
    from difflib import unified_diff

    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        lines += unified_diff(
            (before or "").splitlines(),
            (after or "").splitlines(),
            f"{name} (revision {rev})" if before is not None else "/dev/null",
            name if after is not None else "/dev/null",
            lineterm="",
        )
    return lines


def _coloured(line: str) -> "Text":
    from rich.text import Text

    from node.cli.output import plain

    colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    return Text(plain(line), "bold" if line.startswith(("+++", "---")) else colour)
