"""What a process leaves for the next one, and what is not worth a second note."""

from random import Random
from types import SimpleNamespace
from typing import cast

from cluster.heal import left
from cluster.heal.ending import MustEnd
from cluster.heal.journal import Journal
from cluster.heal.left import LEFT_MAX, Left
from cluster.heal.neighbours import Neighbours
from cluster.heal.rules import STRANGER, TORN_TAIL, TWIN
from cluster.heal.seldom import AGAIN_S, KNOWN_MAX, Seldom
from cluster.heal.starting import Filling, tell_start
from cluster.opening import Opened
from cluster.state.limits import HEAL_TEXT_BYTES_MAX
from tests.sim.disk import SimDisk
from wal.recovery import TornTail


def note(number: int) -> Left:
    return Left(7, f"seen {number}", "done", number)


def test_the_next_process_takes_what_was_left_once() -> None:
    disk = SimDisk(Random(1))
    assert left.take(disk) == []
    for number in range(3):
        left.leave(disk, note(number))
    left.leave(disk, note(2))
    assert left.take(disk) == [note(0), note(1), note(2)]
    assert left.take(disk) == []


def test_the_newest_are_kept_and_nonsense_is_dropped() -> None:
    disk = SimDisk(Random(1))
    for number in range(LEFT_MAX + 5):
        left.leave(disk, note(number))
    assert left.take(disk)[0] == note(5)
    disk.write_atomic(left.FILE, [b"\xff{"])
    assert left.take(disk) == []


def test_a_disk_that_failed_keeps_no_note_and_harms_nobody() -> None:
    disk = SimDisk(Random(1))
    disk.full_after(0)
    left.try_to_leave(disk, note(1))
    disk.full_after(None)
    assert left.take(disk) == []


def test_what_a_later_release_left_is_told_after_a_downgrade() -> None:
    heal = Journal(lambda: 0)
    heal.note(99, "seen", "done")
    assert heal.recent[0].rule == 99
    assert heal.counts == {("of_a_later_release", "done"): 1}


def test_long_words_are_cut_to_what_the_log_takes() -> None:
    heal = Journal(lambda: 0)
    heal.note(7, "\u4f60" * 1_000, "\udc80" + "x" * 5_000)
    (one,) = heal.recent
    assert len(one.seen.encode()) <= HEAL_TEXT_BYTES_MAX
    assert one.seen == "\u4f60" * (HEAL_TEXT_BYTES_MAX // 3)
    assert len(one.done.encode()) == HEAL_TEXT_BYTES_MAX


def test_the_same_neighbour_is_noted_once_an_hour_and_a_flood_not_at_all() -> None:
    now_s = [0.0]
    seldom = Seldom(lambda: now_s[0])
    assert seldom.is_due("stranger", "n1")
    assert not seldom.is_due("stranger", "n1")
    assert [seldom.is_due("stranger", f"x{n}") for n in range(KNOWN_MAX)].count(True) == (
        KNOWN_MAX - 1
    )
    assert seldom.held_back == 2
    now_s[0] = AGAIN_S
    assert seldom.is_due("stranger", "n1")


def test_a_node_that_was_filled_says_how_long_it_abstained() -> None:
    now_s = [10.0]
    heal = Journal(lambda: 0)
    filling = Filling(heal, lambda: now_s[0], abstains=True)
    filling.look(abstains=True, was_known=True, index=3)
    now_s[0] = 12.5
    filling.look(abstains=False, was_known=True, index=9)
    filling.look(abstains=False, was_known=True, index=10)
    assert [(one.rule, one.figures) for one in heal.recent] == [
        (6, {"abstained_ms": 2500, "index": 9})
    ]


def test_a_node_that_is_told_what_its_disk_lost_says_so_and_when_it_is_filled() -> None:
    now_s = [10.0]
    heal = Journal(lambda: 0)
    filling = Filling(heal, lambda: now_s[0], abstains=False)
    filling.look(abstains=False, was_known=True, index=3)
    now_s[0] = 60.0
    filling.look(abstains=True, was_known=True, index=3)
    now_s[0] = 60.5
    filling.look(abstains=False, was_known=True, index=9)
    assert [(one.rule, one.outcome, one.figures) for one in heal.recent] == [
        (6, "began", {"index": 3}),
        (6, "done", {"abstained_ms": 500, "index": 9}),
    ]


def test_a_cluster_that_begins_has_nothing_to_tell() -> None:
    heal = Journal(lambda: 0)
    Filling(heal, lambda: 0.0, abstains=True).look(abstains=False, was_known=False, index=3)
    assert not heal.recent


class Alone:
    """A host that nothing is asked of."""

    node_id = "n1"
    cluster_id = "shop"
    is_blank = False

    def end(self, why: MustEnd) -> None:
        raise AssertionError(why)

    def move_on(self, cluster_id: str) -> None:
        raise AssertionError(cluster_id)


def test_strangers_and_twins_of_others_are_noted_once_an_hour_and_nothing_else_is_done() -> None:
    now_s = [0.0]
    heal = Journal(lambda: 0)
    neighbours = Neighbours(Alone(), heal, lambda: now_s[0])
    for _ in range(3):
        neighbours.met_stranger("n7 of bank", "of another cluster: bank", "10.0.0.7:4000")
        neighbours.met_twin("n2", "boot 1", "boot 2", "10.0.0.2:4000")
    assert [(one.rule, one.figures.get("node")) for one in heal.recent] == [
        (STRANGER, "n7 of bank"),
        (TWIN, "n2"),
    ]
    assert heal.recent[0].seen == "of another cluster: bank"
    now_s[0] = AGAIN_S
    neighbours.met_stranger("n7 of bank", "of another cluster: bank", "10.0.0.7:4000")
    assert len(heal.recent) == 3


def test_a_tail_that_was_cut_is_told_with_its_place() -> None:
    heal = Journal(lambda: 0)
    opened = SimpleNamespace(torn=TornTail("a.wal", 520, 12, "no whole frame"), damage="")
    tell_start(heal, cast("Opened", opened), [note(1)])
    (earlier, torn) = heal.recent
    assert (earlier.seen, earlier.rule) == ("seen 1", 7)
    assert torn.rule == TORN_TAIL
    assert torn.figures == {"path": "a.wal", "offset": 520, "bytes": 12}
    assert "12 bytes at the end of the log" in torn.seen
