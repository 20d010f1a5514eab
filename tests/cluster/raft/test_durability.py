"""Holes 1 to 3 and 8 to 11: what a node may say before its disk knows, and what it starts on."""

import random
from dataclasses import replace

import pytest

from cluster.raft.boot import LogRefused, restore
from cluster.raft.engine import Committed
from cluster.raft.messages import NO_OP
from tests.cluster.raft.rig import Rig, command, meta_at, run
from tests.sim.disk import SimCrash, SimDisk
from wal.errors import CorruptLog, CorruptSnapshot, StorageFailed
from wal.record import Entry, HardState
from wal.recovery import Recovered


def deliver_append(rig: Rig) -> None:
    entry = [command(2, 1), 2, 1]
    fields = {"request": 1, "prev_index": 1, "prev_term": 0, "commit_index": 1, "entries": [entry]}
    rig.deliver("a", "append_entries", 1, **fields)


def recovered_of(entries: list[Entry], hard_state: HardState, commit_index: int) -> Recovered:
    rig = Rig()
    recovered = rig.recovered
    recovered.entries[:] = entries
    return Recovered(
        entries,
        hard_state,
        commit_index,
        recovered.end,
        None,
        recovered.segments,
        recovered.ledger,
    )


# -- hole 1


def test_an_acknowledgement_waits_for_the_sync() -> None:
    rig = Rig()
    deliver_append(rig)
    assert rig.log.dirty
    assert rig.engine.take_early() == []
    rig.log.sync()
    [(to, ack)] = rig.engine.take_late()
    assert (to, ack["type"], ack["next_index"]) == ("a", "append_ack", 3)
    rig.reboot()
    assert rig.engine.status().last_index == 2


def test_without_the_rule_an_acknowledged_entry_is_lost_by_a_power_cut() -> None:
    rig = Rig(off=["late_answers"], disk=SimDisk(random.Random(3)))
    deliver_append(rig)
    [(_, ack)] = rig.engine.take_early()
    assert ack["next_index"] == 3
    rig.reboot()
    assert rig.engine.status().last_index == 1


def test_a_leader_counts_itself_only_for_what_it_has_synced() -> None:
    rig = Rig()
    rig.lead()
    rig.commit_all()
    rig.engine.propose(b"x")
    rig.log.sync()
    rig.engine.tick()
    rig.engine.replicate()
    [append, *_] = [m for to, m in rig.engine.take_early() if to == "a" and m["entries"]]
    ack = {"request": append["request"], "success": True, "next_index": 4}
    rig.deliver("a", "append_ack", rig.engine.term, **ack)  # faster than our own disk
    with pytest.raises(AssertionError, match="sync before tick"):
        rig.engine.tick()
    assert rig.engine.status().commit_index == 2


def test_a_single_node_hands_out_nothing_before_its_first_sync() -> None:
    rig = Rig(voters="b")
    rig.turn(1.0)
    assert rig.engine.is_leader
    assert rig.committed == []
    rig.turn(rig.engine.next_wakeup())
    assert rig.committed == [Committed(2, 1, None)]
    assert rig.engine.next_wakeup() > 0.0


def test_a_single_node_commits_only_after_its_own_sync() -> None:
    rig = Rig(voters="b")
    rig.turn(1.0)
    assert rig.engine.is_leader
    rig.turn()
    proposed = rig.engine.propose(b"x")
    rig.log.sync()
    rig.engine.tick()
    rig.engine.replicate()
    assert rig.log.dirty
    assert Committed(3, 1, b"x") not in rig.engine.take_committed()
    assert rig.engine.next_wakeup() == 0.0  # nobody else will wake it
    rig.turn()
    assert proposed == (1, 3)
    assert rig.committed[-1] == Committed(3, 1, b"x")


# -- hole 2


def log_with_snapshot_inside(off: tuple[str, ...] = ()) -> Rig:
    """A crash came between the snapshot and the cut of the log."""
    rig = Rig(off=off)
    rig.append("a", 1, (1, 0), run(2, 50, 1), commit=30)
    rig.store.save(meta_at(30, 1), [b"state"])
    rig.reboot()
    return rig


def test_entries_behind_a_snapshot_survive_a_crash_before_the_cut() -> None:
    rig = log_with_snapshot_inside()
    assert rig.engine.status().last_index == 50
    assert rig.engine.status().applied_index == 30
    rig.append("a", 1, (50, 1), commit=50)
    assert [item.index for item in rig.committed if isinstance(item, Committed)] == [*range(31, 51)]


def test_without_the_rule_entries_behind_a_snapshot_are_dropped() -> None:
    rig = log_with_snapshot_inside(off=("align",))
    assert rig.engine.status().last_index == 30


def test_a_log_that_ends_before_its_snapshot_is_dropped() -> None:
    rig = Rig()
    rig.append("a", 2, (1, 0), run(2, 10, 2), commit=5)
    rig.store.save(meta_at(30, 2), [b"state"])
    rig.reboot()
    assert rig.engine.status().last_index == 30
    rig.turn()
    rig.reboot()
    assert rig.engine.status().first_index == 31


def test_a_log_that_differs_from_its_snapshot_is_dropped() -> None:
    rig = Rig()
    rig.append("a", 2, (1, 0), run(2, 40, 1), commit=5)
    rig.store.save(meta_at(30, 2), [b"state"])
    rig.reboot()
    assert rig.engine.status().last_index == 30


# -- hole 3


def snapshot_and_cut(rig: Rig) -> None:
    meta = rig.engine.snapshot_wanted()
    assert meta is not None
    rig.engine.snapshot_saved(rig.store.save(meta, [b"state"]))
    rig.turn()


@pytest.mark.parametrize("power", [True, False])
def test_a_crash_at_any_disk_operation_of_a_compaction_loses_nothing(power: bool) -> None:
    calls = 0
    while True:
        rig = Rig(snapshot_every_entries=20)
        rig.append("a", 1, (1, 0), run(2, 50, 1), commit=40)
        remaining = calls

        def die(op: str, name: str) -> None:
            nonlocal remaining
            remaining -= 1
            if remaining < 0:
                raise SimCrash

        rig.disk.on_call = die
        try:
            snapshot_and_cut(rig)
        except SimCrash:
            rig.reboot(power=power)
            status = rig.engine.status()
            assert status.last_index == 50
            assert status.snapshot_index in (1, 40)
            rig.append("a", 1, (50, 1), commit=50)
            assert rig.committed[-1] == Committed(50, 1, command(50, 1)[1:])
            calls += 1
            continue
        break
    assert calls > 10
    assert rig.engine.status().first_index == 31  # some entries stay for those a little late


# -- hole 8


def ask_for_vote(rig: Rig, candidate: str) -> bool:
    rig.deliver(candidate, "vote_request", 5, last_index=1, last_term=0)
    if "late_answers" not in rig.off:
        rig.log.sync()
    sent = rig.engine.take_early() + rig.engine.take_late()
    return (candidate, {"type": "vote", "term": 5}) in sent


def test_a_vote_survives_a_power_cut() -> None:
    rig = Rig()
    assert ask_for_vote(rig, "a")
    rig.reboot()
    assert not ask_for_vote(rig, "c")
    assert ask_for_vote(rig, "a")  # the same vote, asked for again


def test_without_the_rule_a_power_cut_gives_a_second_vote() -> None:
    rig = Rig(off=["late_answers"], disk=SimDisk(random.Random(3)))
    assert ask_for_vote(rig, "a")
    rig.reboot()
    assert ask_for_vote(rig, "c")


def test_a_node_that_lost_its_hard_state_does_not_start() -> None:
    rig = Rig()
    recovered = recovered_of([Entry(2, 7, NO_OP)], HardState(3, "a"), 1)
    with pytest.raises(LogRefused, match="its vote is lost"):
        restore(rig.log, recovered, None, rig.members)


# -- hole 9


def test_a_commit_index_beyond_the_log_does_not_start() -> None:
    rig = Rig()
    recovered = recovered_of([Entry(2, 1, NO_OP)], HardState(1, None), 100)
    with pytest.raises(LogRefused, match="the log ends at 2 but 100 was committed"):
        restore(rig.log, recovered, None, rig.members)


def test_what_is_appended_after_a_start_is_not_committed_by_it() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 5, 1), commit=5)
    rig.append("a", 1, (5, 1), [(6, 1)], commit=5)  # the commit index rides behind this
    rig.reboot()
    assert rig.engine.status().commit_index == 5
    rig.append("c", 2, (6, 1), run(7, 9, 2), commit=5)
    assert [item.index for item in rig.committed if isinstance(item, Committed)][-1] == 5


# -- holes 10 and 11


def test_a_damaged_snapshot_is_never_an_empty_state() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 50, 1), commit=30)
    rig.store.save(meta_at(30, 1), [b"state" * 100])
    [name] = [name for name in rig.disk.names() if name.endswith(".snap")]
    rig.disk.flip_bit(name, 20)
    with pytest.raises(CorruptSnapshot):
        rig.reboot(power=False)


def test_a_log_that_begins_behind_its_snapshot_does_not_start() -> None:
    rig = Rig()
    recovered = recovered_of([Entry(31, 1, NO_OP)], HardState(1, None), 31)
    with pytest.raises(LogRefused, match="entries are gone"):
        restore(rig.log, recovered, None, rig.members)
    with pytest.raises(LogRefused, match="entries are gone"):
        restore(rig.log, recovered, meta_at(29, 1), rig.members)
    assert restore(rig.log, recovered, meta_at(30, 1), rig.members).last_index == 31


def test_a_damaged_log_does_not_start() -> None:
    rig = Rig()
    for index in range(2, 8):
        rig.append("a", 1, (index - 1, 0 if index == 2 else 1), [(index, 1)], request=index)
    [name] = [name for name in rig.disk.names() if "wal" in name or "log" in name]
    raw = rig.disk.read(name)
    rig.disk.flip_bit(name, raw.index(command(3, 1)))
    with pytest.raises(CorruptLog):
        rig.reboot(power=False)


def test_a_full_disk_acknowledges_nothing() -> None:
    rig = Rig()
    rig.disk.full_after(10)
    deliver_append(rig)
    with pytest.raises(StorageFailed):
        rig.log.sync()
    assert rig.engine.take_early() == []


# -- hole 7


def test_the_members_of_a_snapshot_count_and_not_the_configured_ones() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 50, 1), commit=30)
    rig.store.save(meta_at(30, 1, "abcde"), [b"state"])
    rig.reboot()
    assert "".join(rig.engine.members.voters) == "abcde"


def test_members_that_cannot_be_read_are_refused() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 50, 1), commit=30)
    rig.store.save(replace(meta_at(30, 1), members="?"), [b"state"])
    with pytest.raises(LogRefused, match="members in the snapshot at 30 cannot be read"):
        rig.reboot()


# -- the records that the journal writes


def test_the_commit_index_rides_behind_the_next_record() -> None:
    rig = Rig()
    rig.append("a", 1, (1, 0), run(2, 5, 1), commit=1)
    rig.deliver(
        "a", "append_entries", 1, request=2, prev_index=5, prev_term=1, commit_index=4, entries=[]
    )
    assert not rig.log.dirty
    rig.append("a", 1, (5, 1), [(6, 1)], commit=4, request=3)
    rig.reboot()
    assert rig.engine.status().commit_index == 4
