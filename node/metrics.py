"""`GET /metrics`: the figures of every part, read when they are asked for.

    part        read from                        prefix
    replica     Port.status()                    unidesk_raft_, unidesk_peer_
    log         Replica.wal_statistics()         unidesk_wal_
    state       counts of the replicated state   unidesk_conversations, unidesk_agents ...
    edge        EdgeServer.statistics()          unidesk_edge_
    desk        Desk.statistics()                unidesk_desk_
    gRPC        RpcServer.statistics()           unidesk_grpc_
    lists       the desk's, too                  unidesk_lists_, unidesk_queue_, unidesk_search_

Nothing is counted here.  Labels are of small sets that the code or the configuration names -
nodes, states, operations, codes, queues of the rules - never ids of people or conversations.
Base units: seconds, bytes.

Source: Prometheus, "Metric and label naming"; the text format by prometheus_client.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from cluster.port import ReplicaStatus, Standing
from cluster.state.clocks import ClockName
from cluster.state.missed import REASONS
from cluster.state.routings import Counts
from cluster.state.satisfaction import SCORES
from node import __version__
from node.desk.statistics import DeskStatistics, OverviewStatistics
from node.edge.statistics import EdgeStatistics
from node.rpc.statistics import RpcStatistics
from wal.log import LogStatistics

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
QUEUES_MAX = 100
"""Queues that get a line of their own; the rest is summed up as `other`."""
RULES_MAX = 100
"""Rules that get a line of their own, those with the most; so for the rest."""


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
    rules: Counts | None = None
    """What the rules in force did to the decisions that are kept."""


@dataclass(slots=True)
class Sources:
    """Where the figures come from; a part that is not there yet is left out."""

    replica: Callable[[], ReplicaStatus]
    state: Callable[[], StateStatistics]
    desk: Callable[[], DeskStatistics]
    edge: Callable[[], EdgeStatistics] | None = None
    rpc: Callable[[], RpcStatistics] | None = None
    wal: Callable[[], LogStatistics | None] | None = None


class NodeCollector(Collector):
    """Reads the sources at each scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Return all figures of this moment."""
        sources = self._sources
        yield from _replica(sources.replica())
        yield from _state(sources.state())
        desk = sources.desk()
        yield from _desk(desk)
        yield from _lists(desk)
        if sources.edge is not None:
            yield from _edge(sources.edge())
        if sources.rpc is not None:
            yield from _rpc(sources.rpc())
        wal = sources.wal() if sources.wal is not None else None
        if wal is not None:
            yield from _wal(wal)


class Metrics:
    """The page itself, on a registry of its own."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(NodeCollector(sources))

    def page(self) -> bytes:
        """Return the page in Prometheus' text format."""
        return generate_latest(self._registry)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"unidesk_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"unidesk_{name}", text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"unidesk_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"unidesk_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _replica(status: ReplicaStatus) -> Iterator[Metric]:
    info = {"node": status.node, "boot": status.boot, "version": __version__}
    yield InfoMetricFamily("unidesk_node", "Who this is", value=info)
    standings = {standing: float(standing == status.standing) for standing in get_args(Standing)}
    yield _gauges("node_standing", "1 for the node's standing, 0 for others", "standing", standings)
    yield _gauge("raft_leader", "1 while this node leads", status.role == "leader")
    yield _gauge("raft_leader_known", "1 while a leader is known", bool(status.leader))
    yield _gauge("raft_term", "Raft term", status.term)
    yield _gauge("raft_commit_index", "Last log index known to be committed", status.commit_index)
    yield _gauge("raft_applied_index", "Last log index applied here", status.applied_index)
    yield _gauge("raft_last_index", "Last log index here", status.last_index)
    yield _gauge("raft_first_index", "First log index still here", status.first_index)
    yield _gauge("raft_snapshot_index", "Log index of the newest snapshot", status.snapshot_index)
    yield _gauge("raft_quorum_heard_seconds", "Since a quorum was heard", status.quorum_heard_s)
    yield _gauge("proposals_pending", "Proposals of this node without an outcome", status.pending)
    yield _counter(
        "invariant_violations", "Commands that broke an invariant of the state", status.violations
    )
    for name, (field, text) in _PEER_GAUGES.items():
        yield _gauges(name, text, "peer", _of_peers(status, field))
    for name, (field, text) in _PEER_COUNTERS.items():
        yield _counters(name, text, "peer", _of_peers(status, field))


_PEER_GAUGES = {
    "peer_connected": ("connected", "1 while the link to the peer is up"),
    "peer_last_heard_seconds": ("last_heard_s", "Since the peer was heard"),
    "peer_match_index": ("match_index", "Last log index known to be on the peer's disk"),
    "peer_queued_bytes": ("queued_bytes", "Bytes that wait to be sent to the peer"),
}
_PEER_COUNTERS = {
    "peer_dropped_frames": ("dropped_total", "Frames for the peer that were dropped"),
    "peer_connects": ("connects_total", "Times the link to the peer came up"),
}


def _of_peers(status: ReplicaStatus, field: str) -> dict[str, float]:
    found = {peer: figures.get(field) for peer, figures in status.peers.items()}
    return {peer: float(value) for peer, value in found.items() if isinstance(value, int | float)}


def _state(state: StateStatistics) -> Iterator[Metric]:
    yield _gauges("conversations", "Conversations by state", "state", _floats(state.conversations))
    by_queue = _most(state.waiting, QUEUES_MAX)
    yield _gauges("waiting", "Conversations that wait, by queue", "queue", by_queue)
    yield _gauge("waiting_oldest_seconds", "The longest wait of now", state.waiting_oldest_s)
    yield _gauges("agents", "Agents by status", "status", _floats(state.agents))
    yield _gauge("agent_sessions", "Sessions of agents, also in their grace period", state.sessions)
    yield _gauge("offers_pending", "Offers without an end", state.offers)
    yield _gauge("rules_revision", "Revision of the routing rules in force", state.rules_rev)
    yield from _service(state)


_CLOCKS = get_args(ClockName)


def _service(state: StateStatistics) -> Iterator[Metric]:
    """Return how visitors were served: the same at every node, and kept over restarts."""

    def of(kind: str, names: Iterable[str]) -> dict[str, float]:
        return {name: float(state.tallies.get(f"{kind}.{name}", 0)) for name in names}

    yield _counters("sla_warnings", "Clocks near their end", "clock", of("sla.warning", _CLOCKS))
    yield _counters("sla_breaches", "Clocks that ran out", "clock", of("sla.breach", _CLOCKS))
    yield _counters("missed", "Closed without an answer", "why", of("missed", REASONS))
    yield _counters("ratings", "Ratings given", "score", of("rated", map(str, SCORES)))
    yield _gauges("unserved", "Not answered, by list", "list", _floats(state.unserved))
    alerts = float(state.tallies.get("queue.alert", 0))
    yield _counter("queue_alerts", "Queues that lost their last agent in their hours", alerts)
    shown = sorted(state.unstaffed)[:QUEUES_MAX]
    unstaffed = dict.fromkeys(shown, 1.0)
    yield _gauges("queue_unstaffed", "1 for a queue that nobody is there for", "queue", unstaffed)
    if state.rules is not None:
        for name, text, counts in (
            ("rule_matched", "Decisions of this revision that are kept", state.rules.matched),
            ("rule_erred", "Of these, in how many it could not be told", state.rules.erred),
            ("rule_shadow", "Of these, how many a shadow would have decided", state.rules.shadow),
        ):
            yield _gauges(name, f"{text}, by rule", "rule", _most(counts, RULES_MAX))


def _desk(desk: DeskStatistics) -> Iterator[Metric]:
    yield _gauge("desk_connections", "WebSockets, also without hello", desk.connections)
    yield _gauges("desk_sessions", "Live sessions by role", "role", _floats(desk.sessions))
    yield _gauge("desk_subscriptions", "Conversations followed, by session", desk.subscriptions)
    yield _gauge("desk_in_flight", "Requests that wait for the log", desk.in_flight)
    yield _counters("desk_requests", "Requests by operation", "op", _floats(desk.requests_total))
    yield _counters("desk_errors", "Requests refused, by code", "code", _floats(desk.errors_total))
    byes = {str(code): float(count) for code, count in desk.byes_total.items()}
    yield _counters("desk_byes", "Connections closed from here, by close code", "code", byes)
    yield _counter("desk_events_sent", "Durable events sent", desk.events_sent_total)
    yield _counter("desk_encoded", "Pushes encoded for fan-out", desk.encoded_total)
    yield _counter("desk_resumes", "Subscriptions that were brought up to date", desk.resumes_total)
    yield _counter("desk_gaps", "Resumes that could not be complete", desk.gaps_total)
    yield _counter("desk_ephemeral", "Typing and receipts from here", desk.ephemeral_total)
    buckets = [
        ("+Inf" if bound == float("inf") else str(bound), count)
        for bound, count in desk.durable_buckets
    ]
    yield HistogramMetricFamily(
        "unidesk_desk_durable_seconds",
        "From a durable request to its answer",
        buckets=buckets,
        sum_value=desk.durable_sum_s,
    )


def _edge(edge: EdgeStatistics) -> Iterator[Metric]:
    yield _gauge("edge_connections", "Open WebSockets", edge.connections)
    yield _gauge("edge_handshaking", "Sockets that speak HTTP", edge.handshaking)
    yield _gauge("edge_requests_running", "HTTP requests in a task", edge.requests_running)
    yield _counter("edge_accepted", "Sockets accepted", edge.accepted_total)
    yield _counter("edge_opened", "WebSockets opened", edge.opened_total)
    yield _counter("edge_closed", "WebSockets closed", edge.closed_total)
    yield _counter("edge_requests", "HTTP requests", edge.requests_total)
    yield _counter("edge_messages_in", "WebSocket messages received", edge.messages_in_total)
    yield _counter("edge_messages_out", "WebSocket frames sent", edge.messages_out_total)
    yield _counter("edge_received_bytes", "Bytes received", edge.bytes_in_total)
    yield _counter("edge_sent_bytes", "Bytes sent", edge.bytes_out_total)
    yield _counter(
        "edge_slow_consumers", "Closed for reading too slowly", edge.slow_consumers_total
    )
    yield _counter(
        "edge_ephemeral_dropped", "Ephemeral frames dropped", edge.ephemeral_dropped_total
    )
    yield _counter("edge_application_errors", "Faults of the desk", edge.application_errors_total)
    yield _counters("edge_refused", "Peers refused", "reason", _floats(edge.refused_total))
    yield _gauge("edge_pressure", "0 calm, 1 lets nobody new in, 2 sends some away", edge.level)
    yield _gauge("edge_memory_bytes", "What the process holds in memory", edge.memory_bytes)
    yield _gauge("edge_addresses", "Addresses that have sockets", edge.addresses)
    yield _gauge("edge_loop_lag_seconds", "How late the last sweep ran", edge.loop_lag_s)
    yield _gauge("edge_loop_lag_max_seconds", "How late the latest sweep ran", edge.loop_lag_s_max)


def _rpc(rpc: RpcStatistics) -> Iterator[Metric]:
    yield _gauge("grpc_calls_running", "Calls under way", rpc.calls_running)
    yield _gauge("grpc_streams", "Open streams of events", rpc.streams)
    yield _counters("grpc_calls", "Calls ended, by status", "status", _floats(rpc.calls_total))
    yield _counter("grpc_abandoned", "Calls nobody waited for any more", rpc.abandoned_total)
    yield _counter("grpc_streams_opened", "Streams of events opened", rpc.streams_total)
    yield _counter("grpc_pushes", "Pushes sent on streams", rpc.pushes_total)
    yield _counter("grpc_sent_bytes", "Bytes of pushes sent", rpc.sent_bytes_total)
    yield _counter(
        "grpc_slow_consumers", "Streams ended for reading too slowly", rpc.slow_consumers_total
    )
    yield _counter(
        "grpc_ephemeral_dropped", "Ephemeral pushes dropped", rpc.ephemeral_dropped_total
    )


def _lists(desk: OverviewStatistics) -> Iterator[Metric]:
    yield _gauge("lists_conversations", "Conversations that lists know", desk.lists_known)
    yield _gauge("lists_missing", "Conversations that they do not know yet", desk.lists_missing)
    yield _gauge("queue_watchers", "Sessions that watch queues", desk.queue_watchers)
    yield _gauge("queue_places", "Visitors who are told their place in a queue", desk.places)
    yield _gauge("search_texts", "Texts that can be found", desk.search_texts)
    yield _gauge("search_to_read", "Conversations still to be read", desk.search_to_read)
    yield _gauge("search_told", "Texts that wait to be taken in", desk.search_told)
    yield _counter(
        "search_failures", "Times that the index was made anew", desk.search_failures_total
    )
    yield _counter("search_questions", "Questions asked", desk.search_questions_total)
    yield _counter("search_seconds", "Time that questions took", desk.search_seconds_total)


def _wal(wal: LogStatistics) -> Iterator[Metric]:
    yield _gauge("wal_segments", "Segment files", wal.segments)
    yield _gauge("wal_bytes", "Bytes of all segments", wal.bytes)
    yield _gauge("wal_gathered_bytes", "Bytes that wait for the next sync", wal.gathered_bytes)
    yield _counter("wal_frames", "Frames written", wal.frames)
    yield _counter("wal_written_bytes", "Bytes written", wal.frame_bytes)
    yield _counter("wal_syncs", "Times the log was made durable", wal.syncs)
    yield _counter("wal_sync_seconds", "Time spent making it durable", wal.sync_seconds_total)
    yield _gauge("wal_sync_last_seconds", "The last sync", wal.sync_seconds_last)
    yield _gauge("wal_sync_max_seconds", "The longest sync", wal.sync_seconds_max)
    yield _gauge("wal_poisoned", "1 when the disk failed", wal.poisoned)


def _floats(values: Mapping[str, int]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items()}


def _most(counts: Mapping[str, int], most: int) -> dict[str, float]:
    """Return the largest of `counts`, and the rest as `other`."""
    found: dict[str, float] = {}
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    for place, (name, count) in enumerate(ranked):
        label = (name or "none") if place < most else "other"
        found[label] = found.get(label, 0.0) + count  # somebody's own may be called so
    return found
