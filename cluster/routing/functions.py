"""Functions of expressions beside CEL's own: pure, total, and bounded.  No I/O.

    lower(text), upper(text)       "Gold" -> "gold", "GOLD"
    glob(text, pattern)            whether all of it fits: * is anything, ? one character
    hour("Asia/Shanghai")          0 to 23, there and then
    weekday("Asia/Shanghai")       "mon" "tue" "wed" "thu" "fri" "sat" "sun"
    open("cn-office")              whether [hours.cn-office] is open

The last three tell the time, so they take it as their first argument when they are run: `hour(z)`
is checked as written and evaluated as `hour(clock, z)`.  Their argument is a string that stands
in the source, so that a wrong zone is a compile error.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from cluster.routing.failure import ExpressionError
from cluster.routing.hours import DAYS, Hours, is_zone, local_time, zone_mend
from cluster.routing.tokens import Token, calls, literal
from cluster.toml_source import did_you_mean, shown

CLOCK = "clock"
"""Variable of the evaluation that holds the time, in milliseconds; no condition can name it."""
TIMED = frozenset({"hour", "weekday", "open"})
GLOB_PATTERN_MAX = 128
GLOB_TEXT_MAX = 1_024
"""Characters; what is longer fits no pattern."""
NAMES = frozenset(
    (
        *("has", "size", "int", "double", "string", "startsWith", "endsWith", "contains"),
        *("lower", "upper", "glob", "hour", "weekday", "open"),
    )
)
"""All that conditions may call."""

_TEXT, _INT, _BOOL = cel.Type.STRING, cel.Type.INT, cel.Type.BOOL


def declared() -> list[Any]:
    """Return the functions as conditions are checked with them."""
    return [
        *_pure(),
        _function("hour", _INT, [_TEXT]),
        _function("weekday", _TEXT, [_TEXT]),
        _function("open", _BOOL, [_TEXT]),
    ]


def running(hours: Mapping[str, Hours]) -> list[Any]:
    """Return the functions as conditions are evaluated with them."""

    def is_open(now_ms: int, name: str) -> bool:
        return hours[name].is_open(now_ms)

    return [
        *_pure(),
        _function("hour", _INT, [_INT, _TEXT], lambda ms, zone: local_time(ms, zone).hour),
        _function(
            "weekday", _TEXT, [_INT, _TEXT], lambda ms, zone: DAYS[local_time(ms, zone).weekday()]
        ),
        _function("open", _BOOL, [_INT, _TEXT], is_open),
    ]


def with_clock(source: str, hours: Mapping[str, Hours]) -> str:
    """Return `source` with the time as an argument.  Raises `ExpressionError` for a bad name."""
    parts: list[str] = []
    end = 0
    for name, after in calls(source):
        if name[0] not in TIMED:
            continue
        _check_argument(source, name, after, hours)
        parts += [source[end : after[0].start()], f"{CLOCK}, "]
        end = after[0].start()
    return "".join(parts) + source[end:]


def tells_time(source: str) -> int | None:
    """Return where `source` first asks for the time; None where it does not."""
    return next((name.start() for name, _ in calls(source) if name[0] in TIMED), None)


def glob(text: str, pattern: str) -> bool:
    """Whether all of `text` fits `pattern`; takes time in proportion to their product at most."""
    if len(text) > GLOB_TEXT_MAX or len(pattern) > GLOB_PATTERN_MAX:
        return False
    (head, head_size), *rest = _pieces(pattern)
    if head.match(text) is None:
        return False
    if not rest:
        return head_size == len(text)
    at = head_size
    for piece, size in rest[:-1]:  # the leftmost of each leaves most for the next
        found = piece.search(text, at) if size else None
        if size and found is None:
            return False
        at = found.end() if found else at
    last, size = rest[-1]
    start = len(text) - size
    return start >= at and last.match(text, start) is not None


@lru_cache(maxsize=256)
def _pieces(pattern: str) -> tuple[tuple[re.Pattern[str], int], ...]:
    """Return what stands between the stars, each of a fixed length."""
    return tuple(
        (
            re.compile("".join("." if c == "?" else re.escape(c) for c in piece), re.DOTALL),
            len(piece),
        )
        for piece in pattern.split("*")
    )


def _check_argument(
    source: str, name: Token, after: list[Token], hours: Mapping[str, Hours]
) -> None:
    """Raise `ExpressionError` unless the one argument is a name that is known."""
    word = name[0]
    example = 'open("cn-office")' if word == "open" else f'{word}("Asia/Shanghai")'
    given = literal(after[0]) if len(after) > 1 and after[1][0] == ")" else None
    if given is None:
        problem = f"{word}(...) takes one name in quotes"
        raise ExpressionError(source, name.start(), problem, f"write {example}")
    place = after[0].start()
    if word == "open":
        if given not in hours:
            mend = did_you_mean(given, hours) if hours else f"add [hours.{shown(given)}]"
            raise ExpressionError(source, place, f"no [hours.{shown(given)}]", mend)
    elif not is_zone(given):
        raise ExpressionError(source, place, f"no time zone {shown(given)!r}", zone_mend(given))


def _pure() -> list[Any]:
    return [
        _function("lower", _TEXT, [_TEXT], str.lower),
        _function("upper", _TEXT, [_TEXT], str.upper),
        _function("glob", _BOOL, [_TEXT, _TEXT], glob),
    ]


def _function(
    name: str, result: Any, parameters: list[Any], do: Callable[..., Any] | None = None
) -> Any:
    overload = cel.Overload(f"unidesk_{name}", result, parameters, False, do)
    return cel.FunctionDecl(name, [overload])
