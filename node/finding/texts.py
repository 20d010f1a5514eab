"""What can be found of a conversation, and the line that shows it.  No I/O.

    text of     holds                                    found by visitors
    seq 0       subject, visitor's name                  yes
                visitor's id, tags                       no
    a message   its text, or all texts of its body       unless it is hidden from them

What was edited is found as it reads now, what was deleted is not.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cluster.state.events import Event
from cluster.state.model import Conversation
from node.finding.facets import tag_text
from node.finding.words import Part, fold, terms_of

CHARACTERS_MAX = 4_000
"""Of one text; the rest of a long e-mail is not found."""
PREVIEW_CHARACTERS_MAX = 200
SPAN_CHARACTERS = 60
"""Shown of a text on either side of what was found."""
SAYS = frozenset({"msg", "note", "whisper"})
REWRITES = frozenset({"edit", "del", "edited", "deleted"})
"""Events after which a text that was said reads otherwise."""
REHEADS = frozenset({"opened", "tagged", "attr", "rated", "reopened"})
"""Events after which the head may read otherwise."""


class Text(NamedTuple):
    """A text to be found."""

    seq: int
    shown: str
    hidden: str
    """Found by the desk alone."""


class Snippet(NamedTuple):
    """A piece of a text around what was found in it."""

    before: str
    found: str
    after: str


def head_of(conversation: Conversation) -> Text:
    """Return what the conversation is called, and by whom."""
    tags = (f"{name} {_spoken(value)}" for name, value in conversation.tags.items())
    shown = f"{conversation.subject}\n{conversation.visitor_name}"
    hidden = "\n".join([conversation.visitor, *tags])
    return Text(0, shown[:CHARACTERS_MAX], hidden[:CHARACTERS_MAX])


def text_of(event: Event, rewritten: dict[str, str | None] | None = None) -> Text | None:
    """Return what an event says; None where it says nothing (any more)."""
    if event.type not in SAYS:
        return None
    text: str | None = "\n".join(_strings(event.data.get("body")))
    if rewritten and event.mid in rewritten:
        text = rewritten[event.mid]
    if not text:
        return None
    text = text[:CHARACTERS_MAX]
    return Text(event.seq, "", text) if event.hidden else Text(event.seq, text, "")


def texts_of(conversation: Conversation) -> Iterator[Text]:
    """Yield all that can be found of a conversation."""
    yield head_of(conversation)
    rewritten = _rewritten(conversation.tail)
    for event in conversation.tail:
        text = text_of(event, rewritten)
        if text is not None:
            yield text


def says_all(text: Text, parts: Iterable[Part]) -> bool:
    """Say whether the whole of one text, hidden or not, has all `parts`."""
    lines = [terms_of(text.shown), terms_of(text.hidden)]
    return all(any(part.is_in(terms) for terms in lines) for part in parts)


def preview(conversation: Conversation) -> str:
    """Return the beginning of the first message that is kept, as text."""
    for event in conversation.tail:
        if event.type == "msg":
            body = event.data.get("body")
            return body[:PREVIEW_CHARACTERS_MAX] if isinstance(body, str) else ""
    return ""


def snippet(conversation: Conversation, seq: int, parts: Iterable[Part], *, all_of_it: bool) -> Any:
    """Return the piece of the text of `seq` that shows why it was found; None when it is gone.

    `all_of_it`: also what visitors do not see.
    """
    text = next((one for one in texts_of(conversation) if one.seq == seq), None)
    if text is None:
        return None
    words = f"{text.shown}\n{text.hidden}".strip() if all_of_it else text.shown
    return cut_out(words, [part.said for part in parts])


def cut_out(text: str, said: Iterable[str]) -> Snippet:
    """Return `text` around the first of `said` that is in it; its beginning when none is."""
    folded = fold(text)
    alike = len(folded) == len(text)  # else places in the one are not places in the other
    lowered = folded if alike else text.lower()
    for one in said:
        place = lowered.find(fold(one))
        if place >= 0 and len(lowered) == len(text):
            end = place + len(one)
            return Snippet(
                _from(text, place - SPAN_CHARACTERS, place),
                text[place:end],
                _until(text, end, end + SPAN_CHARACTERS),
            )
    return Snippet("", "", _until(text, 0, 2 * SPAN_CHARACTERS))


def _from(text: str, start: int, end: int) -> str:
    return ("…" if start > 0 else "") + text[max(0, start) : end]


def _until(text: str, start: int, end: int) -> str:
    return text[start:end] + ("…" if end < len(text) else "")


def _rewritten(events: Iterable[Event]) -> dict[str, str | None]:
    """Return how messages read now that read otherwise once, by `mid`; None for no more."""
    found: dict[str, str | None] = {}
    for event in events:
        if event.type in REWRITES:
            mid = event.data.get("mid") or event.mid
            text = "\n".join(_strings(event.data.get("body")))
            found[str(mid)] = text if text and event.type.startswith("edit") else None
    return found


def _strings(body: Any) -> Iterator[str]:
    """Yield the texts in a message's body, however deep."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for value in body.values():
            yield from _strings(value)
    elif isinstance(body, list | tuple):
        for value in body:
            yield from _strings(value)


def _spoken(value: Any) -> str:
    several = value if isinstance(value, list | tuple) else (value,)
    return " ".join(map(tag_text, several))
