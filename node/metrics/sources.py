"""Where the figures of `/metrics` come from.  No I/O."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from cluster.figures import ReplicaFigures
from cluster.port import ReplicaStatus
from cluster.state.routings import Counts
from node.desk.statistics import DeskStatistics
from node.edge.statistics import EdgeStatistics
from node.metrics.certificates import Certificates
from node.metrics.disk import Folder
from node.processes import ProcessFigures, this_process
from node.rpc.statistics import RpcStatistics
from node.tracing.figures import TracingFigures
from wal.log import LogStatistics


@dataclass(frozen=True, slots=True)
class StateStatistics:
    """Sizes of the replicated state."""

    conversations: Mapping[str, int]
    """By state."""
    waiting: Mapping[str, int]
    """Waiting conversations by queue."""
    waiting_oldest_s: float
    """Age of the longest wait, 0 when nobody waits."""
    agents: Mapping[str, int]
    """By status."""
    sessions: int
    offers: int
    rules_rev: int
    tallies: Mapping[str, int]
    """What was counted over all nodes, since the beginning."""
    unserved: Mapping[str, int]
    """Conversations that nobody answered, by list."""
    unstaffed: Collection[str]
    """Queues that supervisors were alerted of."""
    faults: int
    """What operators broke on purpose, and is not ended."""
    rules: Counts | None = None
    """What the rules in force did to the decisions that are kept."""


def _only_this() -> dict[str, ProcessFigures]:
    return {"node": this_process()}


@dataclass(slots=True)
class Sources:
    """Where the figures come from; a part that is not there yet is left out."""

    replica: Callable[[], ReplicaStatus]
    state: Callable[[], StateStatistics]
    desk: Callable[[], DeskStatistics]
    edge: Callable[[], EdgeStatistics] | None = None
    rpc: Callable[[], RpcStatistics] | None = None
    wal: Callable[[], LogStatistics | None] | None = None
    figures: Callable[[], ReplicaFigures | None] | None = None
    folder: Folder | None = None
    """Where the log is."""
    certificates: Certificates | None = None
    processes: Callable[[], Mapping[str, ProcessFigures]] = _only_this
    """Those that make up this node, by what they are."""
    tracing: Callable[[], TracingFigures] = field(default=TracingFigures)
