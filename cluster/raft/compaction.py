"""When to take a snapshot, and how much of the log stays behind it.  No I/O.

    idle ──enough entries or bytes, or hurried──▶ wanted ──saved──▶ log cut at the next tick
      ▲                                              │
      └──failed: RETRY_S later, twice that, … ───────┘

Behind a snapshot some entries stay, so that a follower that is only a little late does not
need the snapshot.  While a snapshot is on its way to a follower no other is taken: the
follower would have to start again.

Source: Raft thesis (Ongaro 2014), section 5.1.3.
"""

from dataclasses import dataclass

from cluster.raft.journal import RaftJournal
from wal.snapshot import SnapshotMeta

TRAILING_ENTRIES_MAX = 1_000
TRAILING_BYTES_MAX = 4 * 1024 * 1024
RETRY_S = 10.0
RETRY_S_MAX = 80.0
"""A large one for which there is no room is not to keep the disk busy."""
SNAPSHOT_EVERY_ENTRIES = 20_000
SNAPSHOT_EVERY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Every:
    """A snapshot is due after so many entries, or bytes of commands, whichever is first."""

    entries: int
    bytes: int

    def __post_init__(self) -> None:
        assert self.entries >= 2
        assert self.bytes >= 1


class Compaction:
    """Counts what was handed to the state machine since the last snapshot."""

    def __init__(self, journal: RaftJournal, every: Every, snapshot_index: int) -> None:
        self._journal = journal
        self._every = every
        self.snapshot_index = snapshot_index
        """The newest local snapshot; 1 when there is none."""
        self._bytes = 0
        self._wanted: SnapshotMeta | None = None
        self._bytes_wanted = 0
        self._not_before_s = float("-inf")
        self._cut_at = 0
        self._hurried = False
        self.retry_s = 0.0
        """How long another is waited with since the last one failed; 0: it did not."""

    def hurry(self, index: int) -> bool:
        """Let the next entry be enough; return whether there is one at `index` to compact."""
        self._hurried = index > self.snapshot_index
        return self._hurried

    def applied(self, size: int) -> None:
        """A command of `size` bytes was handed to the state machine."""
        self._bytes += size

    def wanted(self, index: int, now_s: float) -> SnapshotMeta | None:
        """Return, once, what to take a snapshot of: the state at `index`."""
        if self._wanted is not None or now_s < self._not_before_s or index <= self.snapshot_index:
            return None
        entries = index - self.snapshot_index
        due = entries >= self._every.entries or self._bytes >= self._every.bytes
        if not due and not self._hurried:
            return None
        journal = self._journal
        term, prev_term = journal.term_at(index), journal.term_at(index - 1)
        assert term is not None
        assert prev_term is not None
        members = journal.members_at(index).encode().decode()
        self._hurried = False
        self._wanted = SnapshotMeta(index, term, index - 1, prev_term, members)
        self._bytes_wanted = self._bytes
        return self._wanted

    def saved(self, meta: SnapshotMeta) -> None:
        """The wanted snapshot is durable; the log may be cut."""
        self._bytes -= self._bytes_wanted
        self._wanted = None
        self._take(meta)

    def installed(self, meta: SnapshotMeta) -> None:
        """The leader's snapshot took the place of everything here."""
        self._bytes = self._bytes_wanted = 0
        self._take(meta)

    def failed(self, now_s: float) -> None:
        """The wanted snapshot could not be saved; another will be wanted in a while."""
        self._wanted = None
        self.retry_s = min(self.retry_s * 2, RETRY_S_MAX) or RETRY_S
        self._not_before_s = now_s + self.retry_s

    def cut(self) -> None:
        """Drop what is not needed behind the last snapshot; writes to the log."""
        if self._cut_at > self._journal.base_index:
            self._journal.compact(self._base_behind(self._cut_at))
        self._cut_at = 0

    def _take(self, meta: SnapshotMeta) -> None:
        self.retry_s = 0.0
        if meta.index > self.snapshot_index:
            self.snapshot_index = self._cut_at = meta.index

    def _base_behind(self, index: int) -> int:
        """Return the base that leaves some entries before `index`."""
        journal = self._journal
        first = max(journal.base_index + 1, index - self._trailing_entries)
        size = 0
        base = index
        for command, at, _ in reversed(journal.between(first, index)):
            size += len(command)
            if size > TRAILING_BYTES_MAX:
                break
            base = at
        return base

    @property
    def _trailing_entries(self) -> int:
        return min(TRAILING_ENTRIES_MAX, self._every.entries // 2)
