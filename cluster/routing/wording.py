"""The library's words about an expression, in ours: what is wrong, where, and how to mend it.
No I/O.

    undeclared reference to 'tagz'                          unknown variable 'tagz.arpu'
    found no matching overload for '_>_' applied to ...     '>' does not go with text and a number
    Syntax error: mismatched input '='                      one '=' is nothing; compare with ==
    Key not found in map : "arpu"                           'arpu' is missing

The library points at the dot of `a.b`, and at the bracket of `f(x)`; ours point at the name.
"""

import re
from collections.abc import Sequence

from cluster.routing.failure import ExpressionError
from cluster.routing.functions import NAMES
from cluster.toml_source import did_you_mean, shown

WHY_MAX = 200
"""Characters of the library's words that a verdict repeats."""
NAME_CHARACTERS_MAX = 200
"""How far back a name before a mistake is looked for: what is no name is no reason to look long."""

_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)?")
_LAST_NAME = re.compile(r"[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*$")
_MISSING = re.compile(r'Key not found in map : "(.*)"')
_CODE = re.compile(r" \[[A-Z_]+\]$")
_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '(.*)'")
_ELSEWHERE = {
    "agent": "agents are asked in the 'require' of a step",
    "queue": "queues are asked in the 'skip_if' of a step",
}
_KINDS = {
    "int": "a whole number",
    "double": "a number with a point",
    "string": "text",
    "bool": "true or false",
    "dyn": "a tag",
    "null": "nothing",
}


def explain(source: str, message: str, names: Sequence[str]) -> ExpressionError:
    """Return what the library's `message` means for `source`; `names` are those known."""
    if "recursion" in message:
        problem = "nested too deeply, or too long a chain of + - * / or ?:"
        return ExpressionError(source, 0, problem, "split the rule in two")
    found = _PLACE.search(message)
    if found is None:
        return ExpressionError(source, 0, shown(_CODE.sub("", message.split("\n", 1)[0])))
    lines = source.split("\n")
    offset = sum(len(line) + 1 for line in lines[: int(found[1]) - 1]) + int(found[2]) - 1
    problem = _CODE.sub("", found[3])
    if undeclared := _UNDECLARED.search(problem):
        return _undeclared(source, offset, undeclared[1], names)
    if overload := _OVERLOAD.search(problem):
        return _overload(source, offset, overload[1], overload[2])
    return _syntax(source, offset, problem)


def unknown(source: str, offset: int, name: str, names: Sequence[str]) -> ExpressionError:
    """Return the mistake of a variable that there is not."""
    head = name.split(".")[0]
    if name.lower() in ("true", "false"):
        return ExpressionError(source, offset, f"{name!r} is not known", f"write {name.lower()}")
    if re.search(r"[=<>]\s*$", source[:offset]) and "." not in name and name.isidentifier():
        mend = f'text stands in quotes: "{shown(name)}"'
        near = did_you_mean(name, names)
        mend += f"; or {near}" if near.startswith("did") else ""
        return ExpressionError(source, offset, f"unknown variable {shown(name)!r}", mend)
    if head in _ELSEWHERE and not any(known.startswith(f"{head}.") for known in names):
        problem = f"{head}.* is not known here"
        return ExpressionError(source, offset, problem, _ELSEWHERE[head])
    if any(known.startswith(f"{head}.") for known in names):
        mend = did_you_mean(name, names)
        if head in ("tags", "attrs"):
            mend += " (or declare it in [vars])"
    else:
        dotted = any("." in known for known in names)
        mend = did_you_mean(name if dotted else head, names)
    return ExpressionError(source, offset, f"unknown variable {shown(name)!r}", mend)


def why(message: str) -> str:
    """Return why an evaluation failed."""
    missing = _MISSING.search(message)
    if missing is not None:
        return f"{missing[1][:64]!r} is missing"
    return _CODE.sub("", message)[:WHY_MAX]


def _undeclared(source: str, offset: int, name: str, names: Sequence[str]) -> ExpressionError:
    start = source.rfind(name.split(".")[0], 0, offset + len(name))
    offset = start if start >= 0 else offset
    word = _DOTTED.match(source, offset)
    name = re.sub(r"\s", "", word[0]) if word else name
    if re.match(r"\s*\(", source[offset + len(name) :]):
        function = name.rpartition(".")[2]
        if function in NAMES:
            problem = f"{function}(...) does not take these"
            return ExpressionError(source, offset, problem, "see the table of conditions")
        mend = did_you_mean(function, NAMES)
        return ExpressionError(source, offset, f"unknown function {function!r}", mend)
    return unknown(source, offset, name, names)


def _overload(source: str, offset: int, function: str, applied: str) -> ExpressionError:
    kinds = [_kind(kind) for kind in _split(applied.strip("()"))]
    operator = function.strip("_").replace("@", "") or function
    problem = f"{shown(operator)!r} does not go with {' and '.join(kinds) or 'nothing'}"
    mend = ""
    if {"text", "a whole number"} <= set(kinds) or {"text", "a number with a point"} <= set(kinds):
        mend = 'what stands in quotes is text: 5 is a number, "5" is not'
    elif {"a whole number", "a number with a point"} == set(kinds):
        mend = "write both with a point, as in 4.0, or both without"
    elif "text" in kinds and any("list" in kind for kind in kinds):
        mend = 'to ask a list, write "vip" in tags.segments'
    elif "true or false" in kinds and operator in ("<", "<=", ">", ">="):
        mend = "join two comparisons with &&, as in 5 < tags.x && tags.x < 9"
    elif operator in ("&&", "||", "!"):
        mend = 'compare each side, as in tags.tier == "gold"'
    return ExpressionError(source, offset, problem, mend)


def _kind(name: str) -> str:
    if name.startswith(("list", "map")):
        return "a list" if name.startswith("list") else "a map"
    return _KINDS.get(name, shown(name))


def _split(applied: str) -> list[str]:
    """Return the kinds of "string, map(string, int)", brackets kept together."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(applied):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(applied[start:at].strip())
            start = at + 1
    return [*parts, applied[start:].strip()] if applied else []


def _syntax(source: str, offset: int, problem: str) -> ExpressionError:
    at = source[offset:]
    if not problem.startswith("Syntax error"):
        return ExpressionError(source, offset, shown(problem))
    if mend := _habit(source, offset):
        word = re.match(r"\w+|\S", at) or re.search(r"\S\s*$", source)
        problem = f"{(word[0] if word else '').strip()!r} does not fit"
        return ExpressionError(source, offset, problem, mend)
    if word := re.match(r"(and|or|not|AND|OR|NOT)\b", at):
        mend = "write && for and, || for or, ! for not"
        return ExpressionError(source, offset, f"{word[0]!r} is no word of conditions", mend)
    if at.startswith("=") and not at.startswith("=="):
        return ExpressionError(source, offset, "one '=' compares nothing", "compare with ==")
    if at[:1] in "“”‘’，（）；：" and at:
        mend = 'type it on an English keyboard: " , ( ) instead of “ ” ， （ ）'
        return ExpressionError(source, offset, f"{at[0]!r} is not understood here", mend)
    if not at.strip():
        mend = "something is missing there: a value, or a closing bracket"
        return ExpressionError(source, offset, "the condition ends too early", mend)
    mend = "look just before the mark: a missing quote, bracket or operator"
    return ExpressionError(source, offset, f"{shown(at.split()[0])!r} is not understood here", mend)


def _habit(source: str, offset: int) -> str:
    """Return the mend of what people write elsewhere; empty for what is none of it."""
    before, at = source[:offset].rstrip(), source[offset:]
    if method := re.match(r"(contains|startsWith|endsWith)\b", at):
        name = _LAST_NAME.search(before[-NAME_CHARACTERS_MAX:])
        return f'write {name[0] if name else "subject"}.{method[1]}("...")'
    if re.match(r",\d", at) and before[-1:].isdigit():
        return "write numbers without commas, as in 5000"
    if at.startswith(("=>", "=<")):
        return "write >= or <="
    if at[:1] in "\"'" and at[1:].count(at[:1]) % 2 == 0:
        return "a quote is not closed: add one after the text"
    if before.endswith(".") and at[:1].isalpha() and not at[:1].isascii():
        return f'write the name in brackets: tags["{shown(at.split()[0])}"]'
    if before.endswith("%") or at.startswith("%"):
        return "write a plain number, without %"
    return ""
