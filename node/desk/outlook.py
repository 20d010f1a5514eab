"""What `GET /cluster` says beside how the replica stands: for `unidesk cluster top` and `doctor`.

Asks the file system how much room there is.

    zone, wall_ms            where the node is; its clock
    draining, unstaffed      nodes without clients, queues without agents: from the log
    totals                   what clients said here since the start
    storage                  the disk's room, and the log's syncs since the start
    heals                    the newest lines of the heal log
"""

import shutil
from collections.abc import Callable
from itertools import islice
from typing import Any

from cluster.state.drains import drained
from cluster.state.state import State
from node.config import NodeConfig
from node.desk.statistics import DeskStatistics
from wal.log import LogStatistics

HEALS = 5
"""Lines of the heal log."""


def outlook(
    node: NodeConfig,
    state: State,
    desk: DeskStatistics,
    wal: Callable[[], LogStatistics | None] | None,
    wall_ms: int,
) -> dict[str, Any]:
    """Return the fields; of the disk those that can be known here."""
    return {
        "zone": node.zone,
        "wall_ms": wall_ms,
        "draining": sorted(drained(state)),
        "unstaffed": [one.queue for one in state.unstaffed.values() if one.alerted_ms],
        "totals": {
            "messages": desk.requests_total.get("msg.send", 0),
            "requests": sum(desk.requests_total.values()),
        },
        "storage": _storage(node, wal() if wal is not None else None),
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
    }


def _storage(node: NodeConfig, wal: LogStatistics | None) -> dict[str, float]:
    known: dict[str, float] = {}
    try:
        room = shutil.disk_usage(node.data)
    except OSError:  # no folder: whoever has it says what is wrong with it
        pass
    else:
        known |= {"free_bytes": room.free, "total_bytes": room.total}
    if wal is not None:
        known |= {
            "syncs": wal.syncs,
            "sync_seconds_total": wal.sync_seconds_total,
            "sync_seconds_max": wal.sync_seconds_max,
        }
    return known
