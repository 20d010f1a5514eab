"""Spans to a collector by OTLP/HTTP.  Talks to it, from a thread of its own.

    put ──▶ queue, QUEUE_MAX ──▶ thread: every EVERY_S, or BATCH_MAX ──▶ POST /v1/traces
             full: dropped               refused, or nobody there: failed

A collector that is down costs the loop nothing and the process a full queue: what waited is tried
for TIMEOUT_S, given up and counted, and the log says so once.  At the end the last batch has
STOP_S.  OpenTelemetry's own exporter encodes, compresses and retries; headers, certificates and
the like are taken from the environment as OTEL_EXPORTER_OTLP_* says.

Source: OTLP specification 1.x; OpenTelemetry SDK.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator

from cluster.tracing import Span
from node import __version__
from node.tracing.figures import TracingFigures

QUEUE_MAX = 4_096
BATCH_MAX = 512
EVERY_S = 1.0
TIMEOUT_S = 5.0
STOP_S = 2.0
TRACES_PATH = "/v1/traces"

log = structlog.get_logger(__name__)


class _Given(IdGenerator):
    """The ids that our spans have already."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Ended(SpanProcessor):
    """Keeps what ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Converter:
    """Our spans as OpenTelemetry's, made by its own tracer."""

    def __init__(self, node: str, process: str) -> None:
        self._ids, self._ended = _Given(), _Ended()
        resource = Resource.create(
            {
                "service.name": "unidesk",
                "service.instance.id": node if process == "node" else f"{node}/{process}",
                "service.version": __version__,
            }
        )
        provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer("unidesk", __version__)

    def converted(self, spans: Sequence[Span]) -> list[ReadableSpan]:
        """Return `spans`, in their order."""
        for span in spans:
            self._convert(span)
        found, self._ended.spans = self._ended.spans, []
        return found

    def _convert(self, span: Span) -> None:
        self._ids.trace_id = int(span.at.trace_id, 16)
        self._ids.span_id = int(span.at.span_id, 16)
        root = api.set_span_in_context(api.INVALID_SPAN)
        kind = api.SpanKind.SERVER if span.name == "request" else api.SpanKind.INTERNAL
        self._tracer.start_span(
            span.name,
            context=_below(span) if span.parent_id else root,
            kind=kind,
            attributes={f"unidesk.{name}": value for name, value in span.attributes.items()},
            start_time=span.start_ns,
        ).end(span.end_ns)


def _below(span: Span) -> Context:
    """Return the place of a span's parent, wherever that one was."""
    parent = api.SpanContext(
        int(span.at.trace_id, 16),
        int(span.parent_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED),
    )
    return api.set_span_in_context(api.NonRecordingSpan(parent))


class Exporter:
    """`start` it, `put` spans from one thread, `stop` it."""

    def __init__(self, endpoint: str, node: str, process: str) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # every try of every batch
        path = urlsplit(endpoint).path
        url = endpoint.rstrip("/") + TRACES_PATH if path in ("", "/") else endpoint
        self._endpoint = url
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=TIMEOUT_S)
        self._converter = Converter(node, process)
        self._queue: deque[Span] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._down = False
        self._exported = self._dropped = self._failed = 0
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)

    def start(self) -> None:
        """Export from now on."""
        self._thread.start()

    def put(self, span: Span) -> None:
        """Queue a span, or drop it; never waits."""
        if len(self._queue) >= QUEUE_MAX:
            self._dropped += 1
            return
        self._queue.append(span)
        if len(self._queue) >= BATCH_MAX:
            self._wake.set()

    def stop(self) -> None:
        """Export what waits, for STOP_S at most, and end."""
        self._stopping = True
        self._wake.set()
        self._thread.join(STOP_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's

    def figures(self) -> TracingFigures:
        """Return how it goes."""
        return TracingFigures(self._exported, self._dropped, self._failed)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(EVERY_S)
            self._wake.clear()
            while self._queue:
                self._export([self._queue.popleft() for _ in range(self._batch)])

    @property
    def _batch(self) -> int:
        return min(len(self._queue), BATCH_MAX)

    def _export(self, spans: list[Span]) -> None:
        try:
            result = self._exporter.export(self._converter.converted(spans))
        except Exception as error:  # a fault of the exporter must not end its thread
            log.warning("spans not exported", why=repr(error))
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._exported += len(spans)
        else:
            self._failed += len(spans)
        self._say(down=result is not SpanExportResult.SUCCESS)

    def _say(self, *, down: bool) -> None:
        if down != self._down:
            self._down = down
            if down:
                log.warning("collector does not take spans", endpoint=self._endpoint)
            else:
                log.info("collector takes spans again", endpoint=self._endpoint)
