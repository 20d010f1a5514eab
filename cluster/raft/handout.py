"""What is committed, on its way to the state machine: each index once, in order.  No I/O but
opening a snapshot of the store.

    journal ──PySyncObj released it──▶ collect ──┐
    a snapshot of the leader, durable ─▶ install ┴─▶ take
"""

from cluster.raft.boot import members_of
from cluster.raft.compaction import Compaction
from cluster.raft.messages import COMMAND
from cluster.raft.parts import Parts
from cluster.raft.results import Committed, Install
from wal.snapshot import SnapshotMeta, SnapshotStore


class Handout:
    """Begins behind `start_index`: the caller's state has what comes before."""

    def __init__(
        self, parts: Parts, snapshots: SnapshotStore, compaction: Compaction, start_index: int
    ) -> None:
        self._parts = parts
        self._snapshots = snapshots
        self._compaction = compaction
        self.index = start_index
        """The last one that was collected."""
        self.bytes = 0
        """Of what waits to be taken."""
        self._items: list[Committed | Install] = []

    @property
    def waits(self) -> bool:
        """Whether something waits to be taken."""
        return bool(self._items)

    @property
    def commits_alone(self) -> bool:
        """Whether the next tick commits something without a word from anybody."""
        core = self._parts.core
        behind = self.index < self._parts.journal.last_index
        return core.is_leader and not self._parts.others and behind

    def collect(self) -> None:
        """Gather what PySyncObj released for the state machine."""
        journal = self._parts.journal
        applied_index = self._parts.core.applied_index
        if applied_index == self.index or journal.dirty:
            return  # dirty: a node alone has just begun to lead, and committed what it did not sync
        for command, index, term in journal.between(self.index + 1, applied_index):
            payload = command[1:] if command[:1] == COMMAND else None
            self._items.append(Committed(index, term, payload))
            self.bytes += len(command)
            self._compaction.applied(len(command))
        self.index = applied_index

    def install(self, meta: SnapshotMeta) -> None:
        """Go on from a snapshot of the leader, which is durable."""
        assert self.index == self._parts.core.applied_index
        self._parts.journal.rebase(meta.index, meta.term, members_of(meta))
        self._parts.core.jump_to(meta.index)
        self._compaction.installed(meta)
        self.index = meta.index
        self._items.append(Install(*self._snapshots.open_latest()))

    def take(self) -> list[Committed | Install]:
        """Return what waits, in order of index."""
        items, self._items = self._items, []
        self.bytes = 0
        return items
