"""Families of figures, named and of base units as Prometheus wants them.  No I/O.

Source: Prometheus, "Metric and label naming"; OpenMetrics 1.0.
"""

from collections.abc import Iterable, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from wal.histogram import Buckets


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Return one figure that goes up and down."""
    return GaugeMetricFamily(f"unidesk_{name}", text, value=value)


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    """Return one figure that only grows; it is shown as `NAME_total`."""
    return CounterMetricFamily(f"unidesk_{name}", text, value=value)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """Return figures that go up and down, by `label`."""
    family = GaugeMetricFamily(f"unidesk_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    """Return figures that only grow, by `label`."""
    family = CounterMetricFamily(f"unidesk_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def histogram(name: str, text: str, buckets: Buckets) -> HistogramMetricFamily:
    """Return how often something took how many seconds."""
    return HistogramMetricFamily(
        f"unidesk_{name}",
        text,
        buckets=[
            ("+Inf" if bound == float("inf") else str(bound), count)
            for bound, count in buckets.cumulative()
        ],
        sum_value=buckets.sum,
    )


def labelled(
    family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily | CounterMetricFamily:
    """Return `family` with a line for each of (values of its labels, value)."""
    for values, value in rows:
        family.add_metric(values, value)
    return family


def floats(values: Mapping[str, int]) -> dict[str, float]:
    """Return `values` as the families take them."""
    return {key: float(value) for key, value in values.items()}


def most(counts: Mapping[str, int], most: int) -> dict[str, float]:
    """Return the largest of `counts`, and the rest as `other`."""
    found: dict[str, float] = {}
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    for place, (name, count) in enumerate(ranked):
        label = (name or "none") if place < most else "other"
        found[label] = found.get(label, 0.0) + count  # somebody's own may be called so
    return found
