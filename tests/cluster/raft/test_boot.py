"""What a node starts on: every way in which log and snapshot can meet after a crash."""

import random

import pytest

from cluster.raft.boot import LogRefused, restore
from cluster.raft.engine import Committed
from cluster.raft.journal import RaftJournal
from cluster.raft.members import Members
from cluster.raft.messages import BATCH_BYTES_MAX, COMMAND, ENTRIES_MAX, NO_OP
from tests.cluster.raft.rig import Rig, meta_at, run
from wal.record import Commit, Entry, HardState
from wal.recovery import Recovered


def recovered_after(*records: Entry | HardState | Commit, term: int = 9) -> tuple[Rig, Recovered]:
    """Return what a log says that was written just so."""
    rig = Rig()
    rig.log.append(HardState(term, None), *records)
    rig.log.sync()
    rig.reboot()
    return rig, rig.recovered


def entries(first: int, last: int, term: int) -> list[Entry]:
    return [Entry(index, term, NO_OP) for index in range(first, last + 1)]


def test_a_log_and_a_snapshot_that_committed_different_entries_do_not_start() -> None:
    rig, recovered = recovered_after(*entries(2, 40, 1), Commit(35))
    with pytest.raises(LogRefused, match=r"ends with \(index 30, term 2\) .* term 1 there"):
        restore(rig.log, recovered, meta_at(30, 2), rig.members)
    assert restore(rig.log, recovered, meta_at(38, 2), rig.members).last_index == 38


@pytest.mark.parametrize("end", [29, 30, 31])
def test_a_log_that_was_dropped_for_its_snapshot_stays_dropped(end: int) -> None:
    rig = Rig()
    rig.append("a", 2, (1, 0), run(2, end, 1))
    rig.store.save(meta_at(30, 2), [b"state"])
    rig.reboot()
    rig.append("a", 2, (30, 2), run(31, 33, 2), commit=33)
    rig.reboot()
    assert rig.engine.status().last_index == 33
    rig.append("a", 2, (33, 2), commit=33)
    assert [item.index for item in rig.committed if isinstance(item, Committed)] == [31, 32, 33]


def test_a_log_whose_entries_jump_or_fall_does_not_start() -> None:
    rig, recovered = recovered_after(*entries(2, 4, 3))
    for bad in (Entry(6, 3, NO_OP), Entry(5, 2, NO_OP)):
        changed = [*recovered.entries[:3], bad]
        with pytest.raises(LogRefused, match=r"from \(index 4, term 3\)"):
            restore(rig.log, with_entries(recovered, changed), None, rig.members)


def test_a_log_with_commands_that_no_node_writes_does_not_start() -> None:
    rig, recovered = recovered_after(*entries(2, 4, 3))
    changed = [*recovered.entries, Entry(5, 3, b"\x02pickled membership")]
    with pytest.raises(LogRefused, match=r"no node writes: entries\[index 5\]"):
        restore(rig.log, with_entries(recovered, changed), None, rig.members)


def with_entries(recovered: Recovered, changed: list[Entry]) -> Recovered:
    return Recovered(
        changed,
        recovered.hard_state,
        recovered.commit_index,
        recovered.end,
        recovered.torn,
        recovered.segments,
        recovered.ledger,
    )


def test_what_was_compacted_is_gone_after_a_start() -> None:
    rig = Rig(snapshot_every_entries=20)
    rig.append("a", 1, (1, 0), run(2, 50, 1), commit=40)
    meta = rig.engine.snapshot_wanted()
    assert meta is not None
    rig.turn()
    assert rig.engine.status().first_index == 2, "cut only when the snapshot is durable"
    rig.engine.snapshot_saved(rig.store.save(meta, [b"state"]))
    rig.turn()
    first_index = rig.engine.status().first_index
    assert first_index > 30
    rig.turn()
    rig.reboot()
    assert rig.engine.status().first_index == first_index


# -- the journal


def journal(size: int, count: int) -> RaftJournal:
    command = COMMAND + random.Random(1).randbytes(size - 1)
    return RaftJournal(
        Rig().log,
        base_index=1,
        base_term=0,
        entries=[(command, index, 1) for index in range(2, count + 2)],
        hard_state=HardState(1, None),
        commit_index=5,
        members=Members.of("abc"),
    )


def test_an_open_slice_ends_where_a_message_is_full() -> None:
    small = journal(1, 2 * ENTRIES_MAX)
    assert len(small[1:]) == ENTRIES_MAX
    assert small[1:][-1][1] == ENTRIES_MAX + 1
    assert len(small[2 * ENTRIES_MAX :]) == 1
    assert small[2 * ENTRIES_MAX + 1 :] == []
    large = journal(BATCH_BYTES_MAX // 4, 20)
    assert len(large[1:]) == 4


def test_what_is_committed_is_neither_cut_nor_forgotten() -> None:
    log = journal(1, 20)
    with pytest.raises(AssertionError):
        log.deleteEntriesFrom(4)
    with pytest.raises(AssertionError):
        log.setRaftCommitIndex(4)
    with pytest.raises(AssertionError):
        log.setRaftCommitIndex(22)
    log.compact(1)
    log.deleteEntriesFrom(50)
    assert (log.base_index, log.last_index) == (1, 21)


def test_what_only_the_library_would_do_is_never_done() -> None:
    log = journal(1, 1)
    for never in (log.clear, lambda: log.deleteEntriesTo(1)):
        with pytest.raises(AssertionError):
            never()
