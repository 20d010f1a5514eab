"""What pages tell an operator to type: every `unidesk ...` of README, docs/ and deploy/ is held
against the commands there are.  A name, an option or a number of arguments that is not theirs is
named by page and line.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from node.cli.app import make_app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*")])
BLOCKS_READ = frozenset({"", "console", "sh", "bash"})
"""Languages of blocks that hold what is typed; without a language it may be either."""
ELIDED = re.compile(r"[…⋯]|\.\.\.")
TYPED = re.compile(r"(?:^|[$=]|&& |[$]\()\s*(?:[\w./-]*/)?(unidesk (?! )[^)|&;#>]*)")
COMMAND = typer.main.get_command(make_app())
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer says of all that was typed wrongly."""


def typed(text: str, *, page: bool = True) -> Iterator[tuple[int, str, bool]]:
    """Yield line, command line, and whether it is written as it is typed (not as a usage)."""
    language: str | None = None if page else ""
    held = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            language = None if language is not None else line.strip().removeprefix("```")
            continue
        if language is None:
            yield from ((number, found, False) for found in re.findall(r"`(unidesk [^`]+)`", line))
        elif language in BLOCKS_READ:
            held += line.removesuffix("\\")
            if not line.endswith("\\"):
                yield from ((number, found, True) for found in TYPED.findall(held))
                held = ""


def wrong(line: str, *, exact: bool) -> str:
    """Return what of `line` is no command of ours; empty when all is."""
    try:
        words = shlex.split(line.replace("'", "’"), comments=True)[1:]
    except ValueError as error:
        return str(error)
    command, context = COMMAND, COMMAND.context_class(COMMAND, info_name="unidesk")
    while isinstance(command, TyperGroup) and words and not words[0].startswith(("-", "[")):
        found = command.get_command(context, words[0])
        if found is None:
            if command.invoke_without_command or not re.fullmatch(r"[a-z-]+", words[0]):
                break
            return f"no command {words[0]!r} in {context.command_path!r}"
        context = found.context_class(found, info_name=words.pop(0), parent=context)
        command = found
    if not exact:
        known = {
            name for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)
        }
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(words)))
        return ", ".join(sorted(options - known))
    if any(ELIDED.search(word) for word in words):
        return ""
    try:
        command.make_parser(context).parse_args(words)
    except USAGE_ERROR as error:
        return str(error)
    return ""


def commands() -> list[tuple[str, int, str, bool]]:
    return [
        (str(page.relative_to(ROOT)), *found)
        for page in PAGES
        if page.is_file() and page.suffix in (".md", ".yaml", ".service", ".yml")
        for found in typed(page.read_text(), page=page.suffix == ".md")
    ]


def test_every_command_of_every_page_exists_with_its_options() -> None:
    said = [
        f"{page}:{line}: {command.strip()}: {why}"
        for page, line, command, exact in commands()
        if (why := wrong(command, exact=exact))
    ]
    assert not said, "\n".join(said)


def test_many_commands_are_found_on_the_pages() -> None:
    pages = {page for page, *_ in commands()}
    assert len(commands()) > 250
    assert {"README.md", "docs/runbooks/UnideskNodeDown.md", "docs/how-to/chaos.md"} <= pages


@pytest.mark.parametrize(
    "line",
    ["unidesk clutser status", "unidesk backup out --stael", "unidesk cluster recover maybe"],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    assert wrong(line, exact=True)
    assert wrong(line, exact=False)
