"""`{{visitor.name}}` in a canned response: what may stand there, and what takes its place.

No I/O.

    visitor.name  agent.name  queue  subject  channel  cv      of the conversation, and who asks
    tags.NAME  attrs.NAME                                      of its tags and attributes

One pass over the text: what a visitor calls themselves is text, whatever brackets are in it.
A placeholder that nothing is known for stays, and is named, so that nobody sends "Dear ,".
"""

import re
from collections.abc import Mapping
from typing import Any

from cluster.state.model import Conversation

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]{0,80}?)\s*\}\}")
NAMES = ("visitor.name", "agent.name", "queue", "subject", "channel", "cv")
_PREFIXES = ("tags.", "attrs.")


def unknown_in(text: str) -> list[str]:
    """Return the placeholders of `text` that are none of ours, in order."""
    names = (match[1] for match in _PLACEHOLDER.finditer(text))
    return [name for name in names if not _is_known(name)]


def fill(text: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return `text` with its placeholders filled in, and those that `values` lacks, each once."""
    missing: dict[str, None] = {}

    def value_of(match: re.Match[str]) -> str:
        value = values.get(match[1], "")
        if not value:
            missing[match[1]] = None
            return match[0]
        return value

    return _PLACEHOLDER.sub(value_of, text), list(missing)


def values_of(conversation: Conversation, agent_name: str) -> dict[str, str]:
    """Return what is known to fill in for a conversation."""
    values = {
        "visitor.name": conversation.visitor_name,
        "agent.name": agent_name,
        "queue": conversation.queue,
        "subject": conversation.subject,
        "channel": conversation.channel,
        "cv": conversation.cv,
    }
    for prefix, fields in zip(_PREFIXES, (conversation.tags, conversation.attrs), strict=True):
        values |= {prefix + name: _said(value) for name, value in fields.items()}
    return values


def _is_known(name: str) -> bool:
    return name in NAMES or any(name.startswith(one) and name != one for one in _PREFIXES)


def _said(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_said, value))
        case _:
            return str(value)
