"""A leader that is lost: who notices, who hurries, and how soon there is another."""

import random
from collections.abc import Sequence
from itertools import accumulate

import pytest

from cluster.peer.patience import Patience
from cluster.raft.election import HASTY_MAX
from tests.cluster.raft.rig import TIMING, Rig, Wire, rig_of, wait


@pytest.mark.parametrize("delay_s", [0.01, 0.03])
def test_two_who_lose_a_leader_at_once_elect_one_in_one_term(delay_s: float) -> None:
    """Both asked within a message's time, granted each other, stood, and waited a timeout again."""
    for seed in range(20):
        rigs = {"b": Rig(seed=seed), "c": rig_of("c", seed=seed + 100)}
        for rig in rigs.values():
            rig.follow()
        assert elect(rigs, delay_s) <= TIMING.election_min_s + TIMING.heartbeat_s + 8 * delay_s
        assert {rig.engine.term for rig in rigs.values()} == {2}


@pytest.mark.parametrize("delay_s", [0.01, 0.045])
def test_a_leader_that_is_dialled_again_and_again_in_vain_is_lost_once(delay_s: float) -> None:
    """Each miss began another round, and made void what was being answered to the one before."""
    for seed in range(12):
        rigs = {"b": Rig(seed=seed), "c": rig_of("c", seed=seed + 100)}
        for rig in rigs.values():
            rig.follow()
        dialled_s = random.Random(seed).random() * delay_s
        took_s = elect(rigs, delay_s, misses_s=misses(dialled_s, seed))
        assert took_s <= dialled_s + TIMING.heartbeat_s + 8 * delay_s


def misses(dialled_s: float, seed: int) -> list[float]:
    """When somebody who dials from a moment on finds nobody there."""
    patience = Patience(random.Random(seed).random)
    return list(accumulate((patience.missed() for _ in range(12)), initial=dialled_s))


def elect(rigs: dict[str, Rig], delay_s: float, misses_s: Sequence[float] = ()) -> float:
    """Let messages take `delay_s` until one leads; return how long that took."""
    step_s, seconds = 0.001, 0.0
    under_way: list[tuple[float, str, str, Wire]] = []
    while not any(rig.engine.is_leader for rig in rigs.values()):
        assert seconds < 3 * TIMING.election_max_s
        if any(seconds <= miss_s < seconds + step_s for miss_s in misses_s):
            for rig in rigs.values():
                rig.engine.peer_lost("a")
        seconds += step_s
        for name, rig in rigs.items():
            for _, source, to, message in [one for one in under_way if one[0] <= seconds]:
                if to == name:
                    rig.engine.deliver(source, message)
        under_way = [one for one in under_way if one[0] > seconds]
        for name, rig in rigs.items():
            for to, message in rig.turn(step_s):
                if to in rigs:
                    under_way.append((seconds + delay_s, name, to, message))
    return seconds


def test_a_broken_link_to_the_leader_starts_a_pre_vote_within_a_heartbeat() -> None:
    rig = Rig()
    rig.follow()
    rig.turn(0.1)
    rig.engine.peer_lost("a")
    assert rig.engine.next_wakeup() <= 0.001
    wait(rig, TIMING.heartbeat_s + 0.02, 0.005)
    assert "pre_vote_request" in rig.kinds()
    count = rig.kinds().count("pre_vote_request")
    wait(rig, 3 * TIMING.heartbeat_s, 0.005)  # others may not have seen it yet: again, soon
    assert rig.kinds().count("pre_vote_request") > count
    assert rig.engine.term == 1


def test_a_broken_link_to_the_leader_voids_its_lease() -> None:
    rig = Rig()
    rig.follow()
    rig.engine.peer_lost("a")
    rig.turn()
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert rig.last("pre_vote", "c")["granted"]


def test_what_a_lost_leader_sent_before_does_not_restore_its_lease() -> None:
    rig = Rig()
    rig.follow()
    rig.engine.peer_lost("a")
    rig.turn()
    rig.append("a", 1, (3, 1))  # was in the socket
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert rig.last("pre_vote", "c")["granted"]
    rig.turn(TIMING.heartbeat_s)
    rig.append("a", 1, (3, 1))  # a new link: it lives
    rig.deliver("c", "pre_vote_request", 2, last_index=9, last_term=1)
    rig.turn()
    assert not rig.last("pre_vote", "c")["granted"]


def test_who_lost_the_leader_hurries_a_few_times_only() -> None:
    rig = Rig()
    rig.follow()
    rig.engine.peer_lost("a")
    wait(rig, 2 * TIMING.heartbeat_s * HASTY_MAX, 0.005)
    rig.sent.clear()
    wait(rig, 6.0)
    asked = rig.kinds().count("pre_vote_request") / len(rig.others)
    assert asked <= 6.0 / TIMING.election_min_s


def test_a_broken_link_to_someone_else_changes_nothing() -> None:
    rig = Rig()
    rig.follow()
    rig.engine.peer_lost("c")
    wait(rig, 0.25)
    assert rig.kinds() == []
