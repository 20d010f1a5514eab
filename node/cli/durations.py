"""Durations as people write them: 500ms, 5s, 20m, 8h, 2d.  No I/O."""

import re

import typer

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?")


def seconds(text: str) -> float:
    """Return the seconds that `text` says; a bare number is seconds.

    Raises `typer.BadParameter`.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration; write it as 500ms, 5s, 20m or 8h")
    return float(match[1]) * _UNITS_S[match[2] or "s"]
