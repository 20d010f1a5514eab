"""From `hello` to `welcome`: who may come in, and what they are told first.

    hello ─ version ─ token ─ standing ─┬─ nothing missed yet ──────────────────▶ welcome
              (its issuer,              ├─ resume: barrier ─────────────────────▶ welcome
               where it must be asked)  └─ agent: barrier, OpenSession, outcome ▶ welcome

The barrier makes "caught" true: what any node acknowledged before the hello is in this node's
state when the client is told that it has everything.  A visitor without resume needs none: what
this node has not applied yet arrives as events.

A barrier or an outcome that does not come in `OPENING_S` sends the client to another node.  One
barrier lets in all who wait for it; they come in `WELCOMES_AT_ONCE` at a time, and in between those
who are in already are heard.
"""

from collections.abc import Callable

import trio

from cluster.port import Answer, Unavailable
from cluster.state.limits import TEXT_BYTES_MAX
from cluster.state.outcome import Done, Refused
from node.auth import BadToken, ExpiredToken, Principal, UnaskedToken, UndecidedToken
from node.desk.access import denial
from node.desk.context import Context
from node.desk.hub import Hub
from node.desk.looks import Looks
from node.desk.presence import Presence
from node.desk.session import IN_FLIGHT_MAX, Phase, Session
from node.desk.views import agent_snapshot
from node.origins import unlisted
from node.protocol.catalogue import (
    FRAME_BYTES_MAX,
    FRAME_MAPS_MAX,
    VERSION,
    Hello,
    Resume,
    Welcome,
)
from node.protocol.codes import Close

PING_S = 25.0
OPENING_S = 8.0
BARRIER_PAUSE_S = 0.1
"""Between two barriers while there is no leader: an election takes a few of these."""
EXPIRY_WARNING_S = 60.0
WELCOMES_AT_ONCE = 16
"""With what they missed, some milliseconds."""
LIMITS = {
    "frame": FRAME_BYTES_MAX,
    "maps": FRAME_MAPS_MAX,
    "text": TEXT_BYTES_MAX,
    "in_flight": IN_FLIGHT_MAX,
}


class Opening:
    """Lets clients in."""

    def __init__(
        self,
        context: Context,
        hub: Hub,
        presence: Presence,
        *,
        on_live: Callable[[Session], None],
        looks: Looks,
    ) -> None:
        self._context = context
        self._hub = hub
        self._presence = presence
        self._on_live = on_live
        self._looks = looks
        self._welcoming = trio.CapacityLimiter(WELCOMES_AT_ONCE)

    def hello(self, session: Session, hello: Hello) -> None:
        """Let the client in, soon or at once, or say goodbye."""
        if hello.ver != VERSION:
            reason = f"version {hello.ver[:16]!r} is not spoken here, only {VERSION!r}"
            session.bye(Close.VERSION_UNSUPPORTED, reason, [])
            return
        try:
            principal = self._context.verifier.verify(hello.token)
        except UnaskedToken as question:
            session.phase = Phase.OPENING
            session.busy = True
            self._context.start(self._ask, session, question, hello.resume)
        except BadToken as error:
            self._refuse(session, error)
        else:
            self.enter(session, principal, hello.resume)

    async def _ask(self, session: Session, question: UnaskedToken, resume: Resume | None) -> None:
        try:
            principal = await question.ask()
        except BadToken as error:
            self._refuse(session, error)
        else:
            if session.phase is Phase.OPENING:
                self.enter(session, principal, resume)

    def _refuse(self, session: Session, error: BadToken) -> None:
        match error:
            case ExpiredToken():
                session.bye(Close.TOKEN_EXPIRED, str(error), [], error.rule)
            case UndecidedToken():
                others = self._context.others()
                session.bye(Close.STATE_INVALID, str(error), others, error.rule)
            case _:
                session.bye(Close.UNAUTHORIZED, str(error), [], error.rule)

    def enter(self, session: Session, principal: Principal, resume: Resume | None) -> None:
        """Let in a client that has proved who it is, soon or at once, or say goodbye."""
        if principal.role == "visitor" and session.foreign_origin:
            session.bye(Close.FORBIDDEN, unlisted(session.foreign_origin), [], "origin")
            return
        if self._turn_away(session) or self._log_out(session, principal):
            return
        session.identify(principal)
        session.phase = Phase.OPENING
        if principal.role == "agent" or resume is not None:
            session.busy = True
            self._context.start(self._open, session, principal, resume)
        else:
            self._welcome(session, principal, None)

    def renew(self, session: Session, token: str) -> int:
        """Take a newer token of the same principal; return when it ends.  Raises `BadToken`."""
        return self.take(session, self._context.verifier.verify(token))

    def take(self, session: Session, principal: Principal) -> int:
        """Go on as `principal`, proved anew; return when that ends.  Raises `BadToken`."""
        now = session.principal
        assert now is not None
        if (principal.role, principal.id) != (now.role, now.id):
            message = "the token is somebody else's: open another connection for them"
            raise BadToken(message, "token.other_principal")
        denied = denial(principal, self._context.state)
        if denied is not None:
            raise BadToken(denied.message, denied.rule)
        session.principal = principal
        self._set_expiry(session, principal)
        return principal.exp

    def _turn_away(self, session: Session) -> bool:
        """Say goodbye if this node lets nobody in now; say whether it did."""
        closed = self._context.closed()
        if closed is not None:
            session.bye(*closed, self._context.others())
        return closed is not None

    def _log_out(self, session: Session, principal: Principal) -> bool:
        """Say goodbye to somebody whose token counts no more; say whether it was so."""
        denied = denial(principal, self._context.state)
        if denied is not None:
            session.bye(Close.LOGGED_OUT, denied.message, [], denied.rule)
        return denied is not None

    async def _open(self, session: Session, principal: Principal, resume: Resume | None) -> None:
        answer = await self._level(session, principal, resume)
        async with self._welcoming:
            self._settle(session, principal, resume, answer)
            await trio.lowlevel.checkpoint()  # it is others' turn

    async def _level(
        self, session: Session, principal: Principal, resume: Resume | None
    ) -> Answer | None:
        """Return None or `Done` once the client may be told that it has everything."""
        answer: Answer | None = Unavailable("timeout", "the cluster did not answer in time")
        with trio.move_on_after(OPENING_S):
            answer = await self._barrier(session)
            while answer is None and principal.role == "agent" and session.phase is Phase.OPENING:
                sid = resume.sid if resume is not None else ""
                answer = await self._presence.open(session, principal, sid)
                if isinstance(answer, Refused) and answer.code == "stale":
                    answer = await self._barrier(session)
        return answer

    def _settle(
        self,
        session: Session,
        principal: Principal,
        resume: Resume | None,
        answer: Answer | None,
    ) -> None:
        """Let the client in, or say goodbye."""
        if session.phase is not Phase.OPENING:
            return  # it left while it waited; its end was proposed behind its opening
        match answer:
            case Unavailable(_, message):
                session.bye(Close.MINORITY, message, self._context.others())
            case Refused("conflict", message):
                session.bye(Close.TOO_MANY_CONNECTIONS, message, [])
            case Refused(_, message, data):
                if not self._log_out(session, principal):
                    session.bye(Close.FORBIDDEN, message, [], data.get("rule"))
            case Done() | None:
                # While it waited a node may have closed, and a token may have been revoked.
                if not self._turn_away(session) and not self._log_out(session, principal):
                    self._welcome(session, principal, resume)

    async def _barrier(self, session: Session) -> Unavailable | None:
        """Return None once the state holds all that was acknowledged; wait for a leader."""
        while True:
            answer = await self._context.port.barrier()
            if answer is None or answer.code != "no_leader" or session.phase is not Phase.OPENING:
                return answer
            await trio.sleep(BARRIER_PAUSE_S)

    def _welcome(self, session: Session, principal: Principal, resume: Resume | None) -> None:
        context = self._context
        known = resume is not None and resume.epoch in ("", context.cluster)
        session.sid = session.sid or context.ids.new()
        session.phase = Phase.LIVE
        session.busy = False
        is_agent = principal.role == "agent"
        have = dict(resume.cvs) if resume is not None and known else {}
        self._hub.add(session)
        self._hub.subscribe(session, principal, have)
        session.send(
            Welcome(
                sid=session.sid,
                epoch=context.cluster,
                node=context.port.node_id,
                you={"id": principal.id, "role": principal.role, "name": principal.name},
                resumed=known,
                ping_ms=int(PING_S * 1000),
                now=context.now_ms(),
                limits=LIMITS,
                nodes=context.taking,
                state=context.health(),
                snap=agent_snapshot(context.state, principal.id) if is_agent else None,
            )
        )
        self._hub.welcome(session, principal, have)
        for cv in session.subscriptions:
            self._looks.note(principal, cv)
        session.ping_at = context.clock() + PING_S
        self._set_expiry(session, principal)
        self._on_live(session)

    def _set_expiry(self, session: Session, principal: Principal) -> None:
        context = self._context
        session.expires_at = context.clock() + principal.exp - context.clock_ms() / 1000
        session.warn_at = session.expires_at - EXPIRY_WARNING_S
        context.schedule(session)
