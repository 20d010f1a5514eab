"""Write the tables of docs/reference/metrics.md from what the collector yields.

    python -m scripts.metrics_page

A node that does nothing is asked for its figures, so the page cannot name one that is not there,
or leave one out; `tests/node/test_metrics.py` holds it to that.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from prometheus_client.core import Metric

from cluster.figures import ReplicaFigures
from cluster.port import ReplicaStatus
from cluster.state.routings import Counts
from cluster.vitals import Storage
from node.desk.statistics import DeskStatistics
from node.edge.pressure import Level
from node.edge.statistics import EdgeStatistics
from node.metrics import Sources, StateStatistics
from node.metrics.certificates import Certificates
from node.metrics.page import NodeCollector
from node.rpc.statistics import RpcStatistics
from wal.histogram import SHORT_BOUNDS_S, Buckets, Histogram
from wal.log import LogStatistics

PAGE = Path(__file__).parent.parent / "docs/reference/metrics.md"
BEGIN, END = "<!-- begin: python -m scripts.metrics_page -->\n", "<!-- end -->\n"
SECTIONS: dict[str, tuple[str, ...]] = {
    "Agreement and the other nodes": ("build", "node", "raft", "cluster", "peer", "proposals"),
    "How long things take": ("commit", "apply", "dispatch", "fan_out"),
    "Healing and chaos": ("heal", "invariant", "commands", "chaos"),
    "Log and disk": ("wal", "disk"),
    "Conversations, agents, queues, service": (
        *("conversations", "waiting", "agents", "agent", "offers", "rules", "rule", "sla"),
        *("missed", "ratings", "unserved", "queue_alerts", "queue_unstaffed"),
    ),
    "Desk": ("desk", "lists", "queue", "search"),
    "Edge": ("edge",),
    "gRPC, where it is served": ("grpc",),
    "Traces": ("trace",),
    "Certificates and processes": ("certificate", "process", "python"),
}
"""Title, and how the names begin that belong there; the longest that fits counts."""


def _zero(kind: Any) -> Any:
    plain: dict[Any, Callable[[], Any]] = {
        Level: lambda: Level.CALM,
        Buckets: Histogram(SHORT_BOUNDS_S).buckets,
        Storage: lambda: Storage(free_bytes=0, total_bytes=0),
        Counts | None: lambda: Counts(Counter(), Counter(), Counter()),
    }
    made = plain.get(kind)
    if made is not None:
        return made()
    origin = get_origin(kind) or kind
    return {} if not isinstance(origin, type) or origin not in (int, float, bool, str) else origin()


def _idle(kind: Any) -> Any:
    """Return what a part says that did nothing yet."""
    names = getattr(kind, "__struct_fields__", None) or [one.name for one in fields(kind)]
    hints = get_type_hints(kind)
    return kind(**{name: _zero(hints[name]) for name in names})


def idle_sources() -> Sources:
    """Return every source there is, of a node that does nothing."""
    return Sources(
        replica=lambda: _idle(ReplicaStatus),
        state=lambda: _idle(StateStatistics),
        desk=lambda: _idle(DeskStatistics),
        edge=lambda: _idle(EdgeStatistics),
        rpc=lambda: _idle(RpcStatistics),
        wal=lambda: _idle(LogStatistics),
        figures=lambda: _idle(ReplicaFigures),
        certificates=Certificates({}),
    )


def shown(metric: Metric) -> str:
    """Return the name that a query uses."""
    return (
        f"{metric.name}_{'total' if metric.type == 'counter' else metric.type}"
        if (metric.type in ("counter", "info"))
        else metric.name
    )


def _section(metric: Metric) -> str:
    name = metric.name.removeprefix("unidesk_")
    fitting = [
        (len(prefix), title)
        for title, prefixes in SECTIONS.items()
        for prefix in prefixes
        if name == prefix or name.startswith(f"{prefix}_")
    ]
    return max(fitting)[1]


def _row(metric: Metric) -> str:
    labels: tuple[str, ...] = getattr(metric, "_labelnames", ())
    if metric.type == "info":
        labels = tuple(metric.samples[0].labels)
    told = ", ".join(f"`{label}`" for label in labels)
    return f"| `{shown(metric)}` | {metric.type} | {told} | {metric.documentation.rstrip('.')} |"


def tables() -> Iterator[str]:
    """Yield the lines of all tables."""
    found = list(NodeCollector(idle_sources()).collect())
    for title in SECTIONS:
        rows = [_row(metric) for metric in found if _section(metric) == title]
        yield from (f"## {title}", "", "| name | type | labels | |", "|---|---|---|---|", *rows, "")


def page(text: str) -> str:
    """Return the page with its tables as they are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{os.linesep.join(tables())}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
