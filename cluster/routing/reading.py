"""Values of rule files, read with every mistake noted.  No I/O.

A reader notes a mistake with its place and mend, and goes on with a value of the right type, so
that one reading finds all of them.  Nothing of it may be used where a mistake was noted.
"""

import re
from collections.abc import Mapping
from typing import Any

from cluster.routing.expression import Condition, ExpressionError, Scope
from cluster.routing.rules import ACCEPT_MS
from cluster.state.limits import NAME_BYTES_MAX, OFFER_TTL_MS, SKILLS_MAX
from cluster.toml_source import Document, Path, SourceError, did_you_mean, shown

PRIORITY_MAX = 1_000
MISTAKES_MAX = 100
"""More are not named: whoever made them mends these first."""
DIGITS_MAX = 9
KINDS = ("ruleset", "vars", "queue", "rule", "fallback")
QUEUE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

_KEYS = {
    "ruleset": ("version", "description"),
    "queue": ("accept", "skills", "priority", "description"),
    "rule": ("when", "route", "priority", "skills", "set", "test", "description"),
    "fallback": ("route",),
}
_LATER = {
    "ruleset": ("tenant",),
    "queue": ("order", "agent_order", "hours", "max_waiting", "mode", "on_timeout"),
    "rule": ("steps", "overflow", "mode"),
    "fallback": (),
}
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


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
            if name not in KINDS:
                problem = f"unknown table [{shown(name)}]"
                self.mistake(document, (name,), problem, did_you_mean(name, KINDS))
            elif not isinstance(table, dict):
                named = f"[{name}.NAME]" if name in ("queue", "rule") else f"[{name}]"
                self.mistake(document, (name,), f"{name!r} is a table", f"write {named}")

    def check_keys(self, document: Document, path: Path, table: Mapping[str, Any]) -> None:
        """Note keys that a table does not have, or not yet."""
        kind = str(path[0])
        where = ".".join(map(str, path))
        for key in table:
            at = (*path, key)
            if key in _LATER[kind]:
                self.mistake(
                    document, at, f"{key!r} in [{where}] is not supported yet", "remove it"
                )
            elif key not in _KEYS[kind]:
                problem = f"unknown key {shown(key)!r} in [{where}]"
                self.mistake(document, at, problem, did_you_mean(key, _KEYS[kind]))
        if not isinstance(table.get("description", ""), str):
            at = (*path, "description")
            self.mistake(document, at, "a description is text", 'write it in quotes, "..."')

    def tables(self, document: Document, kind: str) -> list[tuple[str, Path, dict[str, Any]]]:
        """Return the well-named [kind.NAME] tables of a file."""
        found: list[tuple[str, Path, dict[str, Any]]] = []
        tables = document.data.get(kind, {})
        for name, table in tables.items() if isinstance(tables, dict) else ():
            path: Path = (kind, name)
            if not isinstance(table, dict):
                problem = f"{kind}.{shown(name)} is a table"
                self.mistake(document, path, problem, f"write [{kind}.{shown(name)}]")
            elif not QUEUE_NAME.fullmatch(name):
                problem = f"a {kind} named {shown(name)!r}"
                self.mistake(document, path, problem, "use a-z, 0-9, _ and -, at most 64")
            else:
                self.check_keys(document, path, table)
                found.append((name, path, table))
        return found

    def condition(
        self, document: Document, path: Path, source: Any, scope: Scope
    ) -> Condition | None:
        """Return the condition of a `when`; None where it is not there, or no good."""
        if source is None:
            return None
        if not isinstance(source, str):
            problem = f"'when' is a condition, not {shown(repr(source))}"
            self.mistake(document, path, problem, "write it in quotes, '...'")
            return None
        try:
            return scope.compile(source)
        except ExpressionError as error:
            self.note(SourceError(document.place_in(path, source, error.offset), str(error)))
            return None

    def priority(self, document: Document, path: Path, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > PRIORITY_MAX:
            mend = f"use a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}"
            self.mistake(document, path, f"a priority of {shown(repr(value))}", mend)
            return 0
        return value

    def skills(self, document: Document, path: Path, value: Any) -> tuple[str, ...]:
        mend = 'as in ["refund"]'
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self.mistake(document, path, f"{path[-1]} is a list of names", mend)
            return ()
        if len(value) > SKILLS_MAX:
            self.mistake(document, path, f"more than {SKILLS_MAX} skills", "ask for fewer")
            return ()
        if not all(0 < len(name.encode()) <= NAME_BYTES_MAX for name in value):
            problem = f"the name of a skill has 1 to {NAME_BYTES_MAX} bytes"
            self.mistake(document, path, problem, mend)
            return ()
        return tuple(dict.fromkeys(value))

    def accept_ms(self, document: Document, path: Path, value: Any) -> int:
        """Return how long an offer lasts, within what the state machine lets pass."""
        if value is None:
            return ACCEPT_MS
        try:
            duration_ms = parse_duration_ms(value)
        except ValueError as error:
            self.mistake(document, path, str(error), 'write it as "20s" or "5m"')
            return ACCEPT_MS
        if not OFFER_TTL_MS[0] <= duration_ms <= OFFER_TTL_MS[1]:
            problem = f"{value!r} to accept an offer"
            self.mistake(document, path, problem, 'use from "100ms" to "1h"')
            return ACCEPT_MS
        return duration_ms


def parse_duration_ms(value: Any) -> int:
    """Return the milliseconds of "250ms", "20s", "5m" or "1h".  Raises `ValueError`."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or len(found[1]) > DIGITS_MAX:
        raise ValueError(f"{shown(repr(value))} is no duration")
    return int(found[1]) * _UNIT_MS[found[2]]
