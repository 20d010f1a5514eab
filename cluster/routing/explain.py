"""Why a condition holds or not, down to each part of it.  No I/O.

    tags.arpu > 5000 && (channel == "web" || !has(tags.vip))
    ├─ tags.arpu > 5000      true            tags.arpu is 6200
    └─ … || …                true
       ├─ channel == "web"   true            channel is "web"
       └─ !has(tags.vip)     not needed

What a part came to is what the engine itself says of the part's text for the same contact, so an
explanation cannot disagree with the verdict: the whole is a part as well.  Which parts were not
needed follows from CEL:

    a || b       b, once a is true           a ? b : c   b, unless a is true
    a && b       b, once a is false                      c, unless a is false

What cannot be told on one side of `||` or `&&` does not count where the other side decides.

Source: cel-spec (github.com/google/cel-spec), langdef.md, "Logical Operators".
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from cluster.routing.expression import Condition, Contact, Scope, Seen
from cluster.routing.parts import Kind, Part, parts_of

NOT_NEEDED = "not needed"
SAID_MAX = 100
"""Characters of a value that an explanation repeats."""


class Explained(NamedTuple):
    """A part of a condition, `source[start:end]`, and what it came to."""

    kind: Kind
    start: int
    end: int
    says: str
    """A value as CEL writes it, `error: 'arpu' is missing`, or `not needed`."""
    parts: tuple["Explained", ...] = ()


def explain(condition: Condition, scope: Scope, contact: Contact) -> Explained:
    """Return what each part of a condition of `scope` came to for `contact`; never raises."""
    return _Explaining(condition.source, scope, contact).explain(parts_of(condition.source))[0]


class _Explaining:
    def __init__(self, source: str, scope: Scope, contact: Contact) -> None:
        self._source = source
        self._scope = scope
        self._contact = contact

    def explain(self, part: Part) -> tuple[Explained, Seen]:
        seen = self._scope.evaluate(self._source[part.start : part.end], self._contact)
        parts = self._explain_parts(part)
        return Explained(part.kind, part.start, part.end, _said(seen), parts), seen

    def _explain_parts(self, part: Part) -> tuple[Explained, ...]:
        found: list[Explained] = []
        values: list[Seen] = []
        for number, inner in enumerate(part.parts):
            if _is_needed(part.kind, number, values):
                explained, seen = self.explain(inner)
                values.append(seen)
                found.append(explained)
            else:
                found.append(Explained(inner.kind, inner.start, inner.end, NOT_NEEDED))
        return tuple(found)


def _is_needed(kind: Kind, number: int, before: Sequence[Seen]) -> bool:
    """Say whether part `number` counts, given what those before it came to."""
    match kind:
        case "or":
            return not any(seen.value is True for seen in before)
        case "and":
            return not any(seen.value is False for seen in before)
        case "choice":
            return number == 0 or before[0].value is (number == 1)
    return True


def _said(seen: Seen) -> str:
    if seen.error:
        return f"error: {seen.error}"
    text = _literal(seen.value)
    return text if len(text) <= SAID_MAX else text[: SAID_MAX - 3] + "..."


def _literal(value: Any) -> str:
    """Return `value` about as a rule would write it; a whole number without its `.0`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bytes | bytearray):
        return repr(bytes(value))
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # times, which JSON does not have
        return str(value)
