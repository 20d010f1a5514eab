"""One proposal's way through the nodes, as spans of one trace.  No I/O.

    proposer   submit ─── propose ────────────────────────────────────▶ outcome told
                  └─ frame "trace" [boot, number, traceparent] ──▶ every node of this release
    leader        in the log ─── replicate ───▶ committed
    every node                                   apply ─▶ fan_out (whoever watches was told)

`propose` is the parent of all others, so a trace shows who waited for whom.  The trace travels
beside what is proposed and never in it: what is replicated is the same with and without, and a
node that did not hear of it, or is of an earlier release, only has no spans.

Whoever asks sets `CURRENT` around `Port.submit`; without it nothing here costs more than a look.
Span ids follow from what they name, so that nothing here needs chance.

Source: W3C Trace Context (traceparent); OpenTelemetry, "Traces".
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from cluster.watchers import Watchers

TRACED_MAX = 1_024
"""Proposals that are followed at once; the oldest gives way: one that never came, most likely."""
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 1
_Key = tuple[str, str, int]
"""Node, boot and number: what names a proposal."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Where in a trace something happens: the trace, and the span that is the parent."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 of them."""
    sampled: bool = True

    def __str__(self) -> str:
        """As the header `traceparent` says it."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    def child(self, *names: object) -> "Trace":
        """Return the place of a span below this one; `names` tell it from its sisters."""
        text = "/".join(map(str, (self.trace_id, self.span_id, *names)))
        return Trace(self.trace_id, blake2b(text.encode(), digest_size=8).hexdigest())


def parse(traceparent: str) -> Trace | None:
    """Return what `traceparent` says; None for what is none, or of a later version."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took from `start_ns` to `end_ns`, UTC."""

    name: str
    at: Trace
    """The trace, and the span's own id."""
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The span that is under way where this is read; None where nobody follows."""


@contextmanager
def within(trace: Trace | None) -> Iterator[None]:
    """Let what is asked within be part of `trace`."""
    if trace is None:
        yield
        return
    token = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(token)


class Times:
    """Nanoseconds UTC that never run backwards while a proposal is followed."""

    def __init__(self, clock: Callable[[], float], wall_ms: Callable[[], int]) -> None:
        self._clock = clock
        self._wall_ms = wall_ms
        self.anchor()

    def anchor(self) -> None:
        """Follow the system's clock, which may have been set meanwhile."""
        self._offset_ns = self._wall_ms() * 1_000_000 - int(self._clock() * 1e9)

    def ns(self, clock_s: float) -> int:
        """Return the moment that the monotonic clock said `clock_s`."""
        return int(clock_s * 1e9) + self._offset_ns


@dataclass(slots=True)
class _Followed:
    at: Trace
    """The span `propose`."""
    parent_id: str
    """Of that span; empty elsewhere than at the proposer."""
    since_s: float
    appended_s: float = -1.0
    """When it came into this node's log, as the leader's; negative: never."""


class Traces:
    """The proposals that are followed at one node."""

    def __init__(self, node: str, clock: Callable[[], float], wall_ms: Callable[[], int]) -> None:
        self._node = node
        self._clock = clock
        self._times = Times(clock, wall_ms)
        self._followed: dict[_Key, _Followed] = {}
        self.on_span: Watchers[Span] = Watchers()

    def __bool__(self) -> bool:
        """Whether anything is followed."""
        return bool(self._followed)

    def begin(self, boot: str, number: int, parent: Trace) -> list[Any]:
        """Follow what was just submitted here; return what to tell the other nodes."""
        at = parent.child("propose", self._node, boot, number)
        self._keep((self._node, boot, number), _Followed(at, parent.span_id, self._clock()))
        return [boot, number, str(at)]

    def hear(self, peer: str, told: Any) -> bool:
        """Follow what `peer` submitted; return False for what no node says."""
        match told:
            case [str(boot), int(number), str(text)] if (at := parse(text)) is not None:
                self._keep((peer, boot[:64], number), _Followed(at, "", self._clock()))
                return True
        return False

    def appended(self, named: Iterable[_Key]) -> None:
        """Proposals came into the log of this node, which leads."""
        now_s = self._clock()
        for key in named:
            followed = self._followed.get(key)
            if followed is not None:
                followed.appended_s = now_s

    def applied(
        self, index: int, named: Iterable[_Key], begun_s: float, done_s: float, told_s: float
    ) -> None:
        """An entry was applied from `begun_s` to `done_s`, and told until `told_s`."""
        for key in named:
            followed = self._followed.pop(key, None)
            if followed is not None:
                self._tell(key, followed, index, (begun_s, done_s, told_s))

    def _keep(self, key: _Key, followed: _Followed) -> None:
        if not self._followed:
            self._times.anchor()
        elif len(self._followed) >= TRACED_MAX:
            del self._followed[next(iter(self._followed))]
        self._followed[key] = followed

    def _tell(
        self, key: _Key, followed: _Followed, index: int, times: tuple[float, float, float]
    ) -> None:
        begun_s, done_s, told_s = times
        attributes: dict[str, str | int] = {"index": index, "proposer": key[0], "number": key[2]}

        def tell(name: str, at: Trace, parent_id: str, start_s: float, end_s: float) -> None:
            start_ns, end_ns = self._times.ns(start_s), self._times.ns(end_s)
            self.on_span.tell(Span(name, at, parent_id, start_ns, end_ns, attributes))

        at = followed.at
        if followed.parent_id:
            tell("propose", at, followed.parent_id, followed.since_s, told_s)
        if followed.appended_s >= 0:
            place = at.child("replicate", self._node)
            tell("replicate", place, at.span_id, followed.appended_s, begun_s)
        tell("apply", at.child("apply", self._node), at.span_id, begun_s, done_s)
        tell("fan_out", at.child("fan_out", self._node), at.span_id, done_s, told_s)
