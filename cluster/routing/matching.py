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

    fit      room for the weight, every skill at its least level, and the need; whether a kind of
             agent fits is remembered
    named    a line for one agent: who was named in a transfer, or is preferred by the step
    passed   agents who passed on it: the first in order who rested `PASSED_PAUSE_MS`, and only
             when nobody else fits
    busy     something is proposed about it: if it keeps its place meanwhile, as one that is being
             routed anew, its line waits for the answer; else the next behind it is the head
"""

import heapq
from collections.abc import Callable, Collection
from typing import NamedTuple

from cluster.routing.choosing import Chooser, Chosen, Judge
from cluster.routing.pool import Pool
from cluster.state.lines import Line, Place, urgency_of
from cluster.state.model import Conversation
from cluster.state.route import Choice, Queue
from cluster.state.state import State

LOOKS_MAX = 10_000
"""Buckets and agents looked at in one plan, some milliseconds; the next plan goes on from there."""


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
        """Lines to try."""
        self._fresh: dict[str, None] = {}
        """Agents who may be offered more than when lines were last tried."""
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
            self._dirty = dict.fromkeys(state.lines.lines)
            self.changed = dict.fromkeys((*state.agents, *state.lines.by_name))
        else:
            self._dirty.update(lines)
            self.changed.update(agents)
            for name in agents:
                self._refreshed(name, more=self.pool.refresh(name))
        self._marks = (state.lines.changes.mark, state.agent_changes.mark)
        while self._wakes and self._wakes[0][0] <= now_ms:
            self._dirty[heapq.heappop(self._wakes)[1]] = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to try."""
        return not self._dirty and not self._fresh

    def try_again(self, cv: str) -> None:
        """Nothing is proposed about a conversation any more."""
        line = self._state.lines.line(cv) if self._state is not None else None
        if line is not None:
            self._dirty[line] = None

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
        heads = [head for line in self._tried(state) if (head := self._head(state, line, None))]
        heapq.heapify(heads)
        found: list[Match] = []
        while heads and len(found) < most and self._chooser.looks < LOOKS_MAX:
            _, _, cv, line, place = heads[0]
            if not self._fresh:  # the others were to be tried for fresh agents alone
                if not self._dirty:
                    heads.clear()
                    break
                if line not in self._dirty:
                    heapq.heappop(heads)
                    continue
            conversation = state.conversations[cv]
            settings = self._settings[line.queue]
            chosen = self._chooser.choose(conversation, line, settings)
            if not isinstance(chosen, Chosen):
                self._give_up(line, chosen)
                heapq.heappop(heads)
                continue
            self._reserve(chosen.agent, cv, line.weight)
            found.append(Match(conversation, chosen.agent, chosen.choice, settings))
            behind = self._head(state, line, place)
            if behind is None:
                self._dirty.pop(line, None)
                heapq.heappop(heads)
            else:
                heapq.heapreplace(heads, behind)
        self._dirty = {head[3]: None for head in heads}  # the rest is for the next plan
        self._fresh.clear()
        return found

    def _tried(self, state: State) -> Collection[Line]:
        """Return the lines to try: those that changed, and those that a fresh agent fits."""
        tried = {line: None for line in self._dirty if line in state.lines.lines}
        self._dirty = dict(tried)
        buckets = {id(one): one for name in self._fresh if (one := self.pool.bucket(name))}
        for bucket in buckets.values():
            for line in self._chooser.fitting(state.lines.lines, bucket):
                tried[line] = None
        return tried

    def _head(self, state: State, line: Line, after: Place | None) -> _Head | None:
        """Return the first of `line`, or behind `after`, about whom nothing is proposed.

        Nobody, where one of whom that may soon be said comes first.
        """
        for place in state.lines.lines[line].after(after):
            if self._is_held(place[2]):
                return None
            if not self._is_busy(place[2]):
                queue = line.queue
                if queue not in self._settings:
                    self._settings[queue] = state.queue(queue)
                urgency = urgency_of(place, self._settings[queue], self._chooser.now_ms)
                return -urgency, place[1], place[2], line, place
        return None

    def _give_up(self, line: Line, rests_until_ms: int) -> None:
        self._dirty.pop(line, None)
        if rests_until_ms:
            heapq.heappush(self._wakes, (rests_until_ms, line))

    def _reserve(self, agent: str, cv: str, weight: int) -> None:
        self.pool.reserve(agent, cv, weight)
        if agent in self._fresh and self.pool.bucket(agent) is None:
            del self._fresh[agent]

    def _refreshed(self, name: str, *, more: bool) -> None:
        if more:
            self._fresh[name] = None
        assert self._state is not None
        self._dirty.update(self._state.lines.by_name.get(name, ()))
