"""What is in a backup or in a stopped node's folder: all of it, or why not and where."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from msgspec.structs import replace

from cluster.backup.checking import Checked, check_backup, check_folder, counts_of, header_of
from cluster.backup.file import BackupRefused, Header, encode
from cluster.raft.messages import COMMAND, NO_OP
from cluster.state import invariants, snapshot
from cluster.state.invariants import InvariantViolated
from cluster.state.machine import Machine
from cluster.state.state import State
from tests.cluster.state.desk import ANN, BOB, Desk
from wal.disk import FileDisk
from wal.errors import ForeignLog, StorageError
from wal.identity import claim
from wal.log import Log
from wal.record import Commit, Compact, Entry, HardState, Record
from wal.snapshot import SnapshotMeta, SnapshotStore


def desk() -> Desk:
    made = Desk()
    made.online(BOB)
    made.assigned("cv1", BOB)
    made.done(made.say(ANN))
    made.done(made.say(BOB))
    return made


def checked(state: State, *, index: int = 0) -> Checked:
    """What is found in a backup of `state`; its header says `index`."""
    at = index or state.applied_index
    header = Header("shop", "n1", at, 3, state.now_ms, 7, "0.1.0", state.level)
    return check_backup("a.backup", BytesIO(b"".join(encode(header, snapshot.dump(state)))).read)


def node(
    folder: Path, *records: Record, state: State | None = None, index: int = 0
) -> Callable[[], Checked]:
    """A node's folder with a snapshot of `state` up to `index`, and a log of `records`."""
    disk = FileDisk(folder)
    identity = claim(disk, "shop", "n1", now_ms=7)
    if state is not None:
        meta = SnapshotMeta(index, 2, index - 1, 2, "n1")
        SnapshotStore(disk, identity).save(meta, snapshot.dump(state))
    log, _ = Log.open(disk, identity=identity, segment_bytes_max=1 << 20, draw_salt=lambda: 5)
    log.append(HardState(2, "n1"), *records)
    log.sync()
    disk.close()

    def check() -> Checked:
        looked = FileDisk(folder)
        try:
            return check_folder(looked)
        finally:
            looked.close()

    return check


def log_of(made: Desk, first: int = 1, last: int | None = None) -> list[Record]:
    """The entries of a desk: the leader's first, then one a command."""
    payloads = [NO_OP, *(COMMAND + one for one in made.entries)]
    last = last or len(payloads)
    return [Entry(n, 2, payloads[n - 1]) for n in range(first, last + 1)]


def test_a_backup_is_what_was_saved_with_its_header_and_checksum() -> None:
    state = desk().state
    found = checked(state)
    assert (found.cluster, found.node, found.term) == ("shop", "n1", 3)
    assert found.index == state.applied_index
    assert snapshot.digest(found.state) == snapshot.digest(state)
    assert len(found.sha256) == 64
    assert found.header is not None
    assert not found.header.stale


def test_a_backup_whose_header_is_of_another_moment_is_refused() -> None:
    state = desk().state
    with pytest.raises(BackupRefused, match=f"index 99, its state {state.applied_index}"):
        checked(state, index=99)


def test_a_folder_is_checked_from_its_log_alone(tmp_path: Path) -> None:
    made = desk()
    entries = log_of(made)
    found = node(tmp_path, *entries, Commit(len(entries)))()
    assert (found.cluster, found.node) == ("shop", "n1")
    assert (found.index, found.term, found.header) == (len(entries), 2, None)
    assert snapshot.digest(found.state) == snapshot.digest(made.state)


def test_what_is_not_known_to_be_committed_is_left_out(tmp_path: Path) -> None:
    entries = log_of(desk())
    found = node(tmp_path, *entries, Commit(len(entries) - 1))()
    assert found.index == len(entries) - 1
    assert counts_of(found.state).messages == 1


def test_entries_behind_a_snapshot_are_applied_to_it_and_those_before_are_not(
    tmp_path: Path,
) -> None:
    made = desk()
    early = Machine()
    for index, payload in enumerate(made.entries[:4], start=2):
        early.apply(index, payload)
    index = early.state.applied_index
    entries = log_of(made)
    found = node(tmp_path, *entries, Commit(len(entries)), state=early.state, index=index)()
    assert found.index == len(entries)
    assert snapshot.digest(found.state) == snapshot.digest(made.state)


def test_a_folder_whose_log_does_not_follow_its_snapshot_is_refused(tmp_path: Path) -> None:
    entries = log_of(desk())
    early = Machine()
    early.apply(2, desk().entries[0])
    records = (*entries, Commit(len(entries)), Compact(5))
    check = node(tmp_path, *records, state=early.state, index=2)
    with pytest.raises(StorageError, match=r"goes on at \d, and 2 is the end of the snapshot"):
        check()


def test_a_log_that_breaks_an_invariant_is_refused_at_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(state: State, notices: object) -> None:
        if state.conversations:
            raise InvariantViolated("I3", "cv1: owned without a fence")

    entries = log_of(desk())
    check = node(tmp_path, *entries, Commit(len(entries)))
    monkeypatch.setattr(invariants, "check_touched", broken)
    with pytest.raises(StorageError, match=r"entry 5 .* I3: cv1: owned without .*another node"):
        check()


def test_a_folder_of_nobody_is_refused(tmp_path: Path) -> None:
    disk = FileDisk(tmp_path / "empty")
    with pytest.raises(ForeignLog, match="no node's data"):
        check_folder(disk)
    disk.close()


def test_a_snapshot_that_breaks_an_invariant_is_refused(tmp_path: Path) -> None:
    made = desk()
    made.state.put_conversation(replace(made.conversation(), fence=0))
    check = node(tmp_path, state=made.state, index=made.state.applied_index)
    with pytest.raises(StorageError, match=r"\.snap: .*without a fence"):
        check()


def test_what_is_counted_is_what_people_ask_for_first() -> None:
    counts = counts_of(desk().state)
    assert counts.messages == 2
    assert {name: n for name, n in counts.sections.items() if n} == {
        "conversations": 1,
        "sessions": 1,
        "agents": 1,
        "keys": 4,
    }


def test_a_folder_is_saved_as_what_no_quorum_confirmed(tmp_path: Path) -> None:
    entries = log_of(desk())
    checked = node(tmp_path, *entries, Commit(len(entries)))()
    header = header_of(checked, created_ms=9, release="0.1.0")
    assert (header.stale, header.origin, header.cluster) == (True, "", "shop")
    assert (header.index, header.created_ms) == (checked.state.applied_index, 9)
