"""Declared numbers that are compared with text, which would never hold.  No I/O.

    [vars]   tags.arpu = "number"
    when     tags.arpu > "5000"         a mistake: what stands in quotes is text

The library cannot tell: a number is declared to it as a value of any type, since it compares
whole numbers with others only so.
"""

from collections.abc import Collection

from cluster.routing.failure import ExpressionError
from cluster.routing.tokens import Token, tokens

_OPERATORS = frozenset("<>=!")


def check_numbers(source: str, numbers: Collection[str]) -> None:
    """Raise `ExpressionError` where one of `numbers` stands beside an operator and a text."""
    found = tokens(source)
    for at, token in enumerate(found):
        if token.lastgroup != "string":
            continue
        name = _before(found, at) or _after(found, at)
        if name in numbers:
            problem = f"{name} is a number, and {token[0]} is text"
            bare = token[0].strip("\"'")
            mend = f"write {bare} without quotes" if bare.isdigit() else "compare it with a number"
            raise ExpressionError(source, token.start(), problem, mend)


def _before(found: list[Token], at: int) -> str:
    """Return the name in `tags.arpu > TEXT`."""
    left = at
    while left > 0 and found[left - 1][0] in _OPERATORS:
        left -= 1
    return "".join(token[0] for token in found[max(left - 3, 0) : left]) if left < at else ""


def _after(found: list[Token], at: int) -> str:
    """Return the name in `TEXT < tags.arpu`."""
    right = at + 1
    while right < len(found) and found[right][0] in _OPERATORS:
        right += 1
    return "".join(token[0] for token in found[right : right + 3]) if right > at + 1 else ""
