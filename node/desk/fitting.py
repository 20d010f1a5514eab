"""As many rows as one reply should hold.  No I/O."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

BYTES_MAX = 60 * 1024
"""What the rows of one reply may take, so that it stays about as large as a client's frame."""

Row = TypeVar("Row")


def fitting(rows: Sequence[Row]) -> list[Row]:
    """Return the first of `rows`, at least one of them."""
    found: list[Row] = []
    size = 0
    for row in rows:
        size += len(msgspec.json.encode(row))
        if found and size > BYTES_MAX:
            break
        found.append(row)
    return found
