"""As many rows as one reply should hold.  No I/O."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

BYTES_MAX = 60 * 1024
"""What the rows of one reply may take, so that it stays about as large as a client's frame."""

Row = TypeVar("Row")


def _as_json(row: object) -> int:
    return len(msgspec.json.encode(row))


def fitting(rows: Iterable[Row], size_of: Callable[[Row], int] = _as_json) -> list[Row]:
    """Return the first of `rows`, at least one of them; `size_of` counts the bytes of one."""
    found: list[Row] = []
    size = 0
    for row in rows:
        size += size_of(row)
        if found and size > BYTES_MAX:
            break
        found.append(row)
    return found
