"""`unidesk rules simulate`, `stats` and `explain`: what is decided, and why.

Reads files, talks to nodes and to the terminal.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import REQUEST_S, Json, ask, ask_on
from node.cli.connecting import Where, connected
from node.cli.durations import seconds
from node.cli.problem import USAGE, Problem
from node.cli.rule_files import compile_files, read_files

if TYPE_CHECKING:
    from node.client import Client
    from node.protocol.catalogue import Contact

SHOWN_MAX = 1_000
"""Decisions of `simulate --since` that are shown; more is a plan's business."""


@connected
def simulate(
    where: Where,
    contact: Annotated[
        Path | None,
        typer.Option("--input", help='A JSON file: {"channel": "web", "tags": {"arpu": 6200}}.'),
    ] = None,
    cv: Annotated[str, typer.Option(help="A conversation, as it is now.")] = "",
    since: Annotated[str, typer.Option(help="What came in so much time: 30m, 24h.")] = "",
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Decide by these rules, not by those in force.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what would be decided, and why, for a contact, a conversation, or all of late.

    Example:  unidesk rules simulate --input contact.json --dir routing
    """
    from node.cli.output import print_json
    from node.protocol.catalogue import RulesSimulate

    if sum((contact is not None, bool(cv), bool(since))) != 1:
        raise Problem("give one of --input, --cv and --since", USAGE)
    files = read_files(folder) if folder is not None else {}
    if files:
        compile_files(files)
    if since:
        _simulate_all(where, int((time.time() - seconds(since)) * 1000), files, as_json=as_json)
        return
    given = _contact(contact) if contact is not None else None
    reply = ask(where, RulesSimulate(contact=given, cv=cv, files=files))
    if as_json:
        print_json(reply)
        return
    _print_decided(reply["decisions"][0])


@connected
def stats(
    where: Where,
    as_json: Json = False,
) -> None:
    """Count what each rule in force did: matched, could not be told, would have matched.

    Example:  unidesk rules stats
    """
    from rich.text import Text

    from node.cli.output import console, count, print_json, table
    from node.protocol.catalogue import RulesStats

    reply = ask(where, RulesStats())
    if as_json:
        print_json(reply)
        return
    since = f", since {_time(reply['since'])}" if reply["since"] else ""
    print(f"revision {reply['rev']}: {count(reply['routings'], 'decision')}{since}")
    rows = [
        (
            one["rule"],
            str(one["matched"]),
            Text(str(one["erred"]), "red" if one["erred"] else "dim"),
            Text(str(one["shadow"]), "" if one["shadow"] else "dim"),
        )
        for one in reply["rules"]
    ]
    rows.append(("(none)", str(reply["undecided"]), Text(""), Text("")))
    columns = ("rule", "matched", "could not be told", "shadow")
    console().print(table(columns, rows))


@connected
def explain(
    where: Where,
    cv: Annotated[str, typer.Argument(metavar="CV", help="The conversation.")],
    at: Annotated[int, typer.Option(help="Only the decision in force at this event.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Say why a conversation went where it went: rules, parts of conditions, steps, agents.

    Example:  unidesk rules explain 01ARZ3NDEKTSV4RRFFQ69G5FAV
    """
    from node.cli.output import print_json
    from node.protocol.catalogue import Why

    reply = ask(where, Why(cv=cv, at=at))
    if as_json:
        print_json(reply)
        return
    if not reply["reasons"]:
        print("no rule has decided about it yet")
    for reason in reply["reasons"]:
        _print_reason(reason)


def _contact(path: Path) -> "Contact":
    import msgspec

    from node.protocol.catalogue import Contact

    try:
        return msgspec.json.decode(path.read_bytes(), type=Contact)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", USAGE) from None
    except msgspec.DecodeError as error:
        mend = '{"channel": "web", "tags": {"arpu": 6200}}'
        raise Problem(f"{path}: {error}; write it as {mend}", USAGE) from None


def _simulate_all(where: Where, since_ms: int, files: dict[str, str], *, as_json: bool) -> None:
    from node.cli.output import console, print_json, table
    from node.protocol.catalogue import RulesSimulate

    found: list[dict[str, Any]] = []

    async def body(client: "Client") -> None:
        before = 0
        while len(found) < SHOWN_MAX:
            request = RulesSimulate(since=since_ms, before=before, files=files)
            reply = await client.request(request, timeout_s=REQUEST_S)
            found.extend(reply["decisions"])
            before = reply["next"]
            if not reply["more"]:
                return

    ask_on(where, body)
    if as_json:
        print_json(found)
        return
    rows = [(_time(one["at"]), one["cv"], one["queue"], one["rule"] or "(none)") for one in found]
    console().print(table(("when (UTC)", "conversation", "queue", "rule"), rows))


def _print_reason(reason: dict[str, Any]) -> None:
    from node.cli.output import plain

    _print_decided(reason["decided"])
    print("  values " + ("" if reason["values_of"] == "then" else "of today ") + plain(
        json.dumps({k: v for k, v in reason["values"].items() if v}, ensure_ascii=False)
    ))  # fmt: skip
    if not reason["kept"]:
        print(f"  revision {reason['decided']['rev']} is not kept any more: nothing else is known")
    for event in reason["happened"]:
        print(f"  {_time(event['at'])}  {event['seq']:>4} {event['type']}  {plain(event['says'])}")
    for choice in reason["chosen"]:
        tie = f": {choice['tie']}" if choice["tie"] else ""
        print(f"  chosen: {plain(choice['agent'])} by {choice['order']}{plain(tie)}")
        for one in choice["passed"]:
            print(f"    passed over: {plain(one['agent'])}, {plain(one['why'])}")
        for why, count in choice["counts"].items():
            print(f"    {count} passed over: {plain(why)}")


def _print_decided(decided: dict[str, Any]) -> None:
    from rich.text import Text

    from node.cli.beneath import beneath
    from node.cli.output import console, plain

    by = f"rule {decided['rule']}" if decided.get("rule") else "no rule: a hint or the fallback"
    rev = f", revision {decided['rev']}" if decided.get("rev") else ""
    print(f"{_time(decided['at'])}  queue {decided['queue']} by {by}{rev}")
    for one in decided["rules"]:
        mode = f" ({one['mode']})" if one.get("mode") else ""
        says = one["says"]
        colour = {"matched": "green", "false": "dim"}.get(says, "yellow")
        console().print(Text(f"  {one['rule']}{mode}: {plain(says)}", colour))
        if one.get("parts"):
            for line in beneath(one["when"], one["parts"]):
                print(f"      {plain(line)}")
        elif one.get("when"):
            print(f"      {plain(one['when'])}")
    _print_steps(decided)


def _print_steps(decided: dict[str, Any]) -> None:
    from node.cli.output import plain

    for number, step in enumerate(decided.get("steps", ()), start=1):
        skills = " ".join(_asked(*one) for one in step.get("skills", {}).items())
        words = (
            step["queue"],
            f"priority {step['prio']}",
            skills,
            plain(step.get("need", "")),
            step.get("prefer", ""),
            f"for {step['for_ms'] / 1000:g} s" if step.get("for_ms") else "",
            f"unless {plain(step['skip_if'])}" if step.get("skip_if") else "",
        )
        became = f" — {plain('; '.join(step['became']))}" if step.get("became") else ""
        print(f"  step {number}: {', '.join(word for word in words if word)}{became}")
    if decided.get("overflow"):
        print(f"  overflow {plain(decided['overflow'])}")


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _asked(skill: str, level: int) -> str:
    return f"{skill}≥{level}" if level else skill
