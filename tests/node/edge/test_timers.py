"""No deadline is missed, none is early, none is late by more than a tick."""

from hypothesis import given
from hypothesis import strategies as st

from node.edge.timers import TICK_S, UNSCHEDULED, Timers


class Thing:
    def __init__(self) -> None:
        self.due_tick = UNSCHEDULED


@given(
    st.floats(0, 1e6),
    st.lists(st.floats(0, 100), max_size=20),
    st.lists(st.floats(0.01, 30), min_size=1, max_size=20),
)
def test_everything_comes_up_in_its_time(
    start: float, delays: list[float], steps: list[float]
) -> None:
    timers: Timers[Thing] = Timers(start)
    waiting = {}
    for delay in delays:
        thing = Thing()
        timers.no_later_than(thing, start + delay)
        waiting[thing] = start + delay
    now = start
    for step in [*steps, 200.0]:
        now += step
        for thing in timers.due(now):
            assert waiting.pop(thing) <= now
        assert all(at > now - TICK_S - 1e-6 for at in waiting.values())
    assert not waiting
    assert not timers._buckets


def test_a_deadline_moves_forward_but_not_back() -> None:
    timers: Timers[Thing] = Timers(0)
    thing = Thing()
    timers.no_later_than(thing, 10)
    timers.no_later_than(thing, 50)
    assert timers.due(9.9) == []
    timers.no_later_than(thing, 1)
    timers.no_later_than(thing, 9.95)
    assert timers.due(10) == [thing]
    assert timers.due(100) == []


def test_a_cancelled_deadline_leaves_nothing_behind() -> None:
    timers: Timers[Thing] = Timers(0)
    thing = Thing()
    timers.no_later_than(thing, 10)
    timers.cancel(thing)
    timers.cancel(thing)
    assert timers.due(20) == []
    assert not timers._buckets
