"""Watchers: told in order, free to leave."""

from collections.abc import Callable

from cluster.watchers import Watchers


def test_watchers_are_told_in_the_order_they_came_until_they_leave() -> None:
    told: list[str] = []
    watchers: Watchers[str] = Watchers()
    leave = watchers.add(lambda what: told.append(f"first {what}"))
    watchers.add(lambda what: told.append(f"second {what}"))
    watchers.tell("a")
    leave()
    watchers.tell("b")
    assert told == ["first a", "second a", "second b"]


def test_a_watcher_may_leave_while_it_is_told() -> None:
    told: list[int] = []
    watchers: Watchers[int] = Watchers()
    leaves: list[Callable[[], None]] = []
    leaves.append(watchers.add(lambda _: leaves[0]()))
    watchers.add(told.append)
    watchers.tell(1)
    watchers.tell(2)
    assert told == [1, 2]
