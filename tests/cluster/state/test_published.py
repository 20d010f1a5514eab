"""What releases have published of commands and values stays; what is new has a level.

Nodes of neighbouring releases apply one log: a command, or a field, that one of them knows and the
other does not makes two states of one.  Whoever fails here finds in the message what to do; why is
in cluster/state/DESIGN.md, "A command of a later level".
"""

import pytest

from cluster.state import levels, snapshot
from cluster.state.commands import RaiseLevel
from tests.cluster.state.golden import replicated

PUBLISHED, NOW = replicated.published(), replicated.lines()
NEW = {name: text for name, text in NOW.items() if name not in PUBLISHED}
COMMANDS = replicated.by_tag()


def test_what_a_release_published_stays() -> None:
    changed = [
        f"{name} was {text!r} in a release that may run beside this one, and is {NOW.get(name)!r}"
        for name, text in PUBLISHED.items()
        if NOW.get(name) != text
    ]
    assert not changed, f"{changed}: leave it as it was, and add a command of the next level"


@pytest.mark.parametrize("name", [name for name in NEW if name.startswith("command ")])
def test_a_new_command_or_field_has_a_level(name: str) -> None:
    _, tag, *field = name.split()
    kind = COMMANDS[tag]
    if kind is RaiseLevel:  # what raises the level is of none
        return
    if f"command {tag}" in NEW:
        level = levels._SINCE.get(kind, levels.FIRST)
        where = f"_SINCE: {{{kind.__name__}: {levels.LEVEL}}}"
    else:
        assert field
        assert " = " in NEW[name], f"{name} needs a default: earlier releases do not send it"
        level = levels._FIELDS_SINCE.get(kind, {}).get(field[1], levels.FIRST)
        where = f'_FIELDS_SINCE: {{{kind.__name__}: {{"{field[1]}": {levels.LEVEL}}}}}'
    assert level == levels.LEVEL, (
        f"{name} is new, and nodes of the release before do not know it: add it to"
        f" cluster.state.levels.{where}; they are not asked to apply it until all are upgraded"
    )


@pytest.mark.parametrize("name", [name for name in NEW if name.startswith("value ")])
def test_a_new_field_of_a_value_changes_nothing_while_it_has_its_default(name: str) -> None:
    _, value, *field = name.split()
    if not field or f"value {value}" in NEW:
        return
    assert " = " in NEW[name], f"{name} needs a default: snapshots of earlier releases have none"
    assert PUBLISHED[f"value {value}"] == "map", (
        f"{name}: {value} is written as an array, so the state's checksum would differ between"
        " nodes of two releases: make a value of its own, in a section of its own"
    )


@pytest.mark.parametrize("name", [name for name in NEW if name.startswith("section ")])
def test_a_new_section_is_left_out_while_it_is_empty(name: str) -> None:
    section = name.split()[1]
    assert section in snapshot._LATER, (
        f"section {section} is new: add it to cluster.state.snapshot._LATER, or earlier releases"
        " refuse every snapshot"
    )


def test_what_is_of_an_earlier_level_is_published() -> None:
    """Who raises `LEVEL` has published the one before."""
    missing = [
        kind.__name__
        for tag, kind in COMMANDS.items()
        if levels._SINCE.get(kind, levels.FIRST) < levels.LEVEL
        and f"command {tag}" in NEW
        and kind is not RaiseLevel
    ]
    assert not missing, (
        f"{missing} came with a level that is published: in the tree of that release, say"
        " `python -m tests.cluster.state.golden.replicated`, and take its file over"
    )
