"""What becomes of the spans of one process.  Talks to the log, and to the exporter's thread.

span ──▶ a line of the log, at debug: name, trace_id, span_id, how long
     └─▶ the exporter's queue, where a collector is configured
"""

import structlog

from cluster.tracing import Span
from node.config import TraceConfig
from node.tracing.figures import TracingFigures

log = structlog.get_logger(__name__)


class ExporterMissing(Exception):
    """The configuration names a collector, and what speaks to it is not installed."""


class Spans:
    """Takes spans from any part of the process; a context in which they are exported."""

    def __init__(self, config: TraceConfig, node: str, process: str = "node") -> None:
        """Raises `ExporterMissing`."""
        self._exporter = None
        if config.endpoint:
            try:
                from node.tracing.otlp import Exporter  # 100 ms and 15 MB: only where it is used
            except ImportError as error:
                raise ExporterMissing(
                    f"[trace] endpoint needs what is not installed ({error.name}):"
                    " install unidesk[otlp], or leave [trace] out"
                ) from None
            self._exporter = Exporter(config.endpoint, node, process)

    def take(self, span: Span) -> None:
        """Note a span that is over; never waits."""
        log.debug(
            "span",
            name=span.name,
            trace_id=span.at.trace_id,
            span_id=span.at.span_id,
            ms=round((span.end_ns - span.start_ns) / 1e6, 3),
            **span.attributes,
        )
        if self._exporter is not None:
            self._exporter.put(span)

    def figures(self) -> TracingFigures:
        """Return how the export goes."""
        return self._exporter.figures() if self._exporter is not None else TracingFigures()

    def __enter__(self) -> "Spans":
        if self._exporter is not None:
            self._exporter.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._exporter is not None:
            self._exporter.stop()
