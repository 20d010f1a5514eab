"""Which conversation is offered to whom next: lines of waiting with the pool of the free.  No I/O.

    what changed                                   is tried again
    ------------                                   --------------
    a line: somebody came into it, or left         that line
    an agent may be offered more                   the lines whose heads they fit
    an agent for whom a line waits by name         that line
    an agent who passed on somebody has rested     that line
    nothing                                        nothing

Of the lines to try the one with the most urgent head comes first: highest priority as it is now,
then oldest, then by id.  Its head is offered to the first of those who fit, and the next behind it
is the head.  All of a line may be offered to the same agents, so where its head finds nobody,
nobody in it does, and it is not tried again until something changes.  So whoever waits has been
held against whoever is free (I5), and no event costs more than the lines there are.

    plan      gather ──▶ gather ──▶ gather, match ──▶ match       each up to `LOOKS_MAX`
              the heads of what is to be tried; nobody is offered anything before all are there

A plan that ends early leaves its heads to the next, which looks again at those that it comes to.

    fit      room for the weight, every skill at its least level, and the need; whether a kind of
             agent fits is remembered
    named    a line for one agent: who was named in a transfer, or is preferred by the step
    passed   agents who passed on it: the first in order who rested `PASSED_PAUSE_MS`, and only
             when nobody else fits
    busy     something is proposed about it: if it keeps its place meanwhile, as one that is being
             routed anew, its line waits for the answer; else the next behind it is the head
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cluster.routing.choosing import LOOKS_MAX, Chooser, Chosen, Judge
from cluster.routing.pool import Pool
from cluster.state.lines import Line, Place, urgency_of
from cluster.state.model import Conversation
from cluster.state.route import Choice, Queue
from cluster.state.state import State


class Match(NamedTuple):
    """A conversation, and who is to be offered it."""

    conversation: Conversation
    agent: str
    choice: Choice
    settings: Queue | None


_Head = tuple[float, int, str, Line, Place]


class Matching:
    """One leadership's view of who waits and who is free."""

    def __init__(
        self, judge: Judge, is_busy: Callable[[str], bool], is_held: Callable[[str], bool]
    ) -> None:
        """`is_held`: whether a conversation that is busy keeps its place in the line."""
        self.pool = Pool()
        self._chooser = Chooser(self.pool, judge)
        self._is_busy = is_busy
        self._is_held = is_held
        self._state: State | None = None
        self._marks = (0, 0)
        self._dirty: dict[Line, None] = {}
        """Lines to try, whoever is free."""
        self._ungathered: dict[Line, None] = {}
        """Those of them that changed since their heads were looked for."""
        self._fresh: dict[str, None] = {}
        """Agents who may be offered more than when lines were last tried."""
        self._hoping: dict[str, None] = {}
        """Those of them for whom lines are being tried that are not dirty."""
        self._scan: Iterator[Line | None] = iter(())
        """What is left of the lines that they fit."""
        self._heads: list[_Head] = []
        """A heap; of several of a line the one in `_headed` counts."""
        self._headed: dict[Line, Place] = {}
        self._wakes: list[tuple[int, Line]] = []
        """When somebody who passed on a line's conversations has rested."""
        self._settings: dict[str, Queue | None] = {}
        """Of the queues that this plan came across."""
        self.changed: dict[str, None] = {}
        """Agents who changed since the last plan took them out; all, after a start."""

    def sync(self, state: State, now_ms: int) -> None:
        """Take in what changed since the last time."""
        self._chooser.now_ms = now_ms
        lines = state.lines.changes.since(self._marks[0])
        agents = state.agent_changes.since(self._marks[1])
        if state is not self._state or agents is None or lines is None:
            self._state = state
            self._chooser.state = state
            self.pool.load(state)
            self._begin(state)
            self.changed = dict.fromkeys((*state.agents, *state.lines.by_name))
        else:
            self._to_try(lines)
            self.changed.update(agents)
            for name in agents:
                self._refreshed(name, more=self.pool.refresh(name))
        self._marks = (state.lines.changes.mark, state.agent_changes.mark)
        while self._wakes and self._wakes[0][0] <= now_ms:
            self._to_try((heapq.heappop(self._wakes)[1],))

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to try."""
        return not (self._dirty or self._fresh or self._heads or self._hoping)

    def try_again(self, cv: str) -> None:
        """Nothing is proposed about a conversation any more."""
        line = self._state.lines.line(cv) if self._state is not None else None
        if line is not None:
            self._to_try((line,))

    def settle(self, cv: str, agent: str) -> None:
        """An offer that was proposed is answered, or will not be."""
        if self._state is not None:
            self._refreshed(agent, more=self.pool.release(agent, cv))

    def matches(self, most: int) -> list[Match]:
        """Return up to `most` offers to propose, and count them as proposed.

        The most urgent comes first.
        """
        state = self._state
        assert state is not None, "sync comes first"
        self._chooser.looks = 0
        self._settings.clear()
        found: list[Match] = []
        if not self._gather(state):
            return found
        heads = self._heads
        taken: set[Line] = set()
        while heads and len(found) < most and self._chooser.looks < LOOKS_MAX:
            *_, cv, line, place = heads[0]
            if not self._hoping and not self._dirty:
                break  # the others were to be tried for fresh agents alone
            if self._headed.get(line) != place or not (self._hoping or line in self._dirty):
                heapq.heappop(heads)
                if self._headed.get(line) == place:
                    del self._headed[line]
                continue
            if line not in taken and self._is_stale(state, line, place):
                heapq.heappop(heads)
                self._put_head(state, line, None)
                continue
            conversation = state.conversations[cv]
            settings = self._queue(line.queue)
            chosen = self._chooser.choose(conversation, line, settings)
            heapq.heappop(heads)
            if not isinstance(chosen, Chosen):
                self._give_up(line, chosen)
                continue
            taken.add(line)
            self._reserve(chosen.agent, cv, line.weight)
            found.append(Match(conversation, chosen.agent, chosen.choice, settings))
            self._put_head(state, line, place)
        if not heads or not (self._hoping or self._dirty):
            heads.clear()
            self._headed.clear()
            self._hoping.clear()
        return found

    def _begin(self, state: State) -> None:
        """Try everything."""
        self._heads.clear()
        self._headed.clear()
        self._dirty.clear()
        self._ungathered.clear()
        self._fresh.clear()
        self._hoping.clear()
        self._scan = iter(())
        self._to_try(state.lines.lines)

    def _to_try(self, lines: Iterable[Line]) -> None:
        found = dict.fromkeys(lines)
        self._dirty |= found
        self._ungathered |= found

    def _gather(self, state: State) -> bool:
        """Put the heads of the lines to try on the heap; return whether all are there."""
        while self._ungathered:
            if self._chooser.looks >= LOOKS_MAX:
                return False
            line, _ = self._ungathered.popitem()
            self._chooser.looks += 1
            self._put_head(state, line, None)
        if self._fresh and not self._hoping:  # those of before first, or lines are never through
            buckets = {id(one): one for name in self._fresh if (one := self.pool.bucket(name))}
            self._hoping, self._fresh = self._fresh, {}
            self._scan = self._chooser.fitting(list(state.lines.lines), list(buckets.values()))
        for found in self._scan:
            if found is None:
                return False
            if found not in self._headed and found in state.lines.lines:
                self._put_head(state, found, None)
        return True

    def _put_head(self, state: State, line: Line, after: Place | None) -> None:
        """Put the first of a line, or behind `after`, on the heap; without one it is done."""
        head = self._head(state, line, after) if line in state.lines.lines else None
        if head is None:
            self._dirty.pop(line, None)
            self._headed.pop(line, None)
        elif self._headed.get(line) != head[4]:
            self._headed[line] = head[4]
            heapq.heappush(self._heads, head)

    def _is_stale(self, state: State, line: Line, place: Place) -> bool:
        """Whether somebody else is the first of a line by now; then the line has no head."""
        head = self._head(state, line, None) if line in state.lines.lines else None
        if head is not None and head[4] == place:
            return False
        del self._headed[line]
        return True

    def _head(self, state: State, line: Line, after: Place | None) -> _Head | None:
        """Return the first of `line`, or behind `after`, about whom nothing is proposed.

        Nobody, where one of whom that may soon be said comes first.
        """
        for place in state.lines.lines[line].after(after):
            if self._is_held(place[2]):
                return None
            if not self._is_busy(place[2]):
                urgency = urgency_of(place, self._queue(line.queue), self._chooser.now_ms)
                return -urgency, place[1], place[2], line, place
        return None

    def _queue(self, name: str) -> Queue | None:
        assert self._state is not None
        if name not in self._settings:
            self._settings[name] = self._state.queue(name)
        return self._settings[name]

    def _give_up(self, line: Line, rests_until_ms: int) -> None:
        self._dirty.pop(line, None)
        del self._headed[line]
        if rests_until_ms:
            heapq.heappush(self._wakes, (rests_until_ms, line))

    def _reserve(self, agent: str, cv: str, weight: int) -> None:
        self.pool.reserve(agent, cv, weight)
        if self.pool.bucket(agent) is None:
            self._fresh.pop(agent, None)
            self._hoping.pop(agent, None)

    def _refreshed(self, name: str, *, more: bool) -> None:
        if more:
            self._fresh[name] = None
        assert self._state is not None
        self._to_try(self._state.lines.by_name.get(name, ()))
