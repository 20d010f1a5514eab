"""Figures of the edges: sockets, HTTP, WebSocket, gRPC.  No I/O."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from node.edge.statistics import EdgeStatistics
from node.metrics.families import counter, counters, floats, gauge
from node.rpc.statistics import RpcStatistics


def of_edge(edge: EdgeStatistics) -> Iterator[Metric]:
    """Yield what goes through sockets."""
    yield gauge("edge_connections", "Open WebSockets", edge.connections)
    yield gauge("edge_handshaking", "Sockets that speak HTTP", edge.handshaking)
    yield gauge("edge_requests_running", "HTTP requests in a task", edge.requests_running)
    yield counter("edge_accepted", "Sockets accepted", edge.accepted_total)
    yield counter("edge_opened", "WebSockets opened", edge.opened_total)
    yield counter("edge_closed", "WebSockets closed", edge.closed_total)
    yield counter("edge_requests", "HTTP requests", edge.requests_total)
    yield counter("edge_messages_in", "WebSocket messages received", edge.messages_in_total)
    yield counter("edge_messages_out", "WebSocket frames sent", edge.messages_out_total)
    yield counter("edge_received_bytes", "Bytes received", edge.bytes_in_total)
    yield counter("edge_sent_bytes", "Bytes sent", edge.bytes_out_total)
    yield counter("edge_slow_consumers", "Closed for reading too slowly", edge.slow_consumers_total)
    yield counter(
        "edge_ephemeral_dropped", "Ephemeral frames dropped", edge.ephemeral_dropped_total
    )
    yield counter("edge_application_errors", "Faults of the desk", edge.application_errors_total)
    yield counters("edge_refused", "Peers refused", "reason", floats(edge.refused_total))
    yield gauge("edge_pressure", "0 calm, 1 lets nobody new in, 2 sends some away", edge.level)
    yield gauge("edge_memory_bytes", "What the process holds in memory", edge.memory_bytes)
    yield gauge("edge_addresses", "Addresses that have sockets", edge.addresses)
    yield gauge("edge_loop_lag_seconds", "How late the last sweep ran", edge.loop_lag_s)
    yield gauge("edge_loop_lag_max_seconds", "How late the latest sweep ran", edge.loop_lag_s_max)


def of_rpc(rpc: RpcStatistics) -> Iterator[Metric]:
    """Yield what goes by gRPC."""
    yield gauge("grpc_calls_running", "Calls under way", rpc.calls_running)
    yield gauge("grpc_streams", "Open streams of events", rpc.streams)
    yield counters("grpc_calls", "Calls ended, by status", "status", floats(rpc.calls_total))
    yield counter("grpc_abandoned", "Calls nobody waited for any more", rpc.abandoned_total)
    yield counter("grpc_streams_opened", "Streams of events opened", rpc.streams_total)
    yield counter("grpc_pushes", "Pushes sent on streams", rpc.pushes_total)
    yield counter("grpc_sent_bytes", "Bytes of pushes sent", rpc.sent_bytes_total)
    yield counter(
        "grpc_slow_consumers", "Streams ended for reading too slowly", rpc.slow_consumers_total
    )
    yield counter("grpc_ephemeral_dropped", "Ephemeral pushes dropped", rpc.ephemeral_dropped_total)
