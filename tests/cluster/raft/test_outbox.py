"""What may leave before the sync and what may not, message by message (hole 1, invariant 1)."""

import pytest

from cluster.raft.engine import Install
from cluster.raft.members import Member, Members
from tests.cluster.raft.rig import TIMING, Rig, Wire, meta_at, run
from wal.snapfile import encode_snapshot


def early_and_late(rig: Rig) -> tuple[list[str], list[str]]:
    """Return the types of what may leave now, and of what waits for the sync."""
    early = [message["type"] for _, message in rig.engine.take_early()]
    assert rig.log.dirty
    rig.log.sync()
    return early, [message["type"] for _, message in rig.engine.take_late()]


def vote_request(rig: Rig, source: str, term: int) -> None:
    rig.deliver(source, "vote_request", term, last_index=9, last_term=term - 1)


def whole_snapshot(rig: Rig, index: int, term: int, *, request: int = 1) -> None:
    data = b"".join(encode_snapshot(meta_at(index, term), "rig", [b"state"]))
    fields: Wire = {"request": request, "index": index, "index_term": term, "offset": 0}
    rig.deliver("a", "snapshot_chunk", term, data=data, done=True, **fields)


def test_a_vote_waits_for_the_sync_and_so_does_its_repetition() -> None:
    rig = Rig()
    vote_request(rig, "a", 5)
    vote_request(rig, "a", 5)
    assert early_and_late(rig) == ([], ["vote", "vote"])


def test_a_request_for_votes_waits_until_the_own_vote_is_durable() -> None:
    rig = Rig()
    rig.turn(1.0)
    rig.grant("a")
    rig.engine.tick()
    assert early_and_late(rig) == ([], ["vote_request", "vote_request"])


class _Alone(Rig):
    """A voter alone, with a learner."""

    def boot(self) -> None:
        self.members = Members({"b": Member("voter", ""), "l": Member("learner", "")})
        super().boot()


def test_who_votes_alone_sends_no_append_before_its_term_is_durable() -> None:
    rig = _Alone("b")
    rig.now_s += 1.0
    rig.engine.tick()
    assert rig.engine.is_leader
    rig.engine.propose(b"lost")
    rig.engine.replicate()
    assert early_and_late(rig) == ([], ["append_entries", "append_entries"])


def test_who_votes_alone_never_sends_two_entries_of_one_index_and_term() -> None:
    rig = _Alone("b")
    rig.now_s += 1.0
    rig.engine.tick()
    rig.engine.propose(b"lost")
    rig.engine.replicate()
    sent = rig.engine.take_early()
    rig.reboot()
    rig.turn(1.0)
    rig.engine.propose(b"another")
    sent += rig.turn()
    by_place: dict[tuple[int, int], set[bytes]] = {}
    for _, message in sent:
        for payload, index, term in message["entries"]:
            by_place.setdefault((index, term), set()).add(payload)
    assert (3, 1) in by_place
    assert all(len(payloads) == 1 for payloads in by_place.values())


def test_an_acknowledgement_of_a_snapshot_that_is_held_waits_for_the_sync() -> None:
    rig = Rig()
    entries = [[b"\x40x", index, 1] for index in range(2, 9)]
    fields: Wire = {"request": 1, "prev_index": 1, "prev_term": 0, "commit_index": 1}
    rig.deliver("a", "append_entries", 1, entries=entries, **fields)
    whole_snapshot(rig, 8, 1)
    assert early_and_late(rig) == ([], ["append_ack", "append_ack"])


def test_an_answer_to_a_probe_waits_until_the_term_is_durable() -> None:
    rig = Rig()
    fields: Wire = {"request": 1, "prev_index": 1, "prev_term": 0, "commit_index": 1}
    rig.deliver("a", "append_entries", 3, entries=[], **fields)
    rig.deliver("a", "read_probe", 3, request=2)
    assert early_and_late(rig) == ([], ["append_ack", "read_ack"])


def test_a_snapshot_is_not_installed_before_the_term_it_came_in_is_durable() -> None:
    rig = Rig()
    whole_snapshot(rig, 40, 2)
    rig.turn()
    assert rig.last("snapshot_ack")["offset"] == 0  # asked for once more
    assert rig.engine.status().applied_index == 1
    rig.reboot()  # a snapshot of a term that the log does not know would not start
    whole_snapshot(rig, 40, 2, request=2)
    rig.turn()
    whole_snapshot(rig, 40, 2, request=3)
    rig.turn()
    assert any(isinstance(item, Install) for item in rig.committed)
    assert rig.last("append_ack")["next_index"] == 41


def test_the_part_of_a_snapshot_that_came_is_kept_while_the_rest_waits_for_a_sync() -> None:
    rig = Rig()
    data = b"".join(encode_snapshot(meta_at(40, 2), "rig", [b"x" * 1_000]))
    fields: Wire = {"index": 40, "index_term": 2}
    rig.deliver(
        "a", "snapshot_chunk", 2, request=1, offset=0, data=data[:600], done=False, **fields
    )
    rest: Wire = {"offset": 600, "data": data[600:], "done": True, **fields}
    rig.deliver("a", "snapshot_chunk", 2, request=2, **rest)
    rig.turn()
    assert rig.last("snapshot_ack")["offset"] == 600
    rig.deliver("a", "snapshot_chunk", 2, request=3, **rest)
    rig.turn()
    assert rig.engine.status().applied_index == 40


def test_a_snapshot_is_wanted_of_what_was_taken_only() -> None:
    rig = Rig(snapshot_every_entries=5)
    rig.append("a", 1, (1, 0), run(2, 9, 1), commit=1)
    fields: Wire = {"request": 2, "prev_index": 9, "prev_term": 1, "commit_index": 9}
    rig.deliver("a", "append_entries", 1, entries=[], **fields)
    rig.engine.tick()
    assert rig.engine.snapshot_wanted() is None
    rig.engine.take_committed()
    meta = rig.engine.snapshot_wanted()
    assert meta is not None
    assert meta.index == 9


# -- what is proposed


def test_proposals_have_a_limit_in_number_and_in_bytes() -> None:
    rig = Rig()
    rig.lead()
    taken = [rig.engine.propose(b"x") for _ in range(1_025)]
    assert taken[-2:] == [(1, 1_026), None]
    rig.turn()
    large = [rig.engine.propose(bytes(512 * 1024)) for _ in range(65)]
    assert large.count(None) in (1, 2)  # 32 MiB, types of entries included
    assert large[0] is not None
    rig.turn()
    assert rig.engine.propose(b"x") is not None


def test_what_a_deposed_leader_was_asked_for_is_dropped_and_takes_no_later_place() -> None:
    rig = Rig()
    term = rig.lead()
    rig.engine.propose(b"dropped")
    rig.deliver("a", "newer_term", term + 1)
    rig.turn()
    rig.turn(2 * TIMING.election_max_s)
    rig.lead()
    proposed = rig.engine.propose(b"kept")
    rig.turn()
    rig.commit_all()
    payloads = {item.index: item.payload for item in rig.committed if not isinstance(item, Install)}
    assert proposed is not None
    assert payloads[proposed[1]] == b"kept"
    assert b"dropped" not in payloads.values()


# -- what is under way


def test_what_is_under_way_is_not_sent_again_with_every_acknowledgement() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all()
    appends = []
    for number in range(10):
        rig.engine.propose(b"%d" % number)
        rig.turn()
        appends.append(rig.last("append_entries", "a"))
    for append in appends:
        rig.deliver(
            "a",
            "append_ack",
            rig.engine.term,
            request=append["request"],
            success=True,
            next_index=append["prev_index"] + 2,
        )
        rig.engine.propose(b"new")
        rig.turn()
        assert len(rig.last("append_entries", "a")["entries"]) == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_what_was_lost_on_the_way_is_sent_again_after_the_next_heartbeat(lost: int) -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all()
    for _ in range(lost):
        rig.engine.propose(b"lost")
        rig.turn()
    rig.sent.clear()
    rig.turn(TIMING.heartbeat_s * 1.1)
    assert not rig.last("append_entries", "a")["entries"]
    rig.ack("a", success=False, next_index=3)
    rig.turn()
    assert len(rig.last("append_entries", "a")["entries"]) == lost


def test_a_reset_beyond_the_log_is_lowered_to_its_end() -> None:
    rig = Rig()
    rig.lead()
    rig.ack("a", success=False, next_index=1_000)
    rig.turn(TIMING.heartbeat_s * 1.1)
    assert rig.last("append_entries", "a")["prev_index"] == rig.engine.status().last_index
