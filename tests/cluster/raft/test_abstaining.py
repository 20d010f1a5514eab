"""A node without memory decides nothing until its leader vouches for it."""

import random
import zlib
from typing import Any

import pytest

from cluster.raft.abstaining import Memory
from cluster.raft.members import Members
from cluster.raft.messages import NO_OP
from tests.cluster.raft.rig import TIMING, Rig, Wire, run
from tests.sim.disk import SimDisk
from wal.identity import claim
from wal.snapshot import SnapshotMeta, SnapshotStore


def forgetful(**options: object) -> tuple[Rig, int]:
    """A voter whose disk is empty, in a cluster that has begun; and its life."""
    rig = Rig(forgetful=True, **options)  # type: ignore[arg-type]
    answer = rig.append("a", 3, (1, 0), run(2, 4, 3), commit=4)
    assert answer is not None
    return rig, answer["life"]


def heartbeat(rig: Rig, prev: tuple[int, int], *, vouched: int, term: int = 3) -> Wire:
    count = len(rig.sent)
    fields = {"prev_index": prev[0], "prev_term": prev[1], "commit_index": 4, "entries": []}
    rig.deliver("a", "append_entries", term, request=9, vouched=vouched, **fields)
    rig.turn()
    return rig.sent[count:][0][1]


# -- the node that forgot


def test_a_node_on_an_empty_disk_follows_and_says_that_it_abstains() -> None:
    rig, life = forgetful()
    assert life
    assert [item.index for item in rig.committed] == [2, 3, 4]  # type: ignore[union-attr]
    assert rig.engine.status().abstains
    rig.deliver("a", "read_probe", 3, request=10)
    rig.turn()
    assert rig.last("read_ack")["life"] == life


@pytest.mark.parametrize("off", [(), ("abstain",)])
def test_who_abstains_gives_no_vote_and_no_pre_vote(off: tuple[str, ...]) -> None:
    rig, _ = forgetful(off=off)
    rig.turn(TIMING.election_min_s + 0.01)
    rig.deliver("c", "pre_vote_request", 4, last_index=9, last_term=3, round=1)
    rig.deliver("c", "vote_request", 4, last_index=9, last_term=3)
    rig.turn()
    assert rig.last("pre_vote")["granted"] is bool(off)
    assert ("vote" in rig.kinds()) is bool(off)


def test_who_abstains_does_not_stand_and_does_not_take_over() -> None:
    rig, _ = forgetful()
    rig.deliver("a", "timeout_now", 3)
    for _ in range(5):
        rig.turn(TIMING.election_max_s)
    assert "vote_request" not in rig.kinds()
    assert rig.last("pre_vote_request")["term"] == 0  # asks for nothing but whether it is known


def test_it_still_abstains_after_the_next_start() -> None:
    rig, life = forgetful()
    rig.forgetful = False
    rig.reboot()
    assert rig.engine.status().abstains
    answer = rig.append("a", 3, (4, 3))
    assert answer is not None
    assert answer["life"] not in (0, life)


def test_a_voucher_for_this_life_ends_it_and_is_durable() -> None:
    rig, life = forgetful()
    heartbeat(rig, (4, 3), vouched=life)
    assert not rig.engine.status().abstains
    assert heartbeat(rig, (4, 3), vouched=0)["life"] == 0
    rig.forgetful = False
    rig.reboot()
    assert not rig.engine.status().abstains


def test_a_voucher_for_another_life_or_for_what_is_not_held_is_none() -> None:
    rig, life = forgetful()
    heartbeat(rig, (4, 3), vouched=life + 2)
    heartbeat(rig, (5, 3), vouched=life)
    assert rig.engine.status().abstains


def test_whoever_is_vouched_for_votes_for_nobody_else_in_that_term() -> None:
    rig, life = forgetful()
    heartbeat(rig, (4, 3), vouched=life)
    rig.turn(TIMING.election_min_s + 0.01)
    rig.deliver("c", "vote_request", 3, last_index=9, last_term=3)
    rig.turn()
    assert "vote" not in rig.kinds()
    rig.deliver("c", "vote_request", 4, last_index=9, last_term=3)
    rig.turn()
    assert rig.last("vote", "c")["term"] == 4


# -- the leader


def leader() -> Rig:
    """A leader of a, b and c whose follower `a` holds everything."""
    rig = Rig()
    rig.lead()
    rig.commit_all("a")
    return rig


def abstaining_ack(rig: Rig, source: str, life: int = 7, **fields: Any) -> None:
    rig.turn(0.06)
    rig.ack(source, life=life, **fields)
    rig.turn()


def test_what_an_abstaining_follower_holds_is_not_counted() -> None:
    rig = leader()
    abstaining_ack(rig, "c")
    assert rig.engine.status().match_index["c"] == 0
    rig.engine.propose(b"x")
    rig.turn()
    last_index = rig.engine.status().last_index
    rig.ack("c", life=7)
    rig.turn()
    assert rig.engine.status().commit_index < last_index
    rig.commit_all("a")
    assert rig.engine.status().commit_index == last_index


def test_a_follower_that_forgot_is_sent_again_what_it_had_proved() -> None:
    rig = leader()
    rig.commit_all("c")
    assert rig.engine.status().match_index["c"] == 2
    rig.sent.clear()
    abstaining_ack(rig, "c", success=False, next_index=2)
    sent = [m for to, m in rig.sent if (to, m["type"]) == ("c", "append_entries")]
    entries = [entry for message in sent[1:] for entry in message["entries"]]
    assert [entry[1] for entry in entries] == [2, 3]
    assert entries[-1][0] == NO_OP


def test_it_is_vouched_for_when_a_later_entry_is_committed_without_it() -> None:
    rig = leader()
    abstaining_ack(rig, "c")
    rig.turn(0.06)
    rig.ack("c", life=7)
    assert rig.last("append_entries", "c")["vouched"] == 0
    rig.commit_all("a")  # the no-op that was made for it
    rig.turn(0.06)
    assert rig.last("append_entries", "c")["vouched"] == 7
    assert rig.last("append_entries", "a")["vouched"] == 0
    rig.ack("c")
    rig.turn()
    assert rig.engine.status().match_index["c"] == rig.engine.status().last_index


def test_it_does_not_confirm_a_leader() -> None:
    rig = leader()
    abstaining_ack(rig, "c")
    answers: list[int | None] = []
    rig.engine.read_index(answers.append)
    rig.turn()
    request = rig.last("read_probe")["request"]
    rig.deliver("c", "read_ack", 1, request=request, life=7)
    rig.turn()
    assert not answers
    rig.deliver("a", "read_ack", 1, request=request)
    rig.turn()
    assert answers


def test_a_leader_that_hears_only_who_abstains_steps_down() -> None:
    rig = leader()
    for _ in range(20):
        abstaining_ack(rig, "c")
    assert not rig.engine.is_leader


def test_a_late_answer_of_an_earlier_life_changes_nothing() -> None:
    rig = leader()
    rig.turn(0.06)
    late = rig.last("append_entries", "c")["request"]
    abstaining_ack(rig, "c", success=False, next_index=2)
    fields = {"request": late, "success": True, "next_index": 3}
    rig.deliver("c", "append_ack", 1, **fields)
    rig.deliver("c", "append_ack", 1, life=5, **fields)
    rig.deliver("c", "snapshot_ack", 1, request=late, index=2, offset=0)
    rig.turn()
    assert rig.engine.status().match_index["c"] == 0


def test_leadership_is_not_handed_to_who_abstains() -> None:
    rig = leader()
    abstaining_ack(rig, "c")
    rig.turn(0.06)
    rig.ack("c", life=7)
    assert not rig.engine.transfer_leadership("c")


def test_a_memory_that_is_whole_is_never_vouched_for() -> None:
    assert Memory().vouched(99, 99) == 0


# -- the beginning of a cluster


def test_an_empty_node_stands_when_all_others_say_that_they_are_empty() -> None:
    rig = Rig(forgetful=True)
    rig.turn(1.0)
    rig.grant("a", granted=False, empty=True, life=11)
    rig.turn()
    assert "vote_request" not in rig.kinds()
    rig.grant("c", granted=False, empty=True, life=13)
    rig.turn()
    assert rig.last("vote_request", "a")["begins"] == 11
    assert rig.last("vote_request", "c")["begins"] == 13
    assert not rig.engine.status().abstains
    rig.deliver("c", "vote", 1)
    assert rig.engine.is_leader


@pytest.mark.parametrize("fields", [{"empty": False}, {"empty": True, "round": 0}])
def test_it_does_not_when_one_is_not_or_said_so_long_ago(fields: dict[str, object]) -> None:
    rig = Rig(forgetful=True)
    rig.turn(1.0)
    rig.grant("a", granted=True, empty=True, life=11)
    rig.grant("c", granted=True, **fields)
    rig.turn()
    assert "vote_request" not in rig.kinds()


def test_an_empty_node_votes_for_who_asks_this_very_life() -> None:
    rig = Rig(forgetful=True)
    request = {"last_index": 1, "last_term": 0, "round": 1}
    rig.deliver("a", "pre_vote_request", 1, voters=1, **request)
    rig.turn()
    assert not rig.last("pre_vote", "a")["empty"]  # told other voters than this node
    rig.deliver("a", "pre_vote_request", 1, voters=zlib.crc32(b"a\0b\0c"), **request)
    rig.turn()
    answer = rig.last("pre_vote", "a")
    assert (answer["granted"], answer["empty"]) == (False, True)
    for begins in (0, answer["life"] + 2):
        rig.deliver("a", "vote_request", 1, last_index=1, last_term=0, begins=begins)
        rig.turn()
        assert "vote" not in rig.kinds()
        assert rig.engine.status().abstains
    rig.deliver("a", "vote_request", 1, last_index=1, last_term=0, begins=answer["life"])
    rig.turn()
    assert rig.last("vote", "a")["term"] == 1
    assert not rig.engine.status().abstains


def test_a_node_alone_begins_at_once() -> None:
    rig = Rig(voters="b", forgetful=True)
    rig.turn(1.0)
    assert rig.engine.is_leader
    assert not rig.engine.status().abstains


# -- the beginning of a cluster that was restored from a backup


def restored(index: int = 50) -> Rig:
    """A voter whose folder holds nothing but the snapshot that a restore puts there."""
    disk = SimDisk(random.Random(1))
    store = SnapshotStore(disk, claim(disk, "rig", "b", now_ms=1))
    members = Members.of("abc").encode().decode()
    store.save(SnapshotMeta(index, 0, index - 1, 0, members), [b"state"])
    return Rig(disk=disk, forgetful=True)


def ask(rig: Rig, last_index: int) -> Wire:
    request = {"last_index": last_index, "last_term": 0, "round": 1}
    rig.deliver("a", "pre_vote_request", 1, voters=zlib.crc32(b"a\0b\0c"), **request)
    rig.turn()
    return rig.last("pre_vote", "a")


def test_restored_nodes_begin_like_empty_ones_behind_the_index_of_the_backup() -> None:
    rig = restored()
    rig.turn(1.0)
    assert rig.last("pre_vote_request")["last_index"] == 50
    rig.grant("a", granted=False, empty=True, life=11)
    rig.grant("c", granted=False, empty=True, life=13)
    rig.turn()
    rig.deliver("c", "vote", 1)
    assert rig.engine.is_leader
    rig.turn()
    rig.commit_all("c")
    assert rig.committed[0].index == 51  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("rig", "others"),
    [(restored(), 1), (restored(), 51), (Rig(forgetful=True), 50)],
)
def test_two_nodes_that_would_begin_at_different_indices_do_not(rig: Rig, others: int) -> None:
    assert not ask(rig, others)["empty"]


def test_nodes_that_would_begin_at_one_index_say_so() -> None:
    assert ask(restored(), 50)["empty"]


def test_who_was_restored_once_more_after_the_cluster_began_abstains_until_vouched_for() -> None:
    rig = restored()
    answer = rig.append("a", 3, (50, 0), run(51, 53, 3), commit=53)
    assert answer is not None
    assert answer["life"]
    assert [item.index for item in rig.committed] == [51, 52, 53]  # type: ignore[union-attr]
    rig.turn(TIMING.election_min_s + 0.01)
    rig.deliver("c", "vote_request", 4, last_index=60, last_term=3)
    rig.turn()
    assert "vote" not in rig.kinds()
    assert not ask(rig, 53)["empty"]


def test_a_restored_cluster_goes_on_after_a_power_cut_at_its_beginning() -> None:
    rig = restored()
    rig.append("a", 1, (50, 0), run(51, 52, 1), commit=52)
    rig.reboot()
    assert rig.engine.status().last_index == 52
    assert rig.engine.status().commit_index >= 50
