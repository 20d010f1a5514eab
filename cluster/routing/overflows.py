"""What becomes of a conversation that nobody took, as rule files say it.  No I/O.

    overflow = { after = "5m", do = "queue",    to = "general" }
                               do = "bot",      to = "helper"
                               do = "message",  text = "Leave us a line ..."    (or offer_message)
                               do = "callback", text = ...
                               do = "close",    text = ...
    closed   = { do = ... }                      the same at once, outside a queue's hours

Without a text the visitor reads the product's own, in the visitor's language.
"""

from typing import Any

from cluster.routing.queues import Queues
from cluster.routing.reading import Reader, named
from cluster.state.limits import ID_BYTES_MAX, OVERFLOW_TEXT_BYTES_MAX, STEP_MS_MAX
from cluster.state.route import Overflow, OverflowDo
from cluster.toml_source import Document, Path, did_you_mean, shown

_AFTER_MS = (1_000, STEP_MS_MAX)
_DO: dict[str, OverflowDo] = {
    "queue": "queue",
    "bot": "bot",
    "message": "message",
    "offer_message": "message",
    "callback": "callback",
    "close": "close",
}


def read_overflow(
    read: Reader, queues: Queues, document: Document, path: Path, value: Any, *, at_once: bool
) -> Overflow | None:
    """Return the overflow at `path`; None where there is none, or it is no good."""
    if value is None:
        return None
    example = '{ do = "message" }' if at_once else '{ after = "5m", do = "message" }'
    if not isinstance(value, dict):
        problem = f"{path[-1]} is a table, not {shown(repr(value))}"
        read.mistake(document, path, problem, f"write {path[-1]} = {example}")
        return None
    known = ("do", "to", "text") if at_once else ("after", "do", "to", "text")
    read.check_keys(document, path, value, known)
    if not at_once and "after" not in value:
        mend = f"say how long it waits before, as in {example}"
        read.mistake(document, path, f"no 'after' in {named(path)}", mend)
    after = None if at_once else value.get("after")
    after_ms = read.duration_ms(document, (*path, "after"), after, _AFTER_MS)
    do = value.get("do")
    if not isinstance(do, str) or do not in _DO:
        problem = f"no 'do' in {named(path)}" if do is None else f"{shown(repr(do))} is no 'do'"
        read.mistake(document, (*path, "do"), problem, did_you_mean(str(do or ""), _DO))
        return None
    return Overflow(after_ms, _DO[do], _to(read, queues, document, path, value))


def _to(read: Reader, queues: Queues, document: Document, path: Path, value: dict[str, Any]) -> str:
    """Return the queue, the bot, or the text."""
    do = value["do"]
    key, other = ("to", "text") if do in ("queue", "bot") else ("text", "to")
    if other in value:
        problem = f"{other!r} means nothing with do = {do!r}"
        read.mistake(document, (*path, other), problem, f"use {key!r}, or another 'do'")
    given = value.get(key)
    if key == "text":
        if given is None:
            return ""
        if not isinstance(given, str) or len(given.encode()) > OVERFLOW_TEXT_BYTES_MAX:
            problem = f"a text is in quotes, of at most {OVERFLOW_TEXT_BYTES_MAX} bytes"
            read.mistake(document, (*path, key), problem, "shorten it")
            return ""
        return given
    if given is None:
        mend = f'add to = "a-{do}"'
        read.mistake(document, path, f"no 'to' in {named(path)}: which {do}?", mend)
        return ""
    if do == "queue" and path[:2] == ("queue", given):
        problem = f"queue {shown(str(given))!r} overflows into itself"
        read.mistake(document, (*path, key), problem, "name another queue")
    if do == "queue":
        return queues.refer(document, (*path, key), given)
    if not isinstance(given, str) or not 0 < len(given.encode()) <= ID_BYTES_MAX:
        read.mistake(document, (*path, key), f"{shown(repr(given))} is no bot", "name its account")
        return ""
    return given
