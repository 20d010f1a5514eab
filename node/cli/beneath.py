"""A condition with what came of its parts beneath.  No I/O.

    tags.arpu > 5000 && (channel == "web" || !has(tags.vip))
    false                not needed
    100

Each part's value stands below its first character, as high as there is room, and below that of
the part it belongs to.  What cannot be laid out so, for its lines or its length, is a list:

    tags.arpu > 5000      false
      tags.arpu           100
"""

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

WIDTH_MAX = 100
GAP = 2
"""Columns between two values of a row."""

Part = dict[str, Any]
"""`PartSaid` as clients get it."""


def beneath(source: str, parts: Sequence[Part]) -> list[str]:
    """Return the lines of a condition and its explanation."""
    shown = _told_once(parts)
    if "\n" in source.strip() or cell_len(source) > WIDTH_MAX:
        return _listed(source, parts, shown)
    rows: list[str] = []
    last: dict[int, int] = {}
    for part, says in zip(parts, shown, strict=True):
        depth = part.get("depth", 0)
        row = last.get(depth - 1, -1) + 1
        column = cell_len(source[: part.get("start", 0)])
        if depth or len(parts) == 1:
            while row < len(rows) and cell_len(rows[row]) + GAP * bool(rows[row]) > column:
                row += 1
            rows += [""] * (row + 1 - len(rows))
            rows[row] += " " * (column - cell_len(rows[row])) + says
            last[depth] = row
        else:
            last[depth] = -1  # the whole is said beside the rule
    return [source, *rows]


def _told_once(parts: Sequence[Part]) -> list[str]:
    """Return what each part says; why something cannot be told, only where it came up."""
    said: list[str] = []
    for number, part in enumerate(parts):
        inner = parts[number + 1 :]
        depth = part.get("depth", 0)
        below = []
        for one in inner:
            if one.get("depth", 0) <= depth:
                break
            below.append(one["says"])
        says = str(part["says"])
        said.append("error" if says.startswith("error") and says in below else says)
    return said


def _listed(source: str, parts: Sequence[Part], shown: list[str]) -> list[str]:
    texts = [
        "  " * part.get("depth", 0)
        + " ".join(source[part.get("start", 0) : part.get("end", 0)].split())
        for part in parts
    ]
    texts = [
        text if len(text) <= WIDTH_MAX // 2 else text[: WIDTH_MAX // 2 - 1] + "…" for text in texts
    ]
    width = max(map(cell_len, texts), default=0)
    return [
        text + " " * (width - cell_len(text) + GAP) + says
        for text, says in zip(texts, shown, strict=True)
    ]
