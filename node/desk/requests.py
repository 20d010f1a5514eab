"""The way of a request: in order, refused, answered at once, or answered by the log.

    request ─ hello said? ─ role ─ operation ─┬─ Answered ───────────────────▶ ok, at once
                                              ├─ Command  submit ─ outcome ──▶ ok | err, later
                                              ├─ Later    a task ────────────▶ ok | err; the next
                                              │                                requests wait
                                              └─ None ───────────────────────▶ nothing

Whoever asks too fast is refused before all that (`node.desk.rates`).  Whoever has much to read
still, and asks for more, is answered when they have read some: to ask for a lot at once is not to
read slowly.

At most `IN_FLIGHT_MAX` requests of a connection wait for the log, and as many behind a `Later` or
behind what is to be read.
"""

import math
from collections.abc import Awaitable, Callable
from functools import partial

from cluster.port import Answer, Unavailable
from cluster.state.commands import Command
from cluster.state.outcome import Done, Refused
from cluster.tracing import CURRENT, Trace, within
from node.auth import Principal
from node.desk.context import Context, NotServed
from node.desk.idleness import Idleness
from node.desk.lookup import Answered, Effect, Later
from node.desk.opening import Opening
from node.desk.operations import Operations
from node.desk.plain import NotAllowed
from node.desk.session import IN_FLIGHT_MAX, Phase, Session, without
from node.protocol.catalogue import (
    Ack,
    AgentList,
    AnyRequest,
    AuditList,
    Auth,
    CannedFind,
    CannedList,
    CvGet,
    CvHistory,
    CvList,
    CvMissed,
    CvRatings,
    HealLog,
    HealStatus,
    Hello,
    Pong,
    QueueList,
    QueueWatch,
    Request,
    RulesGet,
    RulesHistory,
    RulesPlan,
    RulesSimulate,
    RulesStats,
    SessionList,
    UserList,
    Why,
)
from node.protocol.codec import BadRequest
from node.protocol.codes import Close, ErrorCode
from wal.histogram import Example

REQUEST_ID_MAX = 2**32 - 1
EXCESS_MAX = 1_000
"""Requests that may come too fast in a row; after one more the connection is closed."""
_LARGE = (
    *(CvGet, CvHistory, CvList, CvMissed, CvRatings, CannedFind, CannedList, Why),
    *(HealLog, HealStatus, SessionList, UserList, AuditList, QueueList, QueueWatch, AgentList),
    *(RulesGet, RulesHistory, RulesPlan, RulesSimulate, RulesStats),
)
"""What may have a long answer; a long resume pauses by itself."""
_BY_ITSELF = (Pong, Ack, Auth)
"""What a program sends while nobody sits there."""
TOO_FAST = "too many requests; wait a little"
RATE = {"rule": "rate.principal"}


class Requests:
    """Handles the requests of all sessions."""

    def __init__(
        self, context: Context, opening: Opening, operations: Operations, idleness: Idleness
    ) -> None:
        self._context = context
        self._idleness = idleness
        self._opening = opening
        self._operations = operations
        self._held: dict[Session, None] = {}
        """Sessions whose requests wait until more has been read."""

    def handle(self, session: Session, request: AnyRequest | BadRequest) -> None:
        """Do what the request asks, or queue it behind what the session waits for."""
        if session.phase is Phase.CLOSING:
            return
        if not self._is_in_time(session, request):
            return
        if not isinstance(request, _BY_ITSELF):
            self._idleness.acted(session)
        if isinstance(request.id, bool) or not 0 <= request.id <= REQUEST_ID_MAX:
            session.bye(Close.BAD_FRAME, f"id: must be 0 to {REQUEST_ID_MAX}", [])
        elif not session.busy and not self._holds(session, request):
            self._do(session, request)
        elif len(session.waiting) < IN_FLIGHT_MAX:
            session.waiting += (request,)
        else:
            self._count(request)
            session.refuse(request.id, "overloaded", "too many requests wait")

    def _is_in_time(self, session: Session, request: AnyRequest | BadRequest) -> bool:
        """Whether the principal asks no faster than allowed; refuse it, or send it away, if not.

        What has no reply is dropped.  Whoever goes on all the same is not listening.
        """
        principal = session.principal
        if principal is None or isinstance(request, Pong):
            return True
        wait_s = self._context.rates.wait_s(principal)
        if not wait_s:
            session.excess = 0
            return True
        session.excess += 1
        if session.excess > EXCESS_MAX:
            session.bye(Close.RATE_LIMITED, TOO_FAST, self._context.others())
        else:
            number = request.id if isinstance(request.id, int) else 0
            after_ms = math.ceil(wait_s * 1000)
            session.refuse(number, "rate_limited", TOO_FAST, RATE, after_ms=after_ms)
        return False

    def unblock(self, session: Session) -> None:
        """Go on with the requests that waited."""
        session.busy = False
        while session.waiting and not session.busy:
            first, *later = session.waiting
            if self._holds(session, first):
                break
            session.waiting = tuple(later)
            self._do(session, first)

    @property
    def holding(self) -> bool:
        """Whether some wait for their client to read."""
        return bool(self._held)

    def go_on(self) -> None:
        """Handle what waited for its client to read."""
        for session in list(self._held):
            if session.has_room or not session.live:
                del self._held[session]
                if not session.busy:
                    self.unblock(session)

    def _holds(self, session: Session, request: AnyRequest | BadRequest) -> bool:
        """Say whether the session's next request waits until more has been read."""
        if session in self._held:
            return True
        if session.has_room or not session.live or not isinstance(request, _LARGE):
            return False
        self._held[session] = None
        return True

    # -- one request

    def _do(self, session: Session, request: AnyRequest | BadRequest) -> None:
        self._count(request)
        if isinstance(request, BadRequest):
            if request.op == "hello" and session.phase is Phase.AWAITING_HELLO:
                session.bye(Close.BAD_FRAME, request.message, [])
                return
            unknown = request.code == "unknown_op"
            code: ErrorCode = "unknown_op" if unknown else "bad_request"
            session.refuse(request.id, code, request.message)
            return
        if isinstance(request, Hello):
            self._hello(session, request)
            return
        principal = session.principal
        if not session.live or principal is None:
            session.refuse(request.id, "unauthorized", "say hello first", {"rule": "hello"})
            return
        op = _op(request)
        if principal.role not in request.roles:
            message = f"{op} is not for the role {principal.role}"
            session.refuse(request.id, "forbidden", message, {"rule": "role"})
            return
        trace = self._context.traces.begin(op, principal.role, request.trace)
        if trace is None:
            self._perform(session, principal, request)
        else:
            with within(trace):
                self._perform(session, principal, request)

    def _perform(self, session: Session, principal: Principal, request: AnyRequest) -> None:
        try:
            self._finish(session, request, self._operations.perform(session, principal, request))
        except NotAllowed as error:
            self._refuse_not_allowed(session, request, error)

    def _refuse_not_allowed(self, session: Session, request: AnyRequest, error: NotAllowed) -> None:
        session.refuse(request.id, error.code, str(error), error.data)
        self._context.traces.end(error.code)

    def _hello(self, session: Session, request: Hello) -> None:
        if session.phase is Phase.AWAITING_HELLO:
            self._opening.hello(session, request)
        else:
            session.refuse(request.id, "bad_request", "hello was said already; renew with auth")

    def _finish(self, session: Session, request: AnyRequest, outcome: Effect) -> None:
        match outcome:
            case Answered(result, then):
                session.reply(request.id, dict(result))
                self._context.traces.end("ok")
                if then is not None:
                    then()
            case Later(run):
                session.busy = True
                self._context.start(self._wait, session, request, run)
            case None:
                self._context.traces.end("ok")
            case _:
                self._submit(session, request, outcome)

    async def _wait(
        self,
        session: Session,
        request: AnyRequest,
        run: Callable[[], Awaitable[Answered | Command]],
    ) -> None:
        try:
            outcome = await run()
            if session.live:
                self._finish(session, request, outcome)
        except NotAllowed as error:
            self._refuse_not_allowed(session, request, error)
        except NotServed as error:
            self._refuse_unavailable(session, request.id, error.answer)
            self._context.traces.end(error.answer.code)
        self.unblock(session)

    def _submit(self, session: Session, request: AnyRequest, command: Command) -> None:
        if session.in_flight >= IN_FLIGHT_MAX:
            session.refuse(request.id, "overloaded", f"{IN_FLIGHT_MAX} requests are under way")
            self._context.traces.end("overloaded")
            return
        session.in_flight += 1
        if request.id:
            session.pending += (request.id,)
        started = self._context.clock()
        on_answer = partial(self._on_answer, session, request.id, started, CURRENT.get())
        self._context.port.submit(command, on_answer)

    def _on_answer(
        self, session: Session, number: int, started: float, trace: Trace | None, answer: Answer
    ) -> None:
        took_s = max(0.0, self._context.clock() - started)
        self._context.tally.durable.observe(took_s)
        session.in_flight -= 1
        session.pending = without(session.pending, number)
        match answer:
            case Done(result, dup):
                session.reply(number, {**result, "dup": True} if dup else result)
            case Refused(code, message, data):
                session.refuse(number, code, message, data)
            case Unavailable():
                self._refuse_unavailable(session, number, answer)
        if trace is not None:
            at_s = self._context.clock_ms() / 1000
            self._context.tally.durable.show(Example(took_s, trace.trace_id, at_s))
            self._context.traces.end("ok" if isinstance(answer, Done) else answer.code, trace)

    def _refuse_unavailable(self, session: Session, number: int, answer: Unavailable) -> None:
        session.refuse(number, answer.code, answer.message, self._context.elsewhere())

    def _count(self, request: AnyRequest | BadRequest) -> None:
        op = "unknown" if isinstance(request, BadRequest) else _op(request)
        self._context.tally.requests[op] += 1


def _op(request: Request) -> str:
    return str(request.__struct_config__.tag)
