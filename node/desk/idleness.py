"""Which agents' devices are silent, as this process sees them.  Talks to the cluster's port.

    an agent's session here                      proposed
    nothing but pong, ack, auth for `after_s`    IdleSession: silent
    silent in the log, and does something        IdleSession: not any more
    asks by HTTP, and is away by silence         IdleSession: not any more, of all that are silent

Idle time lives where the socket is and nowhere else; the log hears of it when it changes something.
Whether *all* devices are silent, at whatever nodes, is concluded from the log (`cluster.state.
statuses`).  A client that comes from another node goes on as it was: nobody did anything.  One
that fell silent here and is not silent in the log any more was spoken for elsewhere, by HTTP: its
time begins anew.

Seconds are those of `clock`.
"""

from cluster.port import Answer
from cluster.state.commands import IdleSession
from cluster.state.outcome import Done
from node.auth import Principal
from node.desk.context import Context
from node.desk.hub import Hub
from node.desk.session import Session


class Idleness:
    """What agents did last, on each session of this process."""

    def __init__(self, context: Context, hub: Hub, after_s: float) -> None:
        """`after_s` 0: nobody is ever set away."""
        self._context = context
        self._hub = hub
        self._after_s = after_s
        self._acted: dict[Session, float] = {}
        self._silent: set[Session] = set()
        """Those of which the log was seen to know that they are."""
        self._in_flight: set[str] = set()
        """Sessions, or agents, of which an answer is awaited."""

    def acted(self, session: Session) -> None:
        """The session's principal did something on it."""
        if self._after_s and session.audience == "agent" and _is_agent(session.principal):
            self._acted[session] = self._context.clock()
            self._compare(session)

    def asked(self, principal: Principal) -> None:
        """A principal asked something without a session."""
        if not self._after_s or not _is_agent(principal):
            return
        now = self._context.clock()
        for session in self._hub.sessions_of("agent", principal.id):
            self._acted[session] = now
            self._compare(session)
        state = self._context.state
        agent = state.agents.get(principal.id)
        if agent is None or (agent.status, agent.status_src) != ("away", "idle"):
            return
        known = [state.sessions[sid] for sid in agent.sessions]
        for one in known:
            if one.idle:
                self._propose(one.sid, IdleSession(one.agent, False, one.sid, one.node, one.boot))
        if not any(one.idle for one in known):
            self._propose(principal.id, IdleSession(principal.id, idle=False))

    def sweep(self) -> None:
        """Compare all sessions with the log; called every second."""
        if not self._after_s:
            return
        here = self._hub.sessions_in("agent")
        self._acted = {one: self._acted.get(one, self._begun(one)) for one in here}
        self._silent.intersection_update(here)
        for session in here:
            self._compare(session)

    def _begun(self, session: Session) -> float:
        """Return when a session that is new here is to have done something last."""
        known = self._context.state.sessions.get(session.sid)
        now = self._context.clock()
        return now - self._after_s if known is not None and known.idle else now

    def _compare(self, session: Session) -> None:
        port = self._context.port
        known = port.state.sessions.get(session.sid)
        if known is None or not session.live or known.lost_ms:
            return
        if (known.node, known.boot) != (port.node_id, port.boot):
            return
        if known.idle:
            self._silent.add(session)
        elif session in self._silent:
            self._silent.discard(session)
            self._acted[session] = self._context.clock()
        acted = self._acted.get(session, self._begun(session))
        idle = self._context.clock() - acted >= self._after_s
        if idle != known.idle:
            command = IdleSession(known.agent, idle, known.sid, known.node, known.boot)
            self._propose(known.sid, command, session if idle else None)

    def _propose(self, name: str, command: IdleSession, silent: Session | None = None) -> None:
        """Propose `command`; `silent`: the session that it says is."""
        if name not in self._in_flight:
            self._in_flight.add(name)

            def on_answer(answer: Answer) -> None:
                self._in_flight.discard(name)  # without an outcome, the next sweep tries again
                if silent is not None and isinstance(answer, Done):
                    self._silent.add(silent)

            self._context.port.submit(command, on_answer)


def _is_agent(principal: Principal | None) -> bool:
    return principal is not None and principal.role == "agent"
