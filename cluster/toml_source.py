"""TOML with places: what a file says, and on which line it says it.  No I/O: takes text.

    SourceError   routing/main.toml:12: unknown key 'prioirty' in [rule.vip_user]; did you mean
                  'priority'?

`tomllib` parses; the places come from a second look (`toml_places`), and the nearest line above
is named where that look is not sure.  Lines and columns count from 1.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cluster.toml_places import Path as Path
from cluster.toml_places import lines_of
from cluster.toml_wording import in_words

DEPTH_MAX = 20
"""Tables and lists inside one another; nothing here needs more than five."""
SHOWN_MAX = 100
"""Characters of a line or a word that an error message repeats."""

_DEEP_KEY = re.compile(
    rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEPTH_MAX}}}""", re.ASCII
)
"""`tomllib` takes seconds over a key of thousands of parts."""
_NO_TEXT = re.compile("[\ud800-\udfff\x00-\x08\x0e-\x1f\x7f]")
"""Halves of characters, which have no UTF-8 form, and what a terminal would obey."""
SAID_MAX = 50
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, and a column of it where one is known; both count from 1."""

    file: str
    line: int
    column: int = 0

    def __str__(self) -> str:
        column = f":{self.column}" if self.column else ""
        return f"{self.file}:{self.line}{column}"


class SourceError(Exception):
    """One mistake: where it is, what is wrong, and how to mend it."""

    def __init__(self, place: Place, problem: str, mend: str = "") -> None:
        self.place = place
        self.problem = problem
        self.mend = mend
        before_mend = "\n    " if "\n" in problem else "; "  # below a caret it gets its own line
        super().__init__(f"{place}: {problem}" + (before_mend + mend if mend else ""))


class SourceErrors(Exception):
    """All mistakes of some files; `errors` is in the order of their places.

    In words it is the first `SAID_MAX` of them.
    """

    def __init__(self, errors: Iterable[SourceError]) -> None:
        self.errors = sorted(errors, key=lambda e: (e.place.file, e.place.line))
        said = [str(error) for error in self.errors[:SAID_MAX]]
        if len(self.errors) > SAID_MAX:
            said.append(f"and {len(self.errors) - SAID_MAX:,} more")
        super().__init__("\n".join(said))


class Document:
    """A parsed file that knows its lines."""

    def __init__(self, file: str, text: str) -> None:
        """Parse `text`.  Raises `SourceError` with line and caret."""
        self.file = file
        self._text = text.removeprefix("\ufeff")
        if odd := _NO_TEXT.search(self._text):
            place = Place(file, self._text.count("\n", 0, odd.start()) + 1)
            raise SourceError(place, "characters that are no text", "save the file as UTF-8")
        if deep := _DEEP_KEY.search(self._text):
            raise _too_deep(file, self._text.count("\n", 0, deep.start()) + 1)
        try:
            self.data: dict[str, Any] = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(file, self._text, str(error)) from None
        except ValueError as error:  # a number of thousands of digits
            raise SourceError(Place(file, 1), shown(str(error)), "write a smaller one") from None
        except RecursionError:
            raise _too_deep(file) from None
        if not _is_shallow(self.data):
            raise _too_deep(file)
        self._lines = lines_of(self._text)

    def place(self, path: Path = ()) -> Place:
        """Return where the key at `path` stands, or the nearest table above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return Place(self.file, self._lines.get(path, 1))

    def place_in(self, path: Path, value: str, offset: int) -> Place:
        """Return where character `offset` of the string at `path` stands.

        That is the place of its key where the file writes the string with escapes.
        """
        key = self.place(path)
        lines = self._text.splitlines(keepends=True)
        start = sum(map(len, lines[: key.line - 1]))
        found = self._text.find(value, start)
        if found < 0 or self._text.count("\n", start, found) > 1:
            return key
        before = self._text[: found + offset]
        return Place(self.file, before.count("\n") + 1, len(before) - before.rfind("\n"))

    def error(self, path: Path, problem: str, mend: str = "") -> SourceError:
        """Return a `SourceError` at `path`."""
        return SourceError(self.place(path), problem, mend)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean ...?`, or what there is to choose from."""
    choices = sorted(known)
    near = difflib.get_close_matches(word[:SHOWN_MAX], choices, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are: {', '.join(choices)}" if choices else "nothing is known here"


def shown(text: str) -> str:
    """Return `text`, cut to what an error message repeats."""
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def _is_shallow(data: Any) -> bool:
    """Whether nothing is nested deeper than `DEPTH_MAX`; level by level, so never deep itself."""
    level = [data]
    for _ in range(DEPTH_MAX):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        if not inner:
            return True
        level = inner
    return False


def _too_deep(file: str, line: int = 1) -> SourceError:
    problem = f"tables or lists nested deeper than {DEPTH_MAX}"
    return SourceError(Place(file, line), problem, "write it flatter")


def _syntax_error(file: str, text: str, message: str) -> SourceError:
    found = _AT.search(message)
    what = shown(_AT.sub("", message).strip())
    lines = text.splitlines() or [""]
    line, column = (int(found[1]), int(found[2])) if found else (len(lines), len(lines[-1]) + 1)
    line = min(line, len(lines))
    whole = lines[line - 1]
    column = min(column, len(whole) + 1)
    problem, mend = in_words(what, whole, column)
    return SourceError(Place(file, line), f"{problem}\n{caret_under(whole, column)}", mend)


def caret_under(line: str, column: int) -> str:
    """Return `line` and below it a caret under `column`; of a long line, the part around it."""
    start = max(0, column - 1 - SHOWN_MAX // 2)
    part = line[start : start + SHOWN_MAX].replace("\t", " ")
    return f"    {part}\n    {' ' * (column - 1 - start)}^"
