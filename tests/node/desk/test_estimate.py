"""How long somebody will wait, from what was seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.desk.estimate import (
    ETA_S_MAX,
    SAMPLES_HIGH,
    SAMPLES_MIN,
    Average,
    Estimate,
    Times,
    estimate,
)
from tests.node.finding.made import conversation, with_event


def average(ms: int, samples: int) -> Average:
    made = Average()
    for _ in range(samples):
        made.add(ms)
    return made


@pytest.mark.parametrize(
    ("samples", "position", "servers", "expected"),
    [
        (SAMPLES_MIN - 1, 1, 1, None),
        (SAMPLES_MIN, 1, 1, Estimate(300, "low")),
        (SAMPLES_HIGH, 1, 1, Estimate(300, "high")),
        (SAMPLES_HIGH, 4, 2, Estimate(600, "high")),
        (SAMPLES_HIGH, 1, 10, Estimate(30, "high")),
        (SAMPLES_HIGH, 3, 1, Estimate(900, "high")),
        (SAMPLES_HIGH, 1, 0, None),
        (SAMPLES_HIGH, 1_000, 1, None),
    ],
)
def test_a_wait_is_position_times_handle_time_by_servers(
    samples: int, position: int, servers: int, expected: Estimate | None
) -> None:
    assert estimate(average(300_000, samples), position, servers) == expected


@given(st.integers(1, 10**8), st.integers(1, 5_000), st.integers(1, 500))
def test_a_wait_is_never_told_shorter_than_computed_nor_beyond_the_bound(
    ms: int, position: int, servers: int
) -> None:
    found = estimate(average(ms, SAMPLES_MIN), position, servers)
    seconds = position * ms / 1000 / servers
    assert (found is None) == (seconds > ETA_S_MAX)
    if found is not None:
        assert seconds - 1 <= found.eta_s <= max(15, seconds + 301)


def test_the_average_follows_a_change_and_forgets() -> None:
    handle = average(100_000, 100)
    for _ in range(100):
        handle.add(200_000)
    assert 195_000 < handle.ms <= 200_000


def test_handle_times_begin_with_an_assignment_and_end_with_any_letting_go() -> None:
    times = Times()
    for ending in ("closed", "transferred", "unassigned", "closed", "closed"):
        one = conversation(1, queue="vip")
        one = with_event(one, "opened")
        one = with_event(one, "queued", queue="vip")
        one = with_event(one, "assigned", agent="ann")
        times.note(one, one.tail[-1])
        for _ in range(2_000):
            one = with_event(one, "msg", body="x") if one.seq < 300 else one
        one = with_event(one, ending)
        times.note(one, one.tail[-1])
    assert times.answered("vip") == (5, 100)
    assert times.handle_s("vip") == round((301 - 3) / 1000)


def test_what_nobody_had_says_nothing_of_handle_times() -> None:
    times = Times()
    for number in range(10):
        one = with_event(with_event(conversation(number, queue="vip"), "opened"), "closed")
        times.note(one, one.tail[-1])
    assert times.handle_s("vip") == 0
    assert times.estimate("vip", 1, 1) is None


def test_a_transfer_counts_for_the_queue_that_it_leaves() -> None:
    times = Times()
    for _ in range(SAMPLES_MIN):
        one = with_event(conversation(1), "queued", queue="general")
        one = with_event(one, "assigned", agent="ann")
        one = with_event(one, "transferred", to={"queue": "vip"})
        moved = with_event(one, "queued", queue="vip")
        times.note(moved, one.tail[-1])
    assert times.estimate("general", 1, 1) is not None
    assert times.estimate("vip", 1, 1) is None
