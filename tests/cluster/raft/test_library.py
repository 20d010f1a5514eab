"""The library itself: that it is the pinned one, that its holes are there, that pickle is not."""

import gc
import importlib.metadata
import inspect
import logging
import pickle
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysyncobj
import pytest
from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf
from pysyncobj import syncobj as stock_module
from pysyncobj.journal import FileJournal
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from cluster.raft import library
from cluster.raft.engine import Committed
from cluster.raft.library import LibraryRefused, verify_library
from cluster.raft.messages import COMMAND
from cluster.raft.pysyncobj_core import _NoPickle
from tests.cluster.raft.rig import Rig
from tests.sim.world import World

# The stock library leaves files open; that is not what is tested here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def _left_open() -> Iterator[None]:
    """Let go of those files here: found by a collection later, they would fail another test."""
    yield
    gc.collect()


# -- pinned


def test_the_installed_library_is_the_one_the_guard_was_written_for() -> None:
    verify_library()
    assert importlib.metadata.version("pysyncobj") == library.VERSION_PINNED


def test_a_changed_source_is_refused_with_place_and_mend(tmp_path: Path) -> None:
    folder = Path(pysyncobj.__file__).parent
    for name in library.SOURCES_PINNED:
        shutil.copy(folder / name, tmp_path / name)
    verify_library(tmp_path)
    for name in library.SOURCES_PINNED:
        other = tmp_path / name[:-3]
        shutil.copytree(tmp_path, other, ignore=lambda *_: [])
        (other / name).write_text((folder / name).read_text() + "\n")
        with pytest.raises(LibraryRefused, match=rf"{name} differs .*requirements\.txt"):
            verify_library(other)
        shutil.rmtree(other)
    with pytest.raises(LibraryRefused, match="no readable"):
        verify_library(tmp_path / "nowhere")


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "VERSION", "0.3.18")
    with pytest.raises(LibraryRefused, match=r"is version 0\.3\.18, not 0\.3\.17"):
        verify_library(tmp_path / "other")


@pytest.mark.parametrize("pinned", ["GLOBALS_PINNED", "METHODS_PINNED"])
def test_a_library_without_a_pinned_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, pinned: str
) -> None:
    monkeypatch.setattr(library, pinned, ("no_such_name",))
    verify_library.cache_clear()
    with pytest.raises(LibraryRefused, match="has no no_such_name"):
        verify_library()
    monkeypatch.undo()
    verify_library()


def test_what_is_cut_out_of_the_library_raises_when_reached() -> None:
    for reach in (lambda: _NoPickle().loads(b""), lambda: _NoPickle().dumps(1)):
        with pytest.raises(AssertionError, match="pickle"):
            reach()
    with pytest.raises(AssertionError, match="PySyncObj sends apply_command"):
        Rig().engine._on_core_send("a", {"type": "apply_command"})


def test_who_else_imports_the_library_finds_it_untouched() -> None:
    before = dict(vars(stock_module))
    Rig().lead()
    assert dict(vars(stock_module)) == before


def test_engines_in_one_process_have_clocks_of_their_own() -> None:
    early, late = Rig(), Rig()
    late.now_s = 5_000.0
    early.lead()
    late.turn(1.0)
    assert early.engine.is_leader
    assert not late.engine.is_leader
    assert early.engine.next_wakeup() < 1
    assert late.engine.next_wakeup() < 1


# -- hole 19: no pickle


def test_no_pickle_is_reached_by_a_whole_cluster_with_faults_and_snapshots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was reached")

    for name in ("load", "loads", "dump", "dumps", "_load", "_loads", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, refuse)
    outcome = World(20).run(8_000)
    assert outcome.counts["crashes"]
    assert outcome.counts["snapshots"]


def test_the_library_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        World(12).run(3_000)
    assert not [record for record in caplog.records if "pysyncobj" in record.name]


# -- the holes are there: what the stock library does, in the smallest form


class _Deaf(Transport):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(None, None, None)
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self.sent.append((node.id, message))
        return True


def stock(me: str, *others: str, **options: Any) -> tuple[Any, _Deaf]:
    transport = _Deaf()
    conf = SyncObjConf(autoTick=False, **options)
    raft = SyncObj(Node(me), [Node(other) for other in others], conf, transport=transport)
    for other in others:
        transport._onNodeConnected(Node(other))
    return raft, transport


def stock_append(
    term: int, prev: tuple[int, int], entries: list[Any], commit: int
) -> dict[str, Any]:
    return {
        "type": "append_entries",
        "term": term,
        "commit_index": commit,
        "entries": entries,
        "prevLogIdx": prev[0],
        "prevLogTerm": prev[1],
    }


def deliver_all(transport: Transport, messages: list[dict[str, Any]]) -> None:
    for message in messages:
        transport._onMessageReceived(Node("a"), message)


def test_hole_1_the_library_never_syncs() -> None:
    sources = inspect.getsource(FileJournal) + inspect.getsource(stock_module)
    assert "fsync" not in sources
    assert "fdatasync" not in sources


def test_hole_3_the_library_loses_entries_when_a_compaction_is_interrupted(tmp_path: Path) -> None:
    journal = FileJournal(str(tmp_path / "journal"))
    for index in range(1, 101):
        journal.add(b"x", index, 1)
    add, added = journal.add, []

    def die_in_the_middle(*entry: Any) -> None:
        added.append(entry)
        if len(added) > 10:
            raise KeyboardInterrupt
        add(*entry)

    journal.add = die_in_the_middle
    with pytest.raises(KeyboardInterrupt):
        journal.deleteEntriesTo(20)
    assert len(FileJournal(str(tmp_path / "journal"))) == 10  # of 80


def test_hole_8_the_library_forgets_its_vote_with_one_flipped_bit(tmp_path: Path) -> None:
    FileJournal(str(tmp_path / "journal")).setCurrentTerm(5, "a")
    meta = tmp_path / "journal.meta"
    data = bytearray(meta.read_bytes())
    data[0] ^= 1
    meta.write_bytes(data)
    journal = FileJournal(str(tmp_path / "journal"))
    assert (journal.getCurrentTerm(), journal.getVotedForNodeId()) == (0, None)


def test_hole_9_the_library_commits_what_comes_after_a_lost_log(tmp_path: Path) -> None:
    journal = FileJournal(str(tmp_path / "journal"))
    journal.setRaftCommitIndex(100)
    journal.onOneSecondTimer()
    raft, transport = stock("b", "a", "c", journalFile=str(tmp_path / "journal"))
    entries = [(b"\x01", index, 1) for index in range(2, 10)]
    transport._onMessageReceived(Node("a"), stock_append(1, (1, 0), entries, 1))
    raft.doTick(0)
    assert raft.raftLastApplied > 1  # the leader said that nothing is committed


def test_hole_10_the_library_starts_empty_on_a_damaged_dump(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(b"not a dump")
    raft, _ = stock("b", "a", "c", fullDumpFile=str(tmp_path / "dump"))
    raft.doTick(0)
    assert raft.raftLastApplied == 1


def test_hole_11_the_library_takes_a_flipped_bit_for_a_command(tmp_path: Path) -> None:
    FileJournal(str(tmp_path / "journal")).add(b"pay 100", 2, 1)
    path = tmp_path / "journal"
    path.write_bytes(path.read_bytes().replace(b"pay 100", b"pay 900"))
    assert FileJournal(str(path))[0][0] == b"pay 900"


def test_hole_16_the_library_calls_a_committed_command_failed() -> None:
    raft, transport = stock("b", "a", "c", commandsWaitLeader=False)
    answers: list[int] = []
    transport._onMessageReceived(Node("a"), stock_append(1, (1, 0), [], 1))
    raft._applyCommand(COMMAND + b"x", lambda _, reason: answers.append(reason))
    raft.doTick(0)
    assert transport.sent[-1][1]["type"] == "apply_command"
    entries = [(COMMAND + b"x", 2, 1), (b"\x01", 3, 2)]
    transport._onMessageReceived(Node("c"), stock_append(2, (1, 0), entries, 3))
    raft.doTick(0)
    assert raft.raftLastApplied == 3  # x is committed and applied
    assert answers == [FAIL_REASON.LEADER_CHANGED]


def test_hole_16_here_a_deposed_leader_learns_what_became_of_its_proposal() -> None:
    rig = Rig()
    term = rig.lead()
    proposed = rig.engine.propose(b"x")
    rig.turn()
    entry = [COMMAND + b"x", 3, term]
    no_op = [b"\x01", 4, term + 1]
    rig.deliver(
        "c",
        "append_entries",
        term + 1,
        request=1,
        prev_index=2,
        prev_term=term,
        commit_index=4,
        entries=[entry, no_op],
    )
    rig.turn()
    committed = [item for item in rig.committed if isinstance(item, Committed)]
    assert proposed in [(item.term, item.index) for item in committed]


def test_hole_18_the_library_cannot_carry_a_large_entry() -> None:
    leader, sender = stock("a", "b", commandsWaitLeader=False)
    leader._SyncObj__raftElectionDeadline = 0
    leader.doTick(0)
    sender._onMessageReceived(Node("b"), {"type": "response_vote", "term": 1})
    leader._applyCommand(COMMAND + random.Random(1).randbytes(200_000), None)
    leader.doTick(0)
    leader._SyncObj__newAppendEntriesTime = 0
    sender.sent.clear()
    leader._SyncObj__raftNextIndex[Node("b")] = 3
    leader.doTick(0)
    parts = [m for _, m in sender.sent if "transmission" in m]
    assert len(parts) > 2
    _, receiver = stock("b", "a")
    receiver._onMessageReceived(Node("a"), stock_append(1, (1, 0), [(b"\x01", 2, 1)], 1))
    with pytest.raises((EOFError, ValueError, IndexError, pickle.UnpicklingError)):
        deliver_all(receiver, parts)


def test_hole_19_the_library_runs_what_a_peer_sends() -> None:
    raft, transport = stock("b", "a", "c")
    call = b"\x00" + pickle.dumps(_Touch())
    ran.clear()
    entries = [(call, 2, 1)]
    transport._onMessageReceived(Node("a"), stock_append(1, (1, 0), entries, 2))
    with pytest.raises(KeyError):
        raft.doTick(0)
    assert ran == ["by a peer"]


ran: list[str] = []


def run_by_peer() -> None:
    ran.append("by a peer")


class _Touch:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (f"import sys; sys.modules[{__name__!r}].run_by_peer()",)
