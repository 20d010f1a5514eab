"""What holds for every command of `unidesk`, those to come included."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from cluster.heal import ending
from node.cli import codes
from node.cli.app import make_app

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
PRINT_NO_RESULT = {"serve", "demo", "say", "agent", "conversations export", "canned export",
                   "rules export"}  # fmt: skip
"""They run, talk, or print lines or files of a form of their own."""


def every(command: TyperCommand | TyperGroup, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield commands with what to type for them; a group that does something itself too."""
    if not isinstance(command, TyperGroup):
        yield name, command
        return
    if name and command.invoke_without_command:
        yield name, command
    for word, inner in command.commands.items():
        assert isinstance(inner, TyperCommand | TyperGroup)
        yield from every(inner, f"{name} {word}".strip())


_ROOT = typer.main.get_command(make_app())
assert isinstance(_ROOT, TyperGroup)
COMMANDS = dict(every(_ROOT))


def test_there_are_those_that_an_operator_looks_for() -> None:
    wanted = (
        "cluster status|cluster top|cluster transfer-leader|cluster drain|cluster undrain|"
        "cluster members add|sessions list|sessions show|sessions move|sessions close|"
        "conversations show|conversations export|wal inspect|wal verify|wal dump|doctor"
    )
    assert set(wanted.split("|")) <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_an_example_of_itself_in_its_help(name: str) -> None:
    text = COMMANDS[name].help or ""
    examples = re.findall(r"Example:  (.+)", text)
    assert examples, f"{name}: no line `Example:  unidesk {name} ...`"
    assert any(f"unidesk {name}" in one for one in examples), examples


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - PRINT_NO_RESULT))
def test_a_command_that_prints_results_prints_them_as_json_too(name: str) -> None:
    options = {option for one in COMMANDS[name].params for option in one.opts}
    assert "--json" in options


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_say_what_they_are_for(name: str) -> None:
    command = COMMANDS[name]
    for one in command.params:
        if isinstance(one, TyperOption) and not one.hidden and one.name != "help":
            assert one.help, f"{name} {one.opts[0]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_on_the_reference_page(name: str) -> None:
    """By a heading, or as `... word` in the heading of its neighbours."""
    headings = [line for line in PAGE.read_text().splitlines() if line.startswith("### ")]
    last = name.rsplit(maxsplit=1)[-1]
    wanted = re.compile(rf"`(unidesk {name}|… {last})[` ]")
    assert any(wanted.search(one) for one in headings)


def test_the_exit_codes_of_the_page_are_those_of_the_program() -> None:
    assert codes.SUPERSEDED == ending.EXIT_CODE
    found = dict(re.findall(r"^\| (\d+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    assert found == {str(code): meaning for code, meaning in codes.MEANING.items()}
