"""The export of spans, to a receiver that decodes the protocol, and to none."""

import subprocess
import sys
import time
from collections.abc import Callable

from cluster.tracing import Span, Trace
from node.config import TraceConfig
from node.local.ports import free_ports
from node.tracing.otlp import QUEUE_MAX
from node.tracing.spans import Spans
from tests.node.tracing.collector import collector

START_NS = 1_760_000_000_000_000_000
OURS = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def span(number: int, parent_id: str = OURS.span_id) -> Span:
    at = OURS.child(number)
    return Span("apply", at, parent_id, START_NS, START_NS + 1_500, {"index": number, "op": "x"})


def until(holds: Callable[[], bool]) -> None:
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() < began_s + 20
        time.sleep(0.02)


def test_spans_arrive_as_they_were() -> None:
    with collector() as found, Spans(TraceConfig(found.endpoint), "n1") as spans:
        spans.take(span(1))
        spans.take(span(2, parent_id=""))
        until(lambda: spans.figures().exported == 2)
        first, second = found.spans
        assert (first.node, first.name, first.trace_id) == ("n1", "apply", OURS.trace_id)
        assert (first.span_id, first.parent_id) == (OURS.child(1).span_id, OURS.span_id)
        assert (first.start_ns, first.end_ns) == (START_NS, START_NS + 1_500)
        assert first.attributes == {"unidesk.index": "1", "unidesk.op": "x"}
        assert second.parent_id == ""


def test_what_waits_at_the_end_still_goes_out() -> None:
    with collector() as found:
        with Spans(TraceConfig(found.endpoint), "n1") as spans:
            for number in range(700):
                spans.take(span(number))
        assert len(found.spans) == 700


def test_a_collector_that_is_down_costs_a_full_queue_and_is_found_again() -> None:
    with collector(free_ports(1)[0]) as gone:
        port = gone.port
    with Spans(TraceConfig(gone.endpoint), "n1") as spans:
        took_s = []
        for number in range(3 * QUEUE_MAX):
            began_s = time.perf_counter()
            spans.take(span(number))
            took_s.append(time.perf_counter() - began_s)
        assert spans.figures().dropped > 0
        assert sorted(took_s)[len(took_s) // 2] < 0.001, "nobody waits for it"
        with collector(port) as back:
            until(lambda: len(back.spans) > 0)
            until(lambda: spans.figures().exported > 0)


def test_a_collector_that_refuses_is_counted() -> None:
    with collector() as found, Spans(TraceConfig(found.endpoint), "n1") as spans:
        found.status = 400
        spans.take(span(1))
        until(lambda: spans.figures().failed == 1)
        assert not found.spans


def test_without_a_collector_nothing_is_loaded() -> None:
    program = (
        "import sys, node.server; sys.exit(any('opentelemetry' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
