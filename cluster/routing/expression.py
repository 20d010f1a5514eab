"""Conditions in CEL: compiled once, evaluated within bounds.  No I/O.

    channel, lang, subject    strings
    tags.NAME, attrs.NAME     of the type in [vars]; without any [vars] of that map, of any type

Where [vars] declares names of a map, another name or a wrong use of its type is a compile error.
A missing key, or a value of another type, makes the condition false, and the verdict says why; a
declared number also takes a string that spells one.

    [vars]        tags.tier = "string"
    when          has(tags.tier) && tags.tier == "gold"
    checked as    true           && tags.tier == "gold"     with `tags.tier` as a string variable
    evaluated as  the source                                with `tags` as a map

An evaluation takes microseconds whatever a visitor sends: loops (`exists`, `map` ...) and
patterns (`matches`) are refused, since a list that doubles forty times or a pattern out of a tag
would hold up the leader; the rest is linear in values that are bounded where they come in.  The
library recurses on text, so its nesting is bounded before the library sees it.

Source: cel-spec (github.com/google/cel-spec), langdef.md.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from cel_expr_python import cel

from cluster.toml_source import caret_under, did_you_mean, shown

EXPRESSION_BYTES_MAX = 4096
NESTING_MAX = 24
"""Brackets inside one another; the library's own parser gives up at 32 of its levels."""
VARIABLES_MAX = 256
WHY_MAX = 200
"""Characters of the library's words that a verdict repeats."""

VarType = Literal["number", "string", "bool", "list"]
PLAIN = ("channel", "lang", "subject")
MAPS = ("tags", "attrs")
NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
"""What may stand behind `tags.`, unless it is one of `KEYWORDS`."""
KEYWORDS = frozenset({"true", "false", "null", "in"})

_LOOPS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)?")
_MISSING = re.compile(r'Key not found in map : "(.*)"')
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CODE = re.compile(r" \[[A-Z_]+\]$")
_TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]*)
    | (?P<string>
        (?:[rR][bB]?|[bB][rR]) (?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
      | [bB]? (?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
                | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ))
    | (?P<has> \bhas\s*\(\s*(?P<map>tags|attrs)\s*\.\s*(?P<key>[A-Za-z_]\w*)\s*\))
    | (?P<word> [A-Za-z_]\w*)
    | (?P<open> [(\[{])
    | (?P<close> [)\]}])
    | (?P<other> \S)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_INT64 = range(-(2**63), 2**63)


class ExpressionError(Exception):
    """The condition cannot be compiled; `offset` is that of the mistake, from 0."""

    def __init__(self, source: str, offset: int, problem: str, mend: str = "") -> None:
        self.offset = offset
        self.problem = problem
        self.mend = mend
        before = source[:offset]
        start = before.rfind("\n") + 1
        line = source[start:].split("\n", 1)[0]
        text = f"{problem}\n{caret_under(line, offset - start + 1)}"
        super().__init__(text + (f"\n    {mend}" if mend else ""))


class Verdict(NamedTuple):
    """Whether a condition holds; `why` says why it could not be told."""

    matched: bool
    why: str = ""


class Seen(NamedTuple):
    """What a part of a condition came to; `error` says why it could not be told."""

    value: Any = None
    error: str = ""


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
        plain: dict[str, Any] = dict.fromkeys(PLAIN, cel.Type.STRING)
        maps = {name: cel.Type.Map(cel.Type.STRING, cel.Type.DYN) for name in MAPS}
        checked = plain | {name: _CEL[kind]() for name, kind in variables.items()}
        checked |= {name: kind for name, kind in maps.items() if name not in self._typed}
        self._names = sorted(checked)
        self._checking = cel.NewEnv(variables=checked)
        self._running = cel.NewEnv(variables=plain | maps)

    def compile(self, source: str) -> "Condition":
        """Return the condition.  Raises `ExpressionError` with its place and the mend."""
        _check_text(source)
        try:
            kind = self._checking.compile(self._without_has(source)).return_type().name()
            expression = self._running.compile(source)
        except RuntimeError as error:
            raise self._explain(source, str(error)) from None
        if kind not in ("BOOL", "DYN"):
            problem = f"a condition says true or false, this is {kind}"
            raise ExpressionError(source, 0, problem, 'compare it, as in tags.tier == "gold"')
        return Condition(source, expression)

    def contact(self, plain: Mapping[str, str], maps: Mapping[str, Mapping[str, Any]]) -> Contact:
        """Return the values of one conversation, ready for any number of conditions.

        What CEL or the declared type does not know is left out, as if it were missing.
        """
        data: dict[str, Any] = {name: plain.get(name, "") for name in PLAIN}
        data = {name: value if _is_text(value) else "" for name, value in data.items()}
        for name in MAPS:
            data[name] = values = {}
            for key, value in maps.get(name, {}).items():
                if not _is_text(key):
                    continue
                if name not in self._typed:
                    converted = _plain(value)
                else:
                    kind = self._types.get(f"{name}.{key}")
                    converted = None if kind is None else _convert(kind, _plain(value))
                if converted is not None:
                    values[key] = converted
        return Contact(self._running.Activation(data))

    def evaluate(self, source: str, contact: Contact) -> "Seen":
        """Return what `source`, a part of a condition that was compiled, comes to; never raises."""
        try:
            value = self._running.compile(source).eval(contact.activation)
        except RuntimeError as error:
            return Seen(error=_why(str(error)))
        if value.type().name() == "ERROR":
            return Seen(error=_why(str(value.value())))
        return Seen(value.plain_value())

    def _without_has(self, source: str) -> str:
        """Return `source` for the check: has(tags.x) is true there, at the same length."""
        parts: list[str] = []
        end = 0
        for token in _TOKEN.finditer(source):
            if token.lastgroup != "has" or token["map"] not in self._typed:
                continue
            name = f"{token['map']}.{token['key']}"
            if name not in self._types:
                raise self._unknown(source, token.start("map"), name)
            blank = re.sub(r"[^\n]", " ", token[0])
            parts += [source[end : token.start()], "true", blank[4:]]
            end = token.end()
        return "".join(parts) + source[end:]

    def _explain(self, source: str, message: str) -> ExpressionError:
        if "recursion" in message:
            problem = "nested too deeply, or too long a chain of + - * / or ?:"
            return ExpressionError(source, 0, problem, "split the rule in two")
        found = _PLACE.search(message)
        if found is None:
            return ExpressionError(source, 0, shown(_CODE.sub("", message.split("\n", 1)[0])))
        lines = source.split("\n")
        offset = sum(len(line) + 1 for line in lines[: int(found[1]) - 1]) + int(found[2]) - 1
        problem = _CODE.sub("", found[3])
        undeclared = _UNDECLARED.search(problem)
        if undeclared is not None:
            return self._undeclared(source, offset, undeclared[1])
        return ExpressionError(source, offset, problem, _mend(source, offset, problem))

    def _undeclared(self, source: str, offset: int, name: str) -> ExpressionError:
        """The library points at the dot of `a.b`, and at the bracket of `f(x)`."""
        start = source.rfind(name.split(".")[0], 0, offset + len(name))
        offset = start if start >= 0 else offset
        word = _DOTTED.match(source, offset)
        name = re.sub(r"\s", "", word[0]) if word else name
        if re.match(r"\s*\(", source[offset + len(name) :]):
            function = name.rpartition(".")[2]
            mend = "there are has, size, int, double, string, startsWith, endsWith, contains"
            return ExpressionError(source, offset, f"unknown function {function!r}", mend)
        return self._unknown(source, offset, name)

    def _unknown(self, source: str, offset: int, name: str) -> ExpressionError:
        head = name.split(".")[0]
        if head in self._typed:
            mend = did_you_mean(name, self._names) + " (or declare it in [vars])"
        else:
            mend = did_you_mean(name if self._typed else head, self._names)
        return ExpressionError(source, offset, f"unknown variable {shown(name)!r}", mend)


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
        except RuntimeError as error:
            return Verdict(False, _why(str(error)))
        kind = value.type().name()
        if kind == "BOOL":
            return Verdict(bool(value.value()))
        if kind == "ERROR":
            return Verdict(False, _why(str(value.value())))
        return Verdict(False, f"the condition says {kind}, not true or false")


def tokens_of(source: str) -> Iterator[re.Match[str]]:
    """Yield the tokens of `source`; the last group of each is its kind."""
    return _TOKEN.finditer(source)


_CEL = {
    "number": lambda: cel.Type.DYN,  # CEL compares int with double only when untyped
    "string": lambda: cel.Type.STRING,
    "bool": lambda: cel.Type.BOOL,
    "list": lambda: cel.Type.List(cel.Type.STRING),
}


def _why(message: str) -> str:
    missing = _MISSING.search(message)
    if missing is not None:
        return f"{missing[1][:64]!r} is missing"
    return _CODE.sub("", message)[:WHY_MAX]


def _mend(source: str, offset: int, problem: str) -> str:
    if not problem.startswith("Syntax error"):
        return ""
    at = source[offset:]
    if re.match(r"(and|or|not)\b", at):
        return "write && for and, || for or, ! for not"
    if at.startswith("=") and not at.startswith("=="):
        return "compare with =="
    return ""


def _is_text(value: Any) -> bool:
    """Whether `value` is a string that has a UTF-8 form."""
    return isinstance(value, str) and (value.isascii() or not re.search("[\ud800-\udfff]", value))


def _plain(value: Any) -> Any:
    """Return `value` as CEL knows it, None where it does not."""
    if isinstance(value, list):
        items = [_scalar(item) for item in value]
        return None if None in items else items
    return _scalar(value)


def _scalar(value: Any) -> bool | int | float | str | None:
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        if value in _INT64:
            return value
        try:
            return float(value)
        except OverflowError:
            return None
    return value if _is_text(value) else None


def _convert(kind: VarType, value: Any) -> Any:
    """Return `value` as the declared type, None where it is of another."""
    match kind, value:
        case "bool", bool():
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return float(value)
        case "number", str() if _NUMBER.fullmatch(value):
            number = float(value)
            return number if math.isfinite(number) else None
        case "string", str():
            return value
        case "list", list() if all(isinstance(item, str) for item in value):
            return value
    return None


def _check_text(source: str) -> None:
    """Refuse text that is too long, too deep, or loops."""
    if not source.strip():
        raise ExpressionError(source, 0, "an empty condition", "leave 'when' out to match always")
    if not _is_text(source) or "\0" in source:
        raise ExpressionError("", 0, "the condition is no text", "write it in UTF-8")
    if len(source.encode()) > EXPRESSION_BYTES_MAX:
        problem = f"a condition of more than {EXPRESSION_BYTES_MAX} bytes"
        raise ExpressionError(source, 0, problem, "split the rule in two")
    depth = 0
    word: re.Match[str] | None = None
    for token in _TOKEN.finditer(source):
        kind = token.lastgroup
        if kind == "comment":
            continue
        depth += (kind == "open") - (kind == "close")
        if depth > NESTING_MAX:
            problem = f"brackets nested deeper than {NESTING_MAX}"
            raise ExpressionError(source, token.start(), problem, "split the rule in two")
        if kind == "open" and token[0] == "(" and word is not None:
            _check_call(source, word)
        word = token if kind == "word" else None


def _check_call(source: str, word: re.Match[str]) -> None:
    if word[0] in _LOOPS:
        mend = 'ask a list with "vip" in tags.segments'
        raise ExpressionError(source, word.start(), f"{word[0]}(...) is a loop", mend)
    if word[0] == "matches":
        mend = "use startsWith, endsWith, contains, or in [...]"
        raise ExpressionError(source, word.start(), "patterns are not supported", mend)
