"""Which worker holds which session of an agent, or of a supervisor.  Talks to the port.

    a worker proposes              held by            what is done
    OpenSession                    nobody, or it      passed on
                                   another worker     passed on; the other one hears `taken`
    LoseSession, CloseSession      nobody, or it      passed on
                                   another worker     refused: the session goes on there
    - (it is gone)                 it                 LoseSession, until the log has it
    JoinConversation               nobody, or it      passed on
    - (it is gone)                 it                 EndSupervision, until the log has it

To the log the workers of a node are one: the same node, the same boot.  Here is known what it
cannot know, so that a socket that ends in one worker does not end what goes on in another, and
agents whose worker died are not there for ever.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import trio

from cluster.port import Answer, Port
from cluster.state.commands import (
    SYSTEM,
    CloseSession,
    Command,
    EndSupervision,
    JoinConversation,
    LoseSession,
    OpenSession,
)
from cluster.state.company import Overseer
from cluster.state.outcome import Refused

FORGET_S = 10.0
"""Longer than an opening may be on its way: what is then not in the state did not happen."""


class Holder(Protocol):
    """A worker, as its core sees it."""

    def taken(self, sid: str) -> None:
        """Another worker has the session from now on."""


class _Held(NamedTuple):
    holder: Holder
    since_s: float


class Holders:
    """Workers by session.  `sweep` it every second or so."""

    def __init__(self, port: Port, *, clock: Callable[[], float] = trio.current_time) -> None:
        self._port = port
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._losing: set[str] = set()
        """Sessions of which the loss is on its way."""

    def note(self, holder: Holder, command: Command) -> Refused | None:
        """Take note of what `holder` is about to propose; return why it must not."""
        match command:
            case OpenSession(sid=sid):
                before = self._held.get(sid)
                self._held[sid] = _Held(holder, self._clock())
                if before is not None and before.holder is not holder:
                    before.holder.taken(sid)
            case JoinConversation(sid=sid):
                self._held[sid] = _Held(holder, self._clock())
            case LoseSession(sid=sid) | CloseSession(sid=sid):
                held = self._held.get(sid)
                if held is not None and held.holder is not holder:
                    return Refused("conflict", "the session goes on in another worker")
        return None

    def leave(self, holder: Holder) -> None:
        """A worker is gone: nobody holds what it held."""
        for sid in [sid for sid, held in self._held.items() if held.holder is holder]:
            del self._held[sid]

    def sweep(self) -> None:
        """Propose the loss of sessions that nobody holds; forget what is not here any more."""
        port, live = self._port, self._live()
        joined = self._joined()
        for cv, one in joined:
            if one.sid not in self._held and one.sid not in self._losing:
                self._losing.add(one.sid)
                ending = EndSupervision(cv, SYSTEM, one.id, one.sid)
                port.submit(ending, partial(self._on_lost, one.sid))
        for sid in live - self._held.keys() - self._losing:
            self._losing.add(sid)
            command = LoseSession(sid, port.node_id, port.boot)
            port.submit(command, partial(self._on_lost, sid))
        forget_s = self._clock() - FORGET_S
        for sid in [one for one, held in self._held.items() if held.since_s < forget_s]:
            if sid not in live and all(sid != one.sid for _, one in joined):
                del self._held[sid]

    def _live(self) -> set[str]:
        """Return the sessions that the log has for live at this boot of this node."""
        state, node, boot = self._port.state, self._port.node_id, self._port.boot
        here = (state.sessions[sid] for sid in state.by_node.get(node, ()))
        return {one.sid for one in here if one.boot == boot and not one.lost_ms}

    def _joined(self) -> list[tuple[str, Overseer]]:
        """Return what supervisors joined from this boot of this node, and from which sessions."""
        state, node, boot = self._port.state, self._port.node_id, self._port.boot
        return [
            (cv, one)
            for cv, supervisor in state.overseen_at.get(node, ())
            for one in state.conversations[cv].overseers
            if (one.id, one.node, one.boot) == (supervisor, node, boot)
        ]

    def _on_lost(self, sid: str, answer: Answer) -> None:
        """Without an outcome the next sweep tries again."""
        self._losing.discard(sid)
