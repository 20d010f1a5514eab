"""`unidesk rules`: routing rules as files, checked here and applied to all nodes at once.

Reads files, talks to nodes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.connecting import ConfigFile, Data, Token, Urls, Where
from node.cli.problem import USAGE, Problem

if TYPE_CHECKING:
    from cluster.routing.ruleset import RuleSet
    from node.protocol.catalogue import Request

app = typer.Typer(help="Routing rules.", no_args_is_help=True)

FILES_MAX = 64
REQUEST_S = 15.0
FILE_BYTES_MAX = 48 * 1024
"""All files together have to fit a frame of 64 KiB."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of *.toml, or one file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _group() -> None:
    pass


@app.command("test")
def run_tests(folder: Folder, as_json: Json = False) -> None:
    """Compile the rules and run the tests beside them, here; nothing is applied.

    Warnings are of what is no mistake and yet hardly meant, such as a rule that is never tried.

    Example:  unidesk rules test routing
    """
    from node.cli.output import print_json

    rules = _compile(read_files(folder))
    tests = sum(len(rule.tests) for rule in rules.rules)
    warnings = [str(one) for one in rules.warnings]
    if as_json:
        found = {"rules": len(rules.rules), "queues": sorted(rules.queues), "tests": tests}
        print_json(found | {"warnings": warnings})
    else:
        for warning in warnings:
            print(f"warning: {warning}")
        print(f"{len(rules.rules)} rules, {len(rules.queues)} queues, {tests} tests: all well")


@app.command()
def apply(
    folder: Folder,
    rev_expected: Annotated[
        int | None, typer.Option(help="Refuse unless this revision is in force.", min=0)
    ] = None,
    subject: Annotated[str, typer.Option(help="Who applies them, for the record.")] = "operator",
    url: Urls = None,
    token: Token = "",
    config: ConfigFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Replace the rules on all nodes, at one log index.

    Mistakes are named by file, line and mend before anything changes.

    Example:  unidesk rules apply routing --rev-expected 3
    """
    from node.cli.output import print_json
    from node.protocol.catalogue import RulesApply

    files = read_files(folder)
    _compile(files)
    request = RulesApply(files=files, rev_expected=rev_expected)
    reply = _ask(Where(url, token, config, data), subject, request)
    if as_json:
        print_json(reply)
    else:
        print(f"revision {reply.get('rev')} is in force on all nodes")


@app.command()
def show(
    url: Urls = None,
    token: Token = "",
    config: ConfigFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Print the rules in force.

    Example:  unidesk rules show --json
    """
    from node.cli.output import print_json
    from node.protocol.catalogue import RulesGet

    reply = _ask(Where(url, token, config, data), "operator", RulesGet())
    if as_json:
        print_json(reply)
        return
    who = " ".join(word for word in reply.get("by") or () if word)  # kind, id, name
    print(f"# revision {reply.get('rev')}" + (f", by {who}" if who else ""))
    for name, text in sorted(reply.get("files", {}).items()):
        print(f"# {name}\n{text.rstrip()}")


def read_files(folder: Path) -> dict[str, str]:
    """Return the rule files of `folder`, name to text.  Raises `Problem`."""
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.toml"))
    if not paths:
        why = "holds no *.toml" if folder.is_dir() else "no such folder"
        raise Problem(f"{folder}: {why}; give a folder of rule files", USAGE)
    if len(paths) > FILES_MAX:
        raise Problem(f"{folder}: over {FILES_MAX} files; join some", USAGE)
    files: dict[str, str] = {}
    for path in paths:
        try:
            files[path.name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Problem(f"{path}: {error}; it must be a UTF-8 text file", USAGE) from None
    size = sum(len(text.encode()) for text in files.values())
    if size > FILE_BYTES_MAX:
        raise Problem(f"{folder}: {size} bytes of rules; at most {FILE_BYTES_MAX}", USAGE)
    return files


def _compile(files: dict[str, str]) -> "RuleSet":
    from cluster.routing.ruleset import compile_rules
    from cluster.toml_source import SourceErrors

    try:
        return compile_rules(files)
    except SourceErrors as errors:
        raise Problem(f"the rules have mistakes:\n{errors}", USAGE) from None


def _ask(where: Where, subject: str, request: "Request") -> dict[str, Any]:
    from node.cli.connecting import connect_as
    from node.cli.running import run
    from node.client import open_client

    cluster, proof = connect_as(where, "operator", subject)
    reply: dict[str, Any] = {}

    async def body() -> None:
        async with open_client(cluster.urls, proof, name="unidesk-rules") as client:
            reply.update(await client.request(request, timeout_s=REQUEST_S))

    run(body)
    return reply
