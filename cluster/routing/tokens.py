"""The text of an expression, looked at before the library sees it.  No I/O.

    comment   // to the end of the line
    string    "x"  'x'  with the prefixes r and b, and in three quotes
    has       has(tags.x), whole
    word      a name, a function, true
    open close other

The library's parser recurses, so its nesting is bounded here; loops and patterns, which would let
a visitor's text hold up the leader, are refused by name.

Source: cel-spec (github.com/google/cel-spec), langdef.md, "Syntax".
"""

import re
from collections.abc import Iterator

from cluster.routing.failure import ExpressionError

EXPRESSION_BYTES_MAX = 4096
NESTING_MAX = 24
"""Brackets inside one another; the library's own parser gives up at 32 of its levels."""

TOKEN = re.compile(
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
Token = re.Match[str]
KEYWORDS = frozenset({"true", "false", "null", "in"})

_LOOPS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_SIMPLE = re.compile(r"""(["'])([^"'\\\n]*)\1""")
_OPERANDS = ("word", "close", "string", "has")


def tokens(source: str) -> list[Token]:
    """Return the tokens of `source` without its comments."""
    return [token for token in TOKEN.finditer(source) if token.lastgroup != "comment"]


def literal(token: Token) -> str | None:
    """Return the text of a plain string token; None for all else."""
    simple = _SIMPLE.fullmatch(token[0])
    return simple[2] if simple and token.lastgroup == "string" else None


def check_text(source: str) -> None:
    """Raise `ExpressionError` for text that is too long, too deep, or loops."""
    if not source.strip():
        raise ExpressionError(source, 0, "an empty condition", "leave 'when' out to match always")
    if not is_text(source) or "\0" in source:
        raise ExpressionError("", 0, "the condition is no text", "write it in UTF-8")
    if len(source.encode()) > EXPRESSION_BYTES_MAX:
        problem = f"a condition of more than {EXPRESSION_BYTES_MAX} bytes"
        raise ExpressionError(source, 0, problem, "split the rule in two")
    depth = 0
    word: Token | None = None
    for token in tokens(source):
        kind = token.lastgroup
        depth += (kind == "open") - (kind == "close")
        if depth > NESTING_MAX:
            problem = f"brackets nested deeper than {NESTING_MAX}"
            raise ExpressionError(source, token.start(), problem, "split the rule in two")
        if token[0] == "(" and word is not None:
            _check_call(source, word)
        word = token if kind == "word" else None


def calls(source: str) -> Iterator[tuple[Token, list[Token]]]:
    """Yield the name of every function called, with what follows its opening bracket."""
    found = tokens(source)
    for number, token in enumerate(found[:-1]):
        if token.lastgroup == "word" and found[number + 1][0] == "(":
            yield token, found[number + 2 :]


def mentions(source: str) -> frozenset[tuple[str, ...]]:
    """Return what `source` names, as paths; a path that ends early stands for all below it.

    agent.skill.refund >= 4 && lang in agent.langs    agent.skill.refund, lang, agent.langs
    agent.skill["退款"] > 0                            agent.skill.退款
    agent.skill[tags.product] > 0                     agent.skill, tags.product
    """
    found = tokens(source)
    paths: set[tuple[str, ...]] = set()
    for number, token in enumerate(found):
        if token.lastgroup == "has":
            paths.add((token["map"], token["key"]))
        elif token[0] in KEYWORDS or token.lastgroup != "word":
            continue
        elif not _is_field(found, number):
            path = _path(found, number)
            if path:
                paths.add(path)
    return frozenset(paths)


def _is_field(found: list[Token], number: int) -> bool:
    """Whether the word stands behind a dot that stands behind something."""
    if number == 0 or found[number - 1][0] != ".":
        return False
    return number > 1 and (found[number - 2].lastgroup in _OPERANDS or found[number - 2][0] == "`")


def _path(found: list[Token], number: int) -> tuple[str, ...]:
    """Return the path that begins with the word `number`; none for a function's name."""
    path = [found[number][0]]
    at = number + 1
    while at < len(found):
        ahead = found[at : at + 3]
        if ahead[0][0] == "." and len(ahead) > 1 and ahead[1].lastgroup == "word":
            path.append(ahead[1][0])
            at += 2
        elif ahead[0][0] == "[" and len(ahead) > 2 and ahead[2][0] == "]":
            name = literal(ahead[1])
            if name is None:
                break
            path.append(name)
            at += 3
        else:
            break
    if at < len(found) and found[at][0] == "(":
        path.pop()  # a function, or a method of what stands before it
    return tuple(path)


def _check_call(source: str, word: Token) -> None:
    if word[0] in _LOOPS:
        mend = 'ask a list with "vip" in tags.segments'
        raise ExpressionError(source, word.start(), f"{word[0]}(...) is a loop", mend)
    if word[0] == "matches":
        mend = "use startsWith, endsWith, contains, glob, or in [...]"
        raise ExpressionError(source, word.start(), "patterns are not supported", mend)


def is_text(value: object) -> bool:
    """Whether `value` is a string that has a UTF-8 form."""
    return isinstance(value, str) and (value.isascii() or not re.search("[\ud800-\udfff]", value))
