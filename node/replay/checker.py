"""What must hold of conversations that were spoken, whoever looks.  No I/O.

    kind          at an observer
    lost          something acknowledged is not there, or not at its `seq`
    doubled       an event, or a message, is there twice
    out_of_order  an event came after one with a higher `seq`
    gap           `seq` is not 1, 2, 3 …
    text          a message is not, byte for byte, what was said
    unsaid        a message is there that nobody was told was taken
    owner         two owners at a time, or an agent speaks who is not the owner
    capacity      an agent holds more than they may
    differs       two nodes tell different histories

A view is what one observer saw of one conversation, in the order in which it came: the visitor
(others' notes hidden), each agent who was in it, and each node's history after the end.

Source: design, invariants I1–I4.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from node.protocol.catalogue import Ev

Kind = Literal[
    "lost",
    "doubled",
    "out_of_order",
    "gap",
    "text",
    "unsaid",
    "owner",
    "capacity",
    "differs",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
MESSAGES = frozenset({"msg", "note"})
RELEASES = frozenset({"unassigned", "transferred", "closed"})


@dataclass(frozen=True, slots=True)
class Said:
    """A message that was acknowledged."""

    seq: int
    mid: str
    kind: str
    """visitor or agent"""
    who: str
    text: str
    hidden: bool = False
    """Not for the visitor."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Something else that was acknowledged: it has this type at this `seq`."""

    seq: int
    type: str


@dataclass(frozen=True, slots=True)
class View:
    """What one observer saw, in the order in which it came."""

    observer: str
    events: Sequence[Ev]
    sees_hidden: bool
    whole: bool
    """Whether the observer should have seen everything up to the end."""
    history: bool = False
    """Whether this is what a node tells, asked after the end."""


@dataclass(slots=True)
class Record:
    """One conversation: what was acknowledged, and who saw what."""

    cv: str
    said: list[Said] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    views: list[View] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be."""

    kind: Kind
    cv: str
    observer: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.cv} as {self.observer} sees it: {self.what}"


def check(records: Iterable[Record], capacities: Mapping[str, int]) -> list[Violation]:
    """Return all that is wrong; `capacities` are those of the agents."""
    records = list(records)
    found = [violation for record in records for violation in check_conversation(record)]
    return found + list(_check_capacity(records, capacities))


def check_conversation(record: Record) -> list[Violation]:
    """Return what is wrong in one conversation."""
    found: list[Violation] = []
    last = _last_seq(record)
    for view in record.views:
        found += _check_order(record.cv, view, last)
        found += _check_messages(record, view)
        if view.history:
            found += _check_owner(record.cv, view)
    found += _check_agreement(record)
    return found


def count(violations: Iterable[Violation]) -> dict[Kind, int]:
    """Return how many there are of each kind, zeros included."""
    counted = Counter(violation.kind for violation in violations)
    return {kind: counted[kind] for kind in KINDS}


def _last_seq(record: Record) -> int:
    """Return up to where an observer who saw everything must have come."""
    acknowledged = [said.seq for said in record.said]
    acknowledged += [one.seq for one in record.acknowledged]
    told = [event.seq for view in record.views if view.history for event in view.events]
    return max((*acknowledged, *told), default=0)


def _check_order(cv: str, view: View, last: int) -> Iterator[Violation]:
    seen: set[int] = set()
    highest = 0
    for event in view.events:
        if event.seq in seen:
            yield Violation("doubled", cv, view.observer, f"seq {event.seq} came twice")
        elif event.seq < highest:
            what = f"seq {event.seq} came after {highest}"
            yield Violation("out_of_order", cv, view.observer, what)
        seen.add(event.seq)
        highest = max(highest, event.seq)
    end = last if view.whole else highest
    missing = [seq for seq in range(1, end + 1) if seq not in seen]
    if missing:
        what = f"{len(missing)} of {end} missing, the first is {missing[0]}"
        yield Violation("gap", cv, view.observer, what)


def _check_messages(record: Record, view: View) -> Iterator[Violation]:
    at = {event.seq: event for event in view.events}
    end = None if view.whole else max(at, default=0)
    for said in record.said:
        if end is None or said.seq <= end:
            yield from _check_said(record.cv, view, said, at.get(said.seq))
    for one in record.acknowledged:
        event = at.get(one.seq)
        if (end is None or one.seq <= end) and (event is None or event.type != one.type):
            what = f"{one.type} was acknowledged at seq {one.seq}; there is {_name(event)}"
            yield Violation("lost", record.cv, view.observer, what)
    yield from _check_extra(record, view)


def _check_said(cv: str, view: View, said: Said, event: Ev | None) -> Iterator[Violation]:
    if said.hidden and not view.sees_hidden:
        if event is None or event.type != "hidden":
            what = f"a hidden event was due at seq {said.seq}; there is {_name(event)}"
            yield Violation("lost", cv, view.observer, what)
        elif event.data:
            yield Violation("text", cv, view.observer, f"the hidden event {said.seq} shows data")
    elif event is None or event.mid != said.mid:
        what = f"{said.mid} was acknowledged at seq {said.seq}; there is {_name(event)}"
        yield Violation("lost", cv, view.observer, what)
    elif text_of(event) != said.text:
        what = f"seq {said.seq} reads {text_of(event)!r:.60}, said was {said.text!r:.60}"
        yield Violation("text", cv, view.observer, what)


def _check_extra(record: Record, view: View) -> Iterator[Violation]:
    """Find messages that are there without having been acknowledged, or more than once."""
    known = {said.mid for said in record.said}
    texts = {(said.kind, said.who, said.text) for said in record.said}
    met: set[str] = set()
    for event in view.events:
        if event.type not in MESSAGES:
            continue
        by = event.by
        spoken = (by.kind, by.id, text_of(event)) if by is not None else ()
        if event.mid in met or (event.mid not in known and spoken in texts):
            what = f"{text_of(event)!r:.60} is there again at seq {event.seq}"
            yield Violation("doubled", record.cv, view.observer, what)
        elif event.mid not in known:
            what = f"{text_of(event)!r:.60} at seq {event.seq} was never acknowledged"
            yield Violation("unsaid", record.cv, view.observer, what)
        met.add(event.mid)


def _check_owner(cv: str, view: View) -> Iterator[Violation]:
    owner, fence = "", 0
    for event in view.events:
        if event.type == "assigned":
            agent, new = str(event.data.get("agent", "")), int(event.data.get("fence", 0))
            if owner:
                what = f"seq {event.seq} gives it to {agent} while {owner} has it"
                yield Violation("owner", cv, view.observer, what)
            if new <= fence:
                what = f"fence {new} at seq {event.seq} does not rise from {fence}"
                yield Violation("owner", cv, view.observer, what)
            owner, fence = agent, new
        elif event.type in RELEASES:
            owner = ""
        elif _agent_speaking(event) not in (None, owner):
            who = owner or "nobody"
            what = f"{_agent_speaking(event)} speaks at seq {event.seq} while {who} has it"
            yield Violation("owner", cv, view.observer, what)


def _agent_speaking(event: Ev) -> str | None:
    """Return which agent says this to the visitor; notes may come from any agent."""
    by = event.by
    return by.id if event.type == "msg" and by is not None and by.kind == "agent" else None


def _check_agreement(record: Record) -> Iterator[Violation]:
    histories = [view for view in record.views if view.history]
    for view in histories[1:]:
        if list(view.events) != list(histories[0].events):
            what = f"not what {histories[0].observer} tells"
            yield Violation("differs", record.cv, view.observer, what)


def _check_capacity(
    records: Iterable[Record], capacities: Mapping[str, int]
) -> Iterator[Violation]:
    """Count what each agent held at each moment of cluster time, from one history of each.

    At one millisecond, what is let go counts before what is taken: their order is not known.
    """
    moments: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for record in records:
        history = next((view for view in record.views if view.history), None)
        for agent, step, ts in _holdings(history.events if history is not None else ()):
            moments[agent].append((ts, step, record.cv))
    for agent, steps in moments.items():
        held, most = 0, capacities.get(agent)
        for ts, step, cv in sorted(steps):
            held += step
            if most is not None and held > most:
                what = f"{agent} holds {held} of {most} at {ts}"
                yield Violation("capacity", cv, "the nodes' history", what)


def _holdings(events: Iterable[Ev]) -> Iterator[tuple[str, int, int]]:
    owner = ""
    for event in sorted(events, key=lambda one: one.seq):
        if event.type == "assigned":
            owner = str(event.data.get("agent", ""))
            yield owner, 1, event.ts
        elif event.type in RELEASES and owner:
            yield owner, -1, event.ts
            owner = ""


def text_of(event: Ev) -> str | None:
    """Return what a message says."""
    body = event.data.get("body")
    if isinstance(body, dict):
        body = body.get("text")
    return body if isinstance(body, str) else None


def _name(event: Ev | None) -> str:
    return "nothing" if event is None else f"{event.type} {event.mid}".strip()
