"""What is under way to a follower has a limit; a snapshot arrives over any network."""

import random

import pytest

from cluster.raft.compaction import RETRY_S, TRAILING_BYTES_MAX
from cluster.raft.engine import Install, PeerError
from cluster.raft.leadership import IN_FLIGHT_BYTES_MAX
from cluster.raft.messages import PAYLOAD_BYTES_MAX, SnapshotAck
from cluster.raft.snapshots import WINDOW_CHUNKS, SnapshotSender
from tests.cluster.raft.rig import TIMING, Rig, Wire, meta_at, run

CHUNK = 1_000


def entry_bytes(rig: Rig, to: str = "a") -> int:
    return sum(
        len(command)
        for target, message in rig.sent
        if target == to and message["type"] == "append_entries"
        for command, _, _ in message["entries"]
    )


def test_a_follower_that_does_not_answer_gets_no_more_than_the_limit() -> None:
    rig = Rig()
    rig.lead()
    for _ in range(40):
        rig.engine.propose(bytes(PAYLOAD_BYTES_MAX))
        rig.turn()
        rig.ack("c")
    assert entry_bytes(rig, "c") > 40 * PAYLOAD_BYTES_MAX
    assert entry_bytes(rig) <= IN_FLIGHT_BYTES_MAX + 2 * PAYLOAD_BYTES_MAX
    assert rig.engine.status().paused == ("a",)


def test_a_follower_without_answers_still_gets_heartbeats_and_goes_on_when_it_answers() -> None:
    rig = Rig()
    rig.lead()
    for _ in range(20):
        rig.engine.propose(bytes(PAYLOAD_BYTES_MAX))
        rig.turn()
        rig.ack("c")
    rig.sent.clear()
    for _ in range(10):
        rig.turn(TIMING.heartbeat_s * 1.1)
        rig.ack("c")
    heartbeats = [m for to, m in rig.sent if to == "a"]
    assert len(heartbeats) >= 9
    assert not any(message["entries"] for message in heartbeats)
    while rig.engine.status().match_index["a"] < rig.engine.status().last_index:
        message = rig.last("append_entries", "a")
        end = message["prev_index"] + len(message["entries"])
        rig.ack("a", next_index=max(end + 1, 2))
        rig.sent.clear()
        rig.turn(TIMING.heartbeat_s * 1.1)
    rig.turn()
    assert rig.engine.status().paused == ()


def test_who_leads_again_sends_to_all_whoever_was_full_or_late_before() -> None:
    rig = Rig()
    term = rig.lead()
    for _ in range(20):
        rig.engine.propose(bytes(PAYLOAD_BYTES_MAX))
        rig.turn()
        rig.ack("c")
    assert rig.engine.status().paused == ("a",)
    rig.deliver("c", "newer_term", term + 1)
    rig.turn(TIMING.election_max_s)
    rig.sent.clear()
    rig.lead(votes="c")
    assert rig.last("append_entries", "a")["term"] == term + 2


def leader_with_snapshot(size: int) -> Rig:
    rig = Rig(snapshot_every_entries=20, chunk_bytes=CHUNK)
    rig.lead()
    for number in range(60):
        rig.engine.propose(b"%d" % number)
        rig.turn()
        rig.ack("c")
    rig.turn()
    meta = rig.engine.snapshot_wanted()
    assert meta is not None
    assert rig.engine.snapshot_wanted() is None
    rig.engine.snapshot_saved(rig.store.save(meta, [random.Random(1).randbytes(size)]))
    rig.turn()
    rig.sent.clear()
    rig.ack_reset("a")
    rig.turn()
    return rig


def chunks(rig: Rig) -> list[Wire]:
    return [m for to, m in rig.sent if to == "a" and m["type"] == "snapshot_chunk"]


def test_no_more_than_a_window_of_a_snapshot_is_under_way() -> None:
    rig = leader_with_snapshot(100 * CHUNK)
    for _ in range(20):
        rig.turn(TIMING.heartbeat_s * 1.1)
        rig.ack("c")
    sent = chunks(rig)
    assert [m["offset"] for m in sent[:WINDOW_CHUNKS]] == [n * CHUNK for n in range(WINDOW_CHUNKS)]
    questions = sent[WINDOW_CHUNKS:]
    assert questions
    assert all(message["data"] == b"" for message in questions)  # heartbeats, so to speak
    assert len(questions) <= 21


def test_while_a_snapshot_is_on_its_way_no_other_is_wanted() -> None:
    rig = leader_with_snapshot(100 * CHUNK)
    for number in range(60):
        rig.engine.propose(b"%d" % number)
        rig.turn()
        rig.ack("c")
    rig.turn()
    assert rig.engine.snapshot_wanted() is None
    for _ in range(60):
        rig.turn(0.1)
        rig.ack("c")
    assert rig.engine.snapshot_wanted() is not None  # the transfer has stalled


def test_a_snapshot_that_was_replaced_while_it_was_sent_is_given_up_for_the_newest() -> None:
    rig = leader_with_snapshot(100 * CHUNK)
    first = chunks(rig)[0]["index"]
    for _ in range(3):
        for number in range(40):
            rig.engine.propose(b"%d" % number)
            rig.turn(0.2)
            rig.ack("c")
            rig.ack("a", success=False, next_index=2)
        rig.turn()
        meta = rig.engine.snapshot_wanted()
        assert meta is not None
        rig.engine.snapshot_saved(rig.store.save(meta, [b"state"]))
        rig.turn()
    rig.sent.clear()
    rig.turn(TIMING.heartbeat_s * 1.1)
    rig.turn(TIMING.heartbeat_s * 1.1)
    sent = chunks(rig)
    assert sent
    assert sent[-1]["index"] > first


def test_a_snapshot_whose_file_is_gone_is_followed_by_the_newest() -> None:
    rig = leader_with_snapshot(100 * CHUNK)
    index = chunks(rig)[0]["index"]
    for newer in range(1, 4):  # saved, but the log is not cut yet
        rig.store.save(meta_at(index + newer, 1), [b"state"])
    last = chunks(rig)[-1]
    answer = {"request": last["request"], "index": index, "offset": WINDOW_CHUNKS * CHUNK}
    rig.deliver("a", "snapshot_ack", rig.engine.term, **answer)
    rig.sent.clear()
    rig.turn(TIMING.heartbeat_s * 1.1)
    assert {message["index"] for message in chunks(rig)} == {index + 3}


def test_a_transfer_that_has_ended_holds_no_snapshot_back() -> None:
    rig = leader_with_snapshot(CHUNK // 2)
    [whole] = chunks(rig)
    answer = {"request": whole["request"], "success": True, "next_index": whole["index"] + 1}
    rig.deliver("a", "append_ack", rig.engine.term, **answer)
    for number in range(40):
        rig.engine.propose(b"%d" % number)
        rig.turn()
        rig.ack("c")
    rig.turn()
    assert rig.engine.snapshot_wanted() is not None


def test_a_snapshot_that_could_not_be_saved_is_wanted_again_in_a_while() -> None:
    rig = Rig(snapshot_every_entries=20)
    rig.append("a", 1, (1, 0), run(2, 50, 1), commit=50)
    assert rig.engine.snapshot_wanted() is not None
    rig.engine.snapshot_failed()
    assert rig.engine.snapshot_wanted() is None
    rig.now_s += RETRY_S
    assert rig.engine.snapshot_wanted() is not None


def test_large_entries_behind_a_snapshot_do_not_stay() -> None:
    rig = Rig(snapshot_every_entries=40)
    rig.lead()
    for _ in range(50):
        rig.engine.propose(bytes(PAYLOAD_BYTES_MAX))
        rig.turn()
        rig.ack("c")
    rig.turn()
    meta = rig.engine.snapshot_wanted()
    assert meta is not None
    rig.engine.snapshot_saved(rig.store.save(meta, [b"state"]))
    rig.turn()
    kept = meta.index - rig.engine.status().first_index + 1
    assert 0 < kept <= TRAILING_BYTES_MAX // PAYLOAD_BYTES_MAX


def test_bytes_ask_for_a_snapshot_as_entries_do_and_are_counted_once() -> None:
    rig = Rig(snapshot_every_bytes=1_000)
    rig.lead()
    wanted = []
    for _ in range(40):
        rig.engine.propose(bytes(99))
        rig.turn()
        rig.ack("c")
        rig.turn()
        meta = rig.engine.snapshot_wanted()
        if meta is not None:
            wanted.append(meta.index)
            rig.engine.snapshot_saved(rig.store.save(meta, [b"state"]))
    assert len(wanted) == 4


# -- a transfer, seen from the leader


def sender(size: int) -> SnapshotSender:
    rig = Rig()
    meta = rig.store.save(meta_at(40, 2), [random.Random(1).randbytes(size)])
    return SnapshotSender(rig.store, meta, 0.0, chunk_bytes=CHUNK)


def snapshot_ack(request: int, offset: int, *, index: int = 40) -> SnapshotAck:
    return SnapshotAck(2, request, index, offset)


def test_an_answer_about_another_snapshot_or_an_older_one_changes_nothing() -> None:
    sending = sender(20 * CHUNK)
    for request in range(1, WINDOW_CHUNKS + 1):
        assert sending.next_chunk(term=2, request=request) is not None
    assert sending.next_chunk(term=2, request=9) is None
    sending.acked(snapshot_ack(2, CHUNK, index=39), request_last=4, now_s=0.0)
    assert sending.next_chunk(term=2, request=9) is None
    sending.acked(snapshot_ack(3, 2 * CHUNK), request_last=4, now_s=0.0)
    sending.acked(snapshot_ack(2, CHUNK), request_last=4, now_s=0.0)  # overtaken on the way
    chunk = sending.next_chunk(term=2, request=5)
    assert chunk is not None
    assert chunk.offset == 4 * CHUNK


def test_an_answer_that_claims_what_was_never_sent_is_refused() -> None:
    sending = sender(20 * CHUNK)
    sending.next_chunk(term=2, request=1)
    with pytest.raises(PeerError, match="offset 1001 was never sent"):
        sending.acked(snapshot_ack(1, CHUNK + 1), request_last=1, now_s=0.0)


def transfer(seed: int, *, loss: float, doubling: float, reorder: bool) -> tuple[Rig, int]:
    """Carry a snapshot over a bad network; return the follower and how many chunks it took."""
    rng = random.Random(seed)
    leader, follower = leader_with_snapshot(30 * CHUNK), Rig(voters="abc")
    rename(follower, "a")
    count = 0
    wire: list[tuple[str, Wire]] = [("a", message) for message in chunks(leader)]
    for _ in range(3_000):
        if any(isinstance(item, Install) for item in follower.committed):
            return follower, count
        if reorder:
            rng.shuffle(wire)
        moving, wire = wire, []
        for to, message in moving:
            if rng.random() < loss:
                continue
            for _ in range(2 if rng.random() < doubling else 1):
                target = follower if to == "a" else leader
                source = "b" if to == "a" else "a"
                count += message["type"] == "snapshot_chunk"
                target.engine.deliver(source, message)
        leader.ack("c")
        wire += [(to, m) for to, m in leader.turn(0.02) if to == "a"]
        wire += [(to, m) for to, m in follower.turn(0.02) if to == "b"]
    raise AssertionError("the snapshot never arrived")


def rename(rig: Rig, name: str) -> None:
    """Start anew as another node, on a disk of its own."""
    rig.me = name
    rig.others = [voter for voter in rig.members.voters if voter != name]
    rig.disk = type(rig.disk)(random.Random(9))
    rig.boot()


def test_a_snapshot_arrives_over_a_good_network_without_repeats() -> None:
    follower, count = transfer(1, loss=0, doubling=0, reorder=False)
    [install] = [item for item in follower.committed if isinstance(item, Install)]
    assert b"".join(install.payload) == random.Random(1).randbytes(30 * CHUNK)
    assert count < 45  # 31 chunks, and some questions


def test_a_snapshot_arrives_over_a_network_that_loses_doubles_and_reorders() -> None:
    for seed in range(10):
        follower, _ = transfer(seed, loss=0.2, doubling=0.2, reorder=True)
        [install] = [item for item in follower.committed if isinstance(item, Install)]
        assert b"".join(install.payload) == random.Random(1).randbytes(30 * CHUNK)


def test_what_was_committed_is_told_at_once_with_what_is_new() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all()
    rig.engine.propose(b"first")
    rig.turn()
    rig.ack("a")
    rig.sent.clear()
    rig.engine.propose(b"second")
    rig.turn()
    appends = [m for to, m in rig.sent if to == "a" and m["type"] == "append_entries"]
    assert [(m["commit_index"], len(m["entries"]), m["quiet"]) for m in appends] == [(3, 1, False)]


def test_an_append_that_only_tells_what_was_committed_is_quiet_and_a_heartbeat_is_not() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all()
    rig.engine.propose(b"first")
    rig.turn()
    rig.ack("a")
    rig.sent.clear()
    rig.turn()
    assert rig.last("append_entries", "a")["quiet"]
    rig.turn()
    assert rig.kinds() == ["append_entries"] * 2, "told once"
    rig.turn(TIMING.heartbeat_s * 1.1)
    assert not rig.last("append_entries", "a")["quiet"]


def test_a_follower_answers_a_quiet_append_only_when_it_misses_what_comes_before() -> None:
    rig = Rig()
    assert rig.append("a", 5, (1, 0), run(2, 4, 5)) is not None
    quiet = {"request": 7, "commit_index": 4, "entries": [], "quiet": True}
    rig.sent.clear()
    rig.deliver("a", "append_entries", 5, prev_index=4, prev_term=5, **quiet)
    rig.turn()
    assert rig.sent == []
    assert rig.engine.status().commit_index == 4
    rig.deliver("a", "append_entries", 5, prev_index=6, prev_term=5, **quiet)
    rig.turn()
    answer = rig.last("append_ack", "a")
    assert (answer["success"], answer["next_index"]) == (False, 5)
