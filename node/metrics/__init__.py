"""`GET /metrics`: the figures of every part, read when they are asked for.

    part        read from                        module        prefix
    replica     Port.status(), Replica.figures() cluster       unidesk_raft_, _peer_, _commit_ …
    log, disk   Replica.wal_statistics(), statvfs disk         unidesk_wal_, unidesk_disk_
    state       counts of the replicated state   people        unidesk_conversations, _agents …
    desk        Desk.statistics()                desk          unidesk_desk_, _lists_, _search_ …
    edges       EdgeServer, RpcServer            edge          unidesk_edge_, unidesk_grpc_
    processes   /proc, the garbage collector     processes     process_, python_gc_
    TLS         files                            certificates  unidesk_certificate_

Nothing is counted here.  Labels are of small sets that the code or the configuration names -
nodes, states, operations, codes, queues of the rules - never ids of people or conversations.
Base units: seconds, bytes.  `docs/reference/metrics.md` lists all of them.

Source: Prometheus, "Metric and label naming"; OpenMetrics 1.0.
"""

from node.metrics.page import Metrics
from node.metrics.sources import Sources, StateStatistics

__all__ = ["Metrics", "Sources", "StateStatistics"]
