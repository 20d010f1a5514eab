"""`node.replay.figures`: percentiles, and the silence after a kill."""

from hypothesis import given
from hypothesis import strategies as st

from node.replay.figures import STALL_WINDOW_S, percentile, stall


def test_a_stall_is_the_time_from_the_kill_to_the_next_acknowledgement() -> None:
    assert stall(10.0, [9.9, 11.5, 11.6]) == 1.5


def test_what_was_on_its_way_when_the_leader_died_does_not_shorten_the_stall() -> None:
    assert stall(10.0, [9.0, 10.25, 12.0, 12.25]) == 1.75


def test_a_silence_that_begins_long_after_is_another_matter() -> None:
    assert stall(10.0, [10.5, 10.75, 20.0]) == 9.25  # begins within the window
    assert stall(10.0, [10.5, 11.25, 20.0]) == 0.75


def test_without_any_acknowledgement_after_the_kill_there_is_no_stall_to_speak_of() -> None:
    assert stall(10.0, [1.0, 2.0]) is None
    assert stall(10.0, []) is None


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100))
def test_a_stall_is_at_least_the_wait_for_the_first_acknowledgement(
    times: list[float], killed_at: float
) -> None:
    times.sort()
    after = [time for time in times if time > killed_at]
    found = stall(killed_at, times)

    assert (found is None) == (not after)
    if found is not None:
        assert found >= after[0] - killed_at
        assert found <= max(times) - killed_at + STALL_WINDOW_S


@given(st.lists(st.floats(0, 1000), min_size=1))
def test_a_percentile_is_one_of_the_values(values: list[float]) -> None:
    assert percentile(values, 50) in values
    assert percentile(values, 100) == max(values)
    assert percentile(values, 0) == min(values)


def test_no_values_have_percentile_zero() -> None:
    assert percentile([], 99) == 0.0
