"""A tail behaves as the list of its events would, however they are cut into chunks."""

import gc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.state.commands import SYSTEM
from cluster.state.events import CHUNK, CHUNKS_MAX, Event, Tail, kept
from cluster.state.limits import EVENTS_KEPT


def events(count: int) -> list[Event]:
    return [Event(seq, "msg", SYSTEM, seq) for seq in range(1, count + 1)]


lengths = st.one_of(
    st.integers(0, 3 * CHUNK), st.integers(EVENTS_KEPT - CHUNK, EVENTS_KEPT + 3 * CHUNK)
)
places = st.integers(-EVENTS_KEPT - 2 * CHUNK, EVENTS_KEPT + 2 * CHUNK) | st.none()


@given(lengths)
def test_a_tail_keeps_the_newest(count: int) -> None:
    tail, whole = Tail.of(events(count)), events(count)
    assert len(tail) == kept(count)
    assert min(count, EVENTS_KEPT) <= len(tail) < EVENTS_KEPT + CHUNK
    assert list(tail) == whole[count - len(tail) :]
    assert list(reversed(tail)) == list(tail)[::-1]
    assert bool(tail) == (count > 0)
    assert tail.is_whole


@given(lengths, places, places, st.sampled_from([None, 1, 2, -1, -3]))
def test_a_tail_is_cut_as_a_list_is(
    count: int, start: int | None, stop: int | None, step: int | None
) -> None:
    tail = Tail.of(events(count))
    assert tail[start:stop:step] == tuple(tail)[start:stop:step]


@given(lengths, st.integers(-EVENTS_KEPT - 2 * CHUNK, EVENTS_KEPT + 2 * CHUNK))
def test_a_tail_has_the_places_of_a_list(count: int, place: int) -> None:
    tail = Tail.of(events(count))
    if -len(tail) <= place < len(tail):
        assert tail[place] == tuple(tail)[place]
    else:
        with pytest.raises(IndexError):
            tail[place]


@given(lengths)
def test_a_tail_that_was_written_is_the_same(count: int) -> None:
    tail = Tail.of(events(count))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(tail), type=Tail)
    assert again == tail
    assert not gc.is_tracked(again)


@pytest.mark.parametrize(
    "tail",
    [
        Tail((tuple(events(CHUNK - 1)),)),
        Tail((tuple(events(CHUNK)),) * (CHUNKS_MAX + 1)),
        Tail((), tuple(events(CHUNK))),
    ],
)
def test_a_tail_that_no_append_made_is_not_whole(tail: Tail) -> None:
    assert not tail.is_whole


def test_an_append_leaves_the_old_tail_as_it_was() -> None:
    first, second = events(2)
    old = Tail().append(first)
    assert list(old.append(second)) == [first, second]
    assert list(old) == [first]
