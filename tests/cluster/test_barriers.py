"""Barriers: one question for all who wait, each of them called once."""

from collections.abc import Callable

from cluster.barriers import BARRIERS_MAX, Barriers
from cluster.port import Unavailable

OnIndex = Callable[[int | None], None]


class Leader:
    """Collects questions for a read index."""

    def __init__(self) -> None:
        self.asked: list[OnIndex] = []

    def __call__(self, on_index: OnIndex) -> None:
        self.asked.append(on_index)


def waits(barriers: Barriers) -> bool:
    return barriers.waiting


def test_one_question_serves_all_who_wait() -> None:
    barriers, leader = Barriers(), Leader()
    passed: list[Unavailable | None] = []
    assert barriers.add(passed.append)
    assert barriers.add(passed.append)
    assert waits(barriers)
    barriers.ask(leader)
    assert not waits(barriers)
    assert len(leader.asked) == 1
    barriers.ask(leader)
    assert len(leader.asked) == 1, "nobody waits: nothing is asked"
    leader.asked[0](0)
    assert passed == [None, None]


def test_who_came_after_the_question_waits_for_the_next() -> None:
    barriers, leader = Barriers(), Leader()
    passed: list[Unavailable | None] = []
    barriers.add(passed.append)
    barriers.ask(leader)
    barriers.add(passed.append)
    leader.asked[0](0)
    assert passed == [None]
    assert waits(barriers)


def test_a_reader_waits_until_its_index_is_applied() -> None:
    barriers, leader = Barriers(), Leader()
    passed: list[Unavailable | None] = []
    barriers.passed(6)
    barriers.add(passed.append)
    barriers.ask(leader)
    leader.asked[0](8)
    barriers.passed(7)
    assert passed == []
    barriers.passed(8)
    barriers.passed(9)
    assert passed == [None]


def test_an_index_that_is_applied_already_passes_at_once() -> None:
    barriers, leader = Barriers(), Leader()
    passed: list[Unavailable | None] = []
    barriers.passed(8)
    barriers.add(passed.append)
    barriers.ask(leader)
    leader.asked[0](8)
    assert passed == [None]


def test_without_a_leader_every_reader_hears_so() -> None:
    barriers, leader = Barriers(), Leader()
    passed: list[Unavailable | None] = []
    barriers.add(passed.append)
    barriers.ask(leader)
    leader.asked[0](None)
    assert [answer.code for answer in passed if answer] == ["no_leader"]


def test_too_many_readers_are_refused_without_a_call() -> None:
    barriers, leader = Barriers(), Leader()
    for _ in range(BARRIERS_MAX - 1):
        assert barriers.add(lambda _: None)
    barriers.ask(leader)
    leader.asked[0](5)  # they wait for index 5 now, and count still
    assert barriers.add(lambda _: None)
    assert not barriers.add(lambda _: None)
    barriers.passed(5)
    assert barriers.add(lambda _: None)
