"""Alerts to supervisors.  No I/O.

    command       from ──▶ to                            notice
    -------       -----------                            ------
    queue.alert   unstaffed ──▶ alerted                  QueueStaffing
    (somebody     alerted ──▶ staffed                    QueueStaffing
     comes)

The leader proposes an alert in the queue's hours; whether nobody is there is held here.
"""

from typing import Any

from msgspec.structs import replace

from cluster.state.change import Change, no
from cluster.state.commands import QueueAlert
from cluster.state.outcome import QueueStaffing


def alert(change: Change, command: QueueAlert) -> dict[str, Any]:
    """Tell supervisors that nobody is there for a queue, once."""
    unstaffed = change.state.unstaffed.get(command.queue)
    if unstaffed is None:
        no("conflict", f"somebody is there for {command.queue[:64]!r}, or nobody ever was")
    if unstaffed.alerted_ms:
        no("conflict", "supervisors were told")
    alerted = replace(unstaffed, alerted_ms=max(change.now_ms, 1))
    change.state.unstaffed[command.queue] = alerted
    change.state.count("queue.alert")
    change.notices.append(QueueStaffing(alerted.queue, alerted.since_ms, staffed=False))
    return {}
