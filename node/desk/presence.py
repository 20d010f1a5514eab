"""Agents' sessions, kept in the log as they are on the sockets.  Talks to the cluster's port.

    socket                                  command
    hello                                   OpenSession; with the `sid` resumed, if it is theirs
    broke, or closed from here              LoseSession: the grace period starts
    closed by the client, 1000 or 4109      CloseSession: logged out
    live, but lost in the state             OpenSession again (the node was given up too early)

The end of a session is proposed again until it has an outcome: an agent whose socket is gone
must not be offered conversations for longer than the grace period.
"""

from collections.abc import Iterable
from functools import partial

import structlog

from cluster.port import Answer, Unavailable
from cluster.state.commands import CloseSession, LoseSession, OpenSession
from cluster.state.outcome import SessionGone
from node.auth import Principal
from node.desk.context import Context
from node.desk.session import Session
from node.protocol.codes import Close

LOGOUT_CODES = frozenset({1000, int(Close.LOGGED_OUT)})
SWEEP_S = 1.0

log = structlog.get_logger(__name__)


class Presence:
    """Which socket holds which session of an agent."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._holders: dict[str, Session] = {}
        self._ending: dict[str, LoseSession | CloseSession] = {}
        """Ends without an outcome so far, by session id."""
        self._in_flight: set[str] = set()
        """Sessions of which an end or a reopening is on its way."""

    async def open(self, session: Session, principal: Principal, sid_resumed: str) -> Answer:
        """Open, or take over, the session of an agent; return the outcome.

        `stale`: it moved meanwhile; look again, behind another barrier.
        `session.sid` is set before anything is proposed, so that `end` finds it.
        """
        context = self._context
        known = context.state.sessions.get(sid_resumed)
        resumed = known is not None and known.agent == principal.id
        session.sid = sid_resumed if resumed else context.ids.new()
        earlier = self._holders.get(session.sid)
        self._holders[session.sid] = session
        self._ending.pop(session.sid, None)
        if earlier is not None and earlier is not session:
            earlier.bye(Close.REPLACED, "the session goes on in another connection", [])
        return await context.port.propose(self._opening(session.sid, principal))

    def end(self, session: Session, code: int) -> None:
        """The socket of `session` is over, with close code `code`."""
        if not session.sid or self._holders.get(session.sid) is not session:
            return
        del self._holders[session.sid]
        port = self._context.port
        self._ending[session.sid] = (
            CloseSession(session.sid, port.node_id, port.boot)
            if code in LOGOUT_CODES
            else LoseSession(session.sid, port.node_id, port.boot)
        )
        self._propose_end(session.sid)

    # -- another process of this node, which goes on with its life

    def give(self, session: Session) -> None:
        """The socket leaves for another process; that has the session from now on."""
        if self._holders.get(session.sid) is session:
            del self._holders[session.sid]

    def take(self, session: Session) -> None:
        """The socket of an agent came from another process."""
        self._holders[session.sid] = session

    def give_up(self, sids: Iterable[str]) -> None:
        """These left for a process that has ended: their sockets are gone."""
        port = self._context.port
        for sid in sids:
            if sid not in self._holders:
                self._ending[sid] = LoseSession(sid, port.node_id, port.boot)
                self._propose_end(sid)

    def ends(self) -> list[LoseSession | CloseSession]:
        """Return the ends that have no outcome yet."""
        return list(self._ending.values())

    def go_on_with(self, ends: Iterable[LoseSession | CloseSession]) -> None:
        """Propose what another process had no outcome of."""
        for command in ends:
            if command.sid not in self._holders:
                self._ending.setdefault(command.sid, command)

    def on_session_gone(self, notice: SessionGone) -> None:
        """A session ended in the log, or moved: its socket here has nothing to say any more."""
        port = self._context.port
        session = self._holders.get(notice.sid)
        was_here = (notice.node, notice.boot) == (port.node_id, port.boot)
        if session is not None and session.live and was_here:
            self._dismiss(notice.sid, session)

    def taken(self, sid: str) -> None:
        """Another process of this node has the session: its socket here is not what it was.

        One that is being opened is newer than that.
        """
        self._ending.pop(sid, None)
        session = self._holders.get(sid)
        if session is not None and session.live:
            del self._holders[sid]
            session.bye(Close.REPLACED, "the session goes on in another connection", [])

    def sweep(self) -> None:
        """Mend what sockets and log do not agree on; called every `SWEEP_S`."""
        for sid in list(self._ending):
            self._propose_end(sid)
        port = self._context.port
        for sid, session in list(self._holders.items()):
            if not session.live:
                continue
            known = port.state.sessions.get(sid)
            if known is None or (known.node, known.boot) != (port.node_id, port.boot):
                self._dismiss(sid, session)
            elif known.lost_ms:
                self._reopen(sid, session)

    def _dismiss(self, sid: str, session: Session) -> None:
        del self._holders[sid]
        if sid in self._context.state.sessions:
            session.bye(Close.REPLACED, "the session goes on at another node", [])
        else:
            reason = "the session ended in the cluster: say hello again"
            session.bye(Close.STATE_INVALID, reason, self._context.others())

    def _reopen(self, sid: str, session: Session) -> None:
        assert session.principal is not None
        if sid not in self._in_flight:
            self._in_flight.add(sid)
            log.info("session opened again", sid=sid, agent=session.principal.id)
            command = self._opening(sid, session.principal)
            self._context.port.submit(command, lambda _: self._in_flight.discard(sid))

    def _opening(self, sid: str, principal: Principal) -> OpenSession:
        port = self._context.port
        known = port.state.sessions.get(sid)
        return OpenSession(
            sid=sid,
            by=principal.by,
            node=port.node_id,
            boot=port.boot,
            skills=principal.skills,
            capacity=principal.capacity,
            langs=principal.langs,
            seen=(known.node, known.boot, known.since_ms) if known is not None else None,
        )

    def _propose_end(self, sid: str) -> None:
        if sid not in self._in_flight:
            self._in_flight.add(sid)
            command = self._ending[sid]
            self._context.port.submit(command, partial(self._on_ended, sid, command))

    def _on_ended(self, sid: str, command: LoseSession | CloseSession, answer: Answer) -> None:
        self._in_flight.discard(sid)
        if isinstance(answer, Unavailable) or self._ending.get(sid) is not command:
            return  # the next sweep tries again, or it was taken over meanwhile
        del self._ending[sid]
