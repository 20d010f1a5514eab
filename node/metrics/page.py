"""The page itself: all figures of this moment, in the format that is asked for.

    Accept                                     what comes
    application/openmetrics-text; version=1    OpenMetrics, ends with # EOF
    anything else, or nothing                  Prometheus' text format 0.0.4

Source: OpenMetrics 1.0; both formats by prometheus_client.
"""

import platform
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.registry import Collector

from cluster.state.levels import LEVEL
from node import __version__
from node.metrics.certificates import of_certificates
from node.metrics.cluster import of_figures, of_replica
from node.metrics.desk import of_desk
from node.metrics.disk import of_log, of_storage
from node.metrics.edge import of_edge, of_rpc
from node.metrics.families import counter
from node.metrics.people import of_state
from node.metrics.processes import of_processes
from node.metrics.sources import Sources
from node.tracing.figures import TracingFigures

_BUILD = {
    "version": __version__,
    "level": str(LEVEL),
    "python": platform.python_version(),
}


class NodeCollector(Collector):
    """Reads the sources at each scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Return all figures of this moment."""
        sources = self._sources
        yield InfoMetricFamily("unidesk_build", "What release runs here", value=_BUILD)
        yield from of_replica(sources.replica())
        figures = sources.figures() if sources.figures is not None else None
        if figures is not None:
            yield from of_figures(figures)
        yield from of_storage(figures.storage if figures is not None else None, sources.folder)
        yield from of_state(sources.state())
        yield from of_desk(sources.desk())
        if sources.edge is not None:
            yield from of_edge(sources.edge())
        if sources.rpc is not None:
            yield from of_rpc(sources.rpc())
        wal = sources.wal() if sources.wal is not None else None
        if wal is not None:
            yield from of_log(wal)
        if sources.certificates is not None:
            yield from of_certificates(sources.certificates)
        yield from of_processes(sources.processes())
        yield from _tracing(sources.tracing())


class Metrics:
    """The page, on a registry of its own."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(NodeCollector(sources))

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Return the page, and its type, for whoever sends the header `Accept`."""
        try:
            encode, content_type = choose_encoder(accept)
        except ValueError:  # a version that is no number
            encode, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
        return encode(self._registry), content_type


def _tracing(tracing: TracingFigures) -> Iterator[Metric]:
    yield counter("trace_spans_exported", "Spans that the collector took", tracing.exported)
    yield counter("trace_spans_dropped", "Spans that the queue had no room for", tracing.dropped)
    yield counter("trace_spans_failed", "Spans that the collector did not take", tracing.failed)
