"""The narrow port between a node's sockets and what all nodes agree on.  No I/O.

    submit      ask for a change; the outcome comes once it is committed and applied here
    watch       be told of everything that was applied here, in order
    state       what was applied here so far; read it, never change it
    barrier     wait until everything that was acknowledged anywhere before the call is here
    whisper     tell the other nodes something that may be lost (typing, receipts)

The port is kept narrow so that it can be a call in this process or a Unix socket to it.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from cluster.raft.members import Members
from cluster.state.commands import Command
from cluster.state.levels import FIRST
from cluster.state.machine import Applied
from cluster.state.outcome import Outcome
from cluster.state.state import State


class Unavailable(msgspec.Struct, frozen=True):
    """No outcome.  `timeout`: unknown, retry with the same key; the rest: nothing was changed."""

    code: Literal["no_leader", "minority", "timeout", "overloaded"]
    message: str


Figures = dict[str, float | int | bool | str]

Standing = Literal["starting", "serving", "fenced", "catching_up", "draining", "failed"]


class ReplicaStatus(msgspec.Struct, frozen=True):
    """This node's standing, in figures; `why` says in words why it is not serving."""

    node: str
    boot: str
    standing: Standing
    why: str
    role: Literal["leader", "follower", "candidate"]
    leader: str
    """Node id of the leader as far as known, else empty."""
    term: int
    commit_index: int
    applied_index: int
    last_index: int
    first_index: int
    quorum_heard_s: float
    """Seconds since a majority, this node included, was heard (leader) or the leader was heard."""
    peers: dict[str, Figures]
    """Per other node: connected, last_heard_s, match_index (at the leader), level (0: unknown),
    queued_bytes ..."""
    snapshot_index: int
    pending: int
    """Proposals made here that wait for their outcome."""
    violations: int = 0
    """Commands since the start after which an invariant of the state did not hold: bugs."""
    abstains: bool = False
    """It came back without its data, serves, and is not counted until a leader vouches for it."""
    peer_tls: dict[str, int | str] = {}
    """With TLS between nodes, of this one's certificate: `cluster.peer.tls.TlsStatistics`."""
    level: int = FIRST
    """Which commands this node's release knows; see `cluster.state.levels`."""
    level_used: int = FIRST
    """Which of them the cluster uses, as far as was applied here."""
    heal_mode: str = ""
    """`act`, `observe` or `off`; see `cluster.heal`."""
    nodes: dict[str, Figures] = {}
    """Per member, as last heard: zone, version, level, standing, disk, clock.  This node's too."""
    epoch: int = 0
    """How often a person let the cluster go on from less than a majority; see `wal.epoch`."""


Answer = Outcome | Unavailable


class NotLeading(Exception):
    """Only the leader can do that; `leader` is its id as far as known, else empty."""

    def __init__(self, leader: str) -> None:
        super().__init__(f"{leader} leads" if leader else "nobody leads now")
        self.leader = leader


class HandOverRefused(Exception):
    """Nobody else leads now; says why, and what would help."""


class SavedSnapshot(msgspec.Struct, frozen=True):
    """A snapshot that is durable in this node's folder, and was read back."""

    index: int
    """Of the last entry that is in it."""
    term: int
    bytes: int
    file: str
    """Its path, on the node's machine."""
    written: bool
    """False: nothing was applied since it was written, so no other was."""
    write_ms: int
    """How long its writing took; 0 if that was before this process."""


class SnapshotWaits(msgspec.Struct, frozen=True):
    """No snapshot yet that reaches `index`; `why` in words.  Ask again, with the index."""

    index: int
    why: str


class NotSaved(Exception):
    """There will be no snapshot; says why, and what would help."""


class Port(Protocol):
    """What sessions, health pages and the dispatcher may ask of the cluster."""

    @property
    def node_id(self) -> str: ...

    @property
    def boot(self) -> str:
        """Id of this process's life; another after every start."""
        ...

    @property
    def state(self) -> State: ...

    def status(self) -> ReplicaStatus: ...

    def submit(self, command: Command, on_answer: Callable[[Answer], None]) -> None:
        """Propose `command`; call `on_answer` exactly once, later, in the loop's thread.

        `Done` says that the command is on a majority of disks and applied here.
        """
        ...

    async def propose(self, command: Command) -> Answer:
        """Like `submit`, for callers that may wait."""
        ...

    def watch(self, watcher: Callable[[Applied], None]) -> Callable[[], None]:
        """Call `watcher` after each applied entry; return how to stop.

        Outcomes of the same entry are answered after the watchers ran.
        """
        ...

    def watch_standing(self, watcher: Callable[[ReplicaStatus], None]) -> Callable[[], None]:
        """Call `watcher` when standing or leader changed; return how to stop."""
        ...

    def watch_installs(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` when `state` jumped: a snapshot took the place of entries unseen here.

        Whoever follows events reads what it missed from `state`.  Returns how to stop.
        """
        ...

    async def barrier(self) -> Unavailable | None:
        """Return None once all that was acknowledged before the call is in `state`."""
        ...

    def members(self) -> Members:
        """Return who takes part, as this node's log says."""
        ...

    def guests(self) -> dict[str, str]:
        """Return who has the cluster's key, calls, and is no member: id to `host:port`."""
        ...

    async def change_members(self, change: Callable[[Members], Members]) -> Unavailable | None:
        """Let `change` make the next members; None when they are committed.

        `change` is called at once.  Raises what it raises; `NotLeading` at a node that does not
        lead, `MembersRefused` when this is not the time.  `Unavailable`: the outcome is unknown.
        """
        ...

    async def hand_over(self, to: str = "") -> str | Unavailable:
        """Let node `to` lead, or whoever is best; return who leads, as soon as this node hears it.

        Raises `NotLeading` at a node that does not lead, `HandOverRefused` when `to` cannot, or
        did not come to it; this node leads on then.
        """
        ...

    async def save_snapshot(self, index: int = 0) -> SavedSnapshot | SnapshotWaits:
        """Let this node have a snapshot that reaches `index`, or all that is applied here now.

        Returns when it is durable, or after a few seconds; the log is cut behind it as ever.
        Whoever asks meanwhile shares it.  Raises `NotSaved`.
        """
        ...

    def whisper(self, payload: bytes) -> None:
        """Send `payload` to the other nodes' whisper watchers; it may be lost."""
        ...

    def watch_whispers(self, watcher: Callable[[str, bytes], None]) -> Callable[[], None]:
        """Call `watcher(from_node, payload)` for what other nodes whisper."""
        ...
