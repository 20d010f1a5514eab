"""`cluster.ids`: ids that sort by when they were made."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.ids import ALPHABET, LENGTH, Ulids, is_ulid

MOMENTS = st.integers(0, 2**48 - 2)


def _bytes(value: int) -> bytes:
    return value.to_bytes(10, "big")


def test_an_id_spells_its_moment_and_its_chance() -> None:
    ids = Ulids(lambda: 1_469_918_176_385, lambda _: _bytes(0))
    # The moment is the one of the specification's own example.
    assert ids.new() == "01ARYZ6S41" + "0" * 16


@given(st.lists(st.tuples(MOMENTS, st.binary(min_size=10, max_size=10)), min_size=2, max_size=20))
def test_every_id_is_greater_than_the_one_before_whatever_the_clock_does(
    draws: list[tuple[int, bytes]],
) -> None:
    moments = iter(moment for moment, _ in draws)
    chances = iter(chance for _, chance in draws)
    ids = Ulids(lambda: next(moments), lambda _: next(chances))

    made = [ids.new() for _ in draws]

    assert made == sorted(set(made))
    assert all(is_ulid(one) for one in made)


def test_ids_of_a_later_moment_sort_after_all_of_an_earlier_one() -> None:
    clock = iter([5, 6])
    ids = Ulids(lambda: next(clock), lambda _: b"\xff" * 10)
    first, second = ids.new(), ids.new()
    assert first < second
    assert first[:10] != second[:10]


def test_what_is_no_ulid_is_told_from_one() -> None:
    good = Ulids(lambda: 1, lambda _: _bytes(1)).new()
    assert is_ulid(good)
    assert len(good) == LENGTH
    for bad in ("", good[:-1], good + "0", "8" + good[1:], "U" + good[1:], good[:-1] + "é"):
        assert not is_ulid(bad), bad
    assert not set("ILOU") & set(ALPHABET)
