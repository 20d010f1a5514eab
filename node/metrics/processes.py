"""Figures of the processes that make up a node.  Talks to /proc.

    [node] workers = 0    process="node"
    [node] workers = 2    process="core", process="worker-1", process="worker-2"

Names are Prometheus' own (`process_resident_memory_bytes`), so that what others draw fits; a sum
over `process` is the node's.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from node.processes import ProcessFigures

_GC = {
    "collections": "Runs of the collector",
    "objects_collected": "Objects that it freed",
    "objects_uncollectable": "Objects that it found and could not free",
}


def of_processes(processes: Mapping[str, ProcessFigures]) -> Iterator[Metric]:
    """Yield memory, descriptors, processor time and collections of each."""
    found: dict[str, Metric] = {}
    for name, process in processes.items():
        for metric in _of_system(process.pid):
            family = found.setdefault(metric.name, _like(metric))
            for sample in metric.samples:
                family.add_sample(sample.name, {"process": name}, sample.value)
    yield from found.values()
    counts = {
        "collections": [one.gc_collections for one in processes.values()],
        "objects_collected": [one.gc_collected for one in processes.values()],
        "objects_uncollectable": [one.gc_uncollectable for one in processes.values()],
    }
    for what, text in _GC.items():
        gc = CounterMetricFamily(f"python_gc_{what}", text, labels=["process", "generation"])
        for name, by_generation in zip(processes, counts[what], strict=True):
            for generation, count in enumerate(by_generation):
                gc.add_metric([name, str(generation)], count)
        yield gc


def _of_system(pid: int) -> Iterator[Metric]:
    yield from ProcessCollector(pid=lambda: pid, registry=None).collect()


def _like(metric: Metric) -> Metric:
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.documentation, labels=["process"])
