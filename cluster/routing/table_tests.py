"""Tests that stand beside a rule, as rows of a table.  No I/O.

    test = [
      { in = { tags = { arpu = 6200 }, channel = "web" }, queue = "vip" },
      { in = { tags = {} }, at = "2026-10-01 10:00", queue = "vip", overflow = "message" },
    ]

    expected     queue     of the first step          steps    queues of all steps
                 priority  of the first step          sla      "" for none
                 overflow  what is done when nobody takes it; "" for nothing

A rule's own tests try it as if it were active, whatever its mode; other shadows and canaries
stand aside.
"""

from collections.abc import Collection, Mapping
from typing import Any

from cluster.routing.calendars import read_time_ms
from cluster.routing.decide import decide_values
from cluster.routing.expression import MAPS, PLAIN
from cluster.routing.hours import Hours
from cluster.routing.reading import Reader
from cluster.routing.rules import Rule, RuleSet, TableTest
from cluster.state.route import Route
from cluster.toml_source import Document, Path, did_you_mean, shown

TESTS_MAX = 1_000
"""Each may try every rule: a few seconds at most, in a thread."""

_EXPECTED: dict[str, type] = {
    "queue": str,
    "steps": list,
    "priority": int,
    "sla": str,
    "overflow": str,
}
_EXAMPLE = '{ in = { tags = { arpu = 6200 }, channel = "web" }, queue = "vip" }'


class TableTests:
    """Reads and runs the tests of one rule set."""

    def __init__(
        self, read: Reader, hours: Mapping[str, Hours], variables: Collection[str]
    ) -> None:
        self._read = read
        self._variables = variables
        self._hours = hours
        self._count = 0

    def rows(self, document: Document, path: Path, rows: Any) -> tuple[TableTest, ...]:
        """Return the tests of a rule."""
        listed: list[Any] = rows if isinstance(rows, list) else [rows]
        self._count += len(listed)
        if self._count > TESTS_MAX:
            problem = f"more than {TESTS_MAX} tests"
            self._read.mistake(document, path, problem, "keep the telling ones")
            return ()
        tests: list[TableTest] = []
        for number, row in enumerate(listed):
            at = (*path, number)
            problem, mend = _problem(row)
            if not problem:
                problem, mend = self._undeclared(row["in"])
            if problem:
                self._read.mistake(document, at, problem, mend)
                continue
            time_ms = read_time_ms(self._read, document, (*at, "at"), row.get("at"), self._hours)
            expected = {key: row[key] for key in _EXPECTED if key in row}
            tests.append(TableTest(row["in"], expected, time_ms, at, document))
        return tuple(tests)

    def _undeclared(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """Return what is wrong where a test gives a tag that no rule could see."""
        for name in MAPS:
            declared = [known for known in self._variables if known.startswith(f"{name}.")]
            for key in values.get(name, {}) if declared else ():
                full = f"{name}.{key}"
                if full not in declared:
                    mend = f"{did_you_mean(full, declared)} (or declare it in [vars])"
                    return f"no variable {shown(full)!r} in a test", mend
        return "", ""

    def run(self, ruleset: RuleSet) -> None:
        """Note every test that comes out differently."""
        for rule in ruleset.rules:
            for number, test in enumerate(rule.tests, start=1):
                self._run(ruleset, rule, number, test)

    def _run(self, ruleset: RuleSet, rule: Rule, number: int, test: TableTest) -> None:
        decision = decide_values(ruleset, test.values, test.at_ms, trying=rule.name)
        decided = _outcome(decision.route)
        for key, expected in test.expected.items():
            if decided[key] == expected:
                continue
            who = f"rule {decision.rule!r}" if decision.rule else "the fallback"
            problem = (
                f"test {number} of rule {rule.name!r} expects {key}"
                f" {shown(repr(expected))} but {who} decides {shown(repr(decided[key]))}"
            )
            why = dict(decision.trace).get(rule.name, "")
            if decision.rule != rule.name and why not in ("", "false"):
                problem += f" ({rule.name}: {why})"
            self._read.mistake(test.file, test.path, problem, "mend the rule or the test")


def _outcome(route: Route) -> dict[str, Any]:
    first = route.steps[0]
    return {
        "queue": first.queue,
        "steps": [step.queue for step in route.steps],
        "priority": first.priority,
        "sla": route.sla,
        "overflow": route.overflow.do if route.overflow else "",
    }


def _problem(row: Any) -> tuple[str, str]:
    """Return what is wrong with a row, and the mend; nothing for a good one."""
    if not isinstance(row, dict) or not isinstance(row.get("in"), dict):
        problem = "a test is a conversation and the queue it must go to"
        return problem, f"write {_EXAMPLE}"
    for key in row:
        if key not in _EXPECTED and key not in ("in", "at"):
            return f"unknown key {shown(key)!r} in a test", did_you_mean(
                key, (*_EXPECTED, "in", "at")
            )
    expected = {key: row[key] for key in _EXPECTED if key in row}
    if not expected:
        return "a test expects nothing", f"write {_EXAMPLE}"
    for key, value in expected.items():
        if not isinstance(value, _EXPECTED[key]) or isinstance(value, bool):
            return f"a test that expects {key} {shown(repr(value))}", f"write {_EXAMPLE}"
    for name, value in row["in"].items():
        if name not in PLAIN and name not in MAPS:
            return f"no variable {shown(name)!r} in a test", did_you_mean(name, (*PLAIN, *MAPS))
        if not isinstance(value, str if name in PLAIN else dict):
            kind = "text" if name in PLAIN else "a table, as in { arpu = 6200 }"
            return f"{name} of a test is {kind}", f"write {_EXAMPLE}"
    return "", ""
