"""Rows 8 and 9: what a node does about its own disk."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cluster.heal.decision import Compact, Reopen, Shut, Transfer
from cluster.heal.full_disk import COMPACT_ENTRIES_MIN, COMPACT_EVERY_S, FullDisk
from cluster.heal.limits import COOL_DOWN_S, HandOvers
from cluster.heal.picture import Other
from cluster.heal.slow_disk import SlowDisk
from cluster.heal.space import full_below, in_words, short_below
from cluster.vitals import STALE_S, Storage
from tests.cluster.heal.pictures import GIB, HEALTHY, SLOW, Scene, vitals

MIB = 1024**2


def room(free: int, total: int = 64 * MIB) -> Storage:
    return Storage(free_bytes=free, total_bytes=total, sync_p99_ms=2.0)


# -- slow


def test_a_slow_leader_gives_way_after_three_seconds_not_after_one() -> None:
    scene, rule = Scene(mine=vitals(SLOW)), SlowDisk(HandOvers())
    assert scene.look(rule, for_s=2.5) == []
    (decision,) = scene.look(rule, for_s=1)
    assert decision.action in (Transfer("n2"), Transfer("n3"))
    assert decision.figures["p99_ms"] == 400


def test_the_follower_with_the_quicker_disk_is_chosen() -> None:
    scene, rule = Scene(mine=vitals(SLOW)), SlowDisk(HandOvers())
    scene.others["n3"] = Other(vitals(Storage(sync_p99_ms=30.0)), 0.1)
    (decision,) = scene.look(rule, for_s=4)
    assert decision.action == Transfer("n2")


def test_nobody_is_chosen_who_is_silent_late_unwell_or_slow_too() -> None:
    for other in (
        Other(vitals(), STALE_S + 0.1),
        Other(vitals(standing="catching_up"), 0.1),
        Other(vitals(SLOW), 0.1),
        Other(vitals(room(5 * MIB)), 0.1),
    ):
        scene = Scene(mine=vitals(SLOW), others={"n2": other, "n3": other})
        assert scene.look(SlowDisk(HandOvers()), for_s=10) == []
    scene = Scene(mine=vitals(SLOW), raft={"match_index": {"n2": 99, "n3": 99}})
    assert scene.look(SlowDisk(HandOvers()), for_s=10) == []


def test_a_follower_does_nothing_about_its_slow_disk() -> None:
    scene = Scene(mine=vitals(SLOW), role="follower")
    assert scene.look(SlowDisk(HandOvers()), for_s=10) == []


def test_two_slow_syncs_on_an_idle_node_are_a_hiccup() -> None:
    hiccup = Storage(sync_p99_ms=900.0, syncs_slow=2)
    assert Scene(mine=vitals(hiccup)).look(SlowDisk(HandOvers()), for_s=10) == []


def test_within_the_cool_down_it_leads_on_and_says_so_once() -> None:
    hand_overs = HandOvers()
    scene, rule = Scene(mine=vitals(SLOW)), SlowDisk(hand_overs)
    (first,) = scene.look(rule, for_s=3)
    assert first.action is not None
    scene.role = "follower"
    hand_overs.look(scene.seen())
    scene.look(rule, for_s=20)
    scene.role = "leader"
    (held,) = scene.look(rule, for_s=30)
    assert (held.outcome, held.action) == ("held_back", None)
    assert any(one.action for one in scene.look(rule, for_s=COOL_DOWN_S))


def test_an_attempt_that_came_to_nothing_is_repeated_after_ten_seconds() -> None:
    scene, rule = Scene(mine=vitals(SLOW)), SlowDisk(HandOvers())
    acted = [one for one in scene.look(rule, for_s=14) if one.action]
    assert len(acted) == 2


def test_what_is_only_observed_counts_as_done() -> None:
    scene, rule = Scene(mine=vitals(SLOW), mode="observe"), SlowDisk(HandOvers())
    acted = [one for one in scene.look(rule, for_s=100) if one.action]
    assert len(acted) == 1


# -- full


def test_percent_and_bytes_must_both_say_so() -> None:
    assert full_below(64 * MIB) == 64 * MIB * 5 // 100
    assert full_below(4096 * GIB) == 256 * MIB
    assert full_below(64 * MIB) < short_below(64 * MIB) < 64 * MIB // 9


def test_a_disk_that_fills_is_compacted_then_left_then_shut_and_comes_back() -> None:
    scene, rule = Scene(), FullDisk(HandOvers())
    scene.mine = vitals(room(40 * MIB))
    assert scene.look(rule, for_s=5) == []
    scene.mine = vitals(room(6 * MIB))
    (warned,) = scene.look(rule, for_s=5)
    assert warned.action == Compact()
    scene.mine = vitals(room(3 * MIB))
    (left,) = scene.look(rule)
    assert isinstance(left.action, Transfer)
    scene.role = "follower"
    (shut,) = scene.look(rule, for_s=5)
    assert isinstance(shut.action, Shut)
    assert "its disk is full: 3.0 MiB of 64.0 MiB are free" in shut.action.why
    scene.mine = vitals(room(4 * MIB))
    assert scene.look(rule, for_s=5) == []
    scene.mine = vitals(room(5 * MIB))
    (opened,) = scene.look(rule, for_s=1)
    assert opened.action == Reopen()
    scene.mine = vitals(room(30 * MIB))
    (ample,) = scene.look(rule, for_s=5)
    assert ample.action is None


def test_a_full_leader_without_a_successor_takes_nothing_more_all_the_same() -> None:
    scene = Scene(mine=vitals(room(0)), voters=("n1",))
    (shut,) = scene.look(FullDisk(HandOvers()))
    assert isinstance(shut.action, Shut)


def test_a_full_leader_waits_a_second_for_its_successor_not_longer() -> None:
    scene, rule = Scene(mine=vitals(room(0))), FullDisk(HandOvers())
    actions = [type(one.action) for one in scene.look(rule, for_s=3)]
    assert actions == [Transfer, Shut]


def test_a_disk_that_nobody_could_look_at_is_not_judged() -> None:
    assert Scene(mine=vitals(Storage())).look(FullDisk(HandOvers()), for_s=5) == []


def test_sizes_are_said_in_words() -> None:
    assert [in_words(n) for n in (0, 1536, 3 * MIB, 5 * GIB)] == [
        "0 bytes",
        "1.5 KiB",
        "3.0 MiB",
        "5.0 GiB",
    ]


# -- whatever comes

steps = st.lists(
    st.tuples(
        st.sampled_from((HEALTHY, SLOW, room(3 * MIB), room(6 * MIB), room(40 * MIB))),
        st.sampled_from(("leader", "follower")),
        st.sampled_from((0.1, 5.0)),
        st.sampled_from((0.5, 3.0, 40.0, 200.0)),
    ),
    max_size=60,
)


@given(steps)
def test_leadership_is_not_given_away_twice_in_five_minutes_for_slowness(
    steps: list[tuple[Storage, str, float, float]],
) -> None:
    hand_overs = HandOvers()
    scene, rule = Scene(), SlowDisk(hand_overs)
    given_s: list[float] = []
    for storage, role, age_s, rest_s in steps:
        scene.mine, scene.role = vitals(storage), role
        scene.others = {name: Other(vitals(), age_s) for name in ("n2", "n3")}
        hand_overs.look(scene.seen())
        for decision in scene.look(rule):
            if decision.action is not None:
                assert age_s <= STALE_S, "decided without fresh evidence"
                given_s.append(scene.now_s)
                scene.role = "follower"
                hand_overs.look(scene.seen())
        scene.now_s += rest_s
    assert all(b - a >= COOL_DOWN_S for a, b in pairwise(given_s))


@given(steps)
def test_a_node_is_shut_and_opened_in_turns_and_shut_only_without_room(
    steps: list[tuple[Storage, str, float, float]],
) -> None:
    scene, rule = Scene(), FullDisk(HandOvers())
    shut = False
    for storage, role, age_s, rest_s in steps:
        scene.mine, scene.role = vitals(storage), role
        scene.others = {name: Other(vitals(), age_s) for name in ("n2", "n3")}
        for decision in scene.look(rule):
            match decision.action:
                case Shut():
                    assert not shut
                    shut = True
                case Reopen():
                    assert shut
                    shut = False
                case Transfer():
                    assert role == "leader"
                    assert age_s <= STALE_S
        if storage.free_bytes > full_below(storage.total_bytes) * 3 // 2:
            assert not shut
        scene.now_s += rest_s


def test_a_disk_that_stays_short_is_compacted_again_after_a_while_if_that_is_of_use() -> None:
    scene, rule = Scene(mine=vitals(room(5 * MIB))), FullDisk(HandOvers())
    (first,) = scene.look(rule)
    assert first.action == Compact()
    assert scene.look(rule, for_s=2 * COMPACT_EVERY_S) == [], "nothing was applied since"
    scene.raft = {"applied_index": 100 + COMPACT_ENTRIES_MIN, "snapshot_index": 100}
    (again,) = scene.look(rule)
    assert again.action == Compact()
    (third,) = scene.look(rule, for_s=COMPACT_EVERY_S + 1)
    assert third.action == Compact()
