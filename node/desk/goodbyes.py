"""How the cluster stands, told to those who are here; and their goodbyes.  No I/O.

    the cluster's health, or its leader, changes    `cluster`: to the desk; of the quorum, to all
    a node is drained, or no more                   `cluster` to all
    the node may not serve, or a fault of ours      `bye` to all, spread over a second
    it is stopped, or drained                       `bye` to all, spread over longer for many
    an operator sends somebody away                 `bye` to them, at once
    it has no memory left                           `bye` to some visitors, second by second

Spread, because the other nodes are not to be met by all at once.
"""

import math
from collections.abc import Callable, Collection, Iterable

import trio

from cluster.port import ReplicaStatus
from cluster.state.drains import drained
from cluster.state.outcome import Dismissed
from node.desk.context import Context, Health
from node.desk.frames import Shared
from node.desk.session import NEVER, Session
from node.edge.timers import TICK_S
from node.protocol.catalogue import ClusterPush
from node.protocol.codes import Close

GOODBYE_S = (TICK_S, 1.0)
"""Earliest and latest goodbye of a node that may not serve: errors of what is pending go first."""
LAST_GOODBYE_S = 3 * TICK_S
"""Before the end of a drain nobody is left whose goodbye is still to be said, or written."""
DRAIN_S_MIN = 1.5
"""How long clients get to hear `bye` at least, and pending requests to be answered."""
GOODBYES_PER_S = 1_000
"""Of a node that is stopped: the others are to take them in without being met by all at once."""
SHED_SHARE = 0.05
"""Of the visitors, sent away each second while there is no memory left."""


class Goodbyes:
    """Tells all sessions of a desk."""

    def __init__(
        self,
        context: Context,
        sessions: Collection[Session],
        schedule: Callable[[Session], None],
    ) -> None:
        """`schedule` has a session looked at when something of it is due."""
        self._context = context
        self._sessions = sessions
        self._schedule = schedule
        self._health: Health = "minority"
        self._leader = ""
        self._drained: frozenset[str] = frozenset()

    def note(self, status: ReplicaStatus) -> None:
        """Push what changed to those who work here, and to all whether there is a quorum."""
        self._context.status = status
        health, leader = self._context.health(), status.leader
        closed = drained(self._context.state)
        if (health, leader, closed) == (self._health, self._leader, self._drained):
            return
        told_all = health != self._health and "minority" in (health, self._health)
        told_all = told_all or closed != self._drained
        self._health, self._leader, self._drained = health, leader, closed
        push = ClusterPush(
            state=health, leader=leader, nodes=self._context.taking, draining=sorted(closed)
        )
        shared = Shared(push, self._context.tally)
        for session in self._sessions:
            if session.live and (told_all or session.audience == "agent"):
                session.send_frame(shared.frame(session.encoding))

    def on_standing(self, status: ReplicaStatus) -> None:
        """The node's standing changed: it may be that nobody can stay."""
        self.note(status)
        closed = self._context.closed()
        if closed is not None:
            many_s = len(self._sessions) / GOODBYES_PER_S
            in_no_hurry = status.standing == "draining" and many_s > GOODBYE_S[1]
            self.evacuate(*closed, (TICK_S, many_s) if in_no_hurry else GOODBYE_S)

    def dismiss(self, notice: Dismissed, sessions: Iterable[Session]) -> None:
        """Say goodbye to those of the principal's `sessions` here that an operator means."""
        context = self._context
        if not notice.stop and notice.to == context.port.node_id:
            return  # it is where it should be
        nodes = sorted(context.others(), key=lambda node: node.id != notice.to)
        for session in sessions:
            if notice.sid not in ("", session.sid):
                continue
            if notice.stop:
                reason = "an operator ended this session: log in anew"
                session.bye(Close.LOGGED_OUT, reason, [], "session.ended")
            else:
                session.bye(Close.MOVED, "an operator sends you to another node", nodes)

    def evacuate(self, code: Close, reason: str, spread_s: tuple[float, float] = GOODBYE_S) -> None:
        """Have every connection closed, each at its own moment within `spread_s` from now."""
        now = self._context.clock()
        for session in self._sessions:
            if session.close_at == NEVER:
                session.goodbye = (code, reason)
                session.close_at = now + self._context.rng.uniform(*spread_s)
                self._schedule(session)

    async def drain(self, s_max: float) -> None:
        """Let nobody in any more, say goodbye to all, one after the other, and wait for it.

        Takes as long as there are many, but no longer than `s_max`.
        """
        over_s = max(DRAIN_S_MIN, len(self._sessions) / GOODBYES_PER_S) + LAST_GOODBYE_S
        over_s = min(s_max, over_s)
        self._context.draining = True
        spread_s = (0.0, max(0.0, over_s - LAST_GOODBYE_S))
        self.evacuate(Close.DRAIN, "this node is being stopped", spread_s)
        with trio.move_on_after(over_s):
            while self._sessions:
                await trio.sleep(TICK_S / 5)

    def shed(self, *, overloaded: bool) -> None:
        """Send some visitors to other nodes while this one has no memory left: the newest."""
        self._context.overloaded = overloaded
        if not overloaded:
            return
        visitors = [one for one in self._sessions if one.live and one.audience == "visitor"]
        for session in visitors[-math.ceil(SHED_SHARE * len(visitors)) :]:
            session.bye(Close.OVERLOADED, "this node has no room left", self._context.others())
