"""What a visitor or a program sent, as values that expressions know.  No I/O.

[vars] says   taken                                            else
"number"      numbers, and text that spells one: "6200"        counts as missing
"string"      text                                             counts as missing
"bool"        true, false                                      counts as missing
"list"        lists of text                                    counts as missing
nothing       scalars and lists of scalars, as they are        counts as missing
"""

import math
import re
from typing import Any, Literal

from cluster.routing.tokens import is_text

VarType = Literal["number", "string", "bool", "list"]
VAR_TYPES: tuple[VarType, ...] = ("number", "string", "bool", "list")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INT64 = range(-(2**63), 2**63)


def plain(value: Any) -> Any:
    """Return `value` as CEL knows it, None where it does not."""
    if isinstance(value, list):
        items = [_scalar(item) for item in value]
        return None if None in items else items
    return _scalar(value)


def convert(kind: VarType, value: Any) -> Any:
    """Return a plain value as the declared type, None where it is of another."""
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
    return value if is_text(value) else None
