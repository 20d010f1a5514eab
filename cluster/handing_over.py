"""Leadership that goes to another node: begun, and away from drained ones.  No I/O.

    given away by              until
    an operator                `Asking.hand_over` hears of the new leader
    a process that goes        the same, or its patience is over
    a drained node             another leads: tried again, while this one does
    a member that is to leave  the same, by the engine (`cluster.raft.changing`)

Whom it goes to is `cluster.heal.candidates`' to say, for all of them.
"""

from collections.abc import Callable

from cluster.heal.candidates import best, in_order
from cluster.heal.picture import Seen
from cluster.raft.engine import Engine


def begin(engine: Engine, seen: Seen, to: str = "", *, drained_too: bool = False) -> str:
    """Begin to hand over to `to`, or to the best; return whom to, empty when nobody is level."""
    for candidate in [to] if to else in_order(seen, drained_too=drained_too):
        if engine.transfer_leadership(candidate):
            return candidate
    return ""


class HandingOver:
    """Keeps leadership away from a node that is drained; lets the engine prefer who is best."""

    def __init__(
        self,
        engine: Engine,
        picture: Callable[[], Seen],
        clock: Callable[[], float],
        every_s: float,
    ) -> None:
        self._engine = engine
        self._picture = picture
        self._clock = clock
        self._every_s = every_s
        self._again_s = 0.0
        engine.prefer(lambda able: best(picture(), able))

    def turn(self) -> None:
        """Begin to hand over where that is due; called often, while this node is drained."""
        now_s = self._clock()
        if self._engine.is_leader and now_s >= self._again_s:
            self._again_s = now_s + self._every_s
            begin(self._engine, self._picture())
