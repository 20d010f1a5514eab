"""Whether a step is skipped when it would begin: its `skip_if`, with the contact's values in it.
No I/O.

    skip_if   queue.available == 0 && tags.tier != "gold"
    text      ["queue.available == 0 && tags.tier != \\"gold\\"",{"tags.tier":"silver"}]

The text is that of `needs.need_of`; what a queue is like comes in when it is judged.  What cannot
be told is not skipped, and the verdict says why.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

from cluster.routing.expression import QUEUE, Condition, Scope, Verdict
from cluster.routing.needs import NEEDS_MAX, Compile, Maps, NoNeed, Plain, compiler, read_need


class QueueFigures(NamedTuple):
    """What a `skip_if` may ask of the queue of its step."""

    available: int
    """Agents who could be offered something of it now."""
    waiting: int
    longest_wait_s: int


class Skips:
    """Judges `skip_if`; one object is asked by one thread."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, tuple[Condition, Plain, Maps] | NoNeed] = OrderedDict()
        self._compile = compiler(_SCOPE)

    def verdict(self, skip_if: str, figures: QueueFigures) -> Verdict:
        """Say whether the step is skipped; never raises.  Without a `skip_if` it is not."""
        if not skip_if:
            return Verdict(False)
        found = self._read.get(skip_if)
        if found is None:
            found = self._read[skip_if] = _read(skip_if, self._compile)
            if len(self._read) > NEEDS_MAX:
                self._read.popitem(last=False)
        if isinstance(found, NoNeed):
            return Verdict(False, str(found))
        condition, plain, maps = found
        return condition.holds(_SCOPE.contact(plain, maps, beside=_beside(figures)))


def _read(skip_if: str, compile_source: Compile) -> tuple[Condition, Plain, Maps] | NoNeed:
    try:
        return read_need(skip_if, compile_source)
    except NoNeed as no:
        return no


def _beside(figures: QueueFigures) -> dict[str, Any]:
    return {f"queue.{name}": value for name, value in figures._asdict().items()}


_SCOPE = Scope({}, beside=QUEUE)
