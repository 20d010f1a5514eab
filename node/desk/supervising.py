"""Supervisors' sessions that are over, and what they had joined.  Talks to the cluster's port.

    the connection ends, however ──▶ EndSupervision for all that was joined from it

It is proposed until there is nothing left of it, and looked for a while longer: a join may have
been on its way.  So does the node's next process, for those of whom this one looked still.  What a
node leaves behind that dies ends in the log, with the node.

Seconds are those of `clock`.
"""

from collections.abc import Iterable
from functools import partial

from cluster.port import Answer
from cluster.state.commands import SYSTEM, EndSupervision
from node.desk.context import Context
from node.desk.session import Session

LOOK_S = 60.0
"""How long a join may come late: longer than any proposal waits for its outcome."""
ENDED_MAX = 10_000


class Supervising:
    """Which sessions of supervisors ended in this process lately."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ended: dict[str, float] = {}
        """Session to when it ended."""
        self._in_flight: set[tuple[str, str]] = set()

    def end(self, session: Session) -> None:
        """The connection of `session` is over."""
        principal = session.principal
        if principal is None or principal.role != "supervisor" or not session.sid:
            return
        self.give_up([session.sid])

    def give_up(self, sids: Iterable[str]) -> None:
        """These sessions are over: of this process, or of one that has ended."""
        for sid in sids:
            self._ended[sid] = self._context.clock()
            if len(self._ended) > ENDED_MAX:
                del self._ended[next(iter(self._ended))]
        self.sweep()

    def ended(self) -> list[str]:
        """Return the sessions of which something may be left."""
        return list(self._ended)

    def sweep(self) -> None:
        """Let those who are gone leave; called every second."""
        if not self._ended:
            return
        state, now = self._context.state, self._context.clock()
        left: set[str] = set()
        for cv, supervisor in list(state.overseen_at.get(self._context.port.node_id, ())):
            for one in state.conversations[cv].overseers:
                if one.id == supervisor and one.sid in self._ended:
                    left.add(one.sid)
                    self._leave(cv, one.id, one.sid)
        self._ended = {
            sid: at for sid, at in self._ended.items() if sid in left or now < at + LOOK_S
        }

    def _leave(self, cv: str, supervisor: str, sid: str) -> None:
        if (cv, sid) not in self._in_flight:
            self._in_flight.add((cv, sid))
            command = EndSupervision(cv, SYSTEM, supervisor, sid)
            self._context.port.submit(command, partial(self._on_left, (cv, sid)))

    def _on_left(self, one: tuple[str, str], answer: Answer) -> None:
        self._in_flight.discard(one)  # without an outcome, the next sweep tries again
