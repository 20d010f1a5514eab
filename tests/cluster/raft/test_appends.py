"""Holes 4, 5, 6 and 20: a follower's log, and what a leader believes of it."""

from dataclasses import replace

import pytest

from cluster.raft.engine import Committed, Install, PeerError
from cluster.raft.messages import ENTRIES_MAX, parse
from tests.cluster.raft.rig import Rig, meta_at, run
from wal.snapfile import encode_snapshot


def snapshot_bytes(index: int, term: int, state: bytes = b"state") -> bytes:
    return b"".join(encode_snapshot(meta_at(index, term), "rig", [state]))


def chunk(rig: Rig, index: int, index_term: int, term: int, data: bytes, **fields: object) -> None:
    defaults: dict[str, object] = {"request": 1, "offset": 0, "done": True}
    rig.deliver(
        "a",
        "snapshot_chunk",
        term,
        index=index,
        index_term=index_term,
        data=data,
        **(defaults | fields),
    )


# -- hole 5: PySyncObj cuts the log behind every append, and acknowledges too much


def test_a_repeated_append_does_not_cut_what_was_acknowledged() -> None:
    rig = Rig()
    first = rig.append("a", 1, (1, 0), run(2, 30, 1))
    again = rig.append("a", 1, (10, 1), run(11, 15, 1), request=2)
    assert first is not None
    assert again is not None
    assert first["next_index"] == 31
    assert again["next_index"] == 16
    assert rig.engine.status().last_index == 30


def test_without_the_rule_a_repeated_append_cuts_what_was_acknowledged() -> None:
    rig = Rig(off=["matching_prefix"])
    rig.append("a", 1, (1, 0), run(2, 30, 1))
    rig.append("a", 1, (10, 1), run(11, 15, 1), request=2)
    assert rig.engine.status().last_index == 15  # 16 to 30 were acknowledged


def test_a_conflict_cuts_the_log_and_only_from_there() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 20, 1))
    answer = rig.append("c", 2, (12, 1), [(13, 2), (14, 2)])
    assert answer is not None
    assert answer["next_index"] == 15
    assert rig.log_terms() == run(2, 12, 1) + run(13, 14, 2)


def test_a_heartbeat_proves_no_more_than_its_previous_entry() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 20, 1))
    answer = rig.append("c", 2, (8, 1), commit=20)
    assert answer is not None
    assert answer["next_index"] == 9
    assert rig.engine.status().commit_index == 8  # 9 to 20 may not be what c has


def test_a_committed_entry_is_never_replaced() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 20, 1), commit=20)
    with pytest.raises(PeerError, match="would replace a committed entry"):
        rig.append("c", 2, (12, 1), [(13, 2)])
    with pytest.raises(PeerError, match="contradicts a committed entry"):
        rig.append("c", 2, (12, 2), [(13, 2)])
    assert rig.engine.status().last_index == 20


def test_a_follower_that_differs_asks_for_the_start_of_the_term_that_does_not_fit() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 5, 1), commit=4)
    rig.append("a", 2, (5, 1), run(6, 30, 2))
    answer = rig.append("c", 3, (25, 1), [(26, 3)])
    assert answer is not None
    assert (answer["success"], answer["next_index"]) == (False, 6)


def test_resets_that_were_served_already_do_not_make_the_leader_send_again() -> None:
    sent = {}
    for off in ((), ("resets",)):
        rig = Rig(off=off)
        rig.lead()
        for number in range(20):
            rig.engine.propose(b"%d" % number)
            rig.turn()
        request = rig.last("append_entries", "a")["request"]
        rig.sent.clear()
        for old in range(request - 20, request + 1, 2):
            reset = {"request": old, "success": False, "next_index": 2}
            rig.deliver("a", "append_ack", rig.engine.term, **reset)
            rig.turn()
        appends = [m for to, m in rig.sent if to == "a" and m["type"] == "append_entries"]
        sent[off] = sum(len(message["entries"]) for message in appends)
    assert sent[()] == 21
    assert sent[("resets",)] > 5 * sent[()]


def test_a_reset_below_what_a_follower_proved_is_raised_to_that() -> None:
    rig = Rig()
    rig.lead()
    for number in range(10):
        rig.engine.propose(b"%d" % number)
    rig.turn()
    rig.ack("a")
    rig.turn()
    rig.ack("a", success=False, next_index=2)
    rig.turn()
    assert rig.last("append_entries", "a")["prev_index"] == 12


# -- hole 6: an acknowledgement of an earlier leadership


def stale_ack(rig: Rig) -> int:
    """Lead twice; acknowledge in the second term what was asked for in the first."""
    rig.lead()
    for number in range(10):
        rig.engine.propose(b"old %d" % number)
    rig.turn()
    old_request = rig.last("append_entries", "a")["request"]
    old_term = rig.engine.term
    rig.append("c", old_term + 1, (1, 0), [(2, old_term + 1)])  # c led, and cut it all
    rig.turn(1.0)
    rig.lead()
    for number in range(10):
        rig.engine.propose(b"new %d" % number)
    rig.turn()
    ack = {"request": old_request, "success": True, "next_index": 13}
    rig.deliver("a", "append_ack", old_term, **ack)
    rig.turn()
    return rig.engine.status().commit_index


def test_an_ack_of_an_earlier_leadership_commits_nothing() -> None:
    assert stale_ack(Rig()) == 1


def test_without_the_rule_an_old_ack_commits_what_no_one_else_holds() -> None:
    assert stale_ack(Rig(off=["ack_term"])) > 1


def test_an_ack_of_what_was_never_asked_is_refused() -> None:
    rig = Rig()
    rig.lead()
    with pytest.raises(PeerError, match="never made"):
        rig.ack("a", request=10_000)
    with pytest.raises(PeerError, match="behind the leader's log"):
        rig.ack("a", next_index=10_000)


# -- hole 4: the first chunk of a snapshot commits the local log


def phantom(rig: Rig) -> list[object]:
    """A deposed leader holds entries that never committed; a snapshot begins to arrive."""
    rig.lead()
    for number in range(5):
        rig.engine.propose(b"phantom %d" % number)
    rig.turn()
    data = snapshot_bytes(5, 2)
    chunk(rig, 5, 2, 2, data[:80], done=False)
    rig.turn()
    return [item for item in rig.committed if isinstance(item, Committed) and item.payload]


def test_a_snapshot_on_its_way_commits_nothing() -> None:
    with pytest.raises(PeerError):  # 80 bytes are no whole head: refused before it is kept
        phantom(Rig())
    rig = Rig()
    rig.lead()
    for number in range(5):
        rig.engine.propose(b"phantom %d" % number)
    rig.turn()
    data = snapshot_bytes(5, 2, b"x" * 1000)
    chunk(rig, 5, 2, 2, data[:600], done=False)
    rig.turn()
    assert rig.committed == []
    assert rig.last("snapshot_ack")["offset"] == 600


def test_without_the_rule_a_snapshot_on_its_way_commits_phantoms() -> None:
    assert phantom(Rig(off=["snapshot_commit"]))


# -- hole 20: an older snapshot


def test_an_older_snapshot_is_not_taken_over_what_is_held() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 20, 1), commit=15)
    chunk(rig, 10, 1, 1, snapshot_bytes(10, 1))
    rig.turn()
    answer = rig.last("append_ack")
    assert (answer["success"], answer["next_index"]) == (True, 11)
    assert rig.engine.status().last_index == 20
    chunk(rig, 18, 1, 1, snapshot_bytes(18, 1))  # not committed here, but held
    rig.turn()
    assert rig.engine.status().last_index == 20
    assert not any(isinstance(item, Install) for item in rig.committed)


def test_without_the_rule_the_state_goes_back() -> None:
    rig = Rig(off=["old_snapshot"])
    rig.append("a", 1, (1, 0), run(2, 20, 1), commit=15)
    chunk(rig, 10, 1, 1, snapshot_bytes(10, 1))
    rig.turn()
    assert rig.engine.status().applied_index == 10


def test_a_snapshot_replaces_a_log_that_does_not_reach_it_and_survives_a_power_cut() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 5, 1), commit=3)
    rig.append("a", 2, (5, 1))
    chunk(rig, 40, 2, 2, snapshot_bytes(40, 2))
    rig.turn()
    [*entries, install] = rig.committed
    assert [item.index for item in entries if isinstance(item, Committed)] == [2, 3]
    assert isinstance(install, Install)
    assert b"".join(install.payload) == b"state"
    assert rig.last("append_ack")["next_index"] == 41
    rig.reboot()
    assert rig.engine.status().last_index == 40
    answer = rig.append("a", 2, (40, 2), [(41, 2)])
    assert answer is not None
    assert answer["next_index"] == 42


def test_a_chunk_of_another_snapshot_starts_anew() -> None:
    rig = Rig()
    rig.append("a", 3, (1, 0))
    first, second = snapshot_bytes(40, 2, b"x" * 1_000), snapshot_bytes(50, 2, b"y" * 1_000)
    chunk(rig, 40, 2, 3, first[:600], done=False)
    chunk(rig, 50, 2, 3, second[600:700], offset=600, done=False)
    rig.turn()
    answer = rig.last("snapshot_ack")
    assert (answer["index"], answer["offset"]) == (50, 0)
    chunk(rig, 50, 2, 3, second)
    rig.turn()
    [install] = rig.committed
    assert isinstance(install, Install)
    assert b"".join(install.payload) == b"y" * 1_000


def test_a_snapshot_without_members_or_of_another_index_is_refused_before_it_is_kept() -> None:
    rig = Rig()
    rig.append("a", 3, (1, 0))
    nobody = replace(meta_at(40, 2), members="{}")
    with pytest.raises(PeerError, match="snapshot_chunk: members: 0 members"):
        chunk(rig, 40, 2, 3, b"".join(encode_snapshot(nobody, "rig", [b"state"])))
    with pytest.raises(PeerError, match="of index 40, announced 50"):
        chunk(rig, 50, 2, 3, snapshot_bytes(40, 2))
    with pytest.raises(PeerError, match="of index 40, announced 40"):
        chunk(rig, 40, 1, 3, snapshot_bytes(40, 2))
    rig.turn()
    assert rig.committed == []


def test_a_snapshot_that_was_damaged_on_its_way_is_asked_for_again() -> None:
    rig = Rig()
    rig.append("a", 3, (1, 0))
    data = snapshot_bytes(40, 2, b"x" * 1_000)
    chunk(rig, 40, 2, 3, data[:-20] + bytes(20))
    rig.turn()
    assert rig.committed == []
    assert rig.last("snapshot_ack")["offset"] == 0
    chunk(rig, 40, 2, 3, data)
    rig.turn()
    assert any(isinstance(item, Install) for item in rig.committed)


def test_a_snapshot_that_grows_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wal.snapshot.SNAPSHOT_BYTES_MAX", 700)
    rig = Rig()
    rig.append("a", 3, (1, 0))
    data = snapshot_bytes(40, 2, b"x" * 1_000)
    chunk(rig, 40, 2, 3, data[:600], done=False)
    with pytest.raises(PeerError, match="a snapshot may have"):
        chunk(rig, 40, 2, 3, data[600:], offset=600)


def test_a_follower_far_behind_gets_messages_that_it_may_take() -> None:
    rig = Rig()
    rig.lead()
    for _ in range(6):
        for _ in range(1_000):
            rig.engine.propose(b"x")
        rig.turn()
        rig.ack("c")
    rig.sent.clear()
    rig.ack_reset("a")
    rig.turn()
    appends = [m for to, m in rig.sent if to == "a" and m["type"] == "append_entries"]
    counts = [len(parse(message).entries) for message in appends if message["entries"]]  # type: ignore[union-attr]
    assert max(counts) == ENTRIES_MAX
    assert sum(counts) == 6_001
