"""What was decided about whom: the newest decisions of the rules, replicated.  No I/O.

    cv.route applied ──▶ Routing ──▶ state.routings     oldest first, numbers without a gap
                                         │ above ROUTINGS_MAX, or ROUTINGS_BYTES_MAX
                                         └▶ the oldest go

A routing has the values that rules look at as they were when it was applied, so that a change of
the rules can be tried on what really came (`cluster.routing.replay`), and a decision be explained
after the conversation's tags have changed (`why`).
"""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from cluster.state.model import Conversation

ROUTINGS_MAX = 10_000
"""Decisions kept: a day of a desk with seven an hour and agent for sixty agents; what a plan
replays in half a minute."""
ROUTINGS_BYTES_MAX = 16 * 1024 * 1024
"""Their values together, as msgpack: 1.6 KiB each on average.  Without it 10,000 conversations
with all the tags that fit would take gigabytes."""
NOTED_MAX = 16
"""Rules that a routing names as erred, and as many that it names as shadows."""

_encode = msgspec.msgpack.Encoder().encode


class Routing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One decision of the rules."""

    number: int
    """1, 2, 3 ... over the life of the cluster."""
    at_ms: int
    cv: str
    rev: int
    """Revision that decided; 0 for the built-in rules."""
    rule: str
    """Empty where a hint or the fallback decided."""
    queue: str
    channel: str = ""
    lang: str = ""
    subject: str = ""
    tags: dict[str, Any] = {}
    attrs: dict[str, Any] = {}
    hint: str = ""
    erred: tuple[str, ...] = ()
    """Rules that could not be told, `NOTED_MAX` at most."""
    shadows: tuple[tuple[str, str], ...] = ()
    """(rule, queue) of shadow rules that would have matched, `NOTED_MAX` at most."""
    size: int = 0
    """Bytes of its values, as counted against `ROUTINGS_BYTES_MAX`."""


def seen(conversation: "Conversation", at_ms: int, **decided: Any) -> Routing:
    """Return what rules see of a conversation at a time, with what they decided, if they did."""
    fields: dict[str, Any] = {"number": 0, "rev": 0, "rule": "", "queue": "", **decided}
    return Routing(
        at_ms=at_ms,
        cv=conversation.cv,
        channel=conversation.channel,
        lang=conversation.lang,
        subject=conversation.subject,
        tags=conversation.tags,
        attrs=conversation.attrs,
        hint=conversation.queue_hint,
        **fields,
    )


def size_of(*values: Any) -> int:
    """Return the bytes that plain `values` take as msgpack, the same on every node."""
    return len(_encode(values))


class Counts(NamedTuple):
    """What each rule did to some decisions, by its name."""

    matched: Counter[str]
    """`""`: a hint or the fallback decided."""
    erred: Counter[str]
    shadow: Counter[str]


def counted(routings: Iterable[Routing], rev: int) -> Counts:
    """Return what the rules of `rev` did, as far as their decisions are kept."""
    mine = [one for one in routings if one.rev == rev]
    return Counts(
        matched=Counter(one.rule for one in mine),
        erred=Counter(name for one in mine if one.erred for name in one.erred),
        shadow=Counter(name for one in mine if one.shadows for name, _ in one.shadows),
    )
