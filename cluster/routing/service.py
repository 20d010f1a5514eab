"""What the leader proposes of service levels: what their clocks have to tell.  No I/O.

    a clock past its warning, or its deadline    SlaDue

`apply` holds each against cluster time again.
"""

from collections.abc import Iterator

from cluster.state.commands import Command, SlaDue
from cluster.state.state import State


def due_service(state: State, now_ms: int) -> Iterator[Command]:
    """Yield what is due by `now_ms`, the earliest first."""
    for at_ms, cv in state.sla_due:
        if at_ms > now_ms:
            break
        yield SlaDue(cv)
