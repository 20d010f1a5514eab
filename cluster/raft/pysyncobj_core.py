"""PySyncObj 0.3.17 without its I/O: the only module that touches its internals.  No I/O.

    what it would do by itself            what it does here
    a thread, a poller, a pipe, TCP       none; the engine calls `receive` and `tick`
    read the clock, draw numbers          ask the clock and chance it was given
    start elections on its own timer      only when told to `campaign`
    run pickled commands                  nothing: entries are opaque, pickle is cut out
    store log, term, vote                 calls `RaftJournal`, which buffers records
    dump, fork, load, send snapshots      says that a peer needs one; the engine does the rest
    change its members                    off: the voters are fixed

What is left is the core of Raft: voting, log matching, the commit rule, step-down.

The library keeps its clock, random numbers and factories in module globals and offers no
other way in.  So each `Core` runs a copy of the module `pysyncobj.syncobj` of its own, from
the very source bytes that `verify_library` hashed; its globals are set there and nowhere
else.  Any number of engines can live in one process (one thread each), each with its own
clock, and whoever else imports PySyncObj finds it untouched.

`verify_library` refuses any other version, and any other bytes: every name used below is
private to the library and means what it means in 0.3.17 only.

Source: pysyncobj 0.3.17, syncobj.py; line numbers in DESIGN.md.
"""

import functools
import hashlib
import logging
import types
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import pysyncobj
from pysyncobj.config import SERIALIZER_STATE, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport
from pysyncobj.version import VERSION

from cluster.raft.journal import RaftJournal
from cluster.raft.messages import BATCH_BYTES_MAX

VERSION_PINNED = "0.3.17"
SOURCES_PINNED = {
    "config.py": "fbbc7ff9f18e4d15a7fd563376e42f5bd192956879d4b810b056d5248b955698",
    "fast_queue.py": "8477fe5fdf36d9766df933310d3d66ee953d1afc195b1e6482b3a1498fc517bd",
    "journal.py": "9cf1eaf6acc704581a4cf7d3de330a404403913107adc91c929778b7e3f35edf",
    "node.py": "e4a3f027cd8291f558334bb9c977e952f6b6989e7e1fa1588d3005ef0b990e2c",
    "pickle.py": "e9327780738065cec5d600484b936c91e7c13875206cb584d5ff7f5d0dc9c474",
    "serializer.py": "4d39fde2f15000ad8f507ec229ebd4f6a86371b6f84d4dc1439a9cccd52857ee",
    "syncobj.py": "e8bdf06797085d734df86e24ab4802fe87893dff77268565ec036f7ad4a1cfe4",
    "transport.py": "0c9d89f9c4781ec9772df8011d7975a1a4a1a5f541357e12eae85a813e92b50b",
}
METHODS_PINNED = (
    "_SyncObj__doApplyCommand",
    "_SyncObj__onMessageReceived",
    "_SyncObj__sendAppendEntries",
    "_checkCommandsToApply",
    "_onTick",
)
FIELDS_PINNED = (
    "_SyncObj__newAppendEntriesTime",
    "_SyncObj__raftCommitIndex",
    "_SyncObj__raftElectionDeadline",
    "_SyncObj__raftLastApplied",
    "_SyncObj__raftLeader",
    "_SyncObj__raftMatchIndex",
    "_SyncObj__raftState",
)
GLOBALS_PINNED = (
    "PIPE_NOTIFIER_ENABLED",
    "Serializer",
    "createJournal",
    "createPoller",
    "globalDnsResolver",
    "logger",
    "monotonicTime",
    "pickle",
    "random",
)
NEVER_S = 1e12
"""Longer than any process lives; the library's own timers are set to it."""
ROLES = ("follower", "candidate", "leader")


class LibraryRefused(Exception):
    """The installed PySyncObj is not the one that this guard was written against."""


class Chance(Protocol):
    """The part of `random.Random` that is used."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...


@functools.cache
def verify_library(folder: Path | None = None) -> types.CodeType:
    """Return the checked code of `pysyncobj.syncobj`.  Raises `LibraryRefused`."""
    folder = folder or Path(pysyncobj.__file__).parent
    if VERSION != VERSION_PINNED:
        raise _refusal(folder, f"is version {VERSION}, not {VERSION_PINNED}")
    source = b""
    for name, pinned in SOURCES_PINNED.items():
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise _refusal(folder, f"has no readable {name} ({error.strerror})") from None
        if hashlib.sha256(data).hexdigest() != pinned:
            raise _refusal(folder, f"{name} differs from the released {VERSION_PINNED}")
        if name == "syncobj.py":
            source = data
    code = compile(source, str(folder / "syncobj.py"), "exec", dont_inherit=True)
    module = _run(code)
    for name in GLOBALS_PINNED:
        if not hasattr(module, name):
            raise _refusal(folder, f"syncobj.py has no {name}")
    for name in METHODS_PINNED:
        if not hasattr(module.SyncObj, name):
            raise _refusal(folder, f"SyncObj has no {name}")
    return code


def _refusal(folder: Path, what: str) -> LibraryRefused:
    return LibraryRefused(
        f"pysyncobj at {folder} {what}: its holes are closed for {VERSION_PINNED} alone;"
        " install the locked requirements (requirements.txt) again"
    )


def _run(code: types.CodeType) -> Any:
    """Return a fresh copy of the module, in no one's `sys.modules`."""
    module = types.ModuleType("pysyncobj.syncobj")
    module.__package__ = "pysyncobj"
    exec(code, module.__dict__)  # noqa: S102 - the library's own source, hashed above
    return module


class _PeerNode(Node):  # type: ignore[misc]  # the library is untyped
    """The library iterates over sets of these: an order that does not hang on the process."""

    def __hash__(self) -> int:
        return zlib.crc32(self.id.encode())


class _Wire(Transport):  # type: ignore[misc]
    """Hands what the core wants to send to the engine."""

    def __init__(self, send: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__(None, None, None)
        self._send = send

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self._send(node.id, message)
        return True


class _NoPoller:
    def poll(self, timeout: float) -> None:
        """Wait for nothing."""


class _NoResolver:
    def setTimeouts(self, ok: float, fail: float) -> None:  # noqa: N802 - its name
        """Resolve nothing."""

    def setPreferredAddrFamily(self, family: str) -> None:  # noqa: N802
        """Resolve nothing."""


class _NoSerializer:
    """Never saves, never has data: the core then marks a peer as in need of a snapshot."""

    def checkSerializing(self) -> tuple[int, None]:  # noqa: N802
        return SERIALIZER_STATE.NOT_SERIALIZING, None

    def getTransmissionData(self, node: Node) -> None:  # noqa: N802
        return None

    def cancelTransmisstion(self, node: Node) -> None:  # noqa: N802
        """Nothing runs."""


class _NoPickle:
    """Stands where the module had pickle: no path that leads here is reachable."""

    def loads(self, data: bytes) -> Any:
        raise AssertionError("PySyncObj tried to unpickle")

    def dumps(self, value: Any) -> bytes:
        raise AssertionError("PySyncObj tried to pickle")


def _silent() -> logging.Logger:
    logger = logging.getLogger("cluster.raft.pysyncobj")
    logger.propagate = False
    logger.disabled = True
    return logger


def _make_library(clock: Callable[[], float], rng: Chance) -> Any:
    """Return a copy of the module with its globals set for one engine."""
    module = _run(verify_library())
    module.PIPE_NOTIFIER_ENABLED = False
    module.Serializer = lambda *_: _NoSerializer()
    module.createJournal = lambda journal: journal
    module.createPoller = lambda _: _NoPoller()
    module.globalDnsResolver = _NoResolver
    module.logger = _silent()
    module.monotonicTime = clock
    module.pickle = _NoPickle()
    module.random = rng
    return module


def _make_class(library: Any) -> Any:
    class Opaque(library.SyncObj):  # type: ignore[misc]
        """SyncObj that never looks into a command and takes proposals from one list."""

        proposed: list[bytes]
        told_index = 0
        """The commit index that was sent to all last."""
        only_tells = False
        """While a send says nothing but what was committed."""

        def _SyncObj__doApplyCommand(self, command: bytes) -> None:  # noqa: N802
            """The state machine is outside."""

        def _checkCommandsToApply(self) -> None:  # noqa: N802
            """Append what was proposed and send it with the commit index, all in one go.

            Instead of the library's two sends (503-574, 719): one for what was committed, one
            for what is new.
            """
            commands, self.proposed = self.proposed, []
            if self._SyncObj__raftState != library._RAFT_STATE.LEADER:
                return  # deposed in this very tick: as if it had been lost on the way
            journal = self._SyncObj__raftLog
            for command in commands:
                journal.add(command, journal.last_index + 1, self._SyncObj__raftCurrentTerm)
            if commands or self.told_index != self._SyncObj__raftCommitIndex:
                self.told_index = self._SyncObj__raftCommitIndex
                self.only_tells = not commands
                self._SyncObj__sendAppendEntries()
                self.only_tells = False

    return Opaque


class Core:
    """One node's PySyncObj.  Messages are its dicts; peers are named by id."""

    def __init__(
        self,
        node_id: str,
        peers: Iterable[str],
        journal: RaftJournal,
        *,
        clock: Callable[[], float],
        rng: Chance,
        heartbeat_s: float,
        quorum_timeout_s: float,
        send: Callable[[str, dict[str, Any]], None],
    ) -> None:
        library = _make_library(clock, rng)
        self._journal = journal
        self._wire = _Wire(send)
        conf = SyncObjConf(
            autoTick=False,
            appendEntriesUseBatch=True,
            appendEntriesPeriod=heartbeat_s,
            appendEntriesBatchSizeBytes=BATCH_BYTES_MAX,
            commandsWaitLeader=False,
            connectionTimeout=3 * NEVER_S,
            dynamicMembershipChange=False,
            journalFile=journal,
            leaderFallbackTimeout=quorum_timeout_s,
            logCompactionMinEntries=2**62,
            logCompactionMinTime=NEVER_S,
            raftMinTimeout=NEVER_S,
            raftMaxTimeout=2 * NEVER_S,
            tcp_keepalive=None,
        )
        nodes = [_PeerNode(peer) for peer in sorted(peers)]
        self._raft = _make_class(library)(
            _PeerNode(node_id), nodes, conf, nodeClass=_PeerNode, transport=self._wire
        )
        self._raft.proposed = []
        for name in FIELDS_PINNED:
            assert hasattr(self._raft, name), name
        self.jump_to(journal.base_index)
        for node in nodes:  # "connected" means: may be sent to; loss is the network's business
            self._wire._onNodeConnected(node)

    # -- views

    @property
    def term(self) -> int:
        return int(self._raft.raftCurrentTerm)

    @property
    def role(self) -> str:
        """`follower`, `candidate` or `leader`."""
        return ROLES[self._raft._SyncObj__raftState]

    @property
    def is_leader(self) -> bool:
        return bool(self._raft._isLeader())

    @property
    def leader(self) -> str | None:
        node = self._raft._getLeader()
        return None if node is None else str(node.id)

    @property
    def commit_index(self) -> int:
        return int(self._raft.raftCommitIndex)

    @property
    def applied_index(self) -> int:
        """Up to where entries may be handed to the state machine."""
        return int(self._raft.raftLastApplied)

    @property
    def proposals_waiting(self) -> int:
        return len(self._raft.proposed)

    @property
    def only_tells(self) -> bool:
        """Whether what is being sent says nothing but what was committed."""
        return bool(self._raft.only_tells)

    @property
    def heartbeat_due_s(self) -> float:
        """When, on the clock, a leader's next heartbeat is due."""
        return float(self._raft._SyncObj__newAppendEntriesTime)

    def match_index(self, peer: str) -> int:
        """Return the highest index that `peer` proved to hold durably; leaders only."""
        return int(self._raft._SyncObj__raftMatchIndex.get(_PeerNode(peer), 0))

    # -- what the engine does to it

    def receive(self, source: str, message: dict[str, Any]) -> None:
        """Take one message, already checked, in the library's own form."""
        self._wire._onMessageReceived(_PeerNode(source), message)

    def tick(self) -> None:
        """Advance the commit index, check the quorum, append proposals, send heartbeats."""
        self._raft.doTick(0)

    def campaign(self) -> None:
        """Start an election at the next tick."""
        self._raft._SyncObj__raftElectionDeadline = float("-inf")

    def propose(self, command: bytes) -> int:
        """Append `command` at the next tick; return the index it will have."""
        assert self.is_leader
        self._raft.proposed.append(command)
        return self._journal.last_index + len(self._raft.proposed)

    def step_to(self, source: str, term: int) -> None:
        """Follow in a newer `term`, by a vote request that can never be granted."""
        assert term > self.term
        message = {"type": "request_vote", "term": term, "last_log_term": -1, "last_log_index": -1}
        self.receive(source, message)

    def jump_to(self, index: int) -> None:
        """A snapshot holds everything up to `index`: apply goes on behind it."""
        assert self._journal.base_index == index or self._journal.term_at(index) is not None
        self._raft._SyncObj__raftLastApplied = index
        if self._raft._SyncObj__raftCommitIndex < index:
            self._raft._SyncObj__raftCommitIndex = index

    def hurry(self) -> None:
        """Send to all at the next tick, heartbeat due or not; does nothing unless leading."""
        self._raft._SyncObj__newAppendEntriesTime = float("-inf")

    def pause(self, peer: str) -> None:
        """Send `peer` nothing more, not even heartbeats, from this message on."""
        self._wire._onNodeDisconnected(_PeerNode(peer))

    def resume(self, peer: str) -> None:
        """Send to `peer` again."""
        self._wire._onNodeConnected(_PeerNode(peer))
