"""Which requests are traced, and the span of each.  No I/O.

    the client says                     the request is
    traceparent, sampled                traced, as a part of its trace
    traceparent, not sampled            not traced
    nothing, or what is none            traced in `sample` of all cases, as a trace of its own

However many ask for it, at most TRACES_PER_S_MAX a second are, and at most VISITORS_PER_S_MAX of
those because a visitor asks: anybody is one, and their headers must not make work, nor leave no
room for what operators look for.  A request that is not traced costs a look at two values.

Source: W3C Trace Context; OpenTelemetry, "ParentBased sampler".
"""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from cluster.tracing import CURRENT, Span, Trace, parse
from cluster.watchers import Watchers

TRACES_PER_S_MAX = 100
VISITORS_PER_S_MAX = 10
OPEN_MAX = 1_024
"""Requests that are traced and have no answer yet; the oldest is given up."""


@dataclass(slots=True)
class _Open:
    op: str
    role: str
    parent_id: str
    start_ns: int


class RequestTraces:
    """Of one desk."""

    def __init__(
        self,
        sample: float,
        *,
        rng: random.Random | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        token_hex: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        """`sample`: the share of requests that are traced though nobody asks for it."""
        self._sample = sample
        self._rng = rng or random.Random()  # noqa: S311 - picks what is looked at, no secret
        self._now_ns = now_ns
        self._token_hex = token_hex
        self._open: dict[str, _Open] = {}
        self._second, self._begun, self._begun_by_visitors = 0, 0, 0
        self.on_span: Watchers[Span] = Watchers()

    def begin(self, op: str, role: str, traceparent: str = "") -> Trace | None:
        """Return the span of a request that begins, None where it is not traced.

        `end` it, within `cluster.tracing.within`.
        """
        if not traceparent and not self._sample:
            return None
        parent = parse(traceparent) if traceparent else None
        wanted = parent.sampled if parent is not None else self._rng.random() < self._sample
        if not wanted or not self._has_room(asked_by=role if parent is not None else ""):
            return None
        trace_id = parent.trace_id if parent is not None else self._token_hex(16)
        trace = Trace(trace_id, self._token_hex(8))
        if len(self._open) >= OPEN_MAX:
            del self._open[next(iter(self._open))]
        parent_id = parent.span_id if parent is not None else ""
        self._open[trace.span_id] = _Open(op, role, parent_id, self._now_ns())
        return trace

    def end(self, outcome: str, trace: Trace | None = None) -> None:
        """The request of `trace`, or of where this is called, has its answer: `ok`, or a code."""
        trace = trace or CURRENT.get()
        found = self._open.pop(trace.span_id, None) if trace is not None else None
        if trace is None or found is None:
            return
        attributes = {"op": found.op, "role": found.role, "outcome": outcome}
        span = Span("request", trace, found.parent_id, found.start_ns, self._now_ns(), attributes)
        self.on_span.tell(span)

    def _has_room(self, *, asked_by: str) -> bool:
        """Whether one more may be traced this second, which then counts."""
        second = self._now_ns() // 1_000_000_000
        if second != self._second:
            self._second, self._begun, self._begun_by_visitors = second, 0, 0
        by_visitor = asked_by == "visitor"
        if self._begun >= TRACES_PER_S_MAX:
            return False
        if by_visitor and self._begun_by_visitors >= VISITORS_PER_S_MAX:
            return False
        self._begun += 1
        self._begun_by_visitors += by_visitor
        return True
