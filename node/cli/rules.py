"""`unidesk rules`: routing rules as files, checked here and applied to all nodes at once.

Reads files, talks to nodes.  What tries rules, and explains them: `rules_plan`, `rules_why`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from node.cli import rules_plan, rules_why
from node.cli.asking import Json, ask
from node.cli.connecting import Where, connected
from node.cli.rule_files import Folder, compile_files, read_files, write_files

app = typer.Typer(help="Routing rules.", no_args_is_help=True)

Revision = Annotated[int | None, typer.Option("--rev", help="An earlier one that is kept.", min=1)]
Expected = Annotated[
    int | None, typer.Option(help="Refuse unless this revision is in force.", min=0)
]
Reroute = Annotated[
    bool, typer.Option("--reroute-waiting", help="Decide anew about who waits already.")
]


@app.callback()
def _group() -> None:
    pass


@app.command("test")
def run_tests(folder: Folder, as_json: Json = False) -> None:
    """Compile the rules and run the tests beside them, here; nothing is applied.

    Warnings are of what is no mistake and yet hardly meant, such as a rule that is never tried.

    Example:  unidesk rules test routing
    """
    from node.cli.output import console, count, print_json, table

    rules = compile_files(read_files(folder))
    tests = sum(len(rule.tests) for rule in rules.rules)
    warnings = [str(one) for one in rules.warnings]
    if as_json:
        found = {"rules": len(rules.rules), "queues": sorted(rules.queues), "tests": tests}
        print_json(found | {"warnings": warnings})
        return
    rows = [
        (rule.name, str(rule.priority), rule.route, _passed(len(rule.tests)))
        for rule in rules.rules
    ]
    console().print(table(("rule", "priority", "queue", "tests"), rows))
    for warning in warnings:
        print(f"warning: {warning}")
    counts = (len(rules.rules), "rule"), (len(rules.queues), "queue"), (tests, "test")
    print(", ".join(count(*one) for one in counts) + ": all well")


@app.command()
@connected
def apply(
    where: Where,
    folder: Folder,
    rev_expected: Expected = None,
    reroute_waiting: Reroute = False,
    subject: Annotated[str, typer.Option(help="Who applies them, for the record.")] = "operator",
    as_json: Json = False,
) -> None:
    """Replace the rules on all nodes, at one log index.

    Mistakes are named by file, line and mend before anything changes.

    Example:  unidesk rules apply routing --rev-expected 3
    """
    from node.protocol.catalogue import RulesApply

    files = read_files(folder)
    compile_files(files)
    request = RulesApply(files=files, rev_expected=rev_expected, reroute=reroute_waiting)
    _tell(ask(where, request, subject=subject), as_json=as_json)


@app.command()
@connected
def rollback(
    where: Where,
    rev: Annotated[int, typer.Argument(metavar="REV", help="As in `rules history`.", min=1)],
    rev_expected: Expected = None,
    reroute_waiting: Reroute = False,
    subject: Annotated[str, typer.Option(help="Who does it, for the record.")] = "operator",
    as_json: Json = False,
) -> None:
    """Put an earlier revision into force again, as a new one: one log entry.

    Example:  unidesk rules rollback 3
    """
    from node.protocol.catalogue import RulesRollback

    request = RulesRollback(rev=rev, rev_expected=rev_expected, reroute=reroute_waiting)
    _tell(ask(where, request, subject=subject), as_json=as_json)


@app.command()
@connected
def show(
    where: Where,
    rev: Revision = None,
    as_json: Json = False,
) -> None:
    """Print the rules in force, or those of an earlier revision.

    Example:  unidesk rules show --json
    """
    from node.cli.output import plain, print_json
    from node.protocol.catalogue import RulesGet

    reply = ask(where, RulesGet(rev=rev))
    if as_json:
        print_json(reply)
        return
    who = " ".join(word for word in reply.get("by") or () if word)  # kind, id, name
    print(f"# revision {reply.get('rev')}" + (f", by {plain(who)}" if who else ""))
    for name, text in sorted(reply.get("files", {}).items()):
        print(f"# {name}\n{text.rstrip()}")


@app.command()
@connected
def export(
    where: Where,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files are written.")],
    rev: Revision = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files there.")] = False,
) -> None:
    """Write the rule files of a revision into a folder, byte for byte as they were applied.

    Example:  unidesk rules export routing-3 --rev 3
    """
    from node.cli.output import count
    from node.protocol.catalogue import RulesGet

    reply = ask(where, RulesGet(rev=rev))
    write_files(folder, reply["files"], force=force)
    print(f"revision {reply['rev']}: {count(len(reply['files']), 'file')} in {folder}")


def _passed(tests: int) -> Any:
    from rich.text import Text

    return Text(f"{tests} ✓", "green") if tests else Text("none", "dim")


def _tell(reply: dict[str, Any], *, as_json: bool) -> None:
    from node.cli.output import print_json

    if as_json:
        print_json(reply)
    elif reply.get("unchanged"):
        print(f"unchanged: revision {reply['rev']} is these files already")
    else:
        print(f"revision {reply['rev']} is in force on all nodes")


app.command()(rules_plan.diff)
app.command()(rules_plan.plan)
app.command()(rules_plan.history)
app.command()(rules_why.simulate)
app.command()(rules_why.stats)
app.command()(rules_why.explain)
