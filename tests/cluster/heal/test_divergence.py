"""Who differs from a majority that agrees is rebuilt; where nobody agrees, a person is called."""

from typing import Any

from cluster.heal.decision import Rebuild, Transfer
from cluster.heal.divergence import Divergence
from tests.cluster.heal.keeping import members, raft, said, seen, vitals

FOLLOWER = raft("follower")


def look(divergence: Divergence, now_s: float = 0.0, **more: Any) -> list[Any]:
    return list(divergence.look(seen(now_s, **more)))


def others(**digests: str) -> dict[str, Any]:
    return {name: said(vitals(64, digest)) for name, digest in digests.items()}


def test_equal_states_and_states_at_different_indexes_are_no_news() -> None:
    assert not look(Divergence(), mine=vitals(64, "1:a"), others=others(n2="1:a", n3="1:a"))
    mine = vitals(128, "1:b")
    assert not look(Divergence(), mine=mine, others=others(n2="1:a", n3="1:a"))


def test_the_odd_one_sets_its_state_aside_once() -> None:
    divergence = Divergence()
    picture: dict[str, Any] = {
        "mine": vitals(64, "1:b"),
        "others": others(n2="1:a", n3="1:a"),
        "raft": FOLLOWER,
    }
    decided = look(divergence, **picture)
    assert isinstance(decided[0].action, Rebuild)
    assert decided[0].figures == {"index": 64}
    assert not look(divergence, **picture)


def test_a_leader_that_is_the_odd_one_hands_over_first() -> None:
    divergence = Divergence()
    picture: dict[str, Any] = {"mine": vitals(64, "1:b"), "others": others(n2="1:a", n3="1:a")}
    assert look(divergence, 0.0, **picture)[0].action == Transfer("n3")
    assert not look(divergence, 0.5, **picture)
    assert isinstance(look(divergence, 1.0, **picture, raft=FOLLOWER)[0].action, Rebuild)


def test_leadership_goes_to_one_of_the_majority_that_is_there() -> None:
    five = members(n1="voter", n2="voter", n3="voter", n4="voter", n5="voter")
    agree = others(n2="1:a", n3="1:a", n4="1:a", n5="1:a")
    picture: dict[str, Any] = {"mine": vitals(64, "1:b"), "others": agree, "members": five}
    divergence = Divergence()
    look(divergence, mine=vitals(), others=agree, members=five)
    agree["n2"] = said(vitals(64, "1:a"), age_s=9.0)
    assert look(divergence, 0.0, **picture)[0].action == Transfer("n3")


def test_what_a_faulty_neighbour_says_of_indexes_pushes_nobody_elses_out() -> None:
    divergence = Divergence()
    for index in range(1_000, 1_100):
        look(divergence, mine=vitals(), others={"n2": said(vitals(index, "1:z"))}, raft=FOLLOWER)
    picture: dict[str, Any] = {"mine": vitals(64, "1:b"), "raft": FOLLOWER}
    told = {"n2": said(vitals(2_000, "1:z")), **others(n3="1:a", n4="1:a", n5="1:a")}
    five = members(n1="voter", n2="voter", n3="voter", n4="voter", n5="voter")
    decided = look(divergence, others=told, members=five, **picture)
    assert isinstance(decided[0].action, Rebuild)


def test_of_two_odd_ones_the_second_waits_until_the_first_votes_again() -> None:
    five = members(n0="voter", n1="voter", n2="voter", n3="voter", n4="voter")
    picture: dict[str, Any] = {"mine": vitals(64, "1:b"), "raft": FOLLOWER, "members": five}
    agree = others(n2="1:a", n3="1:a", n4="1:a")
    divergence = Divergence()
    assert not look(divergence, others=agree | others(n0="1:c"), **picture)
    picture["mine"] = vitals(128, "1:b")
    agree = {name: said(vitals(128, "1:a")) for name in ("n2", "n3", "n4")}
    filled = {"n0": said(vitals(64, "1:a", abstains=True))}
    assert not look(divergence, others=agree | filled, **picture)
    votes = {"n0": said(vitals(64, "1:a"))}
    assert isinstance(look(divergence, others=agree | votes, **picture)[0].action, Rebuild)


def test_nothing_is_set_aside_while_the_majority_that_agrees_does_not_vote() -> None:
    picture: dict[str, Any] = {"mine": vitals(64, "1:b"), "raft": FOLLOWER}
    agree = others(n2="1:a") | {"n3": said(vitals(64, "1:a", abstains=True))}
    assert not look(Divergence(), others=agree, **picture)


def test_who_agrees_with_the_majority_does_nothing_about_the_other() -> None:
    assert not look(Divergence(), mine=vitals(64, "1:a"), others=others(n2="1:a", n3="1:b"))


def test_a_checksum_of_a_node_that_is_behind_is_compared_when_it_comes() -> None:
    divergence = Divergence()
    look(divergence, mine=vitals(64, "1:b"), others={})
    ahead = {name: said(vitals(128, "1:c")) for name in ("n2", "n3")}
    assert not look(divergence, mine=vitals(64, "1:b"), others=ahead, raft=FOLLOWER)
    behind = others(n2="1:a", n3="1:a")
    mine = vitals(128, "1:c")
    assert isinstance(look(divergence, mine=mine, others=behind, raft=FOLLOWER)[0].action, Rebuild)


def test_a_majority_that_is_not_here_now_decides_nothing() -> None:
    divergence = Divergence()
    look(divergence, mine=vitals(), others=others(n2="1:a", n3="1:a"), raft=FOLLOWER)
    gone = {name: said(vitals(64, "1:a"), age_s=9.0) for name in ("n2", "n3")}
    assert not look(divergence, mine=vitals(64, "1:b"), others=gone, raft=FOLLOWER)


def test_formats_that_differ_are_not_compared() -> None:
    assert not look(Divergence(), mine=vitals(64, "2:b"), others=others(n2="1:a", n3="1:a"))


def test_where_nobody_agrees_the_leader_calls_a_person_once() -> None:
    divergence = Divergence()
    picture: dict[str, Any] = {"mine": vitals(64, "1:a"), "others": others(n2="1:b", n3="1:c")}
    decided = look(divergence, **picture)
    assert [(one.outcome, one.action) for one in decided] == [("failed", None)]
    assert not look(divergence, **picture)
    assert not look(Divergence(), **picture, raft=FOLLOWER)


def test_who_was_rebuilt_a_moment_ago_is_left_to_a_person() -> None:
    decided = look(
        Divergence(),
        mine=vitals(64, "1:b"),
        others=others(n2="1:a", n3="1:a"),
        raft=FOLLOWER,
        rebuilt_s=60.0,
    )
    assert [(one.outcome, one.action) for one in decided] == [("held_back", None)]
