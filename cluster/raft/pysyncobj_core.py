"""PySyncObj 0.3.17 without its I/O: the only module that touches its internals.  No I/O.

    what it would do by itself            what it does here
    a thread, a poller, a pipe, TCP       none; the engine calls `receive` and `tick`
    read the clock, draw numbers          ask the clock and chance it was given
    start elections on its own timer      only when told to `campaign`
    run pickled commands                  nothing: entries are opaque, pickle is cut out
    store log, term, vote                 calls `RaftJournal`, which buffers records
    dump, fork, load, send snapshots      says that a peer needs one; the engine does the rest
    change its members                    off: `set_peers`, by entries of our own

What is left is the core of Raft: voting, log matching, the commit rule, step-down.

The library keeps its clock, random numbers and factories in module globals and offers no
other way in.  So each `Core` runs a copy of the module `pysyncobj.syncobj` of its own, from
the very source bytes that `cluster.raft.library` hashed; its globals are set there and nowhere
else.  Any number of engines can live in one process (one thread each), each with its own
clock, and whoever else imports PySyncObj finds it untouched.

Source: pysyncobj 0.3.17, syncobj.py; line numbers in DESIGN.md.
"""

import logging
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Protocol

from pysyncobj.config import SERIALIZER_STATE, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from cluster.raft.journal import RaftJournal
from cluster.raft.library import FIELDS_PINNED, LibraryRefused, run_module, verify_library
from cluster.raft.messages import BATCH_BYTES_MAX

__all__ = ["Chance", "Core", "LibraryRefused"]

NEVER_S = 1e12
"""Longer than any process lives; the library's own timers are set to it."""
ROLES = ("follower", "candidate", "leader")


class Chance(Protocol):
    """The part of `random.Random` that is used."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...


class _PeerNode(Node):  # type: ignore[misc]  # the library is untyped
    """The library iterates over sets of these: an order that does not hang on the process."""

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self._hash = zlib.crc32(node_id.encode())

    def __hash__(self) -> int:
        return self._hash


@lru_cache(maxsize=1_000)
def _node(node_id: str) -> _PeerNode:
    """Return the one object for a node: found in a dictionary without being compared."""
    return _PeerNode(node_id)


class _Wire(Transport):  # type: ignore[misc]  # the library is untyped
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
    def setTimeouts(self, ok: float, fail: float) -> None:
        """Resolve nothing."""

    def setPreferredAddrFamily(self, family: str) -> None:
        """Resolve nothing."""


class _NoSerializer:
    """Never saves, never has data: the core then marks a peer as in need of a snapshot."""

    def checkSerializing(self) -> tuple[int, None]:
        return SERIALIZER_STATE.NOT_SERIALIZING, None

    def getTransmissionData(self, node: Node) -> None:
        return None

    def cancelTransmisstion(self, node: Node) -> None:
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
    module = run_module(verify_library())
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
    class Opaque(library.SyncObj):  # type: ignore[misc]  # the library is untyped
        """SyncObj that never looks into a command and takes proposals from one list."""

        proposed: list[bytes]
        proposed_bytes = 0
        told_index = 0
        """The commit index that was sent to all last."""
        only_tells = False
        """While a send says nothing but what was committed."""
        on_appended: Callable[[], None]
        """Called between appending proposals and sending them: they may change the members."""

        def _SyncObj__doApplyCommand(self, command: bytes) -> None:
            """The state machine is outside."""

        def _checkCommandsToApply(self) -> None:
            """Not in the library's tick: `replicate` does it when what was committed is applied."""

        def replicate(self) -> None:
            """Append what was proposed and send it with the commit index, all in one go.

            Instead of the library's two sends (503-574, 719): one for what was committed, one
            for what is new.
            """
            commands, self.proposed, self.proposed_bytes = self.proposed, [], 0
            if self._SyncObj__raftState != library._RAFT_STATE.LEADER:
                return  # deposed meanwhile: as if it had been lost on the way
            journal = self._SyncObj__raftLog
            for command in commands:
                journal.add(command, journal.last_index + 1, self._SyncObj__raftCurrentTerm)
            self.on_appended()
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
        on_appended: Callable[[], None] = lambda: None,
    ) -> None:
        library = _make_library(clock, rng)
        self._journal = journal
        self._wire = _Wire(send)
        self._clock = clock
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
        nodes = [_node(peer) for peer in sorted(peers)]
        self._raft = _make_class(library)(
            _node(node_id), nodes, conf, nodeClass=_PeerNode, transport=self._wire
        )
        self._raft.proposed = []
        self._raft.on_appended = on_appended
        for name in FIELDS_PINNED:
            assert hasattr(self._raft, name), name
        self.jump_to(journal.base_index)
        for node in nodes:  # "connected" means: may be sent to; loss is the network's business
            self._wire._onNodeConnected(node)

    def set_peers(self, voters: Iterable[str], learners: Iterable[str]) -> None:
        """Let these be the other members from now on; learners are sent to, not counted.

        The library knows such nodes as "read-only" ones.
        """
        raft = self._raft
        voting = {_node(peer) for peer in sorted(voters)}
        learning = {_node(peer) for peer in sorted(learners)}
        before = raft._SyncObj__otherNodes | raft._SyncObj__readonlyNodes
        raft._SyncObj__otherNodes, raft._SyncObj__readonlyNodes = voting, learning
        for node in before - voting - learning:
            for known in (
                raft._SyncObj__raftNextIndex,
                raft._SyncObj__raftMatchIndex,
                raft._SyncObj__lastResponseTime,
            ):
                known.pop(node, None)
            self.pause(node.id)
        for node in (voting | learning) - before:
            raft._SyncObj__raftNextIndex[node] = self._journal.last_index + 1
            raft._SyncObj__raftMatchIndex[node] = 0
            raft._SyncObj__lastResponseTime[node] = self._clock()
            self.resume(node.id)

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
    def proposed_bytes(self) -> int:
        """How much the proposals that wait for the tick hold."""
        return int(self._raft.proposed_bytes)

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
        return int(self._raft._SyncObj__raftMatchIndex.get(_node(peer), 0))

    # -- what the engine does to it

    def receive(self, source: str, message: dict[str, Any]) -> None:
        """Take one message, already checked, in the library's own form."""
        self._wire._onMessageReceived(_node(source), message)

    def acknowledged(self, peer: str, next_index: int) -> None:
        """`peer` holds everything below `next_index`; what was sent behind that stays sent.

        The library would send all of it again (1082): with ten appends under way, each ten
        times.  One that was lost is asked for by the next append or heartbeat behind it.
        """
        sent = self._raft._SyncObj__raftNextIndex
        node = _node(peer)
        next_sent = sent[node]
        self.receive(peer, _next_node_idx(next_index, success=True))
        sent[node] = max(sent[node], next_sent)

    def rejected(self, peer: str, next_index: int) -> None:
        """`peer` misses something: send it from `next_index` on."""
        self.receive(peer, _next_node_idx(next_index, success=False))

    def send_from(self, peer: str, next_index: int) -> None:
        """Send `peer` what begins at `next_index`; it proved and confirmed nothing."""
        self._raft._SyncObj__raftNextIndex[_node(peer)] = next_index

    def sent_to(self, peer: str, next_index: int) -> None:
        """What is below `next_index` need not be sent to `peer`; it proved nothing."""
        sent = self._raft._SyncObj__raftNextIndex
        node = _node(peer)
        sent[node] = max(sent[node], next_index)

    def forget(self, peer: str) -> None:
        """`peer` holds nothing any more that it proved to hold."""
        self._raft._SyncObj__raftMatchIndex[_node(peer)] = 0

    def alive(self, peer: str) -> None:
        """`peer` answered, for the check of the quorum; nothing else is known."""
        self.receive(peer, {**_next_node_idx(0, success=False), "reset": False})

    def tick(self) -> None:
        """Advance the commit index, check the quorum, send heartbeats."""
        self._raft.doTick(0)

    def replicate(self) -> None:
        """Append what was proposed; send it, and what was committed, to all."""
        self._raft.replicate()

    def campaign(self) -> None:
        """Start an election at the next tick."""
        self._raft._SyncObj__raftElectionDeadline = float("-inf")

    def propose(self, command: bytes) -> int:
        """Append `command` at the next `replicate`; return the index it will have."""
        assert self.is_leader
        self._raft.proposed.append(command)
        self._raft.proposed_bytes += len(command)
        return self._journal.last_index + len(self._raft.proposed)

    def step_to(self, source: str, term: int) -> None:
        """Follow in a newer `term`, by a vote request that can never be granted."""
        assert term > self.term
        message = {"type": "request_vote", "term": term, "last_log_term": -1, "last_log_index": -1}
        self.receive(source, message)

    def vote_for_leader(self) -> None:
        """Whoever leads this term has this node's vote, whatever it was before."""
        leader = self.leader
        assert leader is not None
        self._raft._SyncObj__setCurrentTerm(self.term, leader)

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
        self._wire._onNodeDisconnected(_node(peer))

    def resume(self, peer: str) -> None:
        """Send to `peer` again."""
        self._wire._onNodeConnected(_node(peer))


def _next_node_idx(next_index: int, *, success: bool) -> dict[str, Any]:
    """The library's answer to an append."""
    return {
        "type": "next_node_idx",
        "next_node_idx": next_index,
        "success": success,
        "reset": not success,
    }
