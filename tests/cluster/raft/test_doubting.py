"""A follower whose disk lost synced frames is found out by its leader, abstains, and is filled."""

from typing import Any

import pytest

from cluster.raft.messages import COMMAND, NO_OP
from tests.cluster.raft.rig import TIMING, Rig, Wire, run

Sent = list[tuple[str, Wire]]


def leader(voters: str = "abc", **options: Any) -> Rig:
    """A leader whose followers all proved to hold index 3, which is committed."""
    rig = Rig(voters, **options)
    rig.lead(votes=[name for name in rig.others if name != voters[-1]] or ["a"])
    rig.engine.propose(b"x")
    rig.turn()
    for name in rig.others:
        rig.ack(name)
    rig.turn()
    assert rig.engine.status().match_index == dict.fromkeys(rig.others, 3)
    return rig


def says_less(rig: Rig, source: str = "c", *, wait_s: float = 0.06, **fields: Any) -> Sent:
    """Let the next heartbeat to `source` be answered as by a log that ends at 2."""
    rig.turn(wait_s)
    rig.ack(source, success=False, next_index=3, **fields)
    return rig.turn()


def to(sent: Sent, peer: str, kind: str) -> list[Wire]:
    return [message for target, message in sent if (target, message["type"]) == (peer, kind)]


def asked(rig: Rig, sent: Sent, peer: str = "c") -> Wire:
    """Return the question: an append without entries behind what was proven."""
    questions = [m for m in to(sent, peer, "append_entries") if not m["entries"]]
    question = min(questions, key=lambda m: m["request"])
    assert question["prev_index"] == 3
    return question


def answer(rig: Rig, question: Wire, peer: str = "c", **fields: Any) -> Sent:
    said = {"request": question["request"], "success": False, "next_index": 3} | fields
    rig.deliver(peer, "append_ack", rig.engine.term, **said)
    return rig.turn()


# -- the leader


def test_who_rejects_the_entry_that_it_proved_to_hold_is_told_and_counted_no_more() -> None:
    rig = leader()
    question = asked(rig, says_less(rig))
    assert rig.engine.status().match_index["c"] == 3, "not told by one rejection alone"
    (lost,) = to(answer(rig, question), "c", "memory_lost")
    assert (lost["index"], lost["index_term"]) == (3, 1)
    assert rig.engine.status().match_index["c"] == 0


def test_when_it_abstains_it_is_sent_what_it_lost_and_is_vouched_for_later() -> None:
    rig = leader()
    answer(rig, asked(rig, says_less(rig)))
    rig.turn(0.06)
    rig.ack("c", success=False, next_index=3, life=7)
    rig.sent.clear()
    rig.turn()
    sent = to(rig.sent, "c", "append_entries")
    entries = [entry for message in sent for entry in message["entries"]]
    assert [(entry[0], entry[1]) for entry in entries] == [(COMMAND + b"x", 3), (NO_OP, 4)]
    rig.commit_all("a")
    rig.turn(0.06)
    assert rig.last("append_entries", "c")["vouched"] == 7


def test_an_entry_that_was_proven_and_lost_is_not_committed_by_it() -> None:
    rig = leader("abcde")
    rig.engine.propose(b"y")
    rig.turn()
    rig.ack("c")  # this node and c: two of five
    rig.turn()
    rig.turn(0.06)
    rig.ack("c", success=False, next_index=4)
    sent = rig.turn()
    question = min(to(sent, "c", "append_entries"), key=lambda m: m["request"])
    assert question["prev_index"] == 4
    answer(rig, question, next_index=4)
    rig.ack("a")
    rig.turn()
    assert rig.engine.status().commit_index == 3, "c was counted, and does not hold it"
    rig.ack("d")
    rig.turn()
    assert rig.engine.status().commit_index == 4


def test_who_holds_it_is_believed() -> None:
    rig = leader()
    question = asked(rig, says_less(rig))
    sent = answer(rig, question, success=True, next_index=4)
    assert not to(sent, "c", "memory_lost")
    assert rig.engine.status().match_index["c"] == 3


def test_a_late_rejection_of_what_was_sent_before_the_proof_is_none() -> None:
    rig = leader()
    question = asked(rig, says_less(rig))
    sent = answer(rig, {**question, "request": question["request"] - 1})
    assert not to(sent, "c", "memory_lost")


def test_it_is_asked_again_but_not_with_every_heartbeat() -> None:
    rig = leader()
    asked(rig, says_less(rig))
    behind = [m["prev_index"] for m in to(says_less(rig), "c", "append_entries")]
    assert len(behind) == 1, "a heartbeat and nothing else"
    again = says_less(rig, wait_s=TIMING.election_min_s)
    assert len(to(again, "c", "append_entries")) > 1


@pytest.mark.parametrize("voters", ["ab", "abc"])
def test_who_cannot_be_spared_is_filled_again_without_abstaining(voters: str) -> None:
    rig = leader(voters)
    source = "a"
    if voters == "abc":  # the other one abstains already
        rig.turn(0.06)
        rig.ack("c", success=True, life=7)
        rig.turn()
    rig.turn(0.06)
    proven = rig.engine.status().match_index[source]
    rig.ack(source, success=False, next_index=proven)
    sent = rig.turn()
    question = min(to(sent, source, "append_entries"), key=lambda m: m["request"])
    assert question["prev_index"] == proven
    sent = answer(rig, question, source, next_index=proven) + rig.turn(0.06)
    assert not to(sent, source, "memory_lost")
    entries = [e[1] for m in to(sent, source, "append_entries") for e in m["entries"]]
    assert entries[0] == proven
    rig.ack(source)
    rig.turn()
    assert rig.engine.status().match_index[source] == rig.engine.status().last_index


def test_without_the_rule_it_is_never_sent_again() -> None:
    rig = leader(off=["lost_frames"])
    for _ in range(20):
        sent = says_less(rig)
        assert all(not m["entries"] for m in to(sent, "c", "append_entries"))
        rig.ack("a")


# -- the follower


def follower() -> Rig:
    rig = Rig()
    rig.append("a", 3, (1, 0), run(2, 4, 3), commit=3)
    assert not rig.engine.status().abstains
    return rig


def told(rig: Rig, source: str = "a", term: int = 3, index: int = 5, index_term: int = 3) -> bool:
    rig.deliver(source, "memory_lost", term, index=index, index_term=index_term)
    rig.turn()
    return rig.engine.status().abstains


def test_who_is_told_by_its_leader_abstains_and_still_does_after_the_next_start() -> None:
    rig = follower()
    assert told(rig)
    rig.deliver("a", "read_probe", 3, request=10)
    rig.turn()
    assert rig.last("read_ack")["life"]
    rig.reboot()
    assert rig.engine.status().abstains


def test_whoever_holds_the_entry_or_hears_it_from_another_does_not() -> None:
    rig = follower()
    assert not told(rig, index=4)
    assert not told(rig, index=2, index_term=1), "committed here, so it is held"
    assert not told(rig, "c")
    assert not told(rig, term=2)
    assert told(rig, index=4, index_term=2)
    assert told(rig), "once more is no more"
