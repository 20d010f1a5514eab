"""The desk: the program behind a node's edge server.

    HTTP       WaysIn ──▶ pages, logins, tokens; Operations; sessions that only listen
    WebSocket  /v1/ws ──▶ Session ──▶ Requests ──▶ Operations ──▶ Port
                             ▲──────────── Hub ◀── what was applied ──┘

Everything here runs in the loop's thread.  Messages, entries and changes of standing are handled
where they come; a task exists only for what has to wait for the cluster, and one for the clock:

    every 0.25 s   deadlines: hello, token, ping, goodbyes; resumes that paused; queue places
    every second   agents' sessions against the log, their silence, who views what; supervisors
                   who are gone; the cluster's health

When the node may no longer serve it says so and then says goodbye to everybody (`Goodbyes`).
"""

import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import structlog
import trio

from cluster.ids import Ulids
from cluster.port import Port
from cluster.state.machine import Applied
from cluster.tracing import Span
from node.auth import Verifier
from node.config import Config, LimitsConfig
from node.desk.context import Context
from node.desk.ephemeral import Ephemeral
from node.desk.goodbyes import Goodbyes
from node.desk.hub import Hub
from node.desk.idleness import Idleness
from node.desk.looks import Looks
from node.desk.moving import Moving, session_for
from node.desk.opening import PING_S, Opening
from node.desk.operations import Operations
from node.desk.overview import Overview
from node.desk.pages import Pages
from node.desk.passwords import Passwords
from node.desk.presence import SWEEP_S, Presence
from node.desk.rates import Rates
from node.desk.requests import Requests
from node.desk.session import NEVER, Phase, Session, bye_push
from node.desk.statistics import DeskStatistics
from node.desk.supervising import Supervising
from node.desk.viewing import Viewers
from node.desk.ways_in import WaysIn, on_upgrade
from node.edge.application import Answer, Held, ResponseFactory
from node.edge.connection import Connection
from node.edge.http import Request, Response
from node.edge.pressure import Level
from node.edge.timers import TICK_S, Timers
from node.issuers import Issuer
from node.protocol.catalogue import (
    HELLO_S,
    SUBPROTOCOL_JSON,
    Ping,
    Role,
    TokenExpiring,
)
from node.protocol.codec import BY_SUBPROTOCOL, BadFrame
from node.protocol.codes import Close
from node.tracing.requests import RequestTraces

LAGGING_TICK_S = 0.02
"""How often is looked at who has much to read: what waits is soon written to a quick reader."""

log = structlog.get_logger(__name__)


def _per_s(limits: LimitsConfig) -> dict[Role, float]:
    """Return how many requests a second each role may make."""
    return {
        "visitor": limits.visitor_requests_per_s,
        "agent": limits.requests_per_s,
        "supervisor": limits.requests_per_s,
        "operator": limits.requests_per_s,
        "service": limits.service_requests_per_s,
    }


def wall_ms() -> int:
    """Return the system's clock in milliseconds UTC."""
    return time.time_ns() // 1_000_000


class Desk:
    """An `Application` of the edge; `run` it before the edge serves."""

    def __init__(
        self,
        port: Port,
        config: Config,
        *,
        clock: Callable[[], float] = trio.current_time,
        clock_ms: Callable[[], int] = wall_ms,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        rng: random.Random | None = None,
        pid: int | None = None,
    ) -> None:
        self._port = port
        self._issuers = [Issuer(one) for one in config.issuers]
        self._clock = clock
        self._nursery: trio.Nursery | None = None
        self._sessions: dict[Session, None] = {}
        self._timers: Timers[Session] | None = None
        self._context = context = Context(
            port=port,
            cluster=config.cluster.id,
            told={node.id: node.url for node in config.nodes.values()},
            verifier=Verifier(config.cluster.key, config.cluster.id, self._issuers),
            clock=clock,
            clock_ms=clock_ms,
            ids=Ulids(clock_ms, random_bytes),
            rng=rng or random.Random(),  # noqa: S311 - spreads goodbyes, no secret
            start=self._start,
            schedule=self._schedule,
            rates=Rates(_per_s(config.limits), clock),
            traces=RequestTraces(config.trace.sample),
        )
        self._goodbyes = Goodbyes(context, self._sessions, self._schedule)
        self.presence = Presence(context)
        self._hub = Hub(
            lambda: port.state,
            context.tally,
            now_ms=context.now_ms,
            on_session_gone=self.presence.on_session_gone,
            on_dismissed=self._goodbyes.dismiss,
        )
        self.overview = Overview(context, self._hub.following)
        """Lists, search, queues and places, derived from what is applied here."""
        self._viewers = Viewers(
            self._hub,
            lambda: port.state,
            context.tally,
            at=f"{port.node_id}.{secrets.token_hex(4)}",
            whisper=port.whisper,
            clock=clock,
        )
        self._hub.following.on_change = self._viewers.changed
        self._ephemeral = Ephemeral(
            self._hub,
            lambda: port.state,
            context.tally,
            whisper=port.whisper,
            clock=clock,
            on_viewing=self._viewers.on_whisper,
        )
        self._idleness = Idleness(context, self._hub, config.desk.away_after_s)
        self.supervising = Supervising(context)
        looks, passwords = Looks(port, clock), Passwords()
        opening = Opening(context, self._hub, self.presence, on_live=self._on_live, looks=looks)
        operations = Operations(
            context, self._hub, opening, self._ephemeral, passwords, looks, self.overview, config
        )
        self._requests = Requests(context, opening, operations, self._idleness)
        self.moving = Moving(
            context, self._hub, self.presence, attach=self._attach, detach=self._detach
        )
        pages = Pages(context, config, self.statistics, pid or os.getpid())
        self.pages = pages
        self.sources = pages.sources
        """Where `/metrics` reads; whoever starts the edge and the log names theirs here."""
        self._ways_in = WaysIn(
            context,
            config,
            self._issuers,
            passwords,
            opening,
            operations,
            self._requests,
            self._idleness,
            pages,
            self._attach,
        )
        self.pressure: Callable[[], Level] = lambda: Level.CALM
        """How much the edge has to bear."""

    # -- the life of the desk

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve sessions until cancelled; started once the port is watched."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._timers = Timers(self._clock())
            self._goodbyes.note(self._port.status())
            self.overview.restart()
            unwatch = (
                self._port.watch(self._on_applied),
                self._port.watch(self.overview.on_applied),
                self._port.watch_installs(self._on_install),
                self._port.watch_standing(self._goodbyes.on_standing),
                self._port.watch_whispers(self._ephemeral.on_whisper),
            )
            for issuer in self._issuers:
                nursery.start_soon(issuer.keep_fresh)
            nursery.start_soon(self.overview.run)
            task_status.started()
            try:
                await self._keep_time()
            finally:
                self._nursery = None
                for stop in unwatch:
                    stop()

    async def drain(self, s_max: float) -> None:
        """Say goodbye to all, and wait for it; see `Goodbyes.drain`."""
        await self._goodbyes.drain(s_max)

    def admit_again(self) -> None:
        """Let people in again after a `drain` that led to nothing."""
        self._context.draining = False

    def watch_spans(self, watcher: Callable[[Span], None]) -> Callable[[], None]:
        """Call `watcher` when a request that is traced has its answer; return how to stop."""
        return self._context.traces.on_span.add(watcher)

    def on_whisper(self, payload: bytes) -> None:
        """Pass on what another process of this node heard from its clients."""
        self._ephemeral.on_whisper(self._port.node_id, payload)

    def statistics(self) -> DeskStatistics:
        """Return the present picture."""
        tally = self._context.tally
        return DeskStatistics(
            connections=len(self._sessions),
            sessions=self._hub.count_sessions(),
            subscriptions=self._hub.following.count(),
            in_flight=sum(session.in_flight for session in self._sessions),
            requests_total=dict(tally.requests),
            errors_total=dict(tally.errors),
            byes_total=dict(tally.byes),
            events_sent_total=tally.events_sent,
            encoded_total=tally.encoded,
            resumes_total=tally.resumes,
            gaps_total=tally.gaps,
            ephemeral_total=tally.ephemeral,
            durable=tally.durable.buckets(),
            fan_out=tally.fan_out.buckets(),
            **asdict(self.overview.statistics()),
        )

    def _start(
        self, function: Callable[..., Awaitable[None]], session: Session, *arguments: Any
    ) -> None:
        if self._nursery is None:
            session.bye(Close.DRAIN, "this node is being stopped", self._context.others())
            return
        self._nursery.start_soon(self._guard, function, session, *arguments)

    async def _guard(
        self, function: Callable[..., Awaitable[None]], session: Session, *arguments: Any
    ) -> None:
        """The boundary of a connection: a fault of ours ends it, and nothing else."""
        try:
            await function(session, *arguments)
        except Exception:
            log.exception("session failed", session=repr(session))
            session.bye(Close.INTERNAL, "internal error", self._context.others())

    # -- what the edge calls

    def on_request(self, request: Request) -> Answer | ResponseFactory:
        """Answer a probe, a scraper, a person, or a system that asks or listens."""
        return self._ways_in.answer(request)

    def on_upgrade(self, request: Request) -> str | Response | None:
        """Choose the encoding of a WebSocket."""
        return on_upgrade(request)

    def on_open(self, connection: Connection, request: Request) -> None:
        """A client is there; it has `HELLO_S` to say who it is."""
        session = session_for(connection, self._context)
        session.foreign_origin = self._ways_in.origins.foreign(request)
        connection.data = session
        connection.defer(True)
        self._attach(session)

    def _attach(self, session: Session) -> None:
        """Take in a session, whatever it is told by."""
        self._sessions[session] = None
        self._schedule(session)
        if session.live:
            self.overview.on_live(session)

    def on_message(self, connection: Connection, payload: bytes, text: bool) -> None:
        """Handle the requests of one frame, in order."""
        session = connection.data
        assert isinstance(session, Session)
        try:
            codec = BY_SUBPROTOCOL[connection.subprotocol or SUBPROTOCOL_JSON]
            if text != codec.text:
                kind = "text" if codec.text else "binary"
                raise BadFrame(f"{codec.subprotocol} is spoken in {kind} frames")
            requests = codec.requests(payload)
        except BadFrame as error:
            session.bye(Close.BAD_FRAME, str(error), [])
            return
        for request in requests:
            self._requests.handle(session, request)
        if session.excess:
            connection.rest(TICK_S)

    def on_overflow(self, channel: Held) -> bytes | None:
        """Say why a client that reads too slowly is closed: it may come back and resume."""
        session = channel.data
        assert isinstance(session, Session)
        self._context.tally.byes[int(Close.SLOW_CONSUMER)] += 1
        bye = bye_push(Close.SLOW_CONSUMER, "more waits for you than a node keeps", [])
        return session.encoding.frame(bye)

    def on_close(self, channel: Held, code: int) -> None:
        """The client is gone."""
        session = channel.data
        assert isinstance(session, Session)
        self._detach(session)
        self.presence.end(session, code)
        self.supervising.end(session)

    def _detach(self, session: Session) -> None:
        session.leave()
        self.overview.on_gone(session)
        self._hub.remove(session)
        self._sessions.pop(session, None)
        if self._timers is not None:
            self._timers.cancel(session)

    # -- what the cluster calls

    def _on_applied(self, applied: Applied) -> None:
        begun_s = time.perf_counter()
        try:
            self._hub.on_applied(applied)
        except Exception:  # the sockets' fault must not stop the log
            log.exception("fan-out failed", index=applied.index)
            self._goodbyes.evacuate(Close.INTERNAL, "internal error")
        self._context.tally.fan_out.observe(time.perf_counter() - begun_s)

    def _on_install(self) -> None:
        """The state jumped to a snapshot."""
        self.overview.restart()
        self._hub.catch_up()
        self.overview.catch_up(list(self._sessions))

    def on_session_taken(self, sid: str) -> None:
        """An agent's session goes on in another process of this node."""
        self.presence.taken(sid)

    # -- the clock

    def _on_live(self, session: Session) -> None:
        if isinstance(session.outlet, Connection):
            session.outlet.defer(False)
        self._schedule(session)
        self.overview.on_live(session)
        self._ways_in.on_live(session)
        self._requests.unblock(session)

    def _schedule(self, session: Session) -> None:
        deadline = session.next_deadline
        if self._timers is not None and deadline != NEVER:
            self._timers.no_later_than(session, deadline)

    async def _keep_time(self) -> None:
        assert self._timers is not None
        swept = self._clock()
        while True:
            reading = self._hub.following.lagging or self._requests.holding
            await trio.sleep(LAGGING_TICK_S if reading else TICK_S)
            now = self._clock()
            for session in self._timers.due(now):
                self._look_at(session, now)
                self._schedule(session)
            self._hub.following.advance_lagging()
            self._requests.go_on()
            self.overview.sweep()
            if now >= swept + SWEEP_S:
                swept = now
                self.presence.sweep()
                self._idleness.sweep()
                self.supervising.sweep()
                self._viewers.sweep()
                self._context.rates.forget_idle()
                self._ways_in.forget_idle()
                self._goodbyes.shed(overloaded=self.pressure() is Level.CRITICAL)
                self._goodbyes.note(self._port.status())

    def _look_at(self, session: Session, now: float) -> None:
        """Do what is due for one session."""
        if session.close_at <= now:
            code, reason = session.goodbye
            session.bye(code, reason, self._context.others())
        elif session.phase is Phase.AWAITING_HELLO:
            if session.hello_by <= now:
                session.bye(Close.HELLO_TIMEOUT, f"no hello within {HELLO_S} s", [])
        elif session.expires_at <= now:
            session.bye(Close.TOKEN_EXPIRED, "the token has expired: fetch a new one", [])
        elif session.live:
            self._remind(session, now)

    def _remind(self, session: Session, now: float) -> None:
        if session.warn_at <= now:
            session.warn_at = NEVER
            assert session.principal is not None
            session.send(TokenExpiring(exp=session.principal.exp * 1000))
        if session.ping_at <= now:
            session.ping_at = now + PING_S
            session.send(Ping(), ephemeral=True)
