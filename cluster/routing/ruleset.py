"""Rule files to a rule set that is ready to decide.  No I/O.

    table            read by              keys
    [ruleset]        here                 tenant, version, description
    [vars]           variables            tags.NAME, attrs.NAME
    [hours.NAME]     calendars            tz, week, holidays, extra
    [sla.NAME]       levels               first_response, next_response, resolution, warn
    [channel.NAME]   levels               weight
    [queue.NAME]     queue_tables         how it offers, hours, closed, overflow
    [rule.NAME]      here, steps          when, route or steps, set, overflow, mode, test
    [fallback]       steps                route or steps

The files of a folder are one rule set.  Every mistake is found before anything changes, and
named with file, line and mend; the table tests beside the rules are part of that.  What is no
mistake and yet hardly meant is a warning of the rule set (`checks`).

    no [fallback]    what no rule matches goes to `general`, which must be there
"""

import hashlib
import re
from collections.abc import Generator, Mapping
from typing import Any

from cluster.routing.calendars import read_hours
from cluster.routing.checks import warnings_of
from cluster.routing.expression import Scope
from cluster.routing.levels import read_levels, read_weights
from cluster.routing.overflows import read_overflow
from cluster.routing.queue_tables import read_queues
from cluster.routing.queues import Queues
from cluster.routing.reading import Reader, parse_duration_ms
from cluster.routing.rules import (
    ACCEPT_MS,
    DEFAULT_QUEUE,
    Mode,
    QueueRules,
    Rule,
    RuleSet,
    StepRules,
    TableTest,
    default_rules,
)
from cluster.routing.steps import Steps
from cluster.routing.table_tests import TESTS_MAX, TableTests
from cluster.routing.variables import read_variables
from cluster.state.limits import NAME_BYTES_MAX, RULES_BYTES_MAX
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
    "TESTS_MAX",
    "QueueRules",
    "Rule",
    "RuleSet",
    "TableTest",
    "compile_rules",
    "default_rules",
    "parse_duration_ms",
]

RULES_MAX = 1_000
RULE_CHARACTERS = 200
"""What a rule counts beside its text."""
_CANARY = re.compile(r"canary:([0-9]{1,2})", re.ASCII)


def compile_rules(files: Mapping[str, str]) -> RuleSet:
    """Return the rule set of `files` (name to TOML text).  Raises `SourceErrors`, all at once."""
    steps = compile_in_steps(files)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            ruleset: RuleSet = done.value
            return ruleset


def compile_in_steps(
    files: Mapping[str, str], *, tested: bool = True
) -> Generator[int, None, RuleSet]:
    """Compile as `compile_rules` does, one rule a step; yield how many characters it took.

    Not `tested`, table tests are read and not run: whoever applied the rules ran them.
    """
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
    yield size
    return (yield from _Compiler(documents).compile(_digest(files), tested=tested))


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
        self._read = read = Reader()
        for document in documents:
            read.check_kinds(document)
        self._tenant, self._version = self._ruleset()
        variables = read_variables(read, documents)
        self._hours = read_hours(read, documents)
        self._levels = read_levels(read, documents)
        self._weights = read_weights(read, documents)
        self._queues = Queues(read, documents)
        read_queues(read, self._queues, documents, self._hours)
        self._scope = Scope(variables, self._hours)
        self._steps = Steps(read, self._queues, self._scope)
        self._tests = TableTests(read, self._hours, variables)

    def compile(self, digest: str, *, tested: bool) -> Generator[int, None, RuleSet]:
        declared = frozenset(self._queues.rules)
        rules = yield from self._rules()
        fallback = self._fallback()
        queues = self._queues.rules
        ruleset = RuleSet(
            tuple(sorted(rules, key=lambda rule: (-rule.priority, rule.name))),
            queues,
            fallback,
            self._scope,
            digest,
            declared if self._queues.named else frozenset(queues),
            self._levels,
            self._weights,
            self._hours,
            self._tenant,
            self._version,
        )
        if tested and not self._read.mistakes:
            self._tests.run(ruleset)
        if self._read.mistakes:
            raise SourceErrors(self._read.mistakes)
        return warnings_of(ruleset, self._queues.used)

    def _ruleset(self) -> tuple[str, int]:
        read, tenant, version = self._read, "", 1
        for document in self._documents:
            table = document.data.get("ruleset", {})
            if not isinstance(table, dict):
                continue
            read.check_keys(document, ("ruleset",), table)
            if "version" in table:
                at, least = ("ruleset", "version"), (0, 2**53 - 1)
                mend = "use a whole number"
                version = read.whole(document, at, table["version"], "a version", least, mend)
            tenant = table.get("tenant", tenant)
            if not isinstance(tenant, str) or len(tenant.encode()) > NAME_BYTES_MAX:
                problem = f"a tenant of {shown(repr(tenant))}"
                read.mistake(document, ("ruleset", "tenant"), problem, 'write tenant = "acme"')
                tenant = ""
        return tenant, version

    def _rules(self) -> Generator[int, None, list[Rule]]:
        rules: dict[str, Rule] = {}
        for document, name, path, table in self._read.every(
            self._documents, "rule", most=RULES_MAX
        ):
            rules[name] = self._rule(document, path, table)
            yield RULE_CHARACTERS + len(str(table))
        return list(rules.values())

    def _rule(self, document: Document, path: Path, table: Mapping[str, Any]) -> Rule:
        read = self._read
        changes = self._changes(document, (*path, "set"), table.get("set", {}))
        mode, percent = self._mode(document, (*path, "mode"), table.get("mode", "active"))
        at = (*path, "overflow")
        return Rule(
            str(path[1]),
            read.priority(document, (*path, "priority"), table.get("priority", 0)),
            self._steps.way(document, path, table),
            read.condition(document, (*path, "when"), table.get("when"), self._scope),
            changes.get("priority"),
            changes.get("sla", ""),
            read.skills(document, (*path, "skills"), table.get("skills", [])),
            read_overflow(read, self._queues, document, at, table.get("overflow"), at_once=False),
            mode,
            percent,
            self._tests.rows(document, (*path, "test"), table.get("test", [])),
            document.place(path),
        )

    def _changes(self, document: Document, path: Path, changes: Any) -> dict[str, Any]:
        """Return what a rule's `set` sets."""
        if not isinstance(changes, dict):
            problem = "a rule sets a priority or an sla"
            mend = 'write set = { priority = 80, sla = "gold" }'
            self._read.mistake(document, path, problem, mend)
            return {}
        self._read.check_keys(document, path, changes, ("priority", "sla"))
        known: dict[str, Any] = {}
        if "priority" in changes:
            at = (*path, "priority")
            known["priority"] = self._read.priority(document, at, changes["priority"])
        if "sla" in changes:
            name = changes["sla"]
            if not isinstance(name, str) or name not in self._levels:
                levels, text = self._levels, shown(str(name))
                mend = did_you_mean(text, levels) if levels else f"add [sla.{text}]"
                self._read.mistake(document, (*path, "sla"), f"no [sla.{text}]", mend)
            else:
                known["sla"] = name
        return known

    def _mode(self, document: Document, path: Path, value: Any) -> tuple[Mode, int]:
        if value == "active" or value == "shadow":
            return value, 100
        found = _CANARY.fullmatch(value) if isinstance(value, str) else None
        if found is None or not int(found[1]):
            problem = f"{shown(repr(value))} is no mode"
            mend = 'write "active", "shadow" or "canary:10", from 1 to 99 of a hundred'
            self._read.mistake(document, path, problem, mend)
            return "active", 100
        return "canary", int(found[1])

    def _fallback(self) -> tuple[StepRules, ...]:
        fallback: tuple[StepRules, ...] = ()
        for document in self._documents:
            table = document.data.get("fallback")
            if not isinstance(table, dict):
                continue
            self._read.check_keys(document, ("fallback",), table)
            if fallback:
                self._read.mistake(document, ("fallback",), "a second [fallback]", "keep one")
            fallback = self._steps.way(document, ("fallback",), table)
        if fallback:
            return fallback
        if self._queues.named and DEFAULT_QUEUE not in self._queues.named:
            mend = "add [fallback] with the route of what no rule matches"
            self._read.mistake(self._documents[0], (), "no [fallback]", mend)
        self._queues.rules.setdefault(DEFAULT_QUEUE, QueueRules(DEFAULT_QUEUE))
        self._queues.used.add(DEFAULT_QUEUE)
        return (StepRules(DEFAULT_QUEUE),)
