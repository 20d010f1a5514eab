"""The parts of a condition, with their places in its text.  No I/O.

    tags.arpu > 5000 && (channel == "web" || !has(tags.vip))
    └──────┬───────┘    └───────┬──────┘    └──────┬──────┘
           │                    └────── or ────────┘
           └──────────── and ──────────┘

CEL's grammar above sums and calls is small, and what is left of it here has no names of its own
(loops are refused), so each part is a condition or value by itself, whose text can be compiled
alone:

    Expr            = ConditionalOr ["?" ConditionalOr ":" Expr]       choice
    ConditionalOr   = ConditionalAnd {"||" ConditionalAnd}             or
    ConditionalAnd  = Relation {"&&" Relation}                         and
    Relation        = Relation RelOp Relation                          compare
    Unary           = {"!"} Member                                     not
    everything else                                                    other: names and calls

Source: cel-spec (github.com/google/cel-spec), langdef.md, "Syntax".
"""

import itertools
from typing import Literal, NamedTuple

from cluster.routing.expression import KEYWORDS
from cluster.routing.tokens import TOKEN

PARTS_MAX = 200
"""Of a condition; what is deeper or further on is not taken apart."""

Kind = Literal["choice", "or", "and", "compare", "not", "other"]

_RELATIONS = ("==", "!=", "<=", ">=", "<", ">", "in")
_PAIRS = ("&&", "||", "==", "!=", "<=", ">=")


class Part(NamedTuple):
    """A part of a condition: `source[start:end]`, and the parts it is made of."""

    kind: Kind
    start: int
    end: int
    parts: tuple["Part", ...] = ()


class _Token(NamedTuple):
    text: str
    start: int
    end: int
    depth: int
    """Brackets around it; an opening or closing one counts as outside itself."""
    word: bool


def parts_of(source: str) -> Part:
    """Return the whole of a condition that compiles, taken apart."""
    return _Parser(source).parse()


class _Parser:
    def __init__(self, source: str) -> None:
        self._tokens = list(_tokens(source))
        self._left = PARTS_MAX

    def parse(self) -> Part:
        return self._expression(0, len(self._tokens))

    def _expression(self, begin: int, end: int) -> Part:
        """Return the part that tokens `begin` to `end` are."""
        while self._is_bracketed(begin, end):
            begin, end = begin + 1, end - 1
        self._left -= 1
        if self._left <= 0:
            return self._part("other", begin, end)
        cut: tuple[tuple[Kind, list[int]], ...] = (
            ("choice", self._choice(begin, end)),
            ("or", self._at(begin, end, "||")),
            ("and", self._at(begin, end, "&&")),
            ("compare", self._relation(begin, end)),
        )
        for kind, cuts in cut:
            if cuts:
                edges = [begin - 1, *cuts, end]
                spans = [(a + 1, b) for a, b in itertools.pairwise(edges)]
                if kind == "compare":  # what a literal comes to is plain to see
                    spans = [span for span in spans if self._holds_name(*span)]
                return self._part(kind, begin, end, tuple(self._expression(*s) for s in spans))
        return self._unary(begin, end)

    def _holds_name(self, begin: int, end: int) -> bool:
        return any(token.word and token.text not in KEYWORDS for token in self._tokens[begin:end])

    def _unary(self, begin: int, end: int) -> Part:
        inner = begin
        while inner < end and self._tokens[inner].text == "!":
            inner += 1
        if (inner - begin) % 2:
            return self._part("not", begin, end, (self._expression(inner, end),))
        if inner > begin:  # CEL drops what negates twice
            return self._expression(inner, end)
        return self._part("other", begin, end, self._names(begin, end))

    def _names(self, begin: int, end: int) -> tuple[Part, ...]:
        """Return the variables in a call or a sum; none where it is nothing but one."""
        found: list[Part] = []
        at = begin
        while at < end:
            behind = self._behind_name(at, end)
            if behind > at and (at, behind) != (begin, end) and self._left > 0:
                self._left -= 1
                found.append(self._part("other", at, behind))
            at = max(at + 1, behind)
            while self._text(at, end) == ".":  # a method, or a field of what a call returns
                at += 2
        return tuple(found)

    def _behind_name(self, at: int, end: int) -> int:
        """Return where the variable that begins at `at` ends; `at` if none does."""
        if not self._tokens[at].word or self._tokens[at].text in KEYWORDS:
            return at
        if self._text(at + 1, end) == "(":
            return at
        behind = at + 1
        while self._text(behind, end) == "." and self._text(behind + 2, end) != "(":
            behind += 2
        return min(behind, end)

    def _part(self, kind: Kind, begin: int, end: int, parts: tuple[Part, ...] = ()) -> Part:
        return Part(kind, self._tokens[begin].start, self._tokens[end - 1].end, parts)

    def _text(self, at: int, end: int) -> str:
        return self._tokens[at].text if at < end else ""

    def _is_bracketed(self, begin: int, end: int) -> bool:
        """Whether one pair of round brackets holds all of it."""
        if end - begin < 3 or self._tokens[begin].text != "(" or self._tokens[end - 1].text != ")":
            return False
        depth = self._tokens[begin].depth
        return all(token.depth > depth for token in self._tokens[begin + 1 : end - 1])

    def _at(self, begin: int, end: int, *texts: str) -> list[int]:
        depth = self._tokens[begin].depth
        return [
            at
            for at in range(begin, end)
            if self._tokens[at].depth == depth and self._tokens[at].text in texts
        ]

    def _choice(self, begin: int, end: int) -> list[int]:
        """The first `?` and the `:` after it: what stands between has no choice of its own."""
        return (self._at(begin, end, "?")[:1] + self._at(begin, end, ":")[:1])[:2]

    def _relation(self, begin: int, end: int) -> list[int]:
        return self._at(begin, end, *_RELATIONS)[-1:]


def _tokens(source: str) -> "list[_Token]":
    found: list[_Token] = []
    depth = 0
    for token in TOKEN.finditer(source):
        kind = token.lastgroup
        text, start, end = token[0], token.start(), token.end()
        if kind == "comment":
            continue
        if kind == "other" and found and found[-1].end == start and found[-1].depth == depth:
            pair = found[-1].text + text
            if pair in _PAIRS:
                found[-1] = _Token(pair, found[-1].start, end, depth, False)
                continue
        depth -= kind == "close"
        found.append(_Token(text, start, end, depth, kind in ("word", "has")))
        depth += kind == "open"
    return found
