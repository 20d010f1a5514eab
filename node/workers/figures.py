"""What several workers measured, as one.  No I/O.

    totals, histograms, gauges added up
    lag, pressure              the largest
    lists, search              the largest: each worker has all of it

Of a worker that is gone the totals stay: totals never fall.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from node.desk.statistics import DeskStatistics
from node.edge.pressure import Level
from node.edge.statistics import EdgeStatistics
from node.rpc.statistics import RpcStatistics
from wal.histogram import Buckets

_LARGEST = frozenset({"loop_lag_s", "loop_lag_s_max", "level"}) | {
    *("lists_known", "lists_missing", "search_texts", "search_to_read", "search_told")
}
_HISTOGRAMS = frozenset({"durable", "fan_out"})


def _lasts(name: str) -> bool:
    return name.endswith("_total") or name in _HISTOGRAMS


def plain(statistics: EdgeStatistics | DeskStatistics | RpcStatistics) -> dict[str, Any]:
    """Return the fields, to be sent."""
    found: dict[str, Any] = msgspec.to_builtins(asdict(statistics))
    return found


def of_the_departed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stays of a worker's figures when it is gone: its totals."""
    return {name: value if _lasts(name) else type(value)() for name, value in fields.items()}


def edge_of_all(workers: Iterable[Mapping[str, Any]]) -> EdgeStatistics:
    """Return one edge; there is at least one worker."""
    fields = added(workers)
    return EdgeStatistics(**{**fields, "level": Level(fields["level"])})


def desk_of_all(workers: Iterable[Mapping[str, Any]]) -> DeskStatistics:
    """Return one desk; there is at least one worker."""
    return msgspec.convert(added(workers), DeskStatistics, str_keys=True)


def rpc_of_all(workers: Iterable[Mapping[str, Any]]) -> RpcStatistics:
    """Return one gRPC server; there is at least one worker."""
    return RpcStatistics(**added(workers))


def added(workers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sum of several workers' figures; nothing for none."""
    total: dict[str, Any] = {}
    for fields in workers:
        for name, value in fields.items():
            if name not in total:
                total[name] = value
            elif name in _LARGEST:
                total[name] = max(total[name], value)
            elif name in _HISTOGRAMS:
                total[name] = _both(total[name], value)
            else:
                total[name] = _sum(total[name], value)
    return total


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        keys = [*one, *(key for key in other if key not in one)]
        return {key: one.get(key, 0) + other.get(key, 0) for key in keys}
    return one + other


def _both(one: Any, other: Any) -> Any:
    """Return the histogram of what two have seen."""
    mine, its = (msgspec.convert(histogram, Buckets) for histogram in (one, other))
    return msgspec.to_builtins(mine.plus(its))
