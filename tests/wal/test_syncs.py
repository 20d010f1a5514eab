"""The window of syncs: quantiles, and the one under way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wal.syncs import WINDOW_S, Syncs


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def sync(syncs: Syncs, clock: Clock, seconds: float) -> None:
    with syncs.timed():
        clock.now_s += seconds


@given(st.lists(st.floats(1e-5, 0.09), min_size=1, max_size=100))
def test_the_p99_is_at_most_a_tenth_too_high_and_never_too_low(seconds: list[float]) -> None:
    clock = Clock()
    syncs = Syncs(clock)
    for one in seconds:
        sync(syncs, clock, one)
    figures = syncs.figures()
    exact = sorted(seconds)[-(-99 * len(seconds) // 100) - 1]
    assert figures.count == len(seconds)
    assert exact * 0.999 <= figures.p99_s <= exact * 1.1


def test_syncs_are_forgotten_after_the_window() -> None:
    clock = Clock()
    syncs = Syncs(clock)
    sync(syncs, clock, 0.3)
    assert (syncs.figures().count, syncs.figures().slow) == (1, 1)
    clock.now_s += WINDOW_S + 1
    assert syncs.figures().p99_s < 0
    sync(syncs, clock, 0.001)
    assert (syncs.figures().count, syncs.figures().slow) == (1, 0)


def test_the_one_under_way_is_known_and_its_end_too() -> None:
    clock = Clock()
    syncs = Syncs(clock)
    assert syncs.figures().running_s == 0
    with syncs.timed():
        clock.now_s += 2.5
        assert syncs.figures().running_s == 2.5
    assert syncs.figures().running_s == 0


def test_one_that_failed_is_counted_and_over() -> None:
    clock = Clock()
    syncs = Syncs(clock)

    def fail() -> None:
        with syncs.timed():
            clock.now_s += 0.3
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert (syncs.figures().count, syncs.figures().slow) == (1, 1)
    assert syncs.figures().running_s == 0
