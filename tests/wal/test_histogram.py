"""Histograms: every value in its bucket, and what several have seen."""

from hypothesis import given
from hypothesis import strategies as st

from wal.histogram import REQUEST_BOUNDS_S, Buckets, Histogram

VALUES = st.lists(st.floats(0, 100, allow_nan=False), max_size=50)


def of(values: list[float]) -> Buckets:
    histogram = Histogram(REQUEST_BOUNDS_S)
    for value in values:
        histogram.observe(value)
    return histogram.buckets()


@given(VALUES)
def test_each_bucket_counts_all_that_took_at_most_as_long(values: list[float]) -> None:
    buckets = of(values)
    for bound, count in buckets.cumulative():
        assert count == sum(value <= bound for value in values)
    assert [bound for bound, _ in buckets.cumulative()][-1] == float("inf")
    assert sum(buckets.counts) == len(values)
    assert abs(buckets.sum - sum(values)) < 1e-6


@given(VALUES, VALUES)
def test_two_together_are_one_that_saw_all(first: list[float], second: list[float]) -> None:
    both, one = of(first).plus(of(second)), of([*first, *second])
    assert both.counts == one.counts
    assert abs(both.sum - one.sum) < 1e-6
