"""What agents are, told to supervisors and to colleagues.  No I/O: sessions have outlets.

AgentChanged ──▶ the same as told last?    nothing: only load or sessions changed
             └─▶ `presence`                to supervisors; to other agents of a desk that is
                                           not too large
"""

from collections.abc import Callable

from cluster.state.state import State
from node.desk.frames import Shared
from node.desk.session import Session
from node.desk.statistics import Tally
from node.desk.views import presence_push
from node.protocol.catalogue import PresencePush

COLLEAGUES_MAX = 1_000
"""Agents known, up to which each hears of all others' status: beyond, what is pushed would grow
with their square, and who wants to know asks."""


class Colleagues:
    """What was told of each agent last, on this node."""

    def __init__(self, sessions_in: Callable[[str], list[Session]], tally: Tally) -> None:
        """`sessions_in` returns the sessions of a role."""
        self._sessions_in = sessions_in
        self._tally = tally
        self._told: dict[str, PresencePush] = {}

    def tell(self, state: State, agent_id: str) -> None:
        """Tell what the agent is now, if that is news."""
        agent = state.agents.get(agent_id)
        if agent is None:
            self._told.pop(agent_id, None)
            return
        push = presence_push(agent)
        if self._told.get(agent_id) == push:
            return
        self._told[agent_id] = push
        listeners = self._sessions_in("supervisor")
        if len(state.agents) <= COLLEAGUES_MAX:
            listeners += [one for one in self._sessions_in("agent") if not _is(one, agent_id)]
        shared = Shared(push, self._tally)
        for session in listeners:
            session.send_frame(shared.frame(session.encoding))


def _is(session: Session, agent_id: str) -> bool:
    return session.principal is not None and session.principal.id == agent_id
