"""What `GET /cluster` says beside how the replica stands: for `unidesk cluster top` and `doctor`.

Asks the file system how much room there is where the replica does not say.

    zone, wall_ms            where the node is; its clock
    draining, unstaffed      nodes without clients, queues without agents: from the log
    totals                   what clients said here since the start
    storage                  the disk's room, its p99 of late, the log's syncs since the start
    heals                    the newest lines of the heal log
    chaos                    who may be broken on purpose, and what is
    backup_ms                when the last backup was taken that the audit log knows; 0: none
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

from cluster.port import Figures
from cluster.state.drains import drained
from cluster.state.state import State
from node.config import NodeConfig
from node.desk.statistics import DeskStatistics
from wal.log import LogStatistics

HEALS = 5
"""Lines of the heal log."""
_OF_VITALS = {
    "free_bytes": "disk_free_bytes",
    "total_bytes": "disk_total_bytes",
    "sync_p99_ms": "sync_p99_ms",
}


def outlook(
    node: NodeConfig,
    state: State,
    desk: DeskStatistics,
    wal: Callable[[], LogStatistics | None] | None,
    wall_ms: int,
    vitals: Figures,
) -> dict[str, Any]:
    """Return the fields; of the disk those that can be known here.  `vitals`: this node's own."""
    return {
        "zone": node.zone,
        "wall_ms": wall_ms,
        "draining": sorted(drained(state)),
        "unstaffed": [one.queue for one in state.unstaffed.values() if one.alerted_ms],
        "totals": {
            "messages": desk.requests_total.get("msg.send", 0),
            "requests": sum(desk.requests_total.values()),
        },
        "storage": _storage(node, wal() if wal is not None else None, vitals),
        "heals": [
            {
                "at": line.noted_ms,
                "node": line.node,
                "rule": line.rule,
                "seen": line.seen,
                "done": line.done,
                "outcome": line.outcome,
            }
            for line in reversed(list(islice(reversed(state.heal_log), HEALS)))
        ],
        "chaos": {
            "allowed": sorted(state.consents),
            "faults": [
                {
                    "kind": one.kind,
                    "groups": [",".join(group) for group in one.groups],
                    "amount": one.amount,
                    "jitter_ms": one.jitter_ms,
                    "clients": one.clients,
                    "zone": one.zone,
                    "by": one.by.id,
                }
                for one in state.faults.values()
            ],
        },
        "backup_ms": next(
            (one.at_ms for one in reversed(state.audit) if one.what == "backup.take"), 0
        ),
    }


def _storage(node: NodeConfig, wal: LogStatistics | None, vitals: Figures) -> dict[str, float]:
    known = {
        name: float(value)
        for name, field in _OF_VITALS.items()
        if isinstance(value := vitals.get(field, -1), int | float) and value >= 0
    }
    if "free_bytes" not in known:
        with suppress(OSError):  # no folder: whoever has it says what is wrong with it
            room = shutil.disk_usage(node.data)
            # What root alone may use is nobody's here.
            known |= {"free_bytes": room.free, "total_bytes": room.used + room.free}
    if wal is not None:
        known |= {
            "syncs": wal.syncs,
            "sync_seconds_total": wal.sync_seconds_total,
            "sync_seconds_max": wal.sync_seconds_max,
        }
    return known
