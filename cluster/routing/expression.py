"""Conditions in CEL: compiled once, evaluated within bounds.  No I/O.

    channel, lang, subject    strings
    tags.NAME, attrs.NAME     of the type in [vars]; without any [vars] of that map, of any type
    agent.*                   beside them in a requirement of a step (`AGENT`)
    queue.*                   beside them in the `skip_if` of a step (`QUEUE`)

Where [vars] declares names of a map, another name or a wrong use of its type is a compile error.
A missing key, or a value of another type, makes the condition false, and the verdict says why; a
declared number also takes a string that spells one.

    [vars]        tags.tier = "string"
    when          has(tags.tier) && tags.tier == "gold" && hour("UTC") < 12
    checked as    true           && tags.tier == "gold" && hour("UTC") < 12
                                                     with `tags.tier` as a string variable
    evaluated as  the source, hour(clock, "UTC")     with `tags` as a map

An evaluation takes microseconds whatever a visitor sends: loops (`exists`, `map` ...) and
patterns (`matches`) are refused, since a list that doubles forty times or a pattern out of a tag
would hold up the leader; the rest is linear in values that are bounded where they come in.

Source: cel-spec (github.com/google/cel-spec), langdef.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cel_expr_python import cel

from cluster.routing import functions, wording
from cluster.routing.failure import ExpressionError
from cluster.routing.hours import Hours
from cluster.routing.numbers import check_numbers
from cluster.routing.tokens import (
    EXPRESSION_BYTES_MAX,
    KEYWORDS,
    NESTING_MAX,
    TOKEN,
    check_text,
    is_text,
)
from cluster.routing.values import VarType, convert, plain
from cluster.routing.wording import WHY_MAX

__all__ = [
    "EXPRESSION_BYTES_MAX",
    "KEYWORDS",
    "NESTING_MAX",
    "WHY_MAX",
    "Condition",
    "Contact",
    "ExpressionError",
    "Scope",
    "Seen",
    "VarType",
    "Verdict",
]

VARIABLES_MAX = 256
CLOCK_MAX = 2**62

PLAIN = ("channel", "lang", "subject")
MAPS = ("tags", "attrs")
NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
"""What may stand behind `tags.`, unless it is one of `KEYWORDS`."""

AGENT: Mapping[str, Any] = {
    "agent.skill": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
    "agent.langs": cel.Type.List(cel.Type.STRING),
    "agent.id": cel.Type.STRING,
    "agent.name": cel.Type.STRING,
}
QUEUE: Mapping[str, Any] = dict.fromkeys(
    ("queue.available", "queue.waiting", "queue.longest_wait_s"), cel.Type.INT
)


class Verdict(NamedTuple):
    """Whether a condition holds; `why` says why it could not be told."""

    matched: bool
    why: str = ""


class Seen(NamedTuple):
    """What a part of a condition came to; `error` says why it could not be told."""

    value: Any = None
    error: str = ""


HOLDS, HOLDS_NOT = Verdict(True), Verdict(False)


class Contact:
    """What conditions look at, converted once for all rules of a decision."""

    __slots__ = ("activation", "values")

    def __init__(self, activation: Any, values: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.activation = activation
        self.values = values
        """The same as plain values: `channel` ..., and the maps `tags`, `attrs`."""


class Scope:
    """The names that conditions may use, and how their values are made."""

    def __init__(
        self,
        variables: Mapping[str, VarType],
        hours: Mapping[str, Hours] = MappingProxyType({}),
        beside: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Take the [vars], what `open` may ask for, and names beside the contact's."""
        assert len(variables) <= VARIABLES_MAX
        self._types = dict(variables)
        self._numbers = frozenset(name for name, kind in variables.items() if kind == "number")
        self._hours = hours
        self._typed = {name for name in MAPS if any(v.startswith(f"{name}.") for v in variables)}
        texts: dict[str, Any] = dict.fromkeys(PLAIN, cel.Type.STRING) | dict(beside)
        maps = {name: cel.Type.Map(cel.Type.STRING, cel.Type.DYN) for name in MAPS}
        checked = texts | {name: _CEL[kind]() for name, kind in variables.items()}
        checked |= {name: kind for name, kind in maps.items() if name not in self._typed}
        self._names = sorted(checked)
        self._checking = cel.NewEnv(variables=checked, functions=functions.declared())
        self._running = cel.NewEnv(
            variables=texts | maps | {functions.CLOCK: cel.Type.INT},
            functions=functions.running(hours),
        )

    def beside(self, names: Mapping[str, Any]) -> "Scope":
        """Return the same scope with `AGENT` or `QUEUE` beside the contact."""
        return Scope(self._types, self._hours, names)

    def compile(self, source: str) -> "Condition":
        """Return the condition.  Raises `ExpressionError` with its place and the mend."""
        check_text(source)
        check_numbers(source, self._numbers)
        timed = functions.with_clock(source, self._hours)
        try:
            kind = self._checking.compile(self._without_has(source)).return_type().name()
            expression = self._running.compile(timed)
        except RuntimeError as error:
            raise wording.explain(source, str(error), self._names) from None
        if kind not in ("BOOL", "DYN"):
            problem = f"a condition says true or false, this is {kind}"
            raise ExpressionError(source, 0, problem, 'compare it, as in tags.tier == "gold"')
        return Condition(source, expression)

    def contact(
        self,
        plain_values: Mapping[str, str],
        maps: Mapping[str, Mapping[str, Any]],
        now_ms: int = 0,
        beside: Mapping[str, Any] = MappingProxyType({}),
    ) -> Contact:
        """Return the values of one conversation, ready for any number of conditions.

        What CEL or the declared type does not know is left out, as if it were missing.
        """
        data: dict[str, Any] = {name: plain_values.get(name, "") for name in PLAIN}
        data = {name: value if is_text(value) else "" for name, value in data.items()}
        for name in MAPS:
            data[name] = self._values(name, maps.get(name, {}))
        clock = {functions.CLOCK: min(max(now_ms, 0), CLOCK_MAX)}
        return Contact(self._running.Activation({**data, **clock, **beside}), data)

    def evaluate(self, source: str, contact: Contact) -> Seen:
        """Return what `source`, a part of a condition that compiled, comes to; never raises."""
        try:
            expression = self._running.compile(functions.with_clock(source, self._hours))
            value = expression.eval(contact.activation)
        except RuntimeError as error:
            return Seen(error=wording.why(str(error)))
        if value.type().name() == "ERROR":
            return Seen(error=wording.why(str(value.value())))
        return Seen(value.plain_value())

    def _values(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in given.items():
            if not is_text(key):
                continue
            if name not in self._typed:
                converted = plain(value)
            else:
                kind = self._types.get(f"{name}.{key}")
                converted = None if kind is None else convert(kind, plain(value))
            if converted is not None:
                values[key] = converted
        return values

    def _without_has(self, source: str) -> str:
        """Return `source` for the check: has(tags.x) is true there, at the same length."""
        parts: list[str] = []
        end = 0
        for token in TOKEN.finditer(source):
            if token.lastgroup != "has" or token["map"] not in self._typed:
                continue
            name = f"{token['map']}.{token['key']}"
            if name not in self._types:
                raise wording.unknown(source, token.start("map"), name, self._names)
            blank = re.sub(r"[^\n]", " ", token[0])
            parts += [source[end : token.start()], "true", blank[4:]]
            end = token.end()
        return "".join(parts) + source[end:]


class Condition:
    """One compiled condition."""

    __slots__ = ("evaluate", "source")

    def __init__(self, source: str, expression: Any) -> None:
        self.source = source
        self.evaluate: Callable[[Any], Any] = expression.eval

    def holds(self, contact: Contact) -> Verdict:
        """Say whether the condition holds; never raises."""
        return next(verdicts((self,), contact))


def verdicts(conditions: Iterable[Condition | None], contact: Contact) -> Iterator[Verdict]:
    """Yield whether each condition holds; None always does.  Never raises.

    Most do not, and a decision asks hundreds: so this is one loop, without a call for each.
    """
    activation = contact.activation
    for condition in conditions:
        if condition is None:
            yield HOLDS
            continue
        try:
            result = condition.evaluate(activation)
            value = result.value()
        except RuntimeError as error:
            yield Verdict(False, wording.why(str(error)))
            continue
        if value is False:
            yield HOLDS_NOT
        elif value is True:
            yield HOLDS
        elif (kind := result.type().name()) == "ERROR":
            yield Verdict(False, wording.why(str(value)))
        else:
            yield Verdict(False, f"the condition says {kind}, not true or false")


_CEL = {
    "number": lambda: cel.Type.DYN,  # CEL compares int with double only when untyped
    "string": lambda: cel.Type.STRING,
    "bool": lambda: cel.Type.BOOL,
    "list": lambda: cel.Type.List(cel.Type.STRING),
}
