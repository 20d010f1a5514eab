"""TOML with places: what a file says, and on which line it says it.  No I/O: takes text.

    SourceError   routing/main.toml:12: unknown key 'prioirty' in [rule.vip_user]; did you mean
                  'priority'?

`tomllib` parses; the places come from a second, line-wise look for table headers and keys, and
the nearest line above is named where that look is not sure.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<name>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*="""
)
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class SourceError(Exception):
    """One mistake: where it is, what is wrong, and how to mend it."""

    def __init__(self, place: Place, problem: str, mend: str = "") -> None:
        self.place = place
        self.problem = problem
        self.mend = mend
        super().__init__(f"{place}: {problem}" + (f"; {mend}" if mend else ""))


class SourceErrors(Exception):
    """All mistakes of some files; `errors` is in the order of their places."""

    def __init__(self, errors: Iterable[SourceError]) -> None:
        self.errors = sorted(errors, key=lambda e: (e.place.file, e.place.line))
        super().__init__("\n".join(map(str, self.errors)))


class Document:
    """A parsed file that knows its lines."""

    def __init__(self, file: str, text: str) -> None:
        """Parse `text`.  Raises `SourceError` with line, column and caret."""
        self.file = file
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(file, text, str(error)) from None
        self._lines = _index(text)

    def place(self, path: Path = ()) -> Place:
        """Return where the key at `path` stands, or the nearest table above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return Place(self.file, self._lines.get(path, 1))

    def error(self, path: Path, problem: str, mend: str = "") -> SourceError:
        """Return a `SourceError` at `path`."""
        return SourceError(self.place(path), problem, mend)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean ...?`, or what there is to choose from."""
    choices = sorted(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are: {', '.join(choices)}" if choices else "nothing is known here"


def _index(text: str) -> dict[Path, int]:
    """Map the path of every table and key to its line, as far as a line tells."""
    lines: dict[Path, int] = {}
    table: Path = ()
    multiline = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if multiline:
            if multiline in line:
                multiline = ""
            continue
        if header := _HEADER.match(line):
            table = _split(header["name"])
            for end in range(1, len(table) + 1):
                lines.setdefault(table[:end], number)
        elif key := _KEY.match(line):
            lines.setdefault(table + _split(key["name"]), number)
            multiline = _opened(line)
    return lines


def _opened(line: str) -> str:
    """Return the quotes of a multi-line string that begins on `line` and does not end there."""
    for quotes in ('"""', "'''"):
        if line.count(quotes) % 2:
            return quotes
    return ""


def _split(name: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(name))


def _syntax_error(file: str, text: str, message: str) -> SourceError:
    found = _AT.search(message)
    what = _AT.sub("", message).strip()
    lines = text.splitlines() or [""]
    line, column = (int(found[1]), int(found[2])) if found else (len(lines), 1)
    line = min(line, len(lines))
    shown = lines[line - 1]
    caret = " " * (min(column, len(shown) + 1) - 1) + "^"
    return SourceError(
        Place(file, line), f"{what}\n    {shown}\n    {caret}", "mend the TOML there"
    )
