"""Rule files to a rule set that is ready to decide.  No I/O.

    [ruleset]        version, description
    [vars]           tags.arpu = "number" | "string" | "bool" | "list"
    [queue.NAME]     accept = "20s", skills = ["refund"], priority = 0, description
    [rule.NAME]      when = CEL, route = queue, priority (of the rule), skills = [...],
                     set = { priority = 80 } (of the conversation), test = [ {in, queue} ]
    [fallback]       route = queue

The files of a folder are one rule set.  Every mistake is found before anything changes, and
named with file, line and mend; the table tests beside the rules are part of that.

    any [queue.NAME]      every route names one of them
    none                  a route makes its queue
    no [fallback]         what no rule matches goes to `general`, which must exist as above

Source: the routing language of the design, first cut; keys of its full form are refused as
not supported yet, never ignored.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from cluster.routing.decide import decide_values
from cluster.routing.expression import KEYWORDS, MAPS, NAME, PLAIN, VARIABLES_MAX, Scope, VarType
from cluster.routing.reading import QUEUE_NAME, Reader, parse_duration_ms
from cluster.routing.rules import (
    ACCEPT_MS,
    DEFAULT_QUEUE,
    QueueRules,
    Rule,
    RuleSet,
    TableTest,
    default_rules,
)
from cluster.state.limits import QUEUES_MAX, RULES_BYTES_MAX
from cluster.toml_source import (
    Document,
    Path,
    Place,
    SourceError,
    SourceErrors,
    did_you_mean,
    shown,
)

__all__ = [
    "ACCEPT_MS",
    "DEFAULT_QUEUE",
    "QueueRules",
    "Rule",
    "RuleSet",
    "TableTest",
    "compile_rules",
    "default_rules",
    "parse_duration_ms",
]

RULES_MAX = 1_000
TESTS_MAX = 1_000
"""Each may try every rule: a few seconds at most, in a thread."""
_TYPES = ("number", "string", "bool", "list")


def compile_rules(files: Mapping[str, str]) -> RuleSet:
    """Return the rule set of `files` (name to TOML text).  Raises `SourceErrors`, all at once."""
    size = sum(len(text) for text in files.values())
    if size > RULES_BYTES_MAX:
        problem = f"{size} characters of rules, more than {RULES_BYTES_MAX}"
        place = Place(max(files, key=lambda name: len(files[name])), 1)
        raise SourceErrors([SourceError(place, problem, "merge rules, or shorten comments")])
    documents: list[Document] = []
    errors: list[SourceError] = []
    for name, text in sorted(files.items()):
        try:
            documents.append(Document(name, text))
        except SourceError as error:
            errors.append(error)
    if errors:
        raise SourceErrors(errors)
    return _Compiler(documents).compile(_digest(files))


def _digest(files: Mapping[str, str]) -> str:
    sha = hashlib.sha256()
    for name, text in sorted(files.items()):
        for part in (name, text):
            data = part.encode(errors="surrogatepass")
            sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()


class _Compiler:
    """Gathers mistakes instead of stopping at the first."""

    def __init__(self, documents: list[Document]) -> None:
        self._documents = documents
        self._read = Reader()
        self._queues: dict[str, QueueRules] = {}
        self._rules: dict[str, Rule] = {}
        self._fallback = ""
        self._tests = 0
        self._named: set[str] = set()
        """Queues that have a table, be it right or wrong; empty where no file declares any."""

    def compile(self, digest: str) -> RuleSet:
        for document in self._documents:
            self._read.check_kinds(document)
            self._read_ruleset(document)
        scope = Scope(self._variables())
        for document in self._documents:
            self._read_queues(document)
        declared = frozenset(self._queues)
        for document in self._documents:
            self._read_rules(document, scope)
            self._read_fallback(document)
        self._settle_fallback()
        order = sorted(self._rules.values(), key=lambda rule: (-rule.priority, rule.name))
        ruleset = RuleSet(
            tuple(order),
            self._queues,
            self._fallback,
            scope,
            digest,
            declared or frozenset(self._queues),
        )
        if not self._read.mistakes:
            self._run_tests(ruleset)
        if self._read.mistakes:
            raise SourceErrors(self._read.mistakes)
        return ruleset

    def _mistake(self, document: Document, path: Path, problem: str, mend: str) -> None:
        self._read.mistake(document, path, problem, mend)

    def _read_ruleset(self, document: Document) -> None:
        table = document.data.get("ruleset", {})
        if not isinstance(table, dict):
            return
        self._read.check_keys(document, ("ruleset",), table)
        version = table.get("version", 1)
        if isinstance(version, bool) or not isinstance(version, int):
            problem = f"a version of {shown(repr(version))}"
            self._mistake(document, ("ruleset", "version"), problem, "use a whole number")

    def _variables(self) -> dict[str, VarType]:
        variables: dict[str, VarType] = {}
        for document in self._documents:
            declared = document.data.get("vars", {})
            for path, kind in _flat(declared) if isinstance(declared, dict) else ():
                name = ".".join(path)
                at = ("vars", *path)
                if kind not in _TYPES:
                    problem = f"{shown(name)}: {shown(repr(kind))} is no type"
                    self._mistake(document, at, problem, "use number, string, bool or list")
                elif name in PLAIN:
                    if kind != "string":
                        self._mistake(document, at, f"{name} is a string", 'write "string"')
                elif not _is_variable(path):
                    mend = "declare tags.NAME or attrs.NAME, with a NAME of letters, 0-9 and _"
                    self._mistake(document, at, f"no variable {shown(name)!r}", mend)
                elif variables.get(name, kind) != kind:
                    problem = f"{name} is a {variables[name]} in another file"
                    self._mistake(document, at, problem, "declare it once")
                elif name not in variables and len(variables) >= VARIABLES_MAX:
                    problem = f"more than {VARIABLES_MAX} variables"
                    self._mistake(document, at, problem, "declare what rules use")
                    return variables
                else:
                    variables[name] = kind
        return variables

    def _read_queues(self, document: Document) -> None:
        tables = document.data.get("queue", {})
        self._named |= set(tables) if isinstance(tables, dict) else set()
        for name, path, table in self._read.tables(document, "queue"):
            if name in self._queues:
                self._mistake(document, path, f"a second [queue.{name}]", "join the two")
            elif len(self._queues) >= QUEUES_MAX:
                self._mistake(document, path, f"more than {QUEUES_MAX} queues", "merge some")
                return
            self._queues[name] = QueueRules(
                name,
                self._read.accept_ms(document, (*path, "accept"), table.get("accept")),
                self._read.skills(document, (*path, "skills"), table.get("skills", [])),
                self._read.priority(document, (*path, "priority"), table.get("priority", 0)),
            )

    def _read_rules(self, document: Document, scope: Scope) -> None:
        for name, path, table in self._read.tables(document, "rule"):
            if name in self._rules:
                self._mistake(document, path, f"a second [rule.{name}]", "rename one")
            elif len(self._rules) >= RULES_MAX:
                self._mistake(document, path, f"more than {RULES_MAX} rules", "merge some")
                return
            self._rules[name] = Rule(
                name,
                self._read.priority(document, (*path, "priority"), table.get("priority", 0)),
                self._route(document, path, table),
                self._read.condition(document, (*path, "when"), table.get("when"), scope),
                self._set_priority(document, (*path, "set"), table.get("set", {})),
                self._read.skills(document, (*path, "skills"), table.get("skills", [])),
                self._read_tests(document, (*path, "test"), table.get("test", [])),
            )

    def _read_fallback(self, document: Document) -> None:
        table = document.data.get("fallback")
        if not isinstance(table, dict):
            return
        self._read.check_keys(document, ("fallback",), table)
        if self._fallback:
            self._mistake(document, ("fallback",), "a second [fallback]", "keep one")
        self._fallback = self._route(document, ("fallback",), table)

    def _settle_fallback(self) -> None:
        if self._fallback:
            return
        self._fallback = DEFAULT_QUEUE
        if self._named and DEFAULT_QUEUE not in self._named:
            mend = "add [fallback] with the route of what no rule matches"
            self._mistake(self._documents[0], (), "no [fallback]", mend)
        self._queues.setdefault(DEFAULT_QUEUE, QueueRules(DEFAULT_QUEUE))

    def _route(self, document: Document, path: Path, table: Mapping[str, Any]) -> str:
        route = table.get("route")
        where = ".".join(map(str, path))
        at = (*path, "route")
        if route is None:
            self._mistake(document, path, f"[{where}] has no route", 'add route = "a-queue"')
            return DEFAULT_QUEUE
        if not isinstance(route, str) or not QUEUE_NAME.fullmatch(route):
            problem = f"{shown(repr(route))} is no queue name"
            self._mistake(document, at, problem, "use a-z, 0-9, _ and -, at most 64")
            return DEFAULT_QUEUE
        if route in self._queues:
            return route
        if self._named:
            mend = f"{did_you_mean(route, self._queues)} (or add [queue.{route}])"
            self._mistake(document, at, f"no queue {route!r}", mend)
        elif len(self._queues) >= QUEUES_MAX:
            self._mistake(document, at, f"more than {QUEUES_MAX} queues", "merge some")
        else:
            self._queues[route] = QueueRules(route)
        return route

    def _set_priority(self, document: Document, path: Path, changes: Any) -> int | None:
        if not isinstance(changes, dict) or set(changes) - {"priority"}:
            problem = "a rule can set the priority and nothing else"
            self._mistake(document, path, problem, "write set = { priority = 80 }")
            return None
        if "priority" not in changes:
            return None
        return self._read.priority(document, path, changes["priority"])

    def _read_tests(self, document: Document, path: Path, rows: Any) -> tuple[TableTest, ...]:
        tests: list[TableTest] = []
        listed: list[Any] = rows if isinstance(rows, list) else [rows]
        for row in listed:
            if not _is_test(row):
                problem = "a test is a conversation and the queue it must go to"
                mend = '{ in = { tags = { arpu = 6200 }, channel = "web" }, queue = "vip" }'
                self._mistake(document, path, problem, f"write {mend}")
                return ()
            tests.append(TableTest(row["in"], row["queue"], path, document))
        self._tests += len(tests)
        if self._tests > TESTS_MAX:
            self._mistake(document, path, f"more than {TESTS_MAX} tests", "keep the telling ones")
            return ()
        return tuple(tests)

    def _run_tests(self, ruleset: RuleSet) -> None:
        for rule in ruleset.rules:
            for number, test in enumerate(rule.tests, start=1):
                decision = decide_values(ruleset, test.values)
                if decision.queue != test.queue:
                    who = f"rule {decision.rule!r}" if decision.rule else "the fallback"
                    problem = (
                        f"test {number} of rule {rule.name!r} expects queue"
                        f" {shown(test.queue)!r} but {who} decides {decision.queue!r}"
                    )
                    self._mistake(test.file, test.path, problem, "mend the rule or the test")


def _is_variable(path: tuple[str, ...]) -> bool:
    if len(path) != 2 or path[0] not in MAPS:
        return False
    return NAME.fullmatch(path[1]) is not None and path[1] not in KEYWORDS


def _is_test(row: Any) -> bool:
    if not isinstance(row, dict) or set(row) != {"in", "queue"}:
        return False
    values = row["in"]
    return (
        isinstance(row["queue"], str)
        and isinstance(values, dict)
        and all(
            isinstance(value, str) if name in PLAIN else name in MAPS and isinstance(value, dict)
            for name, value in values.items()
        )
    )


def _flat(table: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(table, dict):
        return [(path, table)]
    return [leaf for key, value in table.items() for leaf in _flat(value, (*path, key))]
