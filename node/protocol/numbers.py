"""The numbers of protobuf fields, assigned once and for ever.  Reads `numbers.json`.

    {"CvGetRequest": {"cv": 1}, ...}        by message, in the order in which they were assigned

A field on the wire is its number.  So a number is never changed and never given to another field:
the table only grows, and a field that the catalogue no longer has keeps its row, `reserved` in
the `.proto`.  In each message the numbers are 1, 2, 3 ... without a hole, so that a row that was
taken out is missed.

Source: Protocol Buffers, "Language Guide (proto 3)", "Assigning Field Numbers".
"""

import json
from collections.abc import Iterable, Mapping
from importlib import resources

Table = Mapping[str, Mapping[str, int]]

FILE = "numbers.json"
_INTERNAL = range(19_000, 20_000)
"""Kept by protobuf itself."""


class NumbersRefused(Exception):
    """The table is not one that was only added to; the message says where."""


class NoNumber(Exception):
    """A field of the catalogue has no number yet; the message says how to assign one."""


def load() -> Table:
    """Return the table.  Raises `NumbersRefused`."""
    return read(resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8"))


def read(text: str) -> Table:
    """Return what `text` says.  Raises `NumbersRefused`."""
    table: dict[str, dict[str, int]] = json.loads(text)
    for message, fields in table.items():
        expected = range(1, len(fields) + 1)
        if list(fields.values()) != list(expected):
            raise NumbersRefused(
                f"{message}: {fields} must be numbered 1 to {len(fields)} in this order:"
                " rows are only added, at the end, and never changed or removed"
            )
        if len(fields) >= _INTERNAL.start:
            raise NumbersRefused(f"{message}: too many fields")
    return table


def row_of(table: Table, message: str, fields: Iterable[str]) -> dict[str, int]:
    """Return a message's row, a copy.  Raises `NoNumber`."""
    row = dict(table.get(message, {}))
    missing = [field for field in fields if field not in row]
    if missing:
        raise NoNumber(f"{message}: no number for {missing}; run python -m scripts.api_files")
    return row


def extended(table: Table, messages: Iterable[tuple[str, Iterable[str]]]) -> Table:
    """Return `table` with numbers for whatever in `messages` has none yet."""
    grown = {message: dict(fields) for message, fields in table.items()}
    for message, fields in messages:
        row = grown.setdefault(message, {})
        for field in fields:
            row.setdefault(field, len(row) + 1)
    return grown


def write(table: Table) -> str:
    """Return the table as text, a message a line: branches that add messages merge by line."""
    rows = [f"  {json.dumps(message)}: {json.dumps(row)}" for message, row in sorted(table.items())]
    return "{\n" + ",\n".join(rows) + "\n}\n"
