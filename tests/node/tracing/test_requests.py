"""Which requests are traced."""

import random

from cluster.tracing import CURRENT, Span, Trace, within
from node.tracing.requests import (
    OPEN_MAX,
    TRACES_PER_S_MAX,
    VISITORS_PER_S_MAX,
    RequestTraces,
)

OURS = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


class Clock:
    ns = 1_760_000_000_000_000_000

    def __call__(self) -> int:
        return self.ns


def traces(sample: float, clock: Clock | None = None) -> tuple[RequestTraces, list[Span]]:
    found = RequestTraces(sample, rng=random.Random(1), now_ns=clock or Clock())
    spans: list[Span] = []
    found.on_span.add(spans.append)
    return found, spans


def test_a_client_that_follows_its_request_is_followed() -> None:
    found, spans = traces(0.0)
    trace = found.begin("msg.send", "visitor", str(OURS))
    assert trace is not None
    assert trace.trace_id == OURS.trace_id
    with within(trace):
        found.end("ok")
    (span,) = spans
    assert (span.parent_id, span.at) == (OURS.span_id, trace)
    assert span.attributes == {"op": "msg.send", "role": "visitor", "outcome": "ok"}
    found.end("ok", trace)
    assert len(spans) == 1


def test_a_client_that_says_no_is_not_followed() -> None:
    found, _ = traces(1.0)
    unsampled = Trace(OURS.trace_id, OURS.span_id, sampled=False)
    assert found.begin("msg.send", "visitor", str(unsampled)) is None


def test_nobody_is_followed_where_nothing_is_said() -> None:
    found, _ = traces(0.0)
    assert found.begin("msg.send", "visitor") is None
    assert found.begin("msg.send", "visitor", "nonsense") is None
    assert CURRENT.get() is None


def test_a_share_of_the_others_is_followed() -> None:
    clock = Clock()
    found, _ = traces(0.1, clock)
    begun = 0
    for _ in range(5_000):
        clock.ns += 10_000_000
        begun += found.begin("msg.send", "visitor") is not None
    assert 400 < begun < 600


def test_strangers_cannot_have_everything_followed() -> None:
    clock = Clock()
    found, _ = traces(0.0, clock)

    def begun(role: str) -> int:
        all_of_them = (found.begin("msg.send", role, str(OURS)) for _ in range(500))
        return sum(trace is not None for trace in all_of_them)

    assert begun("visitor") == VISITORS_PER_S_MAX
    assert begun("agent") == TRACES_PER_S_MAX - VISITORS_PER_S_MAX
    clock.ns += 1_000_000_000
    assert begun("agent") == TRACES_PER_S_MAX
    assert begun("visitor") == 0


def test_what_has_no_answer_gives_way() -> None:
    clock = Clock()
    found, spans = traces(1.0, clock)
    first = found.begin("msg.send", "visitor")
    for _ in range(OPEN_MAX):
        clock.ns += 100_000_000
        found.begin("msg.send", "visitor")
    found.end("ok", first)
    assert not spans
