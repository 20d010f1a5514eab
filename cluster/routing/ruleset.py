"""Rule files to a rule set that is ready to decide.  No I/O.

    [ruleset]        version, description
    [vars]           tags.arpu = "number" | "string" | "bool" | "list"
    [queue.NAME]     accept = "20s", skills = ["refund"], priority = 0, description
    [rule.NAME]      when = CEL, route = queue, priority (of the rule), skills = [...],
                     set = { priority = 80 } (of the conversation), test = [ {in, queue} ]
    [fallback]       route = queue

Rules are tried by priority, highest first, then by name; the first that matches decides.  The
files of a folder are one rule set.  Every mistake is found before anything changes, and named
with file, line and mend; the table tests beside the rules are part of that.

Source: the routing language of the design, first cut; keys of its full form are refused as
not supported yet, never ignored.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.routing.expression import (
    MAPS,
    VARIABLES_MAX,
    Condition,
    ExpressionError,
    Scope,
    VarType,
)
from cluster.toml_source import Document, Path, SourceError, SourceErrors, did_you_mean

RULES_MAX = 1_000
ACCEPT_MS = 20_000
PRIORITY_MAX = 1_000
DEFAULT_QUEUE = "general"
_TABLES = ("ruleset", "vars", "queue", "rule", "fallback")
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
_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class QueueRules:
    name: str
    accept_ms: int = ACCEPT_MS
    skills: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class TableTest:
    """One `test` row: a conversation, and the queue it must go to."""

    values: Mapping[str, Any]
    queue: str
    path: Path
    file: Document


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    priority: int
    route: str
    condition: Condition | None
    """None matches always."""
    conversation_priority: int | None = None
    skills: tuple[str, ...] = ()
    tests: tuple[TableTest, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Ready to decide; rules in the order in which they are tried."""

    rules: tuple[Rule, ...]
    queues: Mapping[str, QueueRules]
    fallback: str
    scope: Scope
    digest: str = ""
    declared: frozenset[str] = field(default_factory=frozenset)
    """Queues that a hint may name."""


def default_rules() -> RuleSet:
    """Return what is in force before any rule was applied: everything to one queue."""
    queues = {DEFAULT_QUEUE: QueueRules(DEFAULT_QUEUE)}
    return RuleSet((), queues, DEFAULT_QUEUE, Scope({}), declared=frozenset(queues))


def compile_rules(files: Mapping[str, str]) -> RuleSet:
    """Return the rule set of `files` (name to TOML text).  Raises `SourceErrors`, all at once."""
    return _Compiler(files).compile()


class _Compiler:
    """Gathers mistakes instead of stopping at the first."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._errors: list[SourceError] = []
        self._documents = []
        for name, text in sorted(files.items()):
            try:
                self._documents.append(Document(name, text))
            except SourceError as error:
                self._errors.append(error)
        sha = hashlib.sha256()
        for name, text in sorted(files.items()):
            sha.update(f"{len(name)}:{name}{len(text)}:{text}".encode())
        self._digest = sha.hexdigest()
        self._queues: dict[str, QueueRules] = {}
        self._rules: dict[str, Rule] = {}
        self._fallback = ""

    def compile(self) -> RuleSet:
        if self._errors:
            raise SourceErrors(self._errors)
        for document in self._documents:
            self._check_tables(document)
        scope = Scope(self._variables())
        for document in self._documents:
            self._read_queues(document)
        declared = frozenset(self._queues)
        for document in self._documents:
            self._read_rules(document, scope)
            self._read_fallback(document)
        if not self._fallback:
            self._fallback = DEFAULT_QUEUE
            self._queues.setdefault(DEFAULT_QUEUE, QueueRules(DEFAULT_QUEUE))
        order = sorted(self._rules.values(), key=lambda rule: (-rule.priority, rule.name))
        ruleset = RuleSet(
            tuple(order),
            self._queues,
            self._fallback,
            scope,
            self._digest,
            declared or frozenset(self._queues),
        )
        if not self._errors:
            self._run_tests(ruleset)
        if self._errors:
            raise SourceErrors(self._errors)
        return ruleset

    def _mistake(self, document: Document, path: Path, problem: str, mend: str = "") -> None:
        self._errors.append(document.error(path, problem, mend))

    def _check_tables(self, document: Document) -> None:
        for name, table in document.data.items():
            if name not in _TABLES:
                self._mistake(
                    document, (name,), f"unknown table [{name}]", did_you_mean(name, _TABLES)
                )
            elif not isinstance(table, dict):
                self._mistake(document, (name,), f"{name!r} is a table", f"write [{name}]")

    def _check_keys(self, document: Document, path: Path, table: Mapping[str, Any]) -> None:
        kind = str(path[0])
        where = ".".join(map(str, path))
        for key in table:
            if key in _LATER[kind]:
                self._mistake(
                    document,
                    (*path, key),
                    f"{key!r} in [{where}] is not supported yet",
                    "remove it",
                )
            elif key not in _KEYS[kind]:
                self._mistake(
                    document,
                    (*path, key),
                    f"unknown key {key!r} in [{where}]",
                    did_you_mean(key, _KEYS[kind]),
                )

    def _tables(self, document: Document, kind: str) -> list[tuple[str, Path, dict[str, Any]]]:
        """Return the well-named [kind.NAME] tables of a file."""
        found: list[tuple[str, Path, dict[str, Any]]] = []
        tables = document.data.get(kind, {})
        for name, table in tables.items() if isinstance(tables, dict) else ():
            path: Path = (kind, name)
            if not isinstance(table, dict):
                self._mistake(document, path, f"{kind}.{name} is a table", f"write [{kind}.{name}]")
            elif not _NAME.fullmatch(name):
                self._mistake(
                    document, path, f"a {kind} named {name!r}", "use a-z, 0-9, _ and -, at most 64"
                )
            else:
                self._check_keys(document, path, table)
                found.append((name, path, table))
        return found

    def _variables(self) -> dict[str, VarType]:
        variables: dict[str, VarType] = {}
        for document in self._documents:
            for path, kind in _flat(document.data.get("vars", {})):
                name = ".".join(path)
                if kind not in ("number", "string", "bool", "list"):
                    self._mistake(
                        document,
                        ("vars", *path),
                        f"{name}: {kind!r} is no type",
                        "use number, string, bool or list",
                    )
                elif name in ("channel", "lang", "subject"):
                    if kind != "string":
                        self._mistake(document, ("vars", *path), f"{name} is a string")
                elif path[0] not in MAPS or len(path) != 2:
                    self._mistake(
                        document,
                        ("vars", *path),
                        f"no variable {name!r}",
                        "declare tags.NAME or attrs.NAME",
                    )
                elif len(variables) < VARIABLES_MAX:
                    variables[name] = kind
        return variables

    def _read_queues(self, document: Document) -> None:
        for name, path, table in self._tables(document, "queue"):
            if name in self._queues:
                self._mistake(document, path, f"a second [queue.{name}]", "join the two")
            self._queues[name] = QueueRules(
                name,
                self._duration_ms(document, (*path, "accept"), table.get("accept"), ACCEPT_MS),
                self._names(document, (*path, "skills"), table.get("skills", [])),
                self._priority(document, (*path, "priority"), table.get("priority", 0)),
            )

    def _read_rules(self, document: Document, scope: Scope) -> None:
        for name, path, table in self._tables(document, "rule"):
            if name in self._rules:
                self._mistake(document, path, f"a second [rule.{name}]", "rename one")
            if len(self._rules) >= RULES_MAX:
                self._mistake(document, path, f"more than {RULES_MAX} rules", "merge some")
                return
            changes = table.get("set", {})
            if not isinstance(changes, dict) or set(changes) - {"priority"}:
                self._mistake(document, (*path, "set"), "set = { priority = N } is all there is")
                changes = {}
            priority = changes.get("priority")
            if priority is not None:
                priority = self._priority(document, (*path, "set"), priority)
            self._rules[name] = Rule(
                name,
                self._priority(document, (*path, "priority"), table.get("priority", 0)),
                self._route(document, path, table),
                self._condition(document, path, table, scope),
                priority,
                self._names(document, (*path, "skills"), table.get("skills", [])),
                self._tests(document, path, table),
            )

    def _read_fallback(self, document: Document) -> None:
        table = document.data.get("fallback")
        if not isinstance(table, dict):
            return
        self._check_keys(document, ("fallback",), table)
        if self._fallback:
            self._mistake(document, ("fallback",), "a second [fallback]", "keep one")
        self._fallback = self._route(document, ("fallback",), table)

    def _route(self, document: Document, path: Path, table: Mapping[str, Any]) -> str:
        route = table.get("route")
        where = ".".join(map(str, path))
        if route is None:
            self._mistake(document, path, f"[{where}] has no route", 'add route = "a-queue"')
            return DEFAULT_QUEUE
        if not isinstance(route, str) or not _NAME.fullmatch(route):
            self._mistake(
                document,
                (*path, "route"),
                f"{route!r} is no queue name",
                "use a-z, 0-9, _ and -, at most 64",
            )
            return DEFAULT_QUEUE
        if route not in self._queues:
            if any("queue" in d.data for d in self._documents):
                self._mistake(
                    document,
                    (*path, "route"),
                    f"no queue {route!r}",
                    did_you_mean(route, self._queues) + f" Or add [queue.{route}]",
                )
            else:
                self._queues[route] = QueueRules(route)
        return route

    def _condition(
        self, document: Document, path: Path, table: Mapping[str, Any], scope: Scope
    ) -> Condition | None:
        source = table.get("when")
        if source is None:
            return None
        if not isinstance(source, str):
            self._mistake(document, (*path, "when"), "'when' is a condition in quotes")
            return None
        try:
            return scope.compile(source)
        except ExpressionError as error:
            self._mistake(document, (*path, "when"), str(error))
            return None

    def _tests(
        self, document: Document, path: Path, table: Mapping[str, Any]
    ) -> tuple[TableTest, ...]:
        rows = table.get("test", [])
        tests = []
        for row in rows if isinstance(rows, list) else [None]:
            values = row.get("in") if isinstance(row, dict) else None
            queue = row.get("queue") if isinstance(row, dict) else None
            if not isinstance(values, dict) or not isinstance(queue, str):
                self._mistake(
                    document, (*path, "test"), 'a test is { in = { ... }, queue = "..." }'
                )
                return ()
            tests.append(TableTest(values, queue, (*path, "test"), document))
        return tuple(tests)

    def _run_tests(self, ruleset: RuleSet) -> None:
        from cluster.routing.decide import decide_values

        for rule in ruleset.rules:
            for number, test in enumerate(rule.tests, start=1):
                decision = decide_values(ruleset, test.values)
                if decision.queue != test.queue:
                    self._mistake(
                        test.file,
                        test.path,
                        f"test {number} of rule {rule.name!r} expects queue {test.queue!r} but"
                        f" {decision.rule or 'the fallback'} decides {decision.queue!r}",
                    )

    def _priority(self, document: Document, path: Path, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > PRIORITY_MAX:
            self._mistake(
                document,
                path,
                f"a priority of {value!r}",
                f"use a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}",
            )
            return 0
        return value

    def _names(self, document: Document, path: Path, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self._mistake(document, path, f"{path[-1]} is a list of names", 'as in ["refund"]')
            return ()
        return tuple(value)

    def _duration_ms(self, document: Document, path: Path, value: Any, default_ms: int) -> int:
        if value is None:
            return default_ms
        try:
            return parse_duration_ms(value)
        except ValueError as error:
            self._mistake(document, path, str(error), 'write it as "20s" or "5m"')
            return default_ms


def parse_duration_ms(value: Any) -> int:
    """Return the milliseconds of "250ms", "20s", "5m" or "1h".  Raises `ValueError`."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no duration")
    return int(found[1]) * _UNIT_MS[found[2]]


def _flat(table: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(table, dict):
        return [(path, table)]
    return [leaf for key, value in table.items() for leaf in _flat(value, (*path, key))]
