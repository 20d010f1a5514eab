"""What the leader proposes of service levels: what their clocks have to tell.  No I/O.

    a clock past its warning, or its deadline    SlaDue
    nobody is there for a queue, in its hours    QueueAlert

`apply` holds each against cluster time again.
"""

from collections.abc import Callable, Iterator

from cluster.state.commands import Command, QueueAlert, SlaDue
from cluster.state.state import State


def due_service(state: State, now_ms: int, is_open: Callable[[str], bool]) -> Iterator[Command]:
    """Yield what is due by `now_ms`, the earliest first; `is_open` knows a queue's hours."""
    for at_ms, cv in state.sla_due:
        if at_ms > now_ms:
            break
        yield SlaDue(cv)
    for unstaffed in state.unstaffed.values():
        if not unstaffed.alerted_ms and is_open(unstaffed.queue):
            yield QueueAlert(unstaffed.queue)
