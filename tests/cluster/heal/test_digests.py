"""When a checksum of the state is due."""

from hypothesis import given
from hypothesis import strategies as st

from cluster.heal.digests import DIGEST_EVERY, PER_ENTRY, Digests, interval
from cluster.state.state import State


def due_at(digests: Digests, state: State, last: int) -> list[int]:
    """Return the indexes up to `last` at which a copy is taken, each read at once."""
    found = []
    for index in range(1, last + 1):
        digests.applied(index, state)
        if (due := digests.take()) is not None:
            found.append(due[0])
            digests.done(due[0], "1.2:a")
    return found


def test_a_small_state_is_looked_at_often() -> None:
    assert due_at(Digests(), State(), 3 * DIGEST_EVERY) == [DIGEST_EVERY * n for n in (1, 2, 3)]


def test_a_large_state_is_looked_at_rarely_at_indexes_where_a_small_one_is_too() -> None:
    large = State()
    large.conversations.update(dict.fromkeys(map(str, range(33))))  # type: ignore[arg-type]
    assert due_at(Digests(every=10), large, 85) == [20, 40, 60, 80]


def test_one_is_read_at_a_time() -> None:
    digests = Digests(every=10)
    digests.applied(10, State())
    assert digests.take() is not None
    digests.applied(20, State())
    assert digests.take() is None
    digests.done(10, "1.2:a")
    assert digests.latest == (10, "1.2:a")
    digests.applied(30, State())
    assert digests.take() is not None


@given(some=st.integers(0, 10**7), more=st.integers(0, 10**7))
def test_nodes_meet_whatever_they_hold_and_none_reads_too_much(some: int, more: int) -> None:
    mine, theirs = interval(DIGEST_EVERY, some), interval(DIGEST_EVERY, more)
    assert max(mine, theirs) % min(mine, theirs) == 0
    assert mine * PER_ENTRY >= some
