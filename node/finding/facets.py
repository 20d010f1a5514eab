"""Which conversations are alike: per facet a line of them, in the order of their opening.  No I/O.

    facet                       who is in it
    everything                  all
    state(s)                    those in it
    place(queue, s)             those in the queue, by state; its length is a supervisor's figure
    opener(kind, id)            those that somebody opened
    channel(name)               those that came by it
    agent(id)                   those that the agent has, or ever had
    missed                      those that nobody answered in time
    tag(name, value)            those that carry it, as text

    line     (opened_ms, cv)  (opened_ms, cv) ...        the same pair in each line

A node's own: derived from the state by what was applied, nowhere written down.  `Facets.note` is
called for every conversation that changed; what was there before this process is taken in step by
step (`take_in`), and until then `complete` is false.  A line only proposes: whoever walks it holds
each against the state.

Distinct values of tags have no end, so at most `TAG_FACETS_MAX` have a line.  From then on no line
for a tag is begun: one that exists is whole, one that does not says nothing.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cluster.state.events import Event
from cluster.state.model import Conversation
from cluster.state.sorted_set import SortedSet

Key = tuple[int, str]
"""(opened_ms, cv): the order of every list, and the place a cursor means."""
Facet = tuple[str, ...]

EVERYTHING: Facet = ("everything",)
MISSED: Facet = ("missed",)
TAG_FACETS_MAX = 100_000
"""Lines for values of tags: some 40 MB when each has one conversation."""
TAG_CHARACTERS_MAX = 64
"""A longer value is a text; it is found by search."""
AGENTS_MAX = 32
"""Agents remembered per conversation; who came after is not found as one of its agents."""
_SPOKEN = frozenset({"msg", "note", "whisper"})
"""Events after which a conversation is in the same lines as before."""
_COMES = frozenset({"assigned", "joined"})
"""Events by which an agent becomes one of the conversation's."""


class Line(SortedSet[Key]):
    """Conversations of one facet, oldest first."""

    __slots__ = ("facet",)

    def __init__(self, facet: Facet) -> None:
        super().__init__()
        self.facet = facet

    def walk(self, beyond: Key | None, *, newest: bool) -> Iterator[Key]:
        """Yield those beyond a place, or all, in rising order or, for `newest`, in falling."""
        items = self._items
        if newest:
            end = len(items) if beyond is None else bisect_left(items, beyond, self._start)
            return (items[place] for place in range(end - 1, self._start - 1, -1))
        start = self._start if beyond is None else bisect_right(items, beyond, self._start)
        return (items[place] for place in range(start, len(items)))


class _Known:
    """Where one conversation is."""

    __slots__ = ("agents", "key", "lines")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.lines: tuple[Line, ...] = ()
        self.agents: tuple[str, ...] = ()


def state_of(name: str) -> Facet:
    return ("state", name)


def place_of(queue: str, state: str) -> Facet:
    return ("place", queue, state)


def opener_of(kind: str, opener_id: str) -> Facet:
    return ("opener", kind, opener_id)


def channel_of(name: str) -> Facet:
    return ("channel", name)


def agent_of(agent: str) -> Facet:
    return ("agent", agent)


def tag_of(name: str, value: str) -> Facet:
    return ("tag", name, value)


def tag_text(value: Any) -> str:
    """Return a tag's value as people write it in a filter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


class Facets:
    """All lines of one node."""

    def __init__(self) -> None:
        self._lines: dict[Facet, Line] = {}
        self._known: dict[str, _Known] = {}
        self._to_take_in: Sequence[str] = ()
        self._taken = 0
        self._places: Counter[str] = Counter()
        """Lines per queue."""
        self._tag_lines = 0
        self.tags_full = False
        """Whether some values of tags have no line."""

    # -- reading

    @property
    def complete(self) -> bool:
        """Whether every conversation of the state is in its lines."""
        return self._taken >= len(self._to_take_in)

    @property
    def missing(self) -> int:
        """How many are still to be taken in."""
        return len(self._to_take_in) - self._taken

    def __len__(self) -> int:
        return len(self._known)

    def line(self, facet: Facet) -> Line:
        """Return the conversations of a facet; none for one that has no line."""
        return self._lines.get(facet) or _EMPTY

    def has_line(self, facet: Facet) -> bool:
        """Say whether the line of `facet` tells all: not a tag's that was left out."""
        return facet in self._lines or not (self.tags_full and facet[0] == "tag")

    def agents(self, cv: str) -> tuple[str, ...]:
        """Return who has, or had, the conversation, in order."""
        known = self._known.get(cv)
        return known.agents if known is not None else ()

    def queues(self) -> list[str]:
        """Return the queues that conversations are in."""
        return [queue for queue in self._places if queue]

    # -- following the state

    def begin(self, conversations: Mapping[str, Conversation]) -> None:
        """Forget all, and have all of `conversations` taken in."""
        self._lines, self._known = {}, {}
        self._places.clear()
        self._tag_lines, self.tags_full = 0, False
        self._to_take_in, self._taken = list(conversations), 0

    def take_in(self, conversations: Mapping[str, Conversation], most: int) -> None:
        """Take the next `most` in; those that were noted meanwhile are there already."""
        until = min(self._taken + most, len(self._to_take_in))
        for cv in self._to_take_in[self._taken : until]:
            conversation = conversations.get(cv)
            if conversation is not None and cv not in self._known:
                self._put(conversation)
        self._taken = until
        if self.complete:
            self._to_take_in, self._taken = (), 0

    def note(self, conversation: Conversation, event: Event) -> None:
        """Put a conversation to which `event` was appended where it belongs now."""
        if event.type in _SPOKEN and conversation.cv in self._known:
            return
        self._put(conversation, event)

    def drop(self, cv: str) -> None:
        """Forget a conversation.  Harmless when it is not known."""
        known = self._known.pop(cv, None)
        if known is not None:
            self._leave(known, known.lines)

    # -- inside

    def _put(self, conversation: Conversation, event: Event | None = None) -> None:
        known = self._known.get(conversation.cv)
        if known is None:
            known = self._known[conversation.cv] = _Known((conversation.opened_ms, conversation.cv))
            known.agents = _agents_in(conversation.tail)
        elif event is not None:
            known.agents = _with(known.agents, _agents_in((event,)))
        if conversation.owner:
            known.agents = _with(known.agents, (conversation.owner,))
        wanted = dict.fromkeys(_facets(conversation, known.agents))
        left = [line for line in known.lines if line.facet not in wanted]
        stays = [line for line in known.lines if line.facet in wanted]
        for line in stays:
            del wanted[line.facet]
        if left or wanted:
            self._leave(known, left)
            known.lines = (*stays, *self._join(known, wanted))

    def _join(self, known: _Known, facets: Mapping[Facet, None]) -> Iterator[Line]:
        for facet in facets:
            line = self._lines.get(facet) or self._begin(facet)
            if line is not None:
                line.add(known.key)
                yield line

    def _leave(self, known: _Known, lines: Iterable[Line]) -> None:
        for line in lines:
            line.discard(known.key)
            if not line:
                self._end(line.facet)

    def _begin(self, facet: Facet) -> Line | None:
        """Return a line for `facet`, None for a tag's when there are too many."""
        if facet[0] == "tag":
            self.tags_full = self.tags_full or self._tag_lines >= TAG_FACETS_MAX
            if self.tags_full:
                return None
            self._tag_lines += 1
        elif facet[0] == "place":
            self._places[facet[1]] += 1
        line = self._lines[facet] = Line(facet)
        return line

    def _end(self, facet: Facet) -> None:
        del self._lines[facet]
        if facet[0] == "tag":
            self._tag_lines -= 1
        elif facet[0] == "place":
            self._places[facet[1]] -= 1
            if not self._places[facet[1]]:
                del self._places[facet[1]]


_EMPTY = Line(())


def _facets(conversation: Conversation, agents: Sequence[str]) -> Iterator[Facet]:
    yield EVERYTHING
    yield state_of(conversation.state)
    yield place_of(conversation.queue, conversation.state)
    yield opener_of(conversation.visitor_kind, conversation.visitor)
    yield channel_of(conversation.channel)
    for agent in agents:
        yield agent_of(agent)
    if conversation.missed:
        yield MISSED
    for name, value in conversation.tags.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            text = tag_text(one)
            if len(text) <= TAG_CHARACTERS_MAX:
                yield tag_of(name, text)


def _agents_in(events: Any) -> tuple[str, ...]:
    found: tuple[str, ...] = ()
    for event in events:
        if event.type in _COMES:
            agent = event.data.get("agent") or (event.by.id if event.by.kind == "agent" else "")
            if isinstance(agent, str) and agent:
                found = _with(found, (agent,))
    return found


def _with(agents: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    new = tuple(agent for agent in more if agent not in agents)
    return (*agents, *new)[:AGENTS_MAX] if new else agents
