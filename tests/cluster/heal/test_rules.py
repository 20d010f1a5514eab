"""Rows 1 to 4, 14, 16 and zones: what a node sees of the others."""

import pytest

from cluster.heal.bad_peers import WINDOW_S, BadPeers
from cluster.heal.clocks import Clocks
from cluster.heal.decision import Transfer
from cluster.heal.fences import Fences
from cluster.heal.limits import COOL_DOWN_S, HandOvers, Lasting
from cluster.heal.one_way import OneWay, hint
from cluster.heal.picture import Other, Troubles
from cluster.heal.rules import BAD_PEER, CLOCKS, DEAF_LEADER, MINORITY, ONE_WAY, QUORUM_LOST, RETURN
from cluster.heal.zones import LONELY_S, Zones
from tests.cluster.heal.pictures import SLOW, Scene, vitals


def test_a_moment_is_no_state_and_a_state_is_not_over_in_a_moment() -> None:
    lasting = Lasting(3.0, 10.0)
    assert not lasting.look(True, 0.0)
    assert not lasting.look(False, 2.0)
    assert not lasting.look(True, 4.0)
    assert lasting.look(True, 7.0)
    assert lasting.look(False, 8.0)
    assert lasting.look(True, 17.0)
    assert lasting.look(False, 20.0)
    assert not lasting.look(False, 30.0)


# -- fences


def test_a_fence_is_told_and_so_is_its_end_with_what_was_missed() -> None:
    scene, rule = Scene(role="follower"), Fences()
    assert scene.look(rule) == []
    scene.mine = vitals(standing="fenced", applied_index=100)
    scene.raft = {"quorum_contact_age_s": 1.3}
    (fenced,) = scene.look(rule, for_s=4)
    assert (fenced.rule, fenced.figures["silent_ms"]) == (MINORITY, 1300)
    scene.mine = vitals(standing="catching_up", applied_index=120)
    assert scene.look(rule, for_s=1) == []
    scene.mine = vitals(applied_index=142)
    (back,) = scene.look(rule, for_s=3)
    assert (back.rule, back.figures["entries_missed"]) == (RETURN, 42)
    assert back.figures["fenced_ms"] == 5000


def test_a_majority_that_stays_away_for_long_is_a_persons_matter_told_once_per_fence() -> None:
    scene, rule = Scene(role="follower"), Fences()
    for _ in range(2):
        scene.mine = vitals(standing="fenced", hears=("n2",))
        (fenced,) = scene.look(rule, for_s=599)
        assert fenced.rule == MINORITY
        (lost,) = scene.look(rule, for_s=1200)
        assert (lost.rule, lost.outcome, lost.action) == (QUORUM_LOST, "failed", None)
        assert lost.seen == "no majority of 3 voters for 600 s; not heard: n3"
        scene.mine = vitals()
        (back,) = scene.look(rule, for_s=3)
        assert back.rule == RETURN


def test_who_follows_again_but_cannot_serve_yet_has_lost_no_quorum() -> None:
    scene, rule = Scene(role="follower", mine=vitals(standing="fenced")), Fences()
    assert len(scene.look(rule)) == 1
    scene.mine = vitals(standing="catching_up")  # for hours, where it lacks room for a snapshot
    assert scene.look(rule, for_s=1200) == []
    scene.mine, scene.held = vitals(standing="fenced"), "its disk is full"
    assert scene.look(rule, for_s=1200) == []
    scene.mine, scene.held = vitals(standing="draining"), ""
    assert [one.rule for one in scene.look(rule, for_s=1200)] == [RETURN]


def test_who_alone_does_not_hear_the_leader_calls_no_quorum_lost() -> None:
    scene, rule = Scene(role="follower"), Fences()
    scene.mine = vitals(standing="fenced", leader="", hears=("n2",))
    scene.others = {"n2": Other(vitals(leader="n3"), 0.1)}
    assert [one.rule for one in scene.look(rule, for_s=1200)] == [MINORITY]


def test_a_leader_whose_others_all_abstain_has_heard_no_majority_ever() -> None:
    scene, rule = Scene(mine=vitals(standing="fenced")), Fences()
    scene.raft = {"quorum_contact_age_s": float("inf")}
    (fenced,) = scene.look(rule, for_s=1)
    assert (fenced.rule, fenced.figures["silent_ms"]) == (MINORITY, -1)
    assert fenced.seen == "no majority of 3 voters that remember was heard"


@pytest.mark.parametrize(
    ("hears", "abstains", "words"),
    [
        ((), False, "no majority of 3 voters was heard for 1300 ms"),
        (("n2",), False, "no leader for 1300 ms, and 2 of 3 voters were heard"),
        (("n2",), True, "no majority of 3 voters was heard for 1300 ms"),
        (("learner",), False, "no majority of 3 voters was heard for 1300 ms"),
    ],
)
def test_a_fence_says_whether_a_majority_was_heard_that_elected_nobody(
    hears: tuple[str, ...], abstains: bool, words: str
) -> None:
    scene = Scene(role="follower", mine=vitals(standing="fenced", hears=hears))
    scene.others["n2"] = Other(vitals(abstains=abstains), 0.1)
    scene.raft = {"quorum_contact_age_s": 1.3}
    (fenced,) = scene.look(Fences())
    assert (fenced.rule, fenced.seen) == (MINORITY, words)


def test_a_node_that_was_shut_is_not_called_a_minority() -> None:
    scene = Scene(mine=vitals(standing="fenced"), held="its disk is full")
    assert scene.look(Fences(), for_s=3) == []


def test_a_leader_that_nobody_answered_is_told_once() -> None:
    scene, rule = Scene(), Fences()
    assert scene.look(rule) == []
    scene.role, scene.raft = "follower", {"unheard_total": 1}
    (deposed,) = scene.look(rule, for_s=3)
    assert deposed.rule == DEAF_LEADER


# -- one way


def deaf_to_n2() -> Scene:
    """n2 leads, and n3 hears it; n1 hears n3 only."""
    scene = Scene(role="follower", mine=vitals(leader="", hears=("n3",)))
    scene.others = {
        "n2": Other(vitals(leader="n2"), 60.0),
        "n3": Other(vitals(leader="n2", hears=("n1", "n2")), 0.2),
    }
    return scene


def test_who_misses_the_leader_alone_says_so_and_who_could_relay() -> None:
    scene, rule = deaf_to_n2(), OneWay()
    (told,) = scene.look(rule, for_s=5)
    assert (told.rule, told.action) == (ONE_WAY, None)
    assert told.figures == {"leader": "n2", "could_relay": "n3"}
    assert hint(scene.seen()) == (
        "n2 leads and is not heard here: look at the link from n2; n3 could relay"
    )
    scene.mine = vitals(leader="n2", hears=("n2", "n3"))
    (over,) = scene.look(rule, for_s=10)
    assert over.seen == "n2 is heard again"


def test_a_link_that_flaps_is_one_episode() -> None:
    scene, rule = deaf_to_n2(), OneWay()
    deaf = scene.mine
    told = scene.look(rule, for_s=2)
    for _ in range(60):
        scene.mine = vitals(leader="n2")
        told += scene.look(rule, for_s=1)
        scene.mine = deaf
        told += scene.look(rule, for_s=1)
    assert len(told) == 1


def test_a_link_that_flaps_faster_than_one_looks_for_is_told_too() -> None:
    scene, rule = deaf_to_n2(), OneWay()
    deaf, hearing = scene.mine, vitals(leader="n2")
    told = []
    for _ in range(10):
        scene.mine = hearing
        told += scene.look(rule, for_s=1)
        scene.mine = deaf
        scene.now_s += 0.5
        told += scene.look(rule)
    (one,) = told
    assert one.rule == ONE_WAY


def test_short_gaps_far_apart_do_not_add_up() -> None:
    scene, rule = deaf_to_n2(), OneWay()
    deaf, hearing = scene.mine, vitals(leader="n2")
    for _ in range(10):
        scene.mine = deaf
        assert scene.look(rule, for_s=0.5) == []
        scene.mine = hearing
        assert scene.look(rule, for_s=6) == []


def test_nobody_is_called_unheard_where_all_miss_a_leader() -> None:
    scene = deaf_to_n2()
    scene.others["n3"] = Other(vitals(leader=""), 0.2)
    assert scene.look(OneWay(), for_s=5) == []


def test_a_leader_that_was_stopped_is_not_called_unheard_by_itself() -> None:
    scene = Scene(role="follower", mine=vitals(leader=""))
    scene.others = {name: Other(vitals(leader="n1"), 0.2) for name in ("n2", "n3")}
    assert scene.look(OneWay(), for_s=5) == []
    assert hint(scene.seen()) == ""


# -- clocks


def test_a_clock_beyond_the_bound_is_told_by_the_leader_and_so_is_its_return() -> None:
    scene, rule = Scene(), Clocks()
    scene.others["n2"] = Other(vitals(), 0.1, ahead_ms=-800)
    (told,) = scene.look(rule, for_s=10)
    assert told.rule == CLOCKS
    assert told.seen == "the clock of n2 is 800 ms behind the leader's"
    scene.others["n2"] = Other(vitals(), 0.1, ahead_ms=20)
    (over,) = scene.look(rule, for_s=20)
    assert over.done == "none: within the bound again"


def test_followers_keep_quiet_about_clocks() -> None:
    scene = Scene(role="follower")
    scene.others["n2"] = Other(vitals(), 0.1, ahead_ms=9_000)
    assert scene.look(Clocks(), for_s=10) == []


# -- zones


def zones(*named: str) -> Scene:
    voters = tuple(f"n{number}" for number in range(1, len(named) + 1))
    others = {
        name: Other(vitals(zone=zone), 0.1)
        for name, zone in zip(voters[1:], named[1:], strict=True)
    }
    return Scene(mine=vitals(zone=named[0]), voters=voters, others=others)


def test_a_leader_alone_in_its_zone_gives_way_to_one_with_company() -> None:
    scene, rule = zones("a", "b", "b", "c", "c"), Zones(HandOvers())
    assert scene.look(rule, for_s=LONELY_S - 1) == []
    (decision,) = scene.look(rule, for_s=5)
    assert isinstance(decision.action, Transfer)


def test_a_zone_whose_other_nodes_are_unwell_counts_as_alone() -> None:
    scene, rule = zones("a", "a", "b", "b", "c"), Zones(HandOvers())
    assert scene.look(rule, for_s=20) == []
    scene.others["n2"] = Other(vitals(SLOW, zone="a"), 0.1)
    (decision,) = scene.look(rule, for_s=LONELY_S)
    assert decision.action in (Transfer("n3"), Transfer("n4"))


def test_where_every_zone_has_one_voter_leadership_stays() -> None:
    assert zones("a", "b", "c").look(Zones(HandOvers()), for_s=60) == []
    assert zones("", "", "").look(Zones(HandOvers()), for_s=60) == []


def test_zones_keep_to_the_same_cool_down_as_slow_disks() -> None:
    hand_overs = HandOvers()
    scene, rule = zones("a", "b", "b"), Zones(hand_overs)
    hand_overs.begin(scene.now_s, acts=False)
    (held,) = scene.look(rule, for_s=60)
    assert held.outcome == "held_back"
    assert any(one.action for one in scene.look(rule, for_s=COOL_DOWN_S))


# -- bad peers


def test_trouble_is_told_once_per_episode() -> None:
    scene, rule = Scene(), BadPeers()
    told = []
    for total in range(1, 40):
        scene.troubles = {"n2": Troubles(total, "spoke out of turn", 500)}
        told += scene.look(rule, for_s=1)
    (one,) = told
    assert (one.rule, one.figures["times"]) == (BAD_PEER, 5)
    (over,) = scene.look(rule, for_s=WINDOW_S + 1)
    assert over.figures == {"peer": "n2", "times": 39}
    scene.troubles = {"n2": Troubles(40, "spoke out of turn", 500)}
    assert scene.look(rule, for_s=2 * WINDOW_S) == []


def test_a_few_refusals_as_at_a_restart_are_no_episode() -> None:
    scene = Scene(troubles={"n2": Troubles(4, "still connected", 500)})
    assert scene.look(BadPeers(), for_s=2 * WINDOW_S) == []


def test_a_peer_that_is_no_peer_any_more_is_forgotten_and_begins_at_nothing() -> None:
    scene, rule = Scene(), BadPeers()
    for total in range(1, 4):
        scene.troubles = {"n2": Troubles(total, "spoke out of turn", 500)}
        assert scene.look(rule, for_s=1) == []
    scene.troubles = {}
    scene.look(rule)
    told = []
    for total in range(1, 6):  # counted anew: by the old count they would be no news
        scene.troubles = {"n2": Troubles(total, "spoke out of turn", 500)}
        told += scene.look(rule, for_s=1)
    assert [one.rule for one in told] == [BAD_PEER]
