"""Values of rule files, read with every mistake noted.  No I/O.

A reader notes a mistake with its place and mend, and goes on with a value of the right type, so
that one reading finds all of them.  Nothing of it may be used where a mistake was noted.

    unknown tables, keys      named, with what was meant
    numbers, choices, names   within their bounds, else the nearest or the first
    durations                 "250ms" "20s" "5m" "8h"
    skills                    ["refund"] or { refund = 4 }
    expressions               by line and column
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from cluster.routing.expression import Condition, Scope
from cluster.routing.failure import ExpressionError
from cluster.state.limits import NAME_BYTES_MAX, SKILL_LEVEL_MAX, SKILLS_MAX
from cluster.toml_source import Document, Path, SourceError, did_you_mean, shown

PRIORITY_MAX = 1_000
MISTAKES_MAX = 100
"""More are not named: whoever made them mends these first."""
DIGITS_MAX = 9
QUEUE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

KEYS: Mapping[str, tuple[str, ...]] = {
    "ruleset": ("tenant", "version", "description"),
    "vars": (),
    "queue": (
        *("order", "agent_order", "hours", "closed", "max_waiting", "accept", "mode"),
        *("on_timeout", "skills", "priority", "wrap_up", "aging", "overflow", "description"),
    ),
    "channel": ("weight", "description"),
    "hours": ("tz", "week", "holidays", "extra", "description"),
    "sla": ("first_response", "next_response", "resolution", "warn", "description"),
    "rule": (
        *("when", "route", "steps", "priority", "skills", "set", "overflow", "mode", "test"),
        "description",
    ),
    "fallback": ("route", "steps"),
}
NAMED = ("queue", "channel", "hours", "sla", "rule")
STEP_KEYS = ("queue", "require", "prefer", "for", "skip_if", "priority", "skills")

_DURATION = re.compile(r"([0-9]+)(ms|s|m|h)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_T = TypeVar("_T", bound=str)


class Reader:
    """Reads the documents of one rule set; `mistakes` is empty when all is well."""

    def __init__(self) -> None:
        self.mistakes: list[SourceError] = []

    def note(self, mistake: SourceError) -> None:
        """Note a mistake, unless there are more than anyone reads."""
        if len(self.mistakes) < MISTAKES_MAX:
            self.mistakes.append(mistake)

    def mistake(self, document: Document, path: Path, problem: str, mend: str) -> None:
        """Note a mistake at `path`."""
        self.note(document.error(path, problem, mend))

    def check_kinds(self, document: Document) -> None:
        """Note tables that are none, or unknown."""
        for name, table in document.data.items():
            if name in KEYS["rule"] and not isinstance(table, dict):
                problem = f"{name!r} above every table"
                self.mistake(document, (name,), problem, "put it below the [rule.NAME] it is of")
            elif name not in KEYS:
                problem = f"unknown table [{shown(name)}]"
                self.mistake(document, (name,), problem, did_you_mean(name, KEYS))
            elif not isinstance(table, dict):
                named = f"[{name}.NAME]" if name in NAMED else f"[{name}]"
                self.mistake(document, (name,), f"{name!r} is a table", f"write {named}")

    def check_keys(
        self, document: Document, path: Path, table: Mapping[str, Any], known: Iterable[str] = ()
    ) -> None:
        """Note keys that a table does not have; `known` are those of its kind, if not given."""
        known = tuple(known) or KEYS[str(path[0])]
        for key in table:
            if key not in known:
                problem = f"unknown key {shown(key)!r} in {named(path)}"
                self.mistake(document, (*path, key), problem, did_you_mean(key, known))
        if not isinstance(table.get("description", ""), str):
            at = (*path, "description")
            self.mistake(document, at, "a description is text", 'write it in quotes, "..."')

    def tables(self, document: Document, kind: str) -> list[tuple[str, Path, dict[str, Any]]]:
        """Return the well-named [kind.NAME] tables of a file."""
        found: list[tuple[str, Path, dict[str, Any]]] = []
        tables = document.data.get(kind, {})
        for name, table in tables.items() if isinstance(tables, dict) else ():
            path: Path = (kind, name)
            if not isinstance(table, dict) and name in KEYS[kind]:
                problem = f"{name!r} in a {kind} without a name"
                self.mistake(document, path, problem, f"write [{kind}.some-name] above it")
            elif not isinstance(table, dict):
                problem = f"{kind}.{shown(name)} is a table"
                self.mistake(document, path, problem, f"write [{kind}.{shown(name)}]")
            elif not QUEUE_NAME.fullmatch(name):
                problem = f"a {kind} named {shown(name)!r}"
                self.mistake(document, path, problem, "use a-z, 0-9, _ and -, at most 64")
            else:
                self.check_keys(document, path, table)
                found.append((name, path, table))
        return found

    def every(
        self,
        documents: Iterable[Document],
        kind: str,
        *,
        most: int | None = None,
        mend: str = "rename one",
    ) -> Iterator[tuple[Document, str, Path, dict[str, Any]]]:
        """Yield the well-named [kind.NAME] tables of all files, `most` names at most.

        A second one of a name is noted with its `mend`, and read as well.
        """
        seen: set[str] = set()
        for document in documents:
            for name, path, table in self.tables(document, kind):
                if name in seen:
                    self.mistake(document, path, f"a second [{kind}.{name}]", mend)
                elif most is not None and len(seen) >= most:
                    several = kind if kind.endswith("s") else f"{kind}s"
                    self.mistake(document, path, f"more than {most} {several}", "merge some")
                    return
                seen.add(name)
                yield document, name, path, table

    def condition(
        self, document: Document, path: Path, source: Any, scope: Scope
    ) -> Condition | None:
        """Return the condition of a `when`; None where it is not there, or no good."""
        text = self.source(document, path, source)
        try:
            return None if text is None else scope.compile(text)
        except ExpressionError as error:
            self.in_source(document, path, text or "", error)
            return None

    def source(self, document: Document, path: Path, source: Any) -> str | None:
        """Return the text of an expression; None where it is not there, or is none."""
        if source is None or isinstance(source, str):
            return source
        problem = f"{path[-1]!r} is a condition, not {shown(repr(source))}"
        self.mistake(document, path, problem, "write it in quotes, '...'")
        return None

    def in_source(
        self, document: Document, path: Path, source: str, error: ExpressionError
    ) -> None:
        """Note a mistake within an expression, by line and column."""
        self.note(SourceError(document.place_in(path, source, error.offset), str(error)))

    def priority(self, document: Document, path: Path, value: Any) -> int:
        mend = f"use a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}"
        return self.whole(document, path, value, "a priority", (-PRIORITY_MAX, PRIORITY_MAX), mend)

    def whole(
        self,
        document: Document,
        path: Path,
        value: Any,
        what: str,
        bounds: tuple[int, int],
        mend: str = "",
    ) -> int:
        """Return a whole number within `bounds`; the nearest to 0 of them where it is none."""
        least, most = bounds
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            mend = mend or f"use a whole number from {least} to {most}"
            self.mistake(document, path, f"{what} of {shown(repr(value))}", mend)
            return max(least, 0)
        return value

    def choice(self, document: Document, path: Path, value: Any, choices: tuple[_T, ...]) -> _T:
        """Return one of `choices`; the first where it is none."""
        for choice in choices:
            if value == choice:
                return choice
        problem = f"{shown(repr(value))} is no {path[-1]}"
        mend = did_you_mean(value if isinstance(value, str) else "", choices)
        self.mistake(document, path, problem, mend)
        return choices[0]

    def skills(self, document: Document, path: Path, value: Any) -> dict[str, int]:
        """Return the least level of each skill; 0, which all have who have it, for a list."""
        mend = 'as in ["refund"], or with least levels, { refund = 4 }'
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            value = dict.fromkeys(value, 0)
        if not isinstance(value, dict):
            problem = f"{path[-1]} is a list of names, or a table of levels"
            self.mistake(document, path, problem, mend)
            return {}
        if len(value) > SKILLS_MAX:
            self.mistake(document, path, f"more than {SKILLS_MAX} skills", "ask for fewer")
            return {}
        if not all(0 < len(name.encode()) <= NAME_BYTES_MAX for name in value):
            problem = f"the name of a skill has 1 to {NAME_BYTES_MAX} bytes"
            self.mistake(document, path, problem, mend)
            return {}
        bounds = (0, SKILL_LEVEL_MAX)
        return {
            name: self.whole(document, (*path, name), level, f"a level of {shown(name)!r}", bounds)
            for name, level in value.items()
        }

    def duration_ms(
        self,
        document: Document,
        path: Path,
        value: Any,
        bounds: tuple[int, int],
        what: str = "a time",
    ) -> int:
        """Return milliseconds within `bounds`; 0 where it is not there, or is none."""
        if value is None:
            return 0
        try:
            duration_ms = parse_duration_ms(value)
        except ValueError as error:
            self.mistake(document, path, str(error), 'write it as "20s" or "5m"')
            return 0
        least, most = bounds
        if not least <= duration_ms <= most:
            mend = f'use from "{in_words(least)}" to "{in_words(most)}"'
            self.mistake(document, path, f"{value!r} {what}", mend)
            return 0
        return duration_ms


def named(path: Path) -> str:
    """Return how a file writes the table at `path`: [rule.a], or `steps 2 of [rule.a]`."""
    names = [str(part) for part in path]
    if len(path) <= 2:
        return f"[{'.'.join(names)}]"
    inner = " ".join(str(part + 1) if isinstance(part, int) else part for part in path[2:])
    return f"{inner} of [{'.'.join(names[:2])}]"


def parse_duration_ms(value: Any) -> int:
    """Return the milliseconds of "250ms", "20s", "5m" or "1h".  Raises `ValueError`."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or len(found[1]) > DIGITS_MAX:
        raise ValueError(f"{shown(repr(value))} is no duration")
    return int(found[1]) * _UNIT_MS[found[2]]


def in_words(duration_ms: int) -> str:
    """Return a duration as files write it."""
    for unit, size in reversed(_UNIT_MS.items()):
        if duration_ms % size == 0 and duration_ms >= size:
            return f"{duration_ms // size}{unit}"
    return "0s"
