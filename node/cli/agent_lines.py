"""What an agent types after a command, as the fields of a request.  No I/O.

    target    vip               a queue          @li     an agent
              rules             all rules anew   rule:night   that rule
    tags      topic=refund vip=true n=3 -old     set, with values of JSON or text; unset
    status    away lunch 30m                     why, and how long

The three raise `ValueError` with what is wrong, in the words of the line.
"""

from typing import Any

import msgspec
import typer

from node.cli import durations
from node.protocol.requests.agents import Status

NUMBER_DIGITS_MAX = 6

_STATUSES: tuple[Status, ...] = ("online", "away", "busy", "transfer_only")


def parse_target(word: str) -> dict[str, str]:
    """Return `to` of a transfer."""
    if word == "rules":
        return {"rule": ""}
    if word.startswith("rule:") and len(word) > len("rule:"):
        return {"rule": word.removeprefix("rule:")}
    if word.startswith("@") and len(word) > 1:
        return {"agent": word[1:]}
    if not word or word in ("@", "rule:"):
        raise ValueError(word or "-")
    return {"queue": word}


def parse_tags(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return what to set and what to unset."""
    to_set: dict[str, Any] = {}
    unset: list[str] = []
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals and name:
            to_set[name] = _value(value)
        elif word.startswith("-") and len(word) > 1 and not equals:
            unset.append(word[1:])
        else:
            raise ValueError(word)
    if not to_set and not unset:
        raise ValueError(text or "-")
    return to_set, unset


def parse_status(text: str) -> tuple[Status, str, float]:
    """Return the status, why, and for how many seconds; 0: until further notice."""
    words = text.split()
    status = next((one for one in _STATUSES if words[:1] == [one]), None)
    if status is None:
        raise ValueError(text or "-")
    why, seconds = words[1:], 0.0
    if why and why[-1][0].isdigit():
        word = why.pop()
        try:
            seconds = durations.seconds(word)
        except typer.BadParameter:
            raise ValueError(word) from None
    return status, " ".join(why), seconds


def parse_number(text: str) -> int | None:
    """Return the small number of a conversation, or None where `text` is none."""
    return int(text) if text.isdecimal() and len(text) <= NUMBER_DIGITS_MAX else None


def _value(text: str) -> Any:
    """Return a number or a truth as such, anything else as text."""
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text
    return value if isinstance(value, bool | int | float) else text
