"""Conditions in CEL: compiled once, evaluated within bounds.  No I/O.

    channel, lang, subject    strings
    tags.NAME, attrs.NAME     of the type in [vars]; without any [vars] of that map, of any type

Where [vars] declares names of a map, a name that it does not declare is a compile error.  A
missing key, or a value of another type, makes the condition false, and the trace says why; a
declared number also takes a string that spells one.

The library reads text of any size and depth, so both are bounded before it sees them; it has
no loops over what a visitor can make long, since tags and attributes are flat and bounded.

Source: cel-spec (github.com/google/cel-spec), langdef.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cel_expr_python import cel

from cluster.toml_source import did_you_mean

EXPRESSION_BYTES_MAX = 4096
NESTING_MAX = 50
VARIABLES_MAX = 256

VarType = Literal["number", "string", "bool", "list"]
PLAIN = ("channel", "lang", "subject")
MAPS = ("tags", "attrs")

_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')


class ExpressionError(Exception):
    """The condition cannot be compiled; `column` counts from 1."""

    def __init__(self, source: str, column: int, problem: str, mend: str = "") -> None:
        self.column = column
        shown = source.replace("\n", " ")
        caret = " " * (column - 1) + "^"
        text = f"{problem}\n    {shown}\n    {caret}"
        super().__init__(text + (f"\n    {mend}" if mend else ""))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a condition holds; `why` says why it could not be told."""

    matched: bool
    why: str = ""


class Contact:
    """What conditions look at, converted once for all rules of a decision."""

    __slots__ = ("activation",)

    def __init__(self, activation: Any) -> None:
        self.activation = activation


class Scope:
    """The names that conditions may use, and how their values are made."""

    def __init__(self, variables: Mapping[str, VarType]) -> None:
        assert len(variables) <= VARIABLES_MAX
        self._types = dict(variables)
        self._typed = {name for name in MAPS if any(v.startswith(f"{name}.") for v in variables)}
        declared: dict[str, Any] = dict.fromkeys(PLAIN, cel.Type.STRING)
        declared |= {name: _CEL[kind]() for name, kind in variables.items()}
        for name in MAPS:
            if name not in self._typed:
                declared[name] = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
        self._names = sorted(declared)
        self._env = cel.NewEnv(variables=declared)

    def compile(self, source: str) -> "Condition":
        """Return the condition.  Raises `ExpressionError` with its column and the mend."""
        _check_bounds(source)
        try:
            expression = self._env.compile(source)
        except RuntimeError as error:
            raise self._explain(source, str(error)) from None
        kind = expression.return_type().name()
        if kind not in ("BOOL", "DYN"):
            raise ExpressionError(source, 1, f"a condition says true or false, this is {kind}")
        return Condition(source, expression)

    def contact(self, plain: Mapping[str, str], maps: Mapping[str, Mapping[str, Any]]) -> Contact:
        """Return the values of one conversation, ready for any number of conditions."""
        data: dict[str, Any] = dict(plain)
        for name in MAPS:
            values = maps.get(name, {})
            if name not in self._typed:
                data[name] = dict(values)
                continue
            for key, value in values.items():
                kind = self._types.get(f"{name}.{key}")
                converted = None if kind is None else _convert(kind, value)
                if converted is not None:
                    data[f"{name}.{key}"] = converted
        return Contact(self._env.Activation(data))

    def _explain(self, source: str, message: str) -> ExpressionError:
        found = _PLACE.search(message)
        if found is None:
            return ExpressionError(source, 1, message.splitlines()[0])
        column = sum(len(line) + 1 for line in source.splitlines()[: int(found[1]) - 1])
        column += int(found[2])
        undeclared = _UNDECLARED.search(found[3])
        if undeclared is None:
            return ExpressionError(source, column, found[3].removesuffix(" [INVALID_ARGUMENT]"))
        word = _NAME.match(source[column - 1 :])
        name = word[0] if word else undeclared[1]
        return ExpressionError(
            source, column, f"unknown variable {name!r}", did_you_mean(name, self._names)
        )


class Condition:
    """One compiled condition."""

    __slots__ = ("_expression", "source")

    def __init__(self, source: str, expression: Any) -> None:
        self.source = source
        self._expression = expression

    def holds(self, contact: Contact) -> Verdict:
        """Say whether the condition holds; never raises."""
        try:
            value = self._expression.eval(contact.activation)
            kind, plain = value.type().name(), value.value()
        except RuntimeError as error:
            return Verdict(False, str(error)[:200])
        if kind == "BOOL":
            return Verdict(bool(plain))
        if kind == "ERROR":
            return Verdict(False, str(plain)[:200])
        return Verdict(False, f"the condition says {kind}, not true or false")


_CEL = {
    "number": lambda: cel.Type.DYN,  # CEL compares int with double only when untyped
    "string": lambda: cel.Type.STRING,
    "bool": lambda: cel.Type.BOOL,
    "list": lambda: cel.Type.List(cel.Type.STRING),
}


def _convert(kind: VarType, value: Any) -> Any:
    """Return `value` as the declared type, None where it is of another."""
    match kind, value:
        case "bool", bool():
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return float(value)
        case "number", str():
            try:
                return float(value)
            except ValueError:
                return None
        case "string", str():
            return value
        case "list", list() if all(isinstance(item, str) for item in value):
            return value
    return None


def _check_bounds(source: str) -> None:
    if not source.strip():
        raise ExpressionError(source, 1, "an empty condition", "leave 'when' out to match always")
    if len(source.encode()) > EXPRESSION_BYTES_MAX:
        problem = f"a condition of more than {EXPRESSION_BYTES_MAX} bytes"
        raise ExpressionError(source[:60], 1, problem, "split the rule")
    depth = 0
    for char in _STRING.sub("", source):
        depth += (char in "([{") - (char in ")]}")
        if depth > NESTING_MAX:
            raise ExpressionError(source[:60], 1, f"nested deeper than {NESTING_MAX}")
