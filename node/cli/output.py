"""What commands print: tables for people, JSON for machines.  Talks to the terminal."""

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


_HARMFUL = dict.fromkeys(
    [
        *(code for code in range(0x20) if chr(code) not in "\t\n"),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ],
    "\ufffd",
)


PIPE_COLUMNS = 160


def console(*, stderr: bool = False) -> "Console":
    """Return a console: colours on a terminal, plain text elsewhere (and with NO_COLOR)."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Not an exit from wherever this is: whoever runs the command decides."""
            raise

    # A pipe has no width: a table cut at 80 columns would lose what a script looks for.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_COLUMNS
    # What is shown may hold brackets and colons of its own: they are no markup.
    return Plain(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def table(columns: Iterable[str], rows: "Iterable[Iterable[str | Text]]") -> "Table":
    """Return a table without frames; one without rows says that there is nothing."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    if not made.rows:
        made.add_row("(none)")
    return made


TABLE_COLUMNS_MIN = 60
FOLDED_MIN = 16
"""A last column that is this narrow may still be read, folded."""


def fitting(
    columns: Iterable[str], rows: "Iterable[Iterable[str | Text]]", less: Iterable[str]
) -> "Table":
    """Return a table as wide as the terminal: without those of the columns `less`, the first ones
    first, that have no room.  Only the last column is folded; ids stay whole.

    On a terminal that is too narrow for a table, each row is a list of its own, with all columns.
    """
    names, cells = list(columns), [list(row) for row in rows]
    width, shown = console().width, list(range(len(names)))
    for name in less:
        if _width(names, cells, shown) <= width:
            break
        shown.remove(names.index(name))
    if width < TABLE_COLUMNS_MIN and cells and _width(names, cells, shown) > width:
        return _listed(names, cells)
    made = table([names[n] for n in shown], [[row[n] for n in shown] for row in cells])
    for column in made.columns[:-1]:
        column.no_wrap = _width(names, cells, shown) <= width  # else a fold is less than a cut
    return made


def _listed(names: "list[str]", cells: "list[list[str | Text]]") -> "Table":
    """Return the rows one below the other, each with a line a column; what is empty is left out."""
    from rich.table import Table

    made = Table.grid(padding=(0, 1))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for row in cells:
        for name, cell in zip(names, row, strict=True):
            if str(cell):
                made.add_row(name, cell)
        made.add_row("", "")
    return made


def _width(names: "list[str]", cells: "list[list[str | Text]]", shown: list[int]) -> int:
    from rich.cells import cell_len

    widths = [
        max(cell_len(str(one)) for one in (names[n], *(row[n] for row in cells))) for n in shown
    ]
    widths[-1] = min(widths[-1], FOLDED_MIN)
    return sum(widths) + 3 * len(widths)


def count(number: int, noun: str) -> str:
    """Return `1 rule`, `2 rules`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def plain(text: str) -> str:
    """Return what somebody else wrote, unable to do more on a terminal than to be read.

    Control characters and those that turn the direction of text become U+FFFD; lines after the
    first are indented, so that none of them looks like a line of ours.
    """
    return text.translate(_HARMFUL).replace("\n", "\n    ")


def print_json(value: Any, *, stderr: bool = False) -> None:
    """Print `value` as one JSON document."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    print(text, file=sys.stderr if stderr else sys.stdout)


def tell(message: str) -> None:
    """Print a line beside the result: to standard error."""
    print(message, file=sys.stderr, flush=True)
