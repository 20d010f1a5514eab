"""A sorted set against the plain set that it is."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.state.sorted_set import CUT_MIN, SortedSet

items = st.tuples(st.integers(0, 9), st.sampled_from("ab"))


@given(st.lists(st.tuples(st.booleans(), items)))
def test_it_holds_what_a_set_holds_in_order(steps: list[tuple[bool, tuple[int, str]]]) -> None:
    ours: SortedSet[tuple[int, str]] = SortedSet()
    plain: set[tuple[int, str]] = set()
    for adds, item in steps:
        if adds:
            ours.add(item)
            plain.add(item)
        else:
            ours.discard(item)
            plain.discard(item)
        assert list(ours) == sorted(plain)
        assert len(ours) == len(plain)
        assert bool(ours) == bool(plain)
        assert ours.first == min(plain, default=None)
        assert (item in ours) == (item in plain)


def test_taking_from_the_front_gives_the_memory_back() -> None:
    ours: SortedSet[tuple[int]] = SortedSet()
    count = 4 * CUT_MIN
    for number in range(count):
        ours.add((number,))
    for number in range(count):
        assert ours.first == (number,)
        ours.discard((number,))
        assert (number,) not in ours
        ours.add((-1,)) if number % 7 == 0 else None
        ours.discard((-1,))
    assert len(ours) == 0
    assert len(ours._items) < CUT_MIN


def test_equality_is_of_what_it_holds() -> None:
    one: SortedSet[tuple[int]] = SortedSet()
    two: SortedSet[tuple[int]] = SortedSet()
    one.add((1,))
    one.add((2,))
    one.discard((1,))
    two.add((2,))
    assert one == two
    assert one != {(2,)}
    assert repr(one) == "SortedSet([(2,)])"
