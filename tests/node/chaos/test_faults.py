"""What a fault means for each node, and that its time always ends."""

import random

from hypothesis import given
from hypothesis import strategies as st

from cluster.state.commands import By, FaultKind
from cluster.state.limits import FAULT_MS_MAX
from cluster.state.model import Fault
from node.chaos.faults import WHOLE, Arming, part_of

OPS = By("operator", "ops")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def fault(
    kind: FaultKind,
    *groups: str,
    fault: str = "f",
    for_ms: int = 1_000,
    amount: int = 0,
    clients: bool = False,
    boot: str = "b1",
) -> Fault:
    sides = tuple(tuple(group.split(",")) for group in groups)
    boots = {name: boot for side in sides for name in side}
    return Fault(fault, kind, sides, OPS, 0, for_ms, boots, amount, 0, clients)


def test_a_partition_cuts_both_ways_and_the_first_side_from_its_clients() -> None:
    cut = fault("partition", "n1,n2", "n3", "n4", clients=True)
    n1, n3, n5 = (part_of(cut, name) for name in ("n1", "n3", "n5"))
    assert n1.deaf_to == n1.mute_to == {"n3", "n4"}
    assert n3.deaf_to == n3.mute_to == {"n1", "n2", "n4"}
    assert (n1.clients_cut, n3.clients_cut) == (True, False)
    assert n5 == WHOLE


def test_one_way_is_one_way() -> None:
    way = fault("one_way", "n1", "n2")
    n1, n2 = part_of(way, "n1"), part_of(way, "n2")
    assert n1.mute_to == {"n2"}
    assert not n1.deaf_to
    assert n2.deaf_to == {"n1"}
    assert not n2.mute_to


def test_lost_frames_are_as_many_as_was_asked() -> None:
    part = part_of(fault("loss", "n1", "n2", amount=20), "n1")
    chance = random.Random(7)
    lost = sum(part.holds("n2", chance) for _ in range(5_000))
    assert 900 < lost < 1_100
    assert not any(part.holds("n3", chance) for _ in range(100))


def test_a_part_ends_when_its_time_is_over_though_nobody_ends_it() -> None:
    clock = Clock()
    arming = Arming("n1", "b1", clock)
    assert arming.arm(fault("slow_disk", "n1", amount=300)) is not None
    assert arming.effect().sync_ms == 300
    clock.now_s += 0.999
    assert arming.effect().sync_ms == 300
    clock.now_s += 0.002
    assert arming.effect() == WHOLE
    assert [one.fault.fault for one in arming.overdue()] == ["f"]
    assert arming.overdue() == []


def test_a_part_is_for_one_life_of_the_node() -> None:
    arming = Arming("n1", "b2", Clock())
    assert arming.arm(fault("kill", "n1", boot="b1")) is None
    assert arming.effect() == WHOLE


def test_a_fault_of_others_is_not_armed_and_none_twice() -> None:
    arming = Arming("n1", "b1", Clock())
    assert arming.arm(fault("pause", "n2")) is None
    assert arming.arm(fault("pause", "n1")) is not None
    assert arming.arm(fault("pause", "n1")) is None


def test_what_is_told_to_end_before_it_is_heard_of_never_begins() -> None:
    arming = Arming("n1", "b1", Clock())
    assert not arming.end("f")
    assert arming.arm(fault("pause", "n1")) is None


def test_who_comes_late_takes_part_in_what_is_left() -> None:
    clock = Clock()
    arming = Arming("n1", "b1", clock)
    assert arming.arm(fault("partition", "n1", "n2", clients=True), gone_ms=1_000) is None
    assert arming.arm(fault("partition", "n1", "n2", clients=True), gone_ms=600) is not None
    clock.now_s += 0.399
    assert arming.effect().clients_cut
    clock.now_s += 0.002
    assert arming.effect() == WHOLE


def test_two_at_once_are_both_there_and_end_one_by_one() -> None:
    clock = Clock()
    arming = Arming("n1", "b1", clock)
    arming.arm(fault("clock_skew", "n1", fault="a", amount=5_000, for_ms=1_000))
    arming.arm(fault("clock_skew", "n1", fault="b", amount=-2_000, for_ms=3_000))
    assert arming.effect().skew_ms == 3_000
    assert arming.end("b")
    assert not arming.end("b")
    assert arming.effect().skew_ms == 5_000
    clock.now_s += 1.5
    assert arming.effect().skew_ms == 0


@given(st.lists(st.tuples(st.integers(1, 10 * FAULT_MS_MAX), st.integers(0, 900)), max_size=8))
def test_whatever_was_armed_and_whenever_nothing_lasts_longer_than_the_limit(
    begun: list[tuple[int, int]],
) -> None:
    clock = Clock()
    arming = Arming("n1", "b1", clock)
    for number, (for_ms, pause_s) in enumerate(begun):
        clock.now_s += pause_s
        arming.arm(fault("full_disk", "n1", fault=str(number), for_ms=for_ms))
        assert arming.effect().disk_full
    clock.now_s += FAULT_MS_MAX / 1000
    assert arming.effect() == WHOLE
    assert arming.next_s() <= clock.now_s or not begun
