"""`node.replay.checker`: a conversation that is whole passes, and every planted fault is found."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state.commands import By
from node.protocol.catalogue import Ev
from node.replay.checker import (
    KINDS,
    Acknowledged,
    Record,
    Said,
    View,
    check,
    check_conversation,
    count,
)

VISITOR, ADA, BOB = By("visitor", "v"), By("agent", "ada"), By("agent", "bob")
TEXTS = [(VISITOR, "你好"), (ADA, "Hello!"), (ADA, "(a note)"), (VISITOR, "Bye")]


def event(seq: int, kind: str, by: By, **data: Any) -> Ev:
    mid = f"m{seq}" if kind in ("msg", "note") else ""
    return Ev(cv="C", seq=seq, type=kind, by=by, ts=seq, mid=mid, data=data)


@dataclass
class Scene:
    """A whole conversation; a test plants its fault in one observer's events."""

    record: Record
    visitor: list[Ev]
    agent: list[Ev]
    histories: list[list[Ev]]

    def violations(self) -> dict[str, int]:
        self.record.views = [
            View("the visitor", self.visitor, sees_hidden=False, whole=True),
            View("ada", self.agent, sees_hidden=True, whole=False),
            *(
                View(f"n{place}", events, sees_hidden=True, whole=True, history=True)
                for place, events in enumerate(self.histories, 1)
            ),
        ]
        found = check([self.record], {"ada": 1, "bob": 1})
        return {kind: number for kind, number in count(found).items() if number}


def scene() -> Scene:
    events = [
        event(1, "opened", VISITOR),
        event(2, "queued", VISITOR, queue="general", priority=0),
        event(3, "assigned", ADA, agent="ada", fence=1),
    ]
    record = Record("C", acknowledged=[Acknowledged(1, "opened")])
    for by, text in TEXTS:
        seq, hidden = len(events) + 1, text.startswith("(")
        events.append(event(seq, "note" if hidden else "msg", by, body=text, type="text"))
        record.said.append(Said(seq, f"m{seq}", by.kind, by.id, text, hidden))
    events.append(event(len(events) + 1, "closed", ADA))
    record.acknowledged.append(Acknowledged(len(events), "closed"))
    visitor = [
        Ev(cv="C", seq=one.seq, type="hidden", ts=one.ts) if one.type == "note" else one
        for one in events
    ]
    return Scene(record, visitor, list(events), [list(events) for _ in range(3)])


def changed(one: Ev, **fields: Any) -> Ev:
    return msgspec.structs.replace(one, **fields)


def test_a_whole_conversation_passes() -> None:
    assert scene().violations() == {}


def test_a_body_may_be_a_map_with_text() -> None:
    one = scene()
    for events in (one.visitor, one.agent, *one.histories):
        events[3] = changed(events[3], data={"body": {"text": "你好"}})

    assert one.violations() == {}


# -- planted faults, in the view of one observer

Plant = Callable[[list[Ev]], None]


def drop_message(events: list[Ev]) -> None:
    del events[4]


def drop_end(events: list[Ev]) -> None:
    del events[-1]


def repeat_event(events: list[Ev]) -> None:
    events.insert(5, events[4])


def swap(events: list[Ev]) -> None:
    events[3], events[4] = events[4], events[3]


def say_again(events: list[Ev]) -> None:
    closed = events.pop()
    events.append(changed(events[4], seq=8, mid="m-second"))
    events.append(changed(closed, seq=9))


def other_text(events: list[Ev]) -> None:
    events[4] = changed(events[4], data={"body": "Hello"})


def other_message(events: list[Ev]) -> None:
    events[4] = changed(events[4], mid="m-other", data={"body": "something else"})


def nobody_said(events: list[Ev]) -> None:
    closed = events.pop()
    events.append(event(8, "msg", VISITOR, body="never said"))
    events.append(changed(closed, seq=9))


FAULTS: list[tuple[Plant, str]] = [
    (drop_message, "gap"),
    (drop_message, "lost"),
    (drop_end, "lost"),
    (repeat_event, "doubled"),
    (swap, "out_of_order"),
    (say_again, "doubled"),
    (say_again, "lost"),
    (other_text, "text"),
    (other_message, "lost"),
    (other_message, "unsaid"),
    (nobody_said, "unsaid"),
]


@pytest.mark.parametrize(("plant", "kind"), FAULTS)
@pytest.mark.parametrize("observer", ["visitor", "history"])
def test_a_fault_at_one_observer_is_found(plant: Plant, kind: str, observer: str) -> None:
    one = scene()
    plant(one.visitor if observer == "visitor" else one.histories[1])

    assert one.violations().get(kind), (kind, one.violations())


def test_an_agent_who_lacks_a_message_in_the_middle_is_found() -> None:
    one = scene()
    drop_message(one.agent)

    assert {"gap", "lost"} <= one.violations().keys()


def test_an_agent_who_left_early_lacks_nothing() -> None:
    one = scene()
    del one.agent[5:]

    assert one.violations() == {}


def test_a_node_that_tells_another_history_is_found() -> None:
    one = scene()
    one.histories[2][2] = changed(one.histories[2][2], ts=99)

    assert one.violations() == {"differs": 1}


def test_a_note_that_reaches_the_visitor_is_found() -> None:
    one = scene()
    one.visitor[5] = one.histories[0][5]
    assert "lost" in one.violations()

    one = scene()
    one.visitor[5] = changed(one.visitor[5], data={"body": "(a note)"})
    assert "text" in one.violations()


def test_two_owners_at_a_time_are_found() -> None:
    one = scene()
    for events in (one.visitor, one.agent, *one.histories):
        events[1] = event(2, "assigned", BOB, agent="bob", fence=0)

    assert one.violations()["owner"] >= len(one.histories)


def test_an_agent_who_speaks_without_owning_is_found() -> None:
    one = scene()
    for events in (one.visitor, one.agent, *one.histories):
        events[4] = changed(events[4], by=BOB)

    assert one.violations()["owner"] == len(one.histories)


def test_a_fence_that_does_not_rise_is_found() -> None:
    one = scene()
    for events in (one.visitor, one.agent, *one.histories):
        events[1] = event(2, "assigned", BOB, agent="bob", fence=1)
        events[2] = changed(events[2], data={"agent": "ada", "fence": 1})

    assert one.violations()["owner"] == 2 * len(one.histories)


def test_an_owner_may_change_when_the_first_lets_go() -> None:
    one = scene()
    for events in (one.visitor, one.agent, *one.histories):
        events[1] = event(2, "assigned", BOB, agent="bob", fence=1)
        events.insert(2, event(3, "unassigned", BOB, reason="lost"))
        for place in range(3, len(events)):
            events[place] = changed(events[place], seq=place + 1)
        events[3] = changed(events[3], data={"agent": "ada", "fence": 2})
    record = one.record
    record.said = [replace(said, seq=said.seq + 1) for said in record.said]
    record.acknowledged[1] = replace(record.acknowledged[1], seq=len(one.agent))

    assert one.violations() == {}


def held(cv: str, agent: str, begin: int, end: int) -> Record:
    events = [
        Ev(cv=cv, seq=1, type="assigned", by=ADA, ts=begin, data={"agent": agent, "fence": 1}),
        Ev(cv=cv, seq=2, type="closed", by=ADA, ts=end),
    ]
    return Record(cv, views=[View("n1", events, sees_hidden=True, whole=True, history=True)])


def test_an_agent_above_capacity_is_found() -> None:
    records = [held("A", "ada", 10, 30), held("B", "ada", 20, 40)]

    assert [one.kind for one in check(records, {"ada": 1})] == ["capacity"]
    assert check(records, {"ada": 2}) == []


def test_letting_go_and_taking_in_the_same_millisecond_is_no_violation() -> None:
    assert check([held("A", "ada", 10, 20), held("B", "ada", 20, 40)], {"ada": 1}) == []


@given(st.data())
def test_any_event_dropped_doubled_or_swapped_is_found(data: st.DataObject) -> None:
    one = scene()
    events = data.draw(st.sampled_from([one.visitor, *one.histories]))
    place = data.draw(st.integers(0, len(events) - 2))
    match data.draw(st.sampled_from(["drop", "double", "swap"])):
        case "drop":
            del events[place]
        case "double":
            events.insert(place, events[place])
        case _:
            events[place], events[place + 1] = events[place + 1], events[place]

    assert one.violations()


def test_every_kind_is_counted() -> None:
    assert count(check_conversation(Record("C"))).keys() == set(KINDS)
