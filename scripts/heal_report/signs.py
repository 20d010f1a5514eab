"""What the nodes say of what they see: their logs, followed while they write.  Reads files.

    Line      one event of a node's log, and when it was read here
    Sign      a line to words: what a node saw; None for any other line

A line is read within FOLLOW_S after it was written.  Its own timestamp is not used: the clock of a
node may be among what was broken.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

FOLLOW_S = 0.01
READ_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    at_s: float
    """trio's clock."""
    node: str
    event: str
    fields: dict[str, Any]


Sign = Callable[[Line], str | None]


class Logs:
    """The lines of all nodes since the start, in the order in which they were read."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._files: dict[str, tuple[Path, int]] = {}

    def follow(self, node: str, log: Path) -> None:
        """Read `log` too, from its begin."""
        self._files[node] = (log, 0)

    async def run(self) -> None:
        """Read on, until cancelled."""
        while True:
            self.read()
            await trio.sleep(FOLLOW_S)

    def read(self) -> None:
        """Take in what was written since."""
        now_s = trio.current_time()
        for node, (log, offset) in self._files.items():
            if not log.exists():
                continue
            with log.open("rb") as file:
                file.seek(offset)
                data = file.read(READ_BYTES_MAX)
            whole = data.rfind(b"\n") + 1
            self._files[node] = (log, offset + whole)
            for raw in data[:whole].splitlines():
                line = parse(raw, node, now_s)
                if line is not None:
                    self.lines.append(line)

    def find(self, sign: Sign, since_s: float) -> tuple[Line, str] | None:
        """Return the first line since then that is such a sign, and its words."""
        for line in self.lines:
            if line.at_s >= since_s and (words := sign(line)) is not None:
                return line, words
        return None


def parse(raw: bytes, node: str, at_s: float) -> Line | None:
    """Return a line of a log; None for what is not a structured event, such as a traceback."""
    try:
        fields = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("event"), str):
        return None
    return Line(at_s, node, fields["event"], fields)


def heal(rule: int) -> Sign:
    """A line of the heal log of something that was done, not only held back."""

    def look(line: Line) -> str | None:
        if line.event != "heal" or line.fields.get("rule") != rule:
            return None
        if line.fields.get("outcome") in ("held_back", "observed"):
            return None
        return f"{line.node}: {line.fields.get('seen', '')}"

    return look


def standing(*now: str) -> Sign:
    """A node whose standing becomes one of these."""

    def look(line: Line) -> str | None:
        if line.event != "standing" or line.fields.get("now") not in now:
            return None
        why = line.fields.get("why", "")
        return f"{line.node}: {line.fields['now']}" + (f": {why}" if why else "")

    return look


def event(name: str, containing: str = "") -> Sign:
    """Any other line, whose fields have these words."""

    def look(line: Line) -> str | None:
        if line.event != name:
            return None
        why = str(line.fields.get("why") or line.fields.get("detail") or "")
        return f"{line.node}: {name}: {why}" if containing in why else None

    return look
