"""Who has a conversation open: agents and supervisors, across nodes.  No I/O: whispers.

    a follower here comes or goes ──▶ followers here: `viewers`
                                 `──▶ a whisper of all of this process ──▶ followers there

It is told at once, or within the second, and never stored; nothing rests on it.  What another
process said is forgotten after `TTL_S` unless it says so again.  Visitors are neither shown nor
told; a supervisor is shown once they whisper or barge in, and monitors unseen.

Seconds are those of `clock`.
"""

import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import msgspec

from cluster.state.state import State
from node.desk.frames import Shared
from node.desk.hub import Hub
from node.desk.session import Session
from node.desk.statistics import Tally
from node.protocol.catalogue import Viewer, ViewersPush

REFRESH_S = 20.0
TTL_S = 60.0
VIEWERS_MAX = 50
"""Told of one conversation."""
WHO_BYTES_MAX = 12 * 1024
"""Ids and names of them: they travel in one whisper."""

Who = tuple[str, str, str]
"""Kind, id, name."""


class Viewing(msgspec.Struct, frozen=True, array_like=True, tag="viewing"):
    """Who has `cv` open in the process that calls itself `at`; `ask`: and who at yours?"""

    cv: str
    at: str
    who: tuple[Who, ...]
    ask: bool = False


class _Heard(NamedTuple):
    who: tuple[Who, ...]
    until: float


class Viewers:
    """Who views what, here and elsewhere."""

    def __init__(
        self,
        hub: Hub,
        state: Callable[[], State],
        tally: Tally,
        *,
        at: str,
        whisper: Callable[[bytes], None],
        clock: Callable[[], float],
    ) -> None:
        """`at` names this process, among all of the cluster."""
        self._hub = hub
        self._state = state
        self._tally = tally
        self._at = at
        self._whisper = whisper
        self._clock = clock
        self._dirty: dict[str, None] = {}
        self._told: dict[str, tuple[Who, ...]] = {}
        """What was last said of those here, to other processes: longest ago first."""
        self._heard: dict[str, dict[str, _Heard]] = {}
        """By conversation that is viewed here, and process."""
        self._refreshed_at = clock()
        self._forget_at = 0.0

    def changed(self, session: Session, cv: str) -> None:
        """Somebody began to follow `cv`, or follows it no more."""
        if session.audience == "agent":
            self._dirty[cv] = None

    def on_whisper(self, viewing: Viewing) -> None:
        """Another process says who views a conversation there."""
        cv = viewing.cv
        if not self._onlookers(cv):
            return
        heard = self._heard.setdefault(cv, {})
        before = heard.pop(viewing.at, None)
        if viewing.who:
            who = viewing.who[:VIEWERS_MAX]
            heard[viewing.at] = _Heard(who, self._clock() + TTL_S)
        if (before.who if before else ()) != viewing.who:
            self._tell(cv)
        if viewing.ask and self._told.get(cv):
            self._say(cv, ask=False)

    def sweep(self) -> None:
        """Tell what changed, and say again what did not; called every second."""
        dirty, self._dirty = self._dirty, {}
        for cv in dirty:
            if not self._onlookers(cv):
                self._forget(cv)
                continue
            here = self._here(cv)
            is_new = cv not in self._told
            changed = self._told.get(cv, ()) != here
            self._told[cv] = here
            if changed or is_new:
                self._say(cv, ask=is_new)
            self._tell(cv)
        now = self._clock()
        self._refresh(now)
        if now >= self._forget_at:
            self._forget_at = now + REFRESH_S
            self._forget_late(now)

    def _refresh(self, now: float) -> None:
        """Say again what was said longest ago, each once in `REFRESH_S`: a few every second."""
        due = math.ceil(len(self._told) * min(1.0, (now - self._refreshed_at) / REFRESH_S))
        self._refreshed_at = now
        for cv in list(islice(self._told, due)):
            who = self._told[cv] = self._told.pop(cv)  # the last now
            if who:
                self._say(cv, ask=False)

    def _forget_late(self, now: float) -> None:
        """Forget what other processes do not say any more."""
        for cv, heard in list(self._heard.items()):
            late = [at for at, one in heard.items() if one.until <= now]
            for at in late:
                del heard[at]
            if late:
                self._tell(cv)

    def _onlookers(self, cv: str) -> list[Session]:
        """Return the sessions here that are told."""
        return [one for one in self._hub.following.of(cv) if one.audience == "agent"]

    def _here(self, cv: str) -> tuple[Who, ...]:
        conversation = self._state().conversations.get(cv)
        overseers = conversation.overseers if conversation is not None else ()
        seen = {one.id for one in overseers if one.mode != "monitor"}
        found: set[Who] = set()
        for session in self._onlookers(cv):
            one = session.principal
            if one is not None and (
                one.role == "agent" or (one.role == "supervisor" and one.id in seen)
            ):
                found.add((one.role, one.id, one.name))
        return each_once(found)

    def _say(self, cv: str, *, ask: bool) -> None:
        self._tally.ephemeral += 1
        self._whisper(msgspec.msgpack.encode(Viewing(cv, self._at, self._told.get(cv, ()), ask)))

    def _tell(self, cv: str) -> None:
        everybody = set(self._told.get(cv, ()))
        for one in self._heard.get(cv, {}).values():
            everybody.update(one.who)
        viewers = [Viewer(kind=k, id=i, name=n) for k, i, n in each_once(everybody)]
        shared = Shared(ViewersPush(cv=cv, list_=viewers), self._tally)
        for session in self._onlookers(cv):
            session.send_frame(shared.frame(session.encoding), ephemeral=True)

    def _forget(self, cv: str) -> None:
        """Nobody here views it any more."""
        self._heard.pop(cv, None)
        if self._told.pop(cv, ()):
            self._say(cv, ask=False)


def each_once(who: Iterable[Who]) -> tuple[Who, ...]:
    """Return who it is in order, as many as a whisper holds; of several names of one, the last."""
    named = {(kind, one): name for kind, one, name in sorted(who)}
    found: list[Who] = []
    size = 0
    for (kind, one), name in named.items():
        size += len(one.encode()) + len(name.encode())
        if size > WHO_BYTES_MAX or len(found) == VIEWERS_MAX:
            break
        found.append((kind, one, name))
    return tuple(found)
