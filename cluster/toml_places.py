"""On which line a TOML file says what.  No I/O: takes text that `tomllib` has parsed.

    [rule.a]                                 ("rule", "a")                          1
    set = { priority = 80 }                  ("rule", "a", "set", "priority")       2
    steps = [
      { queue = "vip", for = "10s" },        ("rule", "a", "steps", 0, "for")       4
    ]
    [[rule.b.steps]]                         ("rule", "b", "steps", 0)              6

Headers and keys are found line by line; what stands in brackets is followed into them.
"""

import re
from bisect import bisect_right

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\[\[?(?P<name>[^\[\]]*)\]\]?\s*(?:#.*)?")
_KEY = re.compile(
    r"""(?P<name>(?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*)"""
    r"""[ \t]*=[ \t]*"""
)
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_BETWEEN = re.compile(r"(?:[\s,]|#[^\n]*)*")
_SCALAR = re.compile(
    r""""{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s,\]}#]+""",
    re.DOTALL,
)


def lines_of(text: str) -> dict[Path, int]:
    """Map the path of every table, key and element to its line, as far as the text tells."""
    lines: dict[Path, int] = {}
    table: Path = ()
    nth: dict[Path, int] = {}
    starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
    after = 0
    for number, start in enumerate(starts, start=1):
        if start < after:
            continue  # within the value of a key above
        line = text[start : starts[number] if number < len(starts) else len(text)]
        if header := _HEADER.fullmatch(line.strip()):
            table = _split(header["name"])
            for end in range(1, len(table) + 1):
                lines.setdefault(table[:end], number)
            if line.lstrip().startswith("[["):
                nth[table] = nth.get(table, -1) + 1
                table = (*table, nth[table])
                lines.setdefault(table, number)
        elif key := _KEY.match(line.lstrip()):
            path = table + _split(key["name"])
            lines.setdefault(path, number)
            found: list[tuple[Path, int]] = []
            value = start + len(line) - len(line.lstrip()) + key.end()
            after = _follow(text, value, path, found)
            for inner, offset in found:
                lines.setdefault(inner, bisect_right(starts, offset))
    return lines


def _follow(text: str, at: int, path: Path, found: list[tuple[Path, int]]) -> int:
    """Note what stands within the value at `at`; return where it ends."""
    opening = text[at : at + 1]
    if opening not in ("[", "{"):
        scalar = _SCALAR.match(text, at)
        return scalar.end() if scalar else at
    at, count = at + 1, 0
    while at < len(text):
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if text[at : at + 1] in ("]", "}", ""):
            return at + 1
        inner: Path = (*path, count)
        begin = at
        if opening == "{":
            key = _KEY.match(text, at)
            if key is None:
                return at
            inner, at = path + _split(key["name"]), key.end()
        found.append((inner, begin))
        end = _follow(text, at, inner, found)
        if end <= at:
            return at
        at, count = end, count + 1
    return at


def _split(name: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(name))
